"""The show's own backgrounds: parts of frames beside the people, and the light that each shot is drawn in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fullcast.mixture.crops import head_of
from fullcast.records import UNKNOWN, Box, Image, Person

BESIDE = 0.8
"""Room left free beside a figure's box, in head heights: arms reach out of it."""


@dataclass(frozen=True, slots=True)
class Backdrop:
    """A part of a frame in which nobody stands."""

    image: Image
    x0: float
    """The free columns, in pixels; figures stand to the floor, so columns are free or not."""
    x1: float
    eye_level: float
    """Height of the frame's heads, 0 top to 1 bottom: where a crop around people would look."""

    def rectangle(self, aspect: float, floor: float, at: float) -> Box:
        """The largest part of this width over height above row ``floor``; ``at`` in [0, 1]: where along the slack."""
        width = min(self.x1 - self.x0, floor * aspect)
        height = width / aspect
        left = self.x0 + at * (self.x1 - self.x0 - width)
        top = min(max(0.0, self.eye_level * self.image.height - 0.35 * height), floor - height)
        return left, top, left + width, top + height


def find_backdrops(images: Iterable[Image], people: Mapping[str, Sequence[Person]], min_width: float) -> list[Backdrop]:
    """The free spans of frames with people, at least ``min_width`` pixels wide.

    Frames with nobody found are left out: nothing says that the detector saw what is there, nor what light it is.
    """
    found = []
    for image in images:
        group = people.get(image.id, ())
        if not group:
            continue
        eye_level = float(np.mean([p.place_xy[1] for p in group])) / image.height
        end = 0.0
        for x0, x1 in [*sorted(_taken(p) for p in group), (float(image.width), 0.0)]:
            if x0 - end >= min_width:
                found.append(Backdrop(image, end, x0, eye_level))
            end = max(end, x1)
    return found


def _taken(person: Person) -> tuple[float, float]:
    head = head_of(person)
    room = BESIDE * (head[3] - head[1])
    return min(person.xyxy[0], head[0]) - room, max(person.xyxy[2], head[2]) + room


def light_of_shots(heads: Iterable[tuple[str, str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Shot -> (3,) log of its light, relative to the show's middle.

    heads: (shot, name, mean RGB of the head) of named people. Everybody's colours are the same all through a show, so
    what differs from shot to shot is the light: the median over a shot's people of what is left when each person's
    median is taken out.
    """
    of_name: dict[str, list[tuple[str, np.ndarray]]] = defaultdict(list)
    for shot, name, colour in heads:
        if name and name != UNKNOWN:
            of_name[name].append((shot, np.log(np.maximum(colour, 4.0))))
    left: dict[str, list[np.ndarray]] = defaultdict(list)
    for seen in of_name.values():
        # Each shot counts once: a person of one long night is not dark.
        shots = {shot: np.median([c for s, c in seen if s == shot], axis=0) for shot, _ in seen}
        middle = np.median(list(shots.values()), axis=0)
        for shot, colour in shots.items():
            left[shot].append(colour - middle)
    return {shot: np.median(values, axis=0) for shot, values in left.items()}
