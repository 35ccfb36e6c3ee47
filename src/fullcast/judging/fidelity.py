"""How far a set of pictures is from a set of true ones, with what chance alone would give beside it.

Both are squared maximum mean discrepancies, unbiased (Gretton et al. 2012, eq. 3), so they may fall below 0. KID:
kernel (x.y / D + 1)^3 (Binkowski et al. 2018, arXiv 1801.01401). MMD: Gaussian kernel, as in CMMD (Jayasumana et al.
2024, arXiv 2401.09603) without its CLIP. Features are those of `features`: neither is comparable with a
published figure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fullcast.store.seeding import rng

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]

DRAWS = 100
LEAST = 8
"""Pictures in a draw below which nothing is said."""
MMD_SCALE = 1000.0
"""As in CMMD, so that figures are easy to read."""


@dataclass(frozen=True, slots=True)
class Distance:
    """Mean over draws of equal size from either set."""

    value: float
    spread: float
    """Standard deviation over draws."""
    floor: float
    """The same between two disjoint halves of the true pictures."""
    floor_high: float
    """97.5 % of the floor's draws lie below: nothing below it can be told from truth."""
    num_pictures: int
    """Of either set in a draw."""

    @property
    def above_floor(self) -> bool:
        return self.value > self.floor_high


def kid(pictures: np.ndarray, true: np.ndarray, seed: int = 0, draws: int = DRAWS) -> Distance | None:
    """(N, D) and (M, D) unit features; None with fewer than `LEAST` for a draw. Unit vectors are scaled to length
    sqrt(D), so that the kernel's cubic part counts as it does on Inception's features."""
    d = true.shape[1]

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T + 1) ** 3  # sqrt(D) x . sqrt(D) y / D = x . y

    assert d > 0
    return _distance(pictures, true, kernel, 1.0, seed, draws)


def mmd(pictures: np.ndarray, true: np.ndarray, seed: int = 0, draws: int = DRAWS) -> Distance | None:
    """Gaussian kernel as wide as the median distance between true pictures; times 1000."""
    if len(true) < 2:
        return None
    gaps = np.sqrt(np.maximum(0, 2 - 2 * true @ true.T))[np.triu_indices(len(true), 1)]
    width = float(np.median(gaps)) or 1.0

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.exp(-np.maximum(0, 2 - 2 * x @ y.T) / (2 * width**2))

    return _distance(pictures, true, kernel, MMD_SCALE, seed, draws)


def squared_mmd(x: np.ndarray, y: np.ndarray, kernel: Kernel) -> float:
    """Unbiased: no picture is compared with itself. (N, D) and (M, D), N and M at least 2."""
    n, m = len(x), len(y)
    xx, yy = kernel(x, x), kernel(y, y)
    same = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(same - 2 * kernel(x, y).mean())


def _distance(
    pictures: np.ndarray, true: np.ndarray, kernel: Kernel, scale: float, seed: int, draws: int
) -> Distance | None:
    size = min(len(pictures), len(true) // 2)
    if size < LEAST:
        return None
    generator = rng(seed, "fidelity", len(pictures))
    x, y = pictures.astype(np.float64), true.astype(np.float64)
    values, floors = [], []
    for _ in range(draws):
        order = generator.permutation(len(y))
        mine = x[generator.permutation(len(x))[:size]]
        values.append(scale * squared_mmd(mine, y[order[:size]], kernel))
        floors.append(scale * squared_mmd(y[order[size : 2 * size]], y[order[:size]], kernel))
    return Distance(
        float(np.mean(values)), float(np.std(values)), float(np.mean(floors)), float(np.percentile(floors, 97.5)), size
    )
