"""Places given -> regions of the picture, each with words of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fullcast.recognition.words import placement_cell, prompt_for
from fullcast.records import GRID, UNKNOWN, Box, Cast, Placement, Scene

WIDEST = 0.5
"""Share of the picture's width that one figure's region may take: a portrait of one person is not wider."""
NARROWEST = 0.2
"""One column: two figures asked for in one column share it rather than vanish."""
ABOVE_HEAD = 0.15
"""Share of the picture's height above the head's centre: half of the largest usual head."""


@dataclass(frozen=True)
class Region:
    """Where one placement's words are heard."""

    box: Box
    """xyxy as fractions of the picture."""
    prompt: str
    negative_prompt: str


def regions_of(scene: Scene, cast: Cast) -> list[Region]:
    """One region for each person with a place, left to right; [] for a scene without places."""
    placed = [p for p in scene.people if placement_cell(p) is not None]
    centres = sorted(_centre(p)[0] for p in placed)
    found = [Region(_box(p, centres), _words(p, scene, cast), p.negative_prompt) for p in placed]
    return sorted(found, key=lambda region: region.box)


def _centre(placement: Placement) -> tuple[float, float]:
    """The head's centre as fractions."""
    if placement.box is not None:
        x0, y0, x1, y1 = placement.box
        return (x0 + x1) / 2, y0 + (y1 - y0) / 5
    column, row = placement_cell(placement) or (0, 0)
    return (column + 0.5) / GRID, (row + 0.5) / GRID


def _box(placement: Placement, centres: list[float]) -> Box:
    """A box as asked; for a cell from above the head down to the bottom, half way to the neighbours on both sides."""
    if placement.box is not None:
        return placement.box
    x, y = _centre(placement)
    left = max((c for c in centres if c < x), default=x - WIDEST)
    right = min((c for c in centres if c > x), default=x + WIDEST)
    half_left = min(max((x - left) / 2, NARROWEST / 2), WIDEST / 2)
    half_right = min(max((right - x) / 2, NARROWEST / 2), WIDEST / 2)
    return max(0.0, x - half_left), max(0.0, y - ABOVE_HEAD), min(1.0, x + half_right), 1.0


def _words(placement: Placement, scene: Scene, cast: Cast) -> str:
    """What a caption would say of this figure alone: its phrase without the place, and the words of the scene."""
    if placement.character in ("", UNKNOWN) and not placement.prompt:
        return ""
    return prompt_for(replace(scene, people=(placement,)).without_places(), cast)
