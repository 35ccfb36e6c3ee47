"""Whether people stand where they were asked to, and what chance would have given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fullcast.judging.counterfactual import prompt_of
from fullcast.judging.statistics import Estimate, clustered_mean, clustered_share, permutation_baseline
from fullcast.judging.verdict import centre
from fullcast.records import GRID, Placement, Scene, Verdict, cell_of


@dataclass(frozen=True, slots=True)
class Places:
    """Over people; only matched ones count, so read them beside the share of people matched. Intervals: the prompt is
    the unit."""

    num_pictures: int
    num_people: int
    exact_cell: Estimate
    near_cell: Estimate
    """At most one cell away (Chebyshev)."""
    distance: float
    """Mean distance to the asked place, as a share of the picture's diagonal."""
    pair_order: Estimate
    """Pairs asked in different columns that stand in the asked order from left to right."""
    exact_cell_chance: float
    """The same pictures scored against all other scenes' places of equal N (permutation baseline, exact); nan where no
    scene has another one to be scored against."""
    near_cell_chance: float
    lift: Estimate
    """Exact cells above chance, over the people of pictures that have a chance: a model that always uses the middle has
    0."""


Point = tuple[float, float]
"""(x, y) as fractions of the picture."""


@dataclass(frozen=True)
class _Seen:
    """One picture in which somebody who was asked for somewhere is matched."""

    scene: Scene
    points: dict[int, Point]
    """Where heads are, by rank in `_targets`."""
    width: int
    height: int

    @property
    def prompt(self) -> str:
        return prompt_of(self.scene.id)


def measure_places(judged: Sequence[tuple[Verdict, Scene]]) -> Places | None:
    """Position figures over the pictures whose scene asked for places; None if there is none."""
    placed = [_Seen(s, _points(v, s), v.width, v.height) for v, s in judged if _targets(s)]
    matched = [seen for seen in placed if seen.points]
    if not matched:
        return None
    asked = [(scene, _targets(scene)) for scene in {seen.scene.id: seen.scene for seen in placed}.values()]
    people = np.array([len(seen.points) for seen in matched])
    exact, near = _agreement(matched, asked, 0), _agreement(matched, asked, 1)
    orders = [(o, seen.prompt) for seen in matched for o in _pair_orders(_pairs(seen.scene, seen.points))]
    prompts = [seen.prompt for seen in matched]
    return Places(
        num_pictures=len(matched),
        num_people=int(people.sum()),
        exact_cell=_share(exact[0], people, prompts),
        near_cell=_share(near[0], people, prompts),
        distance=float(np.mean([d for seen in matched for d in _distances(seen)])),
        pair_order=clustered_share([o for o, _ in orders], [prompt for _, prompt in orders]),
        exact_cell_chance=_mean(exact[1], people),
        near_cell_chance=_mean(near[1], people),
        lift=_lift(*exact, people, prompts),
    )


def _agreement(
    matched: Sequence[_Seen], asked: Sequence[tuple[Scene, Sequence[Point]]], tolerance: int
) -> tuple[np.ndarray, np.ndarray]:
    """(num_pictures,) numbers of matched people at most ``tolerance`` cells from where they were asked to be, and from
    where those of the same rank from left to right were asked to be in other scenes of equal N (mean over scenes)."""
    own, chance = np.empty(len(matched)), np.empty(len(matched))
    targets = {scene.id: _cells(points) for scene, points in asked}
    groups: dict[tuple[int, int], list[int]] = {}
    for i, seen in enumerate(matched):
        groups.setdefault((seen.scene.num_people, len(targets[seen.scene.id])), []).append(i)
    for (n, num_placed), members in groups.items():
        others = [s for s, points in asked if (s.num_people, len(points)) == (n, num_placed)]
        cells = np.stack([targets[s.id] for s in others])
        place = {s.id: k for k, s in enumerate(others)}
        scores = np.empty((len(members), len(others)))
        for row, i in enumerate(members):
            points = matched[i].points
            apart = np.abs(cells[:, list(points)] - _cells(list(points.values()))).max(-1)
            scores[row] = (apart <= tolerance).sum(-1)
            own[i] = scores[row, place[matched[i].scene.id]]
        pictures = [matched[i].prompt for i in members]
        chance[members] = permutation_baseline(scores, pictures, [prompt_of(s.id) for s in others])
    return own, chance


def _share(numbers: np.ndarray, people: np.ndarray, prompts: Sequence[str]) -> Estimate:
    """Of people, from (num_pictures,) numbers of those for whom it holds and of all."""
    outcomes = [k < number for number, all_of in zip(numbers, people, strict=True) for k in range(all_of)]
    return clustered_share(outcomes, np.repeat(prompts, people).tolist())


def _lift(own: np.ndarray, chance: np.ndarray, people: np.ndarray, prompts: Sequence[str]) -> Estimate:
    """Exact cells above chance per person. Where all or none stand right, prompts may differ in nothing: then the
    interval is no narrower than that of the share."""
    known = ~np.isnan(chance)
    own, chance, people = own[known], chance[known], people[known]
    prompts = np.array(prompts)[known].tolist()
    mean = clustered_mean(np.repeat((own - chance) / people, people).tolist(), np.repeat(prompts, people).tolist())
    share = _share(own, people, prompts)
    low, high = mean.low, mean.high
    if share.value in (0, 1) or np.isnan(low):
        low = np.fmin(low, mean.value - (share.value - share.low))
        high = np.fmax(high, mean.value + (share.high - share.value))
    return Estimate(mean.value, max(-1.0, float(low)), min(1.0, float(high)), mean.n)


def _mean(numbers: np.ndarray, people: np.ndarray) -> float:
    """Per person, over pictures whose number is no nan; nan without any."""
    known = ~np.isnan(numbers)
    return float(numbers[known].sum() / people[known].sum()) if known.any() else float("nan")


def _distances(seen: _Seen) -> Iterator[float]:
    """From each head to where it was asked to be, as a share of the diagonal."""
    for (x, y), (to_x, to_y) in _pairs(seen.scene, seen.points):
        yield float(np.hypot((x - to_x) * seen.width, (y - to_y) * seen.height) / np.hypot(seen.width, seen.height))


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
