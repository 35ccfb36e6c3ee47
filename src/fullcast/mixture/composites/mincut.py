"""The minimum cut of a grid of pixels: what figures are cut out with, and pieces of scenery joined."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import breadth_first_order, maximum_flow


def min_cut(cost: np.ndarray, weights: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(h, w) bool that minimises the sum of costs (positive: figure) and of the weights that it cuts."""
    count = cost.size
    index = np.arange(count).reshape(cost.shape)
    one = np.r_[index[:, :-1].ravel(), index[:-1].ravel()]
    other = np.r_[index[:, 1:].ravel(), index[1:].ravel()]
    between = np.round(100 * np.r_[weights[0].ravel(), weights[1].ravel()]).astype(np.int32)
    units = np.round(100 * cost.ravel()).astype(np.int32)
    figure, ground = np.flatnonzero(units > 0), np.flatnonzero(units < 0)
    rows = np.r_[one, other, np.full(len(figure), count), ground]
    columns = np.r_[other, one, figure, np.full(len(ground), count + 1)]
    capacity = csr_matrix(
        (np.r_[between, between, units[figure], -units[ground]], (rows, columns)), shape=(count + 2, count + 2)
    )
    left = capacity - maximum_flow(capacity, count, count + 1).flow
    left.data[left.data < 0] = 0
    left.eliminate_zeros()
    reached = breadth_first_order(left, count, return_predecessors=False)
    mask = np.zeros(count + 2, bool)
    mask[reached] = True
    return mask[:count].reshape(cost.shape)
