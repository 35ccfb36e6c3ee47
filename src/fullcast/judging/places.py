"""Whether people stand where they were asked to, and what chance would have given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fullcast.judging.counterfactual import prompt_of
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
    """The same pictures scored against all other scenes' places of equal N (permutation baseline, exact); nan where no
    scene has another one to be scored against."""
    near_cell_chance: float
    lift: float
    """Exact cells above chance, over the pictures that have a chance: a model that always uses the middle has 0."""


Point = tuple[float, float]
"""(x, y) as fractions of the picture."""


def measure_places(judged: Sequence[tuple[Verdict, Scene]]) -> Places | None:
    """Position figures over the pictures whose scene asked for places; None if there is none."""
    placed = [(scene, _points(verdict, scene)) for verdict, scene in judged if _targets(scene)]
    matched = [(scene, points) for scene, points in placed if points]
    if not matched:
        return None
    asked = [(scene, _targets(scene)) for scene in {scene.id: scene for scene, _ in placed}.values()]
    flat = [(seen, target) for scene, points in matched for seen, target in _pairs(scene, points)]
    orders = [o for scene, points in matched for o in _pair_orders(_pairs(scene, points))]
    exact, near = _agreement(matched, asked, 0), _agreement(matched, asked, 1)
    return Places(
        num_pictures=len(matched),
        num_people=len(flat),
        exact_cell=float(exact[0].mean()),
        near_cell=float(near[0].mean()),
        distance=float(np.mean([np.hypot(a[0] - b[0], a[1] - b[1]) / np.sqrt(2) for a, b in flat])),
        pair_order=float(np.mean(orders)) if orders else float("nan"),
        exact_cell_chance=_known_mean(exact[1]),
        near_cell_chance=_known_mean(near[1]),
        lift=_known_mean(exact[0] - exact[1]),
    )


def _agreement(
    matched: Sequence[tuple[Scene, Mapping[int, Point]]], asked: Sequence[tuple[Scene, Sequence[Point]]], tolerance: int
) -> tuple[np.ndarray, np.ndarray]:
    """(num_pictures,) shares of matched people at most ``tolerance`` cells from where they were asked to be, and from
    where those of the same rank from left to right were asked to be in other scenes of equal N."""
    own, chance = np.empty(len(matched)), np.empty(len(matched))
    targets = {scene.id: _cells(points) for scene, points in asked}
    groups: dict[tuple[int, int], list[int]] = {}
    for i, (scene, _) in enumerate(matched):
        groups.setdefault((scene.num_people, len(targets[scene.id])), []).append(i)
    for (n, num_placed), members in groups.items():
        others = [s for s, points in asked if (s.num_people, len(points)) == (n, num_placed)]
        cells = np.stack([targets[s.id] for s in others])
        place = {s.id: k for k, s in enumerate(others)}
        scores = np.empty((len(members), len(others)))
        for row, i in enumerate(members):
            scene, points = matched[i]
            apart = np.abs(cells[:, list(points)] - _cells(list(points.values()))).max(-1)
            scores[row] = (apart <= tolerance).mean(-1)
            own[i] = scores[row, place[scene.id]]
        pictures = [prompt_of(matched[i][0].id) for i in members]
        chance[members] = permutation_baseline(scores, pictures, [prompt_of(s.id) for s in others])
    return own, chance


def _known_mean(values: np.ndarray) -> float:
    """Over those that are no nan; nan without any."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _points(verdict: Verdict, scene: Scene) -> dict[int, Point]:
    """Where the head of each matched and placed person is, by that person's rank in `_targets`."""
    rank = {person: k for k, person in enumerate(_placed(scene))}
    seen = {}
    for figure in verdict.found:
        if figure.asked in rank:
            x, y = centre(figure)
            seen[rank[figure.asked]] = (x / verdict.width, y / verdict.height)
    return dict(sorted(seen.items()))


def _pairs(scene: Scene, points: Mapping[int, Point]) -> list[tuple[Point, Point]]:
    """(where the head is, where it was asked to be), left to right as asked."""
    targets = _targets(scene)
    return [(seen, targets[rank]) for rank, seen in points.items()]


def _placed(scene: Scene) -> list[int]:
    """Indices of the people whose place was asked for, left to right as asked."""
    targets = {i: target for i, person in enumerate(scene.people) if (target := _target(person)) is not None}
    return sorted(targets, key=lambda i: targets[i])


def _targets(scene: Scene) -> list[Point]:
    """Where people were asked to be, left to right."""
    return sorted(target for person in scene.people if (target := _target(person)) is not None)


def _cells(points: Sequence[Point]) -> np.ndarray:
    """(len(points), 2) columns and rows of the grid."""
    return np.array([cell_of(*point) for point in points])


def _target(placement: Placement) -> Point | None:
    """The middle of the asked cell, or the head's usual place in the asked box (upper fifth, as in `Person`)."""
    if placement.cell is not None:
        return (placement.cell[0] + 0.5) / GRID, (placement.cell[1] + 0.5) / GRID
    if placement.box is not None:
        x0, y0, x1, y1 = placement.box
        return (x0 + x1) / 2, y0 + (y1 - y0) / 5
    return None


def _pair_orders(row: Sequence[tuple[Point, Point]]) -> list[bool]:
    """For each pair asked in different columns: does it stand in the asked order?"""
    return [
        (a[0] < b[0]) == (s[0] < t[0]) for (a, s), (b, t) in combinations(row, 2) if cell_of(*s)[0] != cell_of(*t)[0]
    ]
