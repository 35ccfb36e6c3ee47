"""`fullcast bench`: how fast this machine trains, measured."""

from __future__ import annotations

from cyclopts import App

from fullcast.cli.verb import HERE, AsJson, Settings, Where, open_journey, tell

bench = App(name="bench", sort_key=3, help="Measure how fast this machine trains the plan, size by size.")


@bench.default
def run(
    *, steps: int = 20, gpu: str = "", workspace: Where = HERE, settings: Settings = (), json: AsJson = False
) -> None:
    """Measure how fast this machine trains the plan: a few real steps of each size of its pictures, thrown away.

    `plan` reckons with what it finds.

    Parameters
    ----------
    steps
        Of each size.
    gpu
        The card that this machine has, a name of cost.gpus: says what share of its peak was reached, for the prices.
    """
    from fullcast.journey.bench import bench as measure

    tell(measure(open_journey(workspace, settings, json), steps, gpu), json)
