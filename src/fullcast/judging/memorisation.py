"""Does the model draw training pictures again? The nearest one of each picture, and which one draws most to itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from fullcast.judging.features import Looks
from fullcast.judging.statistics import Estimate, clustered_share

NEIGHBOURS = 50
"""Nearest in features: the mean over all but the first says how near is near."""
BY_PIXELS = 6
"""Of those, the nearest ones that are compared by pixels too."""
SHIFT = 2
"""Pixels of the thumbnail by which it may be moved to fit: a copy need not lie on its original to the pixel."""
QUANTILE = 0.05
"""Of the distances of training pictures to other episodes: nearer in features and in pixels is a copy."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """Of one picture."""

    index: int
    """Into the training pictures."""
    features: float
    """1 - cosine to it."""
    ratio: float
    """That over the mean distance of the next `NEIGHBOURS`: far below 1, it is this one picture and not its kind."""
    pixels: float
    """Least mean absolute difference of thumbnails over shifts and over the `BY_PIXELS` nearest, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Memorisation:
    copied: Estimate
    """Pictures nearer to a training picture, in features and in pixels, than 95 % of those of its kind are to any of
    another episode. True pictures themselves: at most 0.05."""
    by_count: dict[int, Estimate]
    """The same by number of people asked for."""
    ratio: float
    """Median of `Nearest.ratio`."""
    true_ratio: float
    """The same for training pictures against other episodes of their kind."""
    attractors: tuple[tuple[str, int], ...]
    """Training pictures that are nearest to most pictures, with how many; five at most."""
    num_training: int
    by_kind: dict[str, int] = field(default_factory=dict)
    """Those that were compared with, by kind."""


def memorisation(
    pictures: Looks,
    numbers: Sequence[int],
    training: Looks,
    episodes: Sequence[Hashable],
    kinds: Sequence[str] = (),
    prompts: Sequence[Hashable] = (),
) -> Memorisation | None:
    """``numbers``: people asked for in each picture; ``prompts``: the prompt of each, which is the unit of intervals
    (none given: each picture has its own); ``episodes``: of each training picture. Neighbouring frames are
    copies of each other, so the yardstick is a training picture's distance to the other episodes. ``kinds`` of training
    pictures (none given: one kind) have a yardstick each, for composites are nearer to each other than frames are. A
    kind of one episode has none, and is not compared with; None where that is all."""
    kinds = kinds or [""] * len(training)
    prompts = prompts or range(len(pictures))
    yardsticks: dict[str, list[Nearest]] = {}
    for kind in dict.fromkeys(kinds):
        own = [i for i, k in enumerate(kinds) if k == kind]
        yardsticks[kind] = across_episodes(training.take(own), [episodes[i] for i in own])
    compared = [i for i, kind in enumerate(kinds) if yardsticks[kind]]
    if not compared or not len(pictures):
        return None
    training, kinds = training.take(compared), [kinds[i] for i in compared]
    limits = {kind: _limits(yardstick) for kind, yardstick in yardsticks.items() if yardstick}
    found = nearest(pictures, training)
    copied = [n.features < limits[kinds[n.index]][0] and n.pixels < limits[kinds[n.index]][1] for n in found]
    drawn = Counter(n.index for n in found).most_common(5)
    return Memorisation(
        copied=clustered_share(copied, prompts),
        by_count={n: _share_of([m == n for m in numbers], copied, prompts) for n in sorted(set(numbers))},
        ratio=float(np.median([n.ratio for n in found])),
        true_ratio=float(np.median([n.ratio for yardstick in yardsticks.values() for n in yardstick])),
        attractors=tuple((training.paths[i], count) for i, count in drawn),
        num_training=len(training),
        by_kind=dict(Counter(kinds)),
    )


def _share_of(chosen: Sequence[bool], copied: Sequence[bool], prompts: Sequence[Hashable]) -> Estimate:
    own = [i for i, is_one in enumerate(chosen) if is_one]
    return clustered_share([copied[i] for i in own], [prompts[i] for i in own])


def across_episodes(training: Looks, episodes: Sequence[Hashable], most: int = 400) -> list[Nearest]:
    """Each training picture's nearest in the other episodes; ``most`` pictures of the set, evenly spread."""
    chosen = np.arange(len(training))[:: max(1, -(-len(training) // most))]
    numbers = {episode: i for i, episode in enumerate(dict.fromkeys(episodes))}
    episode = np.array([numbers[e] for e in episodes], dtype=int)
    distance = 1 - training.features[chosen] @ training.features.T
    distance[episode[chosen][:, None] == episode] = np.inf
    return [
        _nearest(row, training.pixels[i], training)
        for i, row in zip(chosen, distance, strict=True)
        if np.isfinite(row).any()
    ]


def nearest(pictures: Looks, training: Looks) -> list[Nearest]:
    """For each picture; raises ValueError without any training picture."""
    if not len(training):
        raise ValueError("there is no training picture to compare with")
    distance = 1 - pictures.features @ training.features.T
    return [_nearest(row, pixels, training) for row, pixels in zip(distance, pictures.pixels, strict=True)]


def _limits(yardstick: Sequence[Nearest]) -> tuple[float, float]:
    """(features, pixels) below which both a picture is a copy."""
    features = float(np.quantile([n.features for n in yardstick], QUANTILE))
    return features, float(np.quantile([n.pixels for n in yardstick], QUANTILE))


def _nearest(distance: np.ndarray, pixels: np.ndarray, training: Looks) -> Nearest:
    """From (num_training,) distances in features, infinite where a training picture does not count."""
    order = np.argsort(distance, kind="stable")[: NEIGHBOURS + 1]
    order = order[np.isfinite(distance[order])]
    rest = distance[order[1:]]
    ratio = float(distance[order[0]] / max(1e-9, rest.mean())) if len(rest) else 1.0
    apart = min(_apart(pixels, training.pixels[j]) for j in order[:BY_PIXELS])
    return Nearest(int(order[0]), float(distance[order[0]]), ratio, apart)


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """Least mean absolute difference of two (h, w, 3) thumbnails, one moved by up to `SHIFT` pixels."""
    s = SHIFT
    inner = a[s:-s, s:-s]
    h, w = inner.shape[:2]
    moves = ((dy, dx) for dy in range(0, 2 * s + 1) for dx in range(0, 2 * s + 1))
    return min(float(np.abs(inner - b[dy : dy + h, dx : dx + w]).mean()) for dy, dx in moves)
