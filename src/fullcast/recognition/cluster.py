"""Who is the same, before anybody has a name: average-linkage clustering that does not grow with the square.

Average linkage over cosines of unit vectors needs sums only: the mean cosine between two groups is s_a . s_b / (n_a
n_b), where s is a group's sum of vectors. So many vectors are first gathered into about 10 sqrt(N) small pure groups
(spherical k-means, Dhillon and Modha 2001, and what is far from every centre once more), and those are merged exactly:
N^1.5 comparisons instead of N^2, and one matrix of 4 million numbers at 40,000 vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fullcast.store.seeding import rng

EXACT_UNTIL = 2500
"""Vectors that are merged one by one: a matrix of 25 MB."""

GROUPS_PER_ROOT = 10
"""Small groups per square root of the number of vectors: about 20 vectors in each at 40,000."""

ROUNDS = 3
"""Of k-means; the groups need be pure, not optimal."""

RIVAL_SHARE = 0.05
"""Two groups that share a picture are two people; of groups that meet less often than this share of the smaller one
the detector may have drawn one figure twice."""

BLOCK = 4096
"""Vectors compared with all centres at once."""

NEVER = -2.0


def cluster(vectors: np.ndarray, cut: float, rivals: Sequence[tuple[int, int]] = (), seed: int = 0) -> np.ndarray:
    """(N,) number of the cluster of each of the (N, D) unit vectors; 0 is the largest.

    Groups are merged while their mean cosine is at least `cut`. `rivals`: pairs of vectors that stand in one picture,
    who cannot be one person. The same input gives the same answer.
    """
    if not len(vectors):
        return np.zeros(0, dtype=int)
    groups = np.arange(len(vectors)) if len(vectors) <= EXACT_UNTIL else small_groups(vectors, cut, seed)
    return _by_size(merge(vectors, groups, cut, rivals)[groups])


def small_groups(vectors: np.ndarray, cut: float, seed: int = 0) -> np.ndarray:
    """(N,) number of a small, pure group for each vector: 0, 1, ... without gaps.

    A vector with less than `cut` to its own centre (somebody rare, of whom no centre was drawn) goes into another
    round with those of its kind, until few are left, who stand alone.
    """
    answer = np.full(len(vectors), -1)
    left, count, turn = np.arange(len(vectors)), 0, 0
    while len(left) > 64 and turn < 6:
        wanted = min(len(left) // 2, round(GROUPS_PER_ROOT * np.sqrt(len(left))))
        nearest, cosine = _k_means(vectors[left], wanted, seed + turn)
        near = cosine >= cut
        answer[left[near]] = nearest[near] + count
        count, turn, left = count + wanted, turn + 1, left[~near]
    answer[left] = count + np.arange(len(left))
    return np.unique(answer, return_inverse=True)[1]


def _k_means(vectors: np.ndarray, num_centres: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) nearest of the centres, (N,) cosine to it."""
    first = rng(seed, "people", "cluster-centres").choice(len(vectors), num_centres, replace=False)
    centres = vectors[np.sort(first)]
    for _ in range(ROUNDS):
        nearest, _ = _nearest(vectors, centres)
        centres = _unit(_sums(vectors, nearest, num_centres))
    return _nearest(vectors, centres)


def _nearest(vectors: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    nearest = np.empty(len(vectors), dtype=int)
    cosine = np.empty(len(vectors), dtype=np.float32)
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK] @ centres.T
        best = block.argmax(axis=1)
        nearest[start : start + BLOCK] = best
        cosine[start : start + BLOCK] = block[np.arange(len(block)), best]
    return nearest, cosine


def merge(vectors: np.ndarray, groups: np.ndarray, cut: float, rivals: Sequence[tuple[int, int]] = ()) -> np.ndarray:
    """(G,) representative of the cluster of each group: average linkage of groups down to `cut`, exactly."""
    count = int(groups.max()) + 1
    sums = _sums(vectors, groups, count).astype(np.float64)
    size = np.bincount(groups, minlength=count).astype(np.float64)
    met = _meetings(groups, count, rivals)
    totals = (sums @ sums.T).astype(np.float32)  # sum of cosines between the members of two groups
    owner = np.arange(count)
    alive = np.ones(count, dtype=bool)
    mean = totals / np.outer(size, size).astype(np.float32)
    if met is not None:
        mean[met > RIVAL_SHARE * np.minimum.outer(size, size)] = NEVER
    np.fill_diagonal(mean, NEVER)
    partner = mean.argmax(axis=1)
    best = mean[np.arange(count), partner]
    while True:
        i = int(best.argmax())
        if best[i] < cut:
            return owner
        j = int(partner[i])
        totals[i] += totals[j]
        totals[:, i] = totals[i]
        size[i] += size[j]
        alive[j] = False
        owner[owner == j] = i
        row = totals[i] / (size[i] * size)
        if met is not None:
            met[i] += met[j]
            met[:, i] = met[i]
            row[met[i] > RIVAL_SHARE * np.minimum(size[i], size)] = NEVER
        row[~alive] = NEVER
        row[i] = NEVER
        mean[i], mean[:, i] = row, row
        mean[j], mean[:, j] = NEVER, NEVER
        best[j] = NEVER
        stale = np.flatnonzero(alive & ((partner == i) | (partner == j)))
        closer = np.flatnonzero(alive & (row > best))
        partner[closer], best[closer] = i, row[closer]
        again = np.append(np.setdiff1d(stale, closer), i)
        partner[again] = mean[again].argmax(axis=1)
        best[again] = mean[again, partner[again]]


def _meetings(groups: np.ndarray, count: int, rivals: Sequence[tuple[int, int]]) -> np.ndarray | None:
    """(G, G) how often members of two groups stand in one picture."""
    if not len(rivals):
        return None
    met = np.zeros((count, count), dtype=np.float32)
    a, b = groups[np.asarray(rivals)].T
    np.add.at(met, (a, b), 1)
    np.add.at(met, (b, a), 1)
    np.fill_diagonal(met, 0)
    return met


def _by_size(owners: np.ndarray) -> np.ndarray:
    """The same clusters, numbered from the largest; of equals the one that comes first."""
    _, first, inverse, counts = np.unique(owners, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), dtype=int)
    rank[np.lexsort((first, -counts))] = np.arange(len(counts))
    return rank[inverse]


def _sums(vectors: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """(count, D)."""
    order = np.argsort(groups, kind="stable")
    present, starts = np.unique(groups[order], return_index=True)
    answer = np.zeros((count, vectors.shape[1]), dtype=np.float32)
    answer[present] = np.add.reduceat(vectors[order], starts, axis=0)
    return answer


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


# ------------------------------------------------------------------------------------------------------- the cut

MIN_PAIRS = 30
"""Fewer pairs of a kind say nothing about the show."""

CUT_OF_THRESHOLD = 0.8
"""Without such pairs: the mean cosine inside a character lies lower than that to its nearest references."""


def cut_between(same: np.ndarray, rivals: np.ndarray, threshold: float) -> float:
    """The mean cosine from which two groups are one person, told by the show itself.

    same: cosines of heads that one track joins; rivals: of heads in one picture, who are different people. Half way
    between their medians; with fewer than MIN_PAIRS of either, CUT_OF_THRESHOLD of the embedder's own threshold.
    """
    if min(len(same), len(rivals)) < MIN_PAIRS:
        return CUT_OF_THRESHOLD * threshold
    return float((np.median(same) + np.median(rivals)) / 2)
