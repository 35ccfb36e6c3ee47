"""Whether people stand where they were asked to, and what chance would have given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fullcast.judging.statistics import permutation_baseline
from fullcast.judging.verdict import centre
from fullcast.records import GRID, Placement, Scene, Verdict, cell_of


@dataclass(frozen=True, slots=True)
class Places:
    """Means over pictures; only matched people count, so read them beside the share of people matched."""

    num_pictures: int
    num_people: int
    exact_cell: float
    near_cell: float
    """At most one cell away (Chebyshev)."""
    distance: float
    """Mean distance to the asked place, as a share of the picture's diagonal."""
    pair_order: float
    """Pairs asked in different columns that stand in the asked order from left to right."""
    exact_cell_chance: float
    """The same pictures scored against other scenes' places of equal N (permutation baseline)."""
    near_cell_chance: float

    @property
    def lift(self) -> float:
        """Exact cells above chance: a model that always uses the middle has 0."""
        return self.exact_cell - self.exact_cell_chance


def measure_places(judged: Sequence[tuple[Verdict, Scene]], seed: int = 0) -> Places | None:
    """Position figures over the pictures whose scene asked for places; None if there is none."""
    rows = [_points(v, s) for v, s in judged if any(_target(p) is not None for p in s.people)]
    rows = [row for row in rows if row]
    if not rows:
        return None
    flat = [(seen, asked) for row in rows for seen, asked in row]
    groups = [len(row) for row in rows]
    orders = [o for row in rows for o in _pair_orders(row)]

    def agree(tolerance: int) -> tuple[float, float]:
        def score(i: int, j: int) -> float:
            return float(np.mean([_apart(a[0], b[1]) <= tolerance for a, b in zip(rows[i], rows[j], strict=True)]))

        true = float(np.mean([score(i, i) for i in range(len(rows))]))
        return true, permutation_baseline(score, groups, seed=seed)

    exact, near = agree(0), agree(1)
    return Places(
        num_pictures=len(rows),
        num_people=len(flat),
        exact_cell=exact[0],
        near_cell=near[0],
        distance=float(np.mean([np.hypot(a[0] - b[0], a[1] - b[1]) / np.sqrt(2) for a, b in flat])),
        pair_order=float(np.mean(orders)) if orders else float("nan"),
        exact_cell_chance=exact[1],
        near_cell_chance=near[1],
    )


Point = tuple[float, float]
"""(x, y) as fractions of the picture."""


def _points(verdict: Verdict, scene: Scene) -> list[tuple[Point, Point]]:
    """(where the head is, where it was asked to be) of each matched and placed person, left to right as asked."""
    row = []
    for figure in verdict.found:
        target = _target(scene.people[figure.asked]) if figure.asked >= 0 else None
        if target is not None:
            x, y = centre(figure)
            row.append(((x / verdict.width, y / verdict.height), target))
    return sorted(row, key=lambda pair: pair[1])


def _target(placement: Placement) -> Point | None:
    """The middle of the asked cell, or the head's usual place in the asked box (upper fifth, as in `Person`)."""
    if placement.cell is not None:
        return (placement.cell[0] + 0.5) / GRID, (placement.cell[1] + 0.5) / GRID
    if placement.box is not None:
        x0, y0, x1, y1 = placement.box
        return (x0 + x1) / 2, y0 + (y1 - y0) / 5
    return None


def _apart(a: Point, b: Point) -> int:
    (ax, ay), (bx, by) = cell_of(*a), cell_of(*b)
    return max(abs(ax - bx), abs(ay - by))


def _pair_orders(row: list[tuple[Point, Point]]) -> list[bool]:
    """For each pair asked in different columns: does it stand in the asked order?"""
    return [
        (a[0] < b[0]) == (s[0] < t[0]) for (a, s), (b, t) in combinations(row, 2) if cell_of(*s)[0] != cell_of(*t)[0]
    ]
