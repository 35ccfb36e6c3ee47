"""How often what comes, drawn (SVG, no library): pictures by visits, looks, numbers of people, cells, buckets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fullcast.mixture.drawing import COLOURS, FAINT, INK, WIDTH, text_at
from fullcast.mixture.preview import BucketRow, PlanReport, ValueRow
from fullcast.records import GRID

ROW = 18
NAMES, BARS, ENDS = 190, 420, 640
"""Columns: where bars begin, how long the longest is, where words behind them begin."""
MOST_NAMES = 40
"""Looks that are drawn; the rest stands in plan.txt."""
CELL_PX = 64

Bar = tuple[str, float, str]
"""Name, length in any unit, words behind it."""


def draw_visits(report: PlanReport) -> str:
    """One picture below another: how often what comes."""
    parts: list[str] = []
    y = 24.0
    for title, bars in _tables(report):
        drawn, y = _bars(title, bars, y)
        parts += drawn
    drawn, y = _cells(report.values["cell"], y)
    parts += drawn
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y:.0f}" viewBox="0 0 {WIDTH} {y:.0f}" '
        'font-family="sans-serif" font-size="13">'
    )
    return "\n".join([head, f'<rect width="{WIDTH}" height="{y:.0f}" fill="#ffffff"/>', *parts, "</svg>"]) + "\n"


def _tables(report: PlanReport) -> Iterable[tuple[str, list[Bar]]]:
    yield "Pictures by how often they come", [(f"{v} times", n, f"{n:,} pictures") for v, n in report.histogram]
    looks = sorted(report.values["name"], key=lambda row: -row.visits)
    title = "Visits by character and look (in the pictures of each: least / median / most)"
    if len(looks) > MOST_NAMES:
        title += f"; {len(looks) - MOST_NAMES} more in plan.txt"
    yield title, [_bar(row) for row in looks[:MOST_NAMES]]
    yield "Visits by number of people", [_bar(row) for row in sorted(report.values["num_people"], key=_number)]
    for stage in report.stages:
        title = "Batches by bucket, and the area that full pictures lose to it" + (f": {stage.name}" * bool(stage.name))
        yield title, [_bucket(row) for row in stage.buckets]


def _number(row: ValueRow) -> int:
    return int(row.value)


def _bar(row: ValueRow) -> Bar:
    spread = f"{row.least} / {row.median:g} / {row.most}"
    return row.value, row.visits, f"{row.visits:,} visits to {row.originals:,} pictures ({spread})"


def _bucket(row: BucketRow) -> Bar:
    tiny = f", tiny: off by up to {row.bound:.1f} visits" if row.tiny else ""
    return f"{row.width}x{row.height}", row.batches, f"{row.batches:,} batches, {row.area_cut_off:.1%} cut off{tiny}"


def _bars(title: str, bars: Sequence[Bar], y: float) -> tuple[list[str], float]:
    """A heading and one bar a row, the longest as long as there is room."""
    parts = [text_at(10, y, title, bold=True)]
    y += 10
    longest = max((length for _, length, _ in bars), default=0) or 1
    for name, length, words in bars:
        parts.append(text_at(NAMES - 8, y + 13, name, anchor="end", size=12))
        wide = BARS * length / longest
        parts.append(f'<rect x="{NAMES}" y="{y + 3:.1f}" width="{wide:.1f}" height="12" fill="{COLOURS[0]}"/>')
        parts.append(text_at(ENDS, y + 13, words, size=12))
        y += ROW
    return parts, y + 28


def _cells(rows: Sequence[ValueRow], y: float) -> tuple[list[str], float]:
    """The grid of places, as pictures are: darker where heads are seen more often. Crops of one picture count each."""
    visits = {row.value: row.visits for row in rows}
    most = max((visits.get(f"{i},{j}", 0) for i in range(GRID) for j in range(GRID)), default=0) or 1
    parts = [text_at(10, y, "Visits by cell of the head's centre", bold=True)]
    y += 12
    for row in range(GRID):
        for column in range(GRID):
            count = visits.get(f"{column},{row}", 0)
            x, top = NAMES + column * CELL_PX, y + row * CELL_PX
            parts.append(
                f'<rect x="{x}" y="{top:.1f}" width="{CELL_PX}" height="{CELL_PX}" fill="{COLOURS[0]}" '
                f'fill-opacity="{count / most:.3f}" stroke="{FAINT}"/>'
            )
            colour = "#ffffff" if count > 0.55 * most else INK
            words = f"{count:,}" if count else "never"
            parts.append(text_at(x + CELL_PX / 2, top + 37, words, anchor="middle", size=12, colour=colour))
    return parts, y + GRID * CELL_PX + 20
