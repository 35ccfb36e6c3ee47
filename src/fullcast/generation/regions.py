"""Places given -> regions of the picture, each with words of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fullcast.recognition.regions import region_boxes
from fullcast.recognition.words import placement_cell, prompt_for
from fullcast.records import GRID, UNKNOWN, Box, Cast, Placement, Scene


@dataclass(frozen=True)
class Region:
    """Where one placement's words are heard."""

    box: Box
    """xyxy as fractions of the picture."""
    prompt: str
    negative_prompt: str


def regions_of(scene: Scene, cast: Cast) -> list[Region]:
    """One region for each person with a place, left to right; [] for a scene without places.

    A box as asked; for a cell the region that training gives to a head in it.
    """
    placed = [p for p in scene.people if placement_cell(p) is not None]
    boxes = region_boxes([_centre(p) for p in placed])
    found = [
        Region(p.box or box, _words(p, scene, cast), p.negative_prompt) for p, box in zip(placed, boxes, strict=True)
    ]
    return sorted(found, key=lambda region: region.box)


def negatives_beside(scene: Scene, regional: bool) -> list[str]:
    """Negative prompts of people who have no region of their own; of everybody where regions do not bind."""
    people = [p for p in scene.people if not regional or placement_cell(p) is None]
    return list(dict.fromkeys(p.negative_prompt for p in people if p.negative_prompt))


def _centre(placement: Placement) -> tuple[float, float]:
    """The head's centre as fractions."""
    if placement.box is not None:
        x0, y0, x1, y1 = placement.box
        return (x0 + x1) / 2, y0 + (y1 - y0) / 5
    column, row = placement_cell(placement) or (0, 0)
    return (column + 0.5) / GRID, (row + 0.5) / GRID


def _words(placement: Placement, scene: Scene, cast: Cast) -> str:
    """What training says in this figure's region: its phrase with column and row, and the words of the scene."""
    if placement.character in ("", UNKNOWN) and not placement.prompt:
        return ""
    return prompt_for(replace(scene, people=(placement,)), cast)
