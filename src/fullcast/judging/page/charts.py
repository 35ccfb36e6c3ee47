"""Charts as inline SVG: colours come from the page's style, so that they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from fullcast.judging.page.html import Content, Html, percent, tag
from fullcast.judging.report_data import Curve, Point, Series

HEIGHT = 300
WIDE, NARROW = 960, 520
"""Widths of a chart that has the page to itself, and of one of two side by side: so both have letters of one size."""
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 14, 40
"""Margins in the SVG's own units, for the ticks' numbers and the axes' names."""

SMOOTHED_POINTS = 120
"""A loss of thousands of steps is drawn as the means of this many spans: single steps are noise of the timesteps."""

COLORS, DASHES = 10, ("", " dashed", " dotted")
"""Of curves, as the page's style has them: from the eleventh on colours come again in another line."""


def color(index: int) -> str:
    """Classes of the ``index``-th curve of a chart."""
    return f"c{index % COLORS}{DASHES[min(index // COLORS, len(DASHES) - 1)]}"


def colors_of(series: Sequence[Series]) -> list[str]:
    """Classes of each: kinds have a colour of their own, what is compared takes the next one."""
    return [color(i) if one.kind == "compared" else one.kind for i, one in enumerate(series)]


def success_chart(series: Sequence[Series]) -> Html:
    """S_N against N with 95 % intervals, one line a series; each point tells its figures when pointed at."""
    numbers = sorted({point.num_people for s in series for point in s.points})
    if not numbers:
        return Html("")
    step = (WIDE - LEFT - RIGHT) / len(numbers)
    at = {n: LEFT + step * (i + 0.5) for i, n in enumerate(numbers)}
    parts: list[Content] = [_y_grid([0, 0.25, 0.5, 0.75, 1], 0, 1, percent, WIDE)]
    parts += [_text(at[n], HEIGHT - 22, str(n), "middle") for n in numbers]
    parts.append(_text((WIDE + LEFT - RIGHT) / 2, HEIGHT - 5, "people asked for", "middle", "axis"))
    for index, (one, colored) in enumerate(zip(series, colors_of(series), strict=True)):
        # Side by side, 9 units apart, so that intervals do not lie on each other.
        shift = 9 * (index - (len(series) - 1) / 2)
        points = [(at[p.num_people] + shift, p) for p in one.points if math.isfinite(p.value)]
        line = " ".join(f"{x:.1f},{_y(p.value, 0, 1):.1f}" for x, p in points)
        marks: list[Content] = [_band(points), tag("polyline", points=line)]
        for x, p in points:
            told = f"{one.name}, {p.num_people} people: {percent(p.value)} of {p.num_pictures} pictures "
            told += f"(95 % interval {percent(p.low)} to {percent(p.high)})"
            low, high = f"{_y(p.low, 0, 1):.1f}", f"{_y(p.high, 0, 1):.1f}"
            marks.append(tag("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=low, y2=high, class_="whisker"))
            dot = Html(f'<circle cx="{x:.1f}" cy="{_y(p.value, 0, 1):.1f}" r="5"><title>')
            marks.append([dot, told, Html("</title></circle>")])
        parts.append(tag("g", marks, class_=f"series {colored}"))
    return _svg(parts, "Whole-scene success by number of people", WIDE)


def _band(points: Sequence[tuple[float, Point]]) -> Html | None:
    """The 95 % intervals as an area behind the line."""
    if len(points) < 2:
        return None
    upper = [f"{x:.1f},{_y(p.high, 0, 1):.1f}" for x, p in points]
    lower = [f"{x:.1f},{_y(p.low, 0, 1):.1f}" for x, p in reversed(points)]
    return tag("polygon", points=" ".join([*upper, *lower]), class_="band")


def line_chart(curves: Sequence[Curve], name: str, width: int = NARROW) -> Html:
    """Curves over training steps on one scale that holds them all, from 0 where that wastes little."""
    drawn = [_smooth(curve) for curve in curves if curve.steps]
    if not drawn:
        return Html("")
    values = [v for curve in drawn for v in curve.values if math.isfinite(v)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    low = 0.0 if low > 0 and low < 0.5 * high else low
    y_ticks = nice_ticks(low, high)
    low, high = min(low, y_ticks[0]), max(high, y_ticks[-1])
    last = max(1, *(curve.steps[-1] for curve in drawn))

    def x(step: float) -> float:
        return LEFT + (width - LEFT - RIGHT) * step / last

    parts: list[Content] = [_y_grid(y_ticks, low, high, lambda v: f"{v:g}", width)]
    parts += [_text(x(t), HEIGHT - 22, f"{t:,.0f}", "middle") for t in nice_ticks(0, last) if t <= last]
    parts.append(_text((width + LEFT - RIGHT) / 2, HEIGHT - 5, "training step", "middle", "axis"))
    for index, curve in enumerate(drawn):
        pairs = zip(curve.steps, curve.values, strict=True)
        line = " ".join(f"{x(s):.1f},{_y(v, low, high):.1f}" for s, v in pairs if math.isfinite(v))
        parts.append(tag("g", tag("polyline", points=line), class_=f"series {color(index)}"))
    return _svg(parts, name, width)


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from below or at ``low`` to above or at ``high``."""
    span = high - low if high > low else abs(high) or 1.0
    raw = span / about
    power = 10 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _smooth(curve: Curve) -> Curve:
    """Means over `SMOOTHED_POINTS` spans; a curve that is shorter stays as it is."""
    n = len(curve.steps)
    if n <= SMOOTHED_POINTS:
        return curve
    edges = [round(i * n / SMOOTHED_POINTS) for i in range(SMOOTHED_POINTS + 1)]
    spans = [slice(a, b) for a, b in pairwise(edges)]
    means = [math.fsum(curve.values[s]) / (s.stop - s.start) for s in spans]
    return Curve(curve.name, tuple(curve.steps[s][-1] for s in spans), tuple(means))


def _y(value: float, low: float, high: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low or 1))


def _y_grid(ticks: Sequence[float], low: float, high: float, text: Callable[[float], str], width: int) -> list[Html]:
    parts = []
    for tick in ticks:
        y = _y(tick, low, high)
        parts.append(tag("line", x1=LEFT, x2=width - RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="grid"))
        parts.append(_text(LEFT - 8, y + 4, text(tick), "end"))
    return parts


def _text(x: float, y: float, text: str, anchor: str, class_: str = "tick") -> Html:
    return tag("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_=class_)


def _svg(parts: Content, name: str, width: int) -> Html:
    return tag("svg", tag("title", name), parts, viewBox=f"0 0 {width} {HEIGHT}", role="img", class_="chart")
