"""`fullcast audit`: how right the labels are."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from fullcast.cli.verb import HERE, AsJson, Settings, Where, open_journey, tell

audits = App(
    name="audit",
    sort_key=2,
    help="Say how right the labels are, with intervals: against a table of true people (fullcast audit TABLE), or by a "
    "sample that you label (fullcast audit sample, then fullcast audit gold).",
)


@audits.default
def audit(truth: Path, /, *, workspace: Where = HERE, settings: Settings = (), json: AsJson = False) -> None:
    """Say how right the labels are, against a table of true people: recall, names, counts, with intervals.

    Parameters
    ----------
    truth
        The truth.parquet that the pocket show writes, or a table of the same columns labelled by hand.
    """
    from fullcast.audit import audit as run

    tell(run(open_journey(workspace, settings, json), truth), json)


@audits.command(name="sample")
def audit_sample(
    *,
    pictures: int = 120,
    seed: int = 0,
    truth: Path | None = None,
    workspace: Where = HERE,
    settings: Settings = (),
    json: AsJson = False,
) -> None:
    """Draw pictures to be labelled, by stratum, and write a sheet to label them on: gold/sheet.html.

    Parameters
    ----------
    pictures
        How many; a person labels a hundred in half an hour.
    seed
        Another seed draws other pictures.
    truth
        A table of true people that fills the answers in.
    """
    from fullcast.audit import draw_sample

    tell(draw_sample(open_journey(workspace, settings, json), pictures, seed, truth), json)


@audits.command(name="gold")
def audit_gold(*, workspace: Where = HERE, settings: Settings = (), json: AsJson = False) -> None:
    """Say how right the labels of the whole show are, from the sample that was labelled, with intervals."""
    from fullcast.audit import audit_gold as run

    tell(run(open_journey(workspace, settings, json)), json)
