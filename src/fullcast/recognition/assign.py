"""Who is who in one picture: one-to-one, with `unknown` as an answer. Used by people, repair and the judge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, milp
from scipy.sparse import csr_array


def assign(scores: np.ndarray, threshold: float) -> np.ndarray:
    """(P,) index of the character of each figure, -1 for unknown; no character twice; the highest total score.

    scores: (P, C) similarity of each figure to each character; nan: no opinion. Being unknown is worth `threshold`,
    and everybody may be: P more columns of that value make it an ordinary assignment problem.
    """
    figures, characters = scores.shape
    if not figures:
        return np.zeros(0, dtype=int)
    known = np.where(np.isnan(scores) | (scores < threshold), -np.inf, scores)
    value = np.hstack([np.where(np.isinf(known), -1e6, known), np.full((figures, figures), threshold)])
    _, columns = linear_sum_assignment(value, maximize=True)
    return np.where(columns < characters, columns, -1)


def assign_together(
    scores: np.ndarray, threshold: float, weights: np.ndarray, groups: Sequence[Sequence[int]]
) -> np.ndarray:
    """The same for figures that appear in several pictures (tracks): (T,) index of the character or -1.

    scores: (T, C); weights: (T,) how much each figure's opinion counts (its number of appearances); groups: for each
    picture the figures in it, inside which no character may come twice. Maximises sum w_t (s_tc - threshold) x_tc as an
    integer programme; it is small (one shot) and its relaxation is nearly always integral already. Where everybody's
    best is nobody else's, that is the answer and no programme is needed.
    """
    gain = np.where(np.isnan(scores), -1.0, scores - threshold) * weights[:, None]
    pairs = np.argwhere(gain >= 0)
    answer = np.full(len(scores), -1)
    if not len(pairs):
        return answer
    best = np.where(gain.max(axis=1) >= 0, gain.argmax(axis=1), -1)
    if not any(_clash(best, group) for group in groups):
        return best
    constraints = _constraints(pairs, len(scores), groups)
    solved = milp(
        -gain[tuple(pairs.T)] - 1e-9,  # a tie with unknown goes to the name
        integrality=np.ones(len(pairs)),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(constraints, ub=1),
    )
    for t, c in pairs[solved.x > 0.5]:
        answer[t] = c
    return answer


def _clash(names: np.ndarray, group: Sequence[int]) -> bool:
    """Whether a character comes twice in a picture."""
    known = [int(names[t]) for t in set(group) if names[t] >= 0]
    return len(known) > len(set(known))


def _constraints(pairs: np.ndarray, num_figures: int, groups: Sequence[Sequence[int]]) -> csr_array:
    """Rows of ones over `pairs`: one name per figure, one figure per (picture, character)."""
    by_figure: dict[int, list[int]] = {}
    by_place: dict[tuple[int, int], list[int]] = {}
    pictures: dict[int, list[int]] = {t: [] for t in range(num_figures)}
    for picture, members in enumerate(dict.fromkeys(tuple(sorted(set(group))) for group in groups)):
        for t in members:
            pictures[t].append(picture)
    for k, (t, c) in enumerate(pairs):
        by_figure.setdefault(int(t), []).append(k)
        for picture in pictures[int(t)]:
            by_place.setdefault((picture, int(c)), []).append(k)
    rows = [*by_figure.values(), *(members for members in by_place.values() if len(members) > 1)]
    row = np.repeat(np.arange(len(rows)), [len(members) for members in rows])
    column = np.concatenate([np.array(members) for members in rows])
    return csr_array((np.ones(len(column)), (row, column)), shape=(len(rows), len(pairs)))
