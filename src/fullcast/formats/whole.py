"""Weights as whole numbers: what kohya's ``num_repeats`` and EveryDream1's ``multiply.txt`` can hold.

Repeats are round(scale * weight), at least 1. A larger scale comes nearer to the weights and makes a longer epoch; the
least scale is taken whose error is tolerable, and what no scale below the limit mends is said.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fullcast.formats.items import share_error
from fullcast.store.errors import FullcastError

TOLERANCE = 0.005
"""Half a percent of all visits may go elsewhere: the plan's own mixture is not known better than that."""

MAX_MEAN = 20.0
"""Mean repeats of a picture in one epoch. A training of 10 epochs' worth of steps then does not finish the first."""

_CANDIDATES = 400
"""Scales that are tried, evenly in the logarithm: neighbours differ by under 1 %."""


@dataclass(frozen=True)
class Whole:
    """Whole repeats for weights, and how near they come."""

    repeats: np.ndarray
    """(n,) int64; 0 for weight 0, at least 1 for all others."""
    share_error: float
    """In [0, 1], see `items.share_error`."""
    raised: np.ndarray
    """(n,) bool: those that would have had less than half a visit, and have 1."""


def whole_repeats(weights: np.ndarray, tolerance: float = TOLERANCE, max_mean: float = MAX_MEAN) -> Whole:
    """weights: (n,) of any scale, with a positive sum.

    max_mean: the longest epoch, in repeats of the mean picture; at least 1.
    """
    if max_mean < 1:
        raise FullcastError(f"the longest epoch shows each picture once: give 1 or more repeats; got {max_mean:g}")
    positive = weights > 0
    scaled = weights[positive] * positive.sum() / weights.sum()  # mean 1
    values, where, counts = np.unique(scaled, return_inverse=True, return_counts=True)
    best: tuple[float, float] | None = None
    low = min(1.0, 0.5 / values.max())
    for scale in np.geomspace(low, max_mean / min(1.0, values.min()), _CANDIDATES):
        repeats = _rounded(values, scale)
        mean = float((repeats * counts).sum() / counts.sum())
        if mean > max_mean:
            break
        error = share_error(repeats * counts, values * counts)
        if best is None or error < best[0] - 1e-12:
            best = error, float(scale)
        if error <= tolerance:
            break
    error, scale = best or (0.0, low)
    result = np.zeros(len(weights), dtype=np.int64)
    result[positive] = _rounded(values, scale)[where]
    raised = np.zeros(len(weights), dtype=bool)
    raised[positive] = scaled * scale < 0.5
    return Whole(result, share_error(result, weights), raised)


def _rounded(values: np.ndarray, scale: float) -> np.ndarray:
    return np.maximum(1, np.floor(values * scale + 0.5)).astype(np.int64)
