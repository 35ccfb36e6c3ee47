"""Does the model draw training pictures again? The nearest one of each picture, and which one draws most to itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from fullcast.judging.features import Looks
from fullcast.judging.statistics import Estimate, share

NEIGHBOURS = 50
"""Nearest in features: the mean over all but the first says how near is near."""
BY_PIXELS = 6
"""Of those, the nearest ones that are compared by pixels too."""
SHIFT = 2
"""Pixels of the thumbnail by which it may be moved to fit: a copy need not lie on its original to the pixel."""
QUANTILE = 0.05
"""Of the distances of true pictures to other episodes: nearer in features and in pixels is a copy."""


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
    """Pictures nearer to a training picture, in features and in pixels, than 95 % of true pictures are to any of
    another episode. True pictures themselves: at most 0.05."""
    by_count: dict[int, Estimate]
    """The same by number of people asked for."""
    ratio: float
    """Median of `Nearest.ratio`."""
    true_ratio: float
    """The same for true pictures against other episodes."""
    attractors: tuple[tuple[str, int], ...]
    """Training pictures that are nearest to most pictures, with how many; five at most."""
    num_training: int


def memorisation(
    pictures: Looks, numbers: Sequence[int], training: Looks, episodes: Sequence[Hashable]
) -> Memorisation | None:
    """``numbers``: people asked for in each picture; ``episodes``: of each training picture. Neighbouring frames are
    copies of each other, so the yardstick is a true picture's distance to the other episodes. None with one episode."""
    yardstick = across_episodes(training, episodes)
    if not yardstick or not len(pictures):
        return None
    features = float(np.quantile([n.features for n in yardstick], QUANTILE))
    pixels = float(np.quantile([n.pixels for n in yardstick], QUANTILE))
    found = nearest(pictures, training)
    copied = [n.features < features and n.pixels < pixels for n in found]
    drawn = Counter(n.index for n in found).most_common(5)
    return Memorisation(
        copied=share(sum(copied), len(copied)),
        by_count={
            n: share(sum(c for c, m in zip(copied, numbers, strict=True) if m == n), list(numbers).count(n))
            for n in sorted(set(numbers))
        },
        ratio=float(np.median([n.ratio for n in found])),
        true_ratio=float(np.median([n.ratio for n in yardstick])),
        attractors=tuple((training.paths[i], count) for i, count in drawn),
        num_training=len(training),
    )


def across_episodes(training: Looks, episodes: Sequence[Hashable], most: int = 400) -> list[Nearest]:
    """Each true picture's nearest in the other episodes; ``most`` pictures of the set, evenly spread."""
    chosen = list(range(len(training)))[:: max(1, -(-len(training) // most))]
    answer = []
    for episode in dict.fromkeys(episodes):
        own = [i for i in chosen if episodes[i] == episode]
        others = [i for i, e in enumerate(episodes) if e != episode]
        if own and others:
            answer += nearest(training.take(own), training.take(others))
    return answer


def nearest(pictures: Looks, training: Looks) -> list[Nearest]:
    """For each picture; raises ValueError without any training picture."""
    if not len(training):
        raise ValueError("there is no training picture to compare with")
    distance = 1 - pictures.features @ training.features.T
    answer = []
    for i, row in enumerate(distance):
        order = np.argsort(row, kind="stable")[: NEIGHBOURS + 1]
        rest = row[order[1:]]
        ratio = float(row[order[0]] / max(1e-9, rest.mean())) if len(rest) else 1.0
        pixels = min(_apart(pictures.pixels[i], training.pixels[j]) for j in order[:BY_PIXELS])
        answer.append(Nearest(int(order[0]), float(row[order[0]]), ratio, pixels))
    return answer


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """Least mean absolute difference of two (h, w, 3) thumbnails, one moved by up to `SHIFT` pixels."""
    s = SHIFT
    inner = a[s:-s, s:-s]
    h, w = inner.shape[:2]
    moves = ((dy, dx) for dy in range(0, 2 * s + 1) for dx in range(0, 2 * s + 1))
    return min(float(np.abs(inner - b[dy : dy + h, dx : dx + w]).mean()) for dy, dx in moves)
