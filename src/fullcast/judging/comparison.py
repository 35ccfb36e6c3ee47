"""Two series on the same scenes and the same noise: which is better, and could it be chance?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fullcast.judging.counterfactual import prompt_of
from fullcast.judging.rows import Row
from fullcast.judging.statistics import Estimate, holm, mcnemar, paired_difference
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
    """A scene and its swapped one count once."""
    a: float
    b: float
    difference: Estimate
    """Newcombe's score interval over the effective number of pairs, see `statistics.paired_difference`."""
    p: float
    """Two-sided: exact McNemar with one pair a scene, else scenes' signs turned at random."""
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
    """Pictures of either series without a partner, left out; of several of one scene and noise all but the first."""


def compare(
    a: Sequence[Row], b: Sequence[Row], outcome: Outcome = succeeded, repeats: int = 2000, seed: int = 0
) -> Comparison:
    """Pairs share a scene and, where both know it, their noise. Raises FullcastError when no pair is left."""
    pairs = _pairs(a, b)
    if not pairs:
        raise FullcastError(
            f"{_name(a)} and {_name(b)} have no scene in common; judge both on one scene file (--scenes FILE)"
        )
    numbers = sorted({row.num_people for row, _ in pairs})
    rows = [_difference((n,), [p for p in pairs if p[0].num_people == n], outcome, repeats, seed) for n in numbers]
    adjusted = holm([row.p for row in rows])
    rows = [replace(row, p_holm=p) for row, p in zip(rows, adjusted, strict=True)]
    primary = tuple(n for n in numbers if n in PRIMARY)
    chosen = [p for p in pairs if p[0].num_people in primary]
    endpoint = _difference(primary, chosen, outcome, repeats, seed) if chosen else None
    same_noise = all(x.seed == y.seed >= 0 for x, y in pairs)
    unpaired = len(a) + len(b) - 2 * len(pairs)
    return Comparison(_name(a), _name(b), tuple(rows), endpoint, same_noise, unpaired)


def _pairs(a: Sequence[Row], b: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Of each scene the pictures that share a noise that both know; in a scene that has none, the first of the one with
    the first of the other, and so on. No picture is in two pairs."""
    ours, theirs = _by_scene(a), _by_scene(b)
    pairs: list[tuple[Row, Row]] = []
    for scene, rows in ours.items():
        known = {row.seed: row for row in reversed(theirs[scene]) if row.seed >= 0}
        same = [(row, known.pop(row.seed)) for row in rows if row.seed in known]
        pairs += same or zip(rows, theirs[scene], strict=False)
    return pairs


def _by_scene(rows: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.scene.id].append(row)
    return groups


def _difference(
    numbers: tuple[int, ...], pairs: Sequence[tuple[Row, Row]], outcome: Outcome, repeats: int, seed: int
) -> Difference:
    """Mean over ``numbers`` of the mean difference at each; a scene is the unit."""
    parts = [_Part.of([pair for pair in pairs if pair[0].num_people == n], outcome) for n in numbers]
    a, b = float(np.mean([part.a.mean() for part in parts])), float(np.mean([part.b.mean() for part in parts]))
    scenes = [scene for part in parts for scene in part.scenes]
    if len(parts) == 1 and len(set(scenes)) == len(scenes):
        [part] = parts
        p = mcnemar(int((part.b > part.a).sum()), int((part.a > part.b).sum()))
    else:
        change = np.concatenate([part.change / (len(parts) * len(part.change)) for part in parts])
        p = _sign_flips(change, scenes, repeats, seed)
    told = Estimate(b - a, *_interval(parts), len(pairs))
    return Difference(numbers, len(pairs), len(set(scenes)), a, b, told, p)


@dataclass(frozen=True, slots=True)
class _Part:
    """The pairs of one number of people."""

    a: np.ndarray
    """(num_pairs,) 1 where it succeeded, else 0."""
    b: np.ndarray
    scenes: Sequence[str]

    @classmethod
    def of(cls, pairs: Sequence[tuple[Row, Row]], outcome: Outcome) -> _Part:
        a = np.array([outcome(x) for x, _ in pairs], dtype=float)
        b = np.array([outcome(y) for _, y in pairs], dtype=float)
        return cls(a, b, [prompt_of(x.scene.id) for x, _ in pairs])

    @property
    def change(self) -> np.ndarray:
        return self.b - self.a

    def interval(self) -> tuple[float, float]:
        return paired_difference(self.a, self.b, self.scenes)


def _interval(parts: Sequence[_Part]) -> tuple[float, float]:
    """Of the mean over ``parts``, whose limits are put together as Zou and Donner (2008) do: no scene is in two."""
    if len(parts) > 1 and not any(part.change.any() for part in parts):
        most = min(1.0, 3 / len({scene for part in parts for scene in part.scenes}))
        return -most, most
    values = np.array([part.change.mean() for part in parts])
    low, high = np.array([part.interval() for part in parts]).T
    down, up = (float(np.sqrt((gap**2).sum())) / len(parts) for gap in (values - low, high - values))
    return float(values.mean()) - down, float(values.mean()) + up


def _sign_flips(change: np.ndarray, scenes: Sequence[str], repeats: int, seed: int) -> float:
    """Were A and B the same, each scene's difference would be as likely the other way round."""
    sums = _sums(change, scenes)
    signs = rng(seed, "sign-flips", len(sums)).choice((-1.0, 1.0), (repeats, len(sums)))
    as_far = int((np.abs(signs @ sums) >= abs(sums.sum()) - 1e-12).sum())
    return (1 + as_far) / (1 + repeats)


def _sums(values: np.ndarray, scenes: Sequence[str]) -> np.ndarray:
    """(num_scenes,)"""
    index = {scene: i for i, scene in enumerate(dict.fromkeys(scenes))}
    return np.bincount([index[scene] for scene in scenes], weights=values, minlength=len(index))


def _name(rows: Sequence[Row]) -> str:
    return rows[0].series if rows else "(nothing)"
