"""Two series on the same scenes and the same noise: which is better, and could it be chance?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fullcast.judging.rows import Row
from fullcast.judging.statistics import Estimate, cluster_bootstrap, holm, mcnemar
from fullcast.store.errors import FullcastError
from fullcast.store.seeding import rng

PRIMARY = (3, 4, 5)
"""The endpoint that is named beforehand: the mean of S_3 to S_5, prompts only, no best-of-k, no repair."""
ALPHA = 0.05

Outcome = Callable[[Row], bool]


def succeeded(row: Row) -> bool:
    return row.verdict.success


def succeeded_in_place(row: Row) -> bool:
    return row.verdict.success_placed


@dataclass(frozen=True, slots=True)
class Difference:
    """B less A for one number of people, or for several."""

    num_people: tuple[int, ...]
    num_pairs: int
    num_scenes: int
    a: float
    b: float
    difference: Estimate
    """Cluster bootstrap over scenes; where no picture differs, 3 over the number of scenes (the rule of three)."""
    p: float
    """Two-sided: exact McNemar with one picture a scene, else scenes' signs turned at random."""
    p_holm: float = float("nan")
    """Adjusted over the numbers of people; nan for the endpoint, which is one test."""


@dataclass(frozen=True, slots=True)
class Comparison:
    a: str
    b: str
    by_count: tuple[Difference, ...]
    endpoint: Difference | None
    """Mean of S_N over `PRIMARY`, each number of people as much as any other; None: none of them was judged."""
    same_noise: bool
    """Whether pairs share their noise; without it intervals are wider, not wrong."""
    unpaired: int
    """Pictures of either series without a partner, left out."""


def compare(
    a: Sequence[Row], b: Sequence[Row], outcome: Outcome = succeeded, repeats: int = 2000, seed: int = 0
) -> Comparison:
    """Pairs share a scene and, where both know it, their noise. Raises FullcastError when no pair is left."""
    pairs, same_noise = _pairs(a, b)
    if not pairs:
        raise FullcastError(
            f"{_name(a)} and {_name(b)} have no scene in common; judge both on one scene file (--scenes FILE)"
        )
    numbers = sorted({row.num_people for row, _ in pairs})
    rows = [_difference((n,), [p for p in pairs if p[0].num_people == n], outcome, repeats, seed) for n in numbers]
    adjusted = holm([row.p for row in rows])
    rows = [_with_holm(row, p) for row, p in zip(rows, adjusted, strict=True)]
    primary = tuple(n for n in numbers if n in PRIMARY)
    chosen = [p for p in pairs if p[0].num_people in primary]
    endpoint = _difference(primary, chosen, outcome, repeats, seed) if chosen else None
    unpaired = len(a) + len(b) - 2 * len(pairs)
    return Comparison(_name(a), _name(b), tuple(rows), endpoint, same_noise, unpaired)


def _pairs(a: Sequence[Row], b: Sequence[Row]) -> tuple[list[tuple[Row, Row]], bool]:
    """By scene and noise; where that finds nothing, by scene and place in the series."""
    other = {row.pair: row for row in b}
    same = [(row, other[row.pair]) for row in a if row.pair in other]
    if same:
        return same, all(row.seed >= 0 for row, _ in same)
    by_scene: dict[str, list[Row]] = defaultdict(list)
    for row in b:
        by_scene[row.scene.id].append(row)
    return [(row, by_scene[row.scene.id].pop(0)) for row in a if by_scene[row.scene.id]], False


def _difference(
    numbers: tuple[int, ...], pairs: Sequence[tuple[Row, Row]], outcome: Outcome, repeats: int, seed: int
) -> Difference:
    """Mean over ``numbers`` of the mean difference at each; a scene is the unit."""
    a = np.array([outcome(x) for x, _ in pairs], dtype=float)
    b = np.array([outcome(y) for _, y in pairs], dtype=float)
    people = np.array([x.num_people for x, _ in pairs])
    scenes = [x.scene.id for x, _ in pairs]
    # A picture's weight makes every number of people count as much as any other.
    weight = np.zeros(len(pairs))
    for n in numbers:
        weight[people == n] = 1 / (len(numbers) * max(1, int((people == n).sum())))
    change = weight * (b - a)
    value = float(change.sum())
    low, high = _interval(change, people, scenes, numbers, repeats, seed)
    if len(numbers) == 1 and len(set(scenes)) == len(scenes):
        p = mcnemar(int((b > a).sum()), int((a > b).sum()))
    else:
        p = _sign_flips(change, scenes, repeats, seed)
    told = Estimate(value, low, high, len(pairs))
    return Difference(
        numbers, len(pairs), len(set(scenes)), float((weight * a).sum()), float((weight * b).sum()), told, p
    )


def _interval(
    change: np.ndarray, people: np.ndarray, scenes: Sequence[str], numbers: tuple[int, ...], repeats: int, seed: int
) -> tuple[float, float]:
    if not change.any():
        most = min(1.0, 3 / len(set(scenes)))
        return -most, most
    if len(numbers) == 1:
        scale = len(change)
        return cluster_bootstrap((change * scale).tolist(), scenes, repeats, seed)
    generator = rng(seed, "comparison", len(change))
    total = np.zeros(repeats)
    for n in numbers:
        sums = _by_scene(change[people == n], [s for s, m in zip(scenes, people, strict=True) if m == n])
        total += sums[generator.integers(0, len(sums), (repeats, len(sums)))].sum(1)
    low, high = np.percentile(total, [2.5, 97.5])
    return float(low), float(high)


def _sign_flips(change: np.ndarray, scenes: Sequence[str], repeats: int, seed: int) -> float:
    """Were A and B the same, each scene's difference would be as likely the other way round."""
    sums = _by_scene(change, scenes)
    signs = rng(seed, "sign-flips", len(sums)).choice((-1.0, 1.0), (repeats, len(sums)))
    as_far = int((np.abs(signs @ sums) >= abs(sums.sum()) - 1e-12).sum())
    return (1 + as_far) / (1 + repeats)


def _by_scene(values: np.ndarray, scenes: Sequence[str]) -> np.ndarray:
    index = {scene: i for i, scene in enumerate(dict.fromkeys(scenes))}
    return np.bincount([index[scene] for scene in scenes], weights=values, minlength=len(index))


def _with_holm(row: Difference, p: float) -> Difference:
    return Difference(row.num_people, row.num_pairs, row.num_scenes, row.a, row.b, row.difference, row.p, p)


def _name(rows: Sequence[Row]) -> str:
    return rows[0].series if rows else "(nothing)"
