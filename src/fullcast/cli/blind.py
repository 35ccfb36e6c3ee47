"""`fullcast blind`: what a person says of judged pictures without knowing what the judge said."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from fullcast.cli.verb import HERE, AsJson, Where, open_journey, tell

blind = App(
    name="blind",
    sort_key=8,
    help="Label judged pictures by eye without knowing what the judge said of them, and see how far the two agree: the "
    "only way to know the judge's errors on pictures that models make.",
)


@blind.command
def sheet(
    *,
    count: int = 60,
    series: str = "",
    judged: Path | None = None,
    out: Path | None = None,
    seed: int = 0,
    workspace: Where = HERE,
    json: AsJson = False,
) -> None:
    """Write blind.html, a page with pictures of the last judgement and three buttons under each.

    Parameters
    ----------
    count
        Pictures: alike many of each number of people, half of them right in the judge's eyes where there are so many.
    series
        Of one curve of the judgement only, by its name on the page.
    judged
        The folder of the judgement, as its --out said; the last one without by default.
    out
        The folder; data/judging/blind by default.
    seed
        Another one draws other pictures.
    """
    from fullcast.journey.blind import make_sheet

    tell(make_sheet(open_journey(workspace), count, series, judged, out, seed), json)


@blind.command
def agree(*labels: Path, sheet: Path | None = None, workspace: Where = HERE, json: AsJson = False) -> None:
    """Compare labels.json, as blind.html saved it, with the judge; several persons' files also with each other.

    Parameters
    ----------
    labels
        Files of labels, one for each person.
    sheet
        The folder of the sheet, also one outside any workspace; data/judging/blind by default.
    """
    from fullcast.journey.blind import agree, sheet_dir

    tell(agree(labels, sheet or sheet_dir(open_journey(workspace))), json)
