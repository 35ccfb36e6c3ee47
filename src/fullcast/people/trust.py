"""How much one appearance says about who somebody is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from fullcast.people.config import PeopleConfig
from fullcast.records import Box, Image, Person

FULL_TRUST_PX = 40.0
"""A head of this size or larger counts fully in its track's opinion, a smaller one in proportion."""

LEAST_VISIBLE = 0.2
"""A head that others hide counts this much still: boxes overlap more than what is drawn in them."""


def trusts(people: Sequence[Person], config: PeopleConfig) -> np.ndarray:
    """(P,) in [0, 1]: size of the head, times the share of it that nobody in front hides; 0: has no say."""
    by_image: dict[str, list[int]] = defaultdict(list)
    for index, person in enumerate(people):
        by_image[person.image_id].append(index)
    answer = np.zeros(len(people))
    for group in by_image.values():
        for index in group:
            others = [people[other] for other in group if other != index]
            answer[index] = _by_size(people[index], config) * visible(people[index], others)
    return answer


def _by_size(person: Person, config: PeopleConfig) -> float:
    if person.embedding is None or person.head_xyxy is None:
        return 0.0
    x0, y0, x1, y1 = person.head_xyxy
    side = max(x1 - x0, y1 - y0)
    return 0.0 if side < config.min_head_px else min(1.0, side / FULL_TRUST_PX)


HIDDEN = 0.6
"""Share of the head in view below which a figure is marked as hidden."""
EDGE_PX = 1.0
"""A box that comes as near to the picture's edge is cut by it, or may be."""


def with_marks(people: Sequence[Person], images: Iterable[Image], config: PeopleConfig) -> list[Person]:
    """The same people, marked: ``headless``, ``small`` (nobody is named by such a head), ``hidden`` by whoever stands
    in front, ``cut`` by the picture's edge at the side or top."""
    size = {image.id: (image.width, image.height) for image in images}
    by_image: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        by_image[person.image_id].append(person)
    answer = []
    for person in people:
        others = [other for other in by_image[person.image_id] if other is not person]
        marks = _marks(person, others, size.get(person.image_id), config)
        answer.append(person if marks == person.marks else replace(person, marks=marks))
    return answer


def _marks(
    person: Person, others: Sequence[Person], size: tuple[int, int] | None, config: PeopleConfig
) -> tuple[str, ...]:
    marks = []
    if person.head_xyxy is None:
        marks.append("headless")
    elif max(person.head_xyxy[2] - person.head_xyxy[0], person.head_xyxy[3] - person.head_xyxy[1]) < config.min_head_px:
        marks.append("small")
    if person.head_xyxy is not None and visible(person, others) < HIDDEN:
        marks.append("hidden")
    if size is not None:
        x0, y0, x1, _ = person.xyxy
        if x0 < EDGE_PX or y0 < EDGE_PX or x1 > size[0] - EDGE_PX:
            marks.append("cut")
    return tuple(marks)


def visible(person: Person, others: Sequence[Person]) -> float:
    """Share of the head that no one in front covers, at least LEAST_VISIBLE. In front is whose head is larger."""
    if person.head_xyxy is None:
        return LEAST_VISIBLE
    own = _area(person.head_xyxy)
    covered = 0.0
    for other in others:
        if other.head_xyxy is not None and _area(other.head_xyxy) > own:
            covered = max(covered, _common(person.head_xyxy, other.xyxy) / max(1e-6, own))
    return max(LEAST_VISIBLE, 1 - covered)


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _common(a: Box, b: Box) -> float:
    return _area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
