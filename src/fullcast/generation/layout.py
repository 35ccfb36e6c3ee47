"""Where people stand when nobody said so: places drawn from how the show itself places as many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fullcast.recognition.words import order_from_left, placement_cell
from fullcast.records import GRID, Cast, Placement, Scene, cell_of
from fullcast.store.seeding import rng

SPREAD = 0.08
"""Standard deviation around the show's medians, as a share of the picture: half a cell of the grid."""
HEAD_Y = 0.35
"""Height of heads where the show has no picture with as many people: the upper part, as in most screenshots."""


def with_places(scene: Scene, cast: Cast, seed: int) -> Scene:
    """The scene with a cell for everybody who has no place; a function of (scene, the show's layout, seed).

    People keep the order in which they were asked for, from left to right, and stand in columns of their own as long
    as there are any. Places that were given stay. `cast.layout`: see `people.layout`.
    """
    free = [p for p in scene.people if placement_cell(p) is None]
    if not free:
        return scene
    from_left = order_from_left(scene.people)
    order = [scene.people[i] for i in from_left]
    draw = rng(seed, "layout", scene.id)
    taken = [cell[0] for cell in map(placement_cell, scene.people) if cell is not None]
    columns = _columns(_medians(cast, len(order)), order, taken, draw)
    height = cast.layout.get(f"head_y/{len(order)}", HEAD_Y)
    rows = [cell_of(0.5, y)[1] for y in height + SPREAD * draw.standard_normal(len(order))]
    placed = list(scene.people)
    for i, column, row in zip(from_left, columns, rows, strict=True):
        if placement_cell(placed[i]) is None:
            placed[i] = replace(placed[i], cell=(column, row))
    return replace(scene, people=tuple(placed))


def _medians(cast: Cast, count: int) -> list[float]:
    """Centres of `count` heads from left to right as fractions; evenly spread where the show has no such picture."""
    return [cast.layout.get(f"x/{count}/{k}", (k + 0.5) / count) for k in range(count)]


def _columns(
    medians: Sequence[float], order: Sequence[Placement], taken: Sequence[int], draw: np.random.Generator
) -> list[int]:
    """A column for each person in `order`: the given one, else the nearest that is free to a draw around the median."""
    left = [c for c in range(GRID) if c not in taken]
    free = [k for k, p in enumerate(order) if placement_cell(p) is None]
    wanted = np.sort([medians[k] * GRID - 0.5 + SPREAD * GRID * draw.standard_normal() for k in free])
    found = _ascending(wanted.tolist(), left) if len(left) >= len(free) else [cell_of(w / GRID, 0)[0] for w in wanted]
    columns = [(placement_cell(p) or (0, 0))[0] for p in order]
    for k, column in zip(free, found, strict=True):
        columns[k] = column
    return columns


def _ascending(wanted: Sequence[float], left: Sequence[int]) -> list[int]:
    """For each of `wanted` (ascending) a column of `left`, ascending, with the least sum of squared distances."""
    best: list[tuple[float, list[int]]] = [(0.0, [])]
    for done, w in enumerate(wanted):
        more = [
            (cost + (c - w) ** 2, [*chosen, c])
            for cost, chosen in best
            for c in left
            if (not chosen or c > chosen[-1]) and sum(other > c for other in left) >= len(wanted) - done - 1
        ]
        best = more
    return min(best)[1]
