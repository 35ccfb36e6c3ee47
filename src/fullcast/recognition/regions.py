"""Which part of a picture belongs to a figure: training binds a figure's words to it, and so does generation.

It lies below the rooms because captions and generation must draw the same regions and may not import each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from fullcast.records import Box

WIDEST = 0.5
"""Share of the picture's width that one figure's region may take: a portrait of one person is not wider."""
NARROWEST = 0.2
"""One column: two figures in one column share it rather than vanish."""
ABOVE_HEAD = 0.15
"""Share of the picture's height above the head's centre: half of the largest usual head."""


def region_boxes(heads: Sequence[tuple[float, float]]) -> list[Box]:
    """Centres of heads (x, y as fractions of the picture) -> each figure's region, xyxy as fractions of the picture.

    From above the head down to the bottom, half way to the neighbours on both sides.
    """
    xs = sorted(x for x, _ in heads)
    return [_box(x, y, xs) for x, y in heads]


def _box(x: float, y: float, xs: Sequence[float]) -> Box:
    left = max((other for other in xs if other < x), default=x - WIDEST)
    right = min((other for other in xs if other > x), default=x + WIDEST)
    half_left = min(max((x - left) / 2, NARROWEST / 2), WIDEST / 2)
    half_right = min(max((right - x) / 2, NARROWEST / 2), WIDEST / 2)
    return max(0.0, x - half_left), max(0.0, y - ABOVE_HEAD), min(1.0, x + half_right), 1.0
