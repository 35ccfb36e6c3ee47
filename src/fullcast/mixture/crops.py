"""Rectangles and the people in them: which part of a picture is kept, who is in it then, and what it cost.

Boxes are xyxy in pixels. A crop never flips a picture: left and right words would become false.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fullcast.records import Box, Person

WHOLE = 0.98
"""Share of a head's area above which it counts as inside: detectors' boxes reach a pixel or two beyond the hair."""

LISTED = 0.5
"""A person is listed for a crop that shows at least this share of the head's area; with less nobody could name them."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What a crop did to its picture."""

    kept_area: float
    """Share of the area before, in (0, 1]."""
    heads_cut: int
    """Heads that the edge of the crop goes through."""
    people_lost: int
    """People of the picture who are not listed for the crop."""
    enlargement: float
    """Bucket size over crop size; above 1 pixels are made up."""


def head_of(person: Person) -> Box:
    """The head's box, or the upper fifth of the figure, no wider than it is high, where no head was found."""
    if person.head_xyxy is not None:
        return person.head_xyxy
    x0, y0, x1, y1 = person.xyxy
    side = (y1 - y0) / 5
    x, y = person.place_xy
    half = min(x1 - x0, 2 * side) / 2
    return x - half, max(y0, y - side), x + half, y + side


def area(box: Box) -> float:
    """In square pixels."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def intersection(one: Box, other: Box) -> Box:
    """The common part; of negative width or height, and so of `area` 0, when there is none."""
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])


def share_inside(box: Box, crop: Box) -> float:
    """Share of ``box`` that lies in ``crop``, in [0, 1]."""
    whole = area(box)
    return area(intersection(box, crop)) / whole if whole else 0.0


def is_cut(head: Box, crop: Box) -> bool:
    """Whether the crop's edge goes through the head."""
    return 1 - WHOLE < share_inside(head, crop) < WHOLE


def people_in(people: Iterable[Person], crop: Box) -> tuple[Person, ...]:
    """The people listed for a crop, their boxes in its pixels and cut at its edges, left to right by place."""
    left, top = crop[0], crop[1]

    def moved(box: Box) -> Box:
        x0, y0, x1, y1 = intersection(box, crop)
        return x0 - left, y0 - top, x1 - left, y1 - top

    inside = [
        replace(p, xyxy=moved(p.xyxy), head_xyxy=moved(p.head_xyxy) if p.head_xyxy is not None else None)
        for p in people
        if share_inside(head_of(p), crop) >= LISTED
    ]
    return tuple(sorted(inside, key=lambda p: (p.place_xy, p.id)))


def fit_aspect(box: Box, aspect: float, heads: Sequence[Box]) -> Box:
    """The largest part of ``box`` with this width over height, placed so that the fewest heads are cut or left out.

    One side stays as it is; along the other the place nearest to the middle is taken of those that are best for the
    heads: first the fewest cut, then the fewest left out.
    """
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    if width > aspect * height:
        start = x0 + _offset(width, aspect * height, [(h[0] - x0, h[2] - x0) for h in heads])
        return start, y0, start + aspect * height, y1
    start = y0 + _offset(height, width / aspect, [(h[1] - y0, h[3] - y0) for h in heads])
    return x0, start, x1, start + width / aspect


def _offset(length: float, kept: float, spans: Sequence[tuple[float, float]]) -> float:
    slack = max(0.0, length - kept)
    middle = slack / 2
    # The best place is the middle or has an edge at a head's edge: between these nothing changes but the distance.
    edges = [middle, *(low for low, _ in spans), *(high - kept for _, high in spans)]
    edges += [*(high for _, high in spans), *(low - kept for low, _ in spans)]
    places = {min(slack, max(0.0, place)) for place in edges}

    def cost(place: float) -> tuple[int, int, float, float]:
        shares = [_overlap(low, high, place, place + kept) for low, high in spans]
        cut = sum(1 - WHOLE < share < WHOLE for share in shares)
        return cut, sum(share < WHOLE for share in shares), round(abs(place - middle), 6), place

    return min(places, key=cost)


def _overlap(low: float, high: float, start: float, end: float) -> float:
    return max(0.0, min(high, end) - max(low, start)) / max(high - low, 1e-9)
