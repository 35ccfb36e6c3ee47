"""The show's own backgrounds: scenery of frames in which people stood, and the light that each shot is drawn in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fullcast.mixture.crops import head_of
from fullcast.records import UNKNOWN, Box, Image, Person

BESIDE = 0.8
"""Room beside a figure's box that goes with it, in head heights: arms reach out of it."""

ABOVE = 0.35
"""The same above it: hair."""


POLISHES = 20
"""Rounds of the fit of people's colours and shots' light."""


@dataclass(frozen=True, slots=True)
class Backdrop:
    """A frame as scenery: where people stood, and how large they were."""

    image: Image
    holes: tuple[Box, ...]
    """What people take, with room around them, in pixels."""
    heads: tuple[tuple[float, float], ...]
    """(x, y) of the centres of their heads, in pixels."""
    head_px: float
    """Median height of their heads, in pixels."""

    def rectangle(
        self, size: tuple[float, float], head: tuple[float, float, float], floor: float, at: float, min_width: float
    ) -> Box:
        """The part that goes behind a picture of ``size`` in which ``head`` (x, y of its centre, height) stands
        where one of the frame's own stood, in its size: scenery keeps its measure beside people.

        at: in [0, 1], which of the frame's heads. Rows below ``floor`` and parts narrower than ``min_width`` are not
        used: then the part grows or moves.
        """
        width, height = size
        scale = self.head_px / head[2]
        scale = min(max(scale, min_width / width), self.image.width / width, floor / height)
        x, y = self.heads[min(len(self.heads) - 1, int(at * len(self.heads)))]
        left = max(0.0, min(x - head[0] * scale, self.image.width - width * scale))
        top = max(0.0, min(y - head[1] * scale, floor - height * scale))
        return left, top, left + width * scale, top + height * scale


def find_backdrops(images: Iterable[Image], people: Mapping[str, Sequence[Person]]) -> list[Backdrop]:
    """Frames with people.

    Frames with nobody found are left out: nothing says that the detector saw what is there, nor what light it is.
    """
    found = []
    for image in images:
        group = people.get(image.id, ())
        if group:
            heads = [head_of(p) for p in group]
            centres = tuple(((h[0] + h[2]) / 2, (h[1] + h[3]) / 2) for h in heads)
            high = float(np.median([h[3] - h[1] for h in heads]))
            found.append(Backdrop(image, tuple(_taken(p) for p in group), centres, high))
    return found


def _taken(person: Person) -> Box:
    head = head_of(person)
    high = head[3] - head[1]
    x0, x1 = min(person.xyxy[0], head[0]) - BESIDE * high, max(person.xyxy[2], head[2]) + BESIDE * high
    return x0, min(person.xyxy[1], head[1]) - ABOVE * high, x1, max(person.xyxy[3], head[3]) + ABOVE * high


def light_of_shots(heads: Iterable[tuple[str, str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Shot -> (3,) log of its light, relative to the show's middle.

    heads: (shot, name, mean RGB of the head) of named people. Everybody's colours are the same all through a show, so
    what differs from shot to shot is the light: colour = person + light, as logarithms, fitted by medians in turn
    (median polish, Tukey 1977), so that somebody who is only ever seen at night is not taken for dark.
    """
    seen: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)
    for shot, name, colour in heads:
        if name and name != UNKNOWN:
            seen[name, shot].append(np.log(np.maximum(colour, 4.0)))
    # Each person counts once a shot, however long it is.
    colours = {pair: np.median(values, axis=0) for pair, values in seen.items()}
    light = {shot: np.zeros(3) for _, shot in colours}
    for _ in range(POLISHES):
        people = _medians((name, colour - light[shot]) for (name, shot), colour in colours.items())
        light = _medians((shot, colour - people[name]) for (name, shot), colour in colours.items())
    middle = np.median(list(light.values()), axis=0) if light else np.zeros(3)
    return {shot: value - middle for shot, value in light.items()}


def _medians(values: Iterable[tuple[str, np.ndarray]]) -> dict[str, np.ndarray]:
    of_key: dict[str, list[np.ndarray]] = defaultdict(list)
    for key, value in values:
        of_key[key].append(value)
    return {key: np.median(group, axis=0) for key, group in of_key.items()}
