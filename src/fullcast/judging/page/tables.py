"""Tables of the page whose cells are drawn: success by series, and what was taken for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fullcast.judging.page.html import Html, number, percent, tag
from fullcast.judging.report_data import Series

HALF_PAGE = 7
"""Columns of names that half the page has room for; a table of more takes all of it, and its names stand upright."""


def success_table(series: Sequence[Series]) -> Html:
    """A row for each series: S_N and its interval by number of people."""
    numbers = sorted({p.num_people for s in series for p in s.points})
    head = tag("tr", tag("th", "people asked for"), [tag("th", n) for n in numbers])
    rows = [_success_row(one, numbers) for one in series]
    return tag("div", tag("table", tag("thead", head), tag("tbody", rows), class_="figures"), class_="scroll")


def confusion(table: Mapping[str, Mapping[str, float]], sort: bool = False) -> Html:
    """Rows as shares of their own total, deeper where larger; the figure itself is written."""
    columns = list(dict.fromkeys([*table, *(c for row in table.values() for c in row)]))
    if sort:
        columns.sort(key=lambda text: int(text))
    head = tag("tr", tag("th"), [tag("th", c) for c in columns])
    rows = []
    for name, row in table.items():
        total = sum(row.values()) or 1
        cells = []
        for column in columns:
            value = row.get(column, 0)
            kind = "hit" if column == name else "miss"
            cells.append(tag("td", number(value) if value else "", class_=kind, style=f"--share:{value / total:.3f}"))
        rows.append(tag("tr", tag("th", name), cells))
    wide = " many" if len(columns) > HALF_PAGE and not sort else ""
    return tag("div", tag("table", head, rows, class_=f"heat{wide}"), class_="scroll")


def _success_row(one: Series, numbers: Sequence[int]) -> Html:
    points = {p.num_people: p for p in one.points}
    cells = []
    for n in numbers:
        p = points.get(n)
        cells.append(
            tag("td", tag("b", percent(p.value)), tag("small", f"{percent(p.low)} – {percent(p.high)}"))
            if p
            else tag("td", "–")
        )
    total = {p.num_pictures for p in one.points}
    each = f"{total.pop()} pictures each" if len(total) == 1 else f"{sum(p.num_pictures for p in one.points)} pictures"
    return tag("tr", tag("th", one.name, tag("small", each)), cells)
