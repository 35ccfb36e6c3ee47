"""Are several pictures of one prompt different pictures?"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Diversity:
    """Means over groups of equal size, so that they can be compared."""

    distance: float
    """Mean pairwise distance within a prompt, 1 - cosine, in [0, 2]."""
    modes: float
    """RKE (Jalali et al. 2023, arXiv 2302.06072; order 2): how many clearly different pictures a group holds, from 1
    (all alike) to its size."""
    num_groups: int
    group_size: int


def diversity(
    features: np.ndarray, groups: Sequence[Hashable], group_size: int = 0, width: float = 0.0
) -> Diversity | None:
    """(N, D) unit features and their prompts. ``group_size``: pictures of each prompt that count, the first ones; 0:
    of the smallest prompt with two or more. ``width`` of RKE's Gaussian kernel; 0: median distance of all. None: no
    prompt has two pictures. Compare only at one group size and one width."""
    members: dict[Hashable, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    several = [m for m in members.values() if len(m) > 1]
    size = group_size or min(map(len, several), default=0)
    chosen = [m[:size] for m in several if len(m) >= size]
    if size < 2 or not chosen:
        return None
    width = width or kernel_width(features)
    distances, modes = [], []
    for m in chosen:
        cosine = np.clip(features[m] @ features[m].T, -1, 1).astype(float)
        distances.append(float((1 - cosine)[np.triu_indices(size, 1)].mean()))
        kernel = np.exp(-(2 - 2 * cosine) / (2 * width**2))
        modes.append(1 / float((kernel**2).mean()))
    return Diversity(float(np.mean(distances)), float(np.mean(modes)), len(chosen), size)


def kernel_width(features: np.ndarray) -> float:
    """Half of the median distance between (N, D) unit vectors: pictures a median apart count as two (kernel 0.14),
    pictures a quarter of it apart as one (0.88)."""
    if len(features) < 2:
        return 1.0
    gaps = np.sqrt(np.maximum(0, 2 - 2 * features @ features.T))[np.triu_indices(len(features), 1)]
    return float(np.median(gaps)) / 2 or 1.0
