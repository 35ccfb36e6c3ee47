"""How far any order is from its target, at every prefix: the measure of the first promise, for any trainer's."""

from __future__ import annotations

import numpy as np


def worst_lag(items: np.ndarray, shares: np.ndarray, bounds: np.ndarray | float = 1.0) -> float:
    """max over samples and prefixes t of |visits - t share| / bound, exactly.

    items: (T,) int, who was visited. shares: (n,) >= 0, any scale. bounds: (n,) or one number, in visits. Between two
    visits of a sample its lag is monotone in t: so it peaks beside a visit or at the end, and only there one must look.
    """
    shares = shares / shares.sum()
    bounds = np.broadcast_to(bounds, shares.shape)
    by = np.argsort(items, kind="stable")
    item = items[by]
    begins = np.flatnonzero(np.r_[True, item[1:] != item[:-1]])
    visits = np.arange(len(item)) - np.repeat(begins, np.diff(np.r_[begins, len(item)]))
    target = (by + 1) * shares[item]
    after = np.abs(visits + 1 - target) / bounds[item]
    before = np.abs(visits - target + shares[item]) / bounds[item]
    end = np.abs(np.bincount(items, minlength=len(shares)) - len(items) * shares) / bounds
    return float(max(after.max(), before.max(), end.max()))


def bounds_of(weights: np.ndarray, bucket_of: np.ndarray, batch_size: int) -> np.ndarray:
    """(n,) float64: 1 + B q, q the sample's share inside its bucket (0 for a bucket without weight)."""
    in_bucket = np.bincount(bucket_of, weights=weights)[bucket_of]
    return 1 + batch_size * np.divide(weights, in_bucket, out=np.zeros(len(weights)), where=in_bucket > 0)
