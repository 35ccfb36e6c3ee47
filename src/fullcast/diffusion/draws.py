"""Random draws for diffusion, one generator per (seed, purpose, step, sample).

A sample's noise is the same alone, in a batch, in another split of the batch, on another number of ranks and after a
resume. It is also prefix-exact: the values come from one sequence in memory order, so the first n of a longer draw are
the draw of n (torch's own CPU generator is not: its values change when a tensor has fewer than 16 of them).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from fullcast.store.seeding import rng


def noise(seed: int, purpose: str, items: Sequence[str], shape: Sequence[int]) -> torch.Tensor:
    """(len(items), *shape) float32 standard normal on the CPU; row i depends on items[i] alone."""
    size = math.prod(shape)
    rows = [rng(seed, purpose, item).standard_normal(size, dtype=np.float32) for item in items]
    return torch.from_numpy(np.stack(rows)).view(len(items), *shape)


def uniform(seed: int, purpose: str, items: Sequence[str]) -> np.ndarray:
    """(len(items),) float64 in [0, 1); value i depends on items[i] alone."""
    return np.array([rng(seed, purpose, item).random() for item in items])
