"""`fullcast bench`: how fast this machine trains, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

bench = App(name="bench", sort_key=3, help="Measure how fast this machine trains the plan, size by size.")

Where = Annotated[Path, Parameter(name=["--workspace", "-w"], help="The workspace; the present folder by default.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as JSON, for machines.")]
Settings = Annotated[tuple[str, ...], Parameter(name="--set", negative="", help="A setting of fullcast.toml.")]
_HERE = Path()


@bench.default
def run(
    *, steps: int = 20, gpu: str = "", workspace: Where = _HERE, settings: Settings = (), json: AsJson = False
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
    from fullcast.cli import _journey, _print
    from fullcast.journey.bench import bench as measure

    _print(measure(_journey(workspace, settings, json), steps, gpu), json)
