"""One-to-one with unknown: against brute force, and the cases that greedy choices get wrong."""

from __future__ import annotations

from itertools import product

import numpy as np

from fullcast.recognition.assign import assign, assign_together


def brute(scores: np.ndarray, threshold: float, weights: np.ndarray, groups: list[list[int]]) -> float:
    """The highest reachable total, over all namings that name nobody twice in a picture."""
    figures, characters = scores.shape
    best = 0.0
    for names in product(range(-1, characters), repeat=figures):
        clash = any(names[a] == names[b] >= 0 for group in groups for i, a in enumerate(group) for b in group[i + 1 :])
        if not clash and all(c < 0 or scores[t, c] >= threshold for t, c in enumerate(names)):
            best = max(
                best, sum(w * (scores[t, c] - threshold) for t, (c, w) in enumerate(zip(names, weights)) if c >= 0)
            )
    return best


def test_the_total_decides_and_not_who_comes_first() -> None:
    """Both look like character 0; figure 0 could also be 1. Greedy would leave figure 1 unknown."""
    scores = np.array([[0.90, 0.85], [0.89, 0.20]])
    assert assign(scores, 0.5).tolist() == [1, 0]
    assert assign_together(scores, 0.5, np.ones(2), [[0, 1]]).tolist() == [1, 0]


def test_unknown_is_an_answer_and_nobody_is_named_twice() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.1], [0.2, 0.3]])
    assert assign(scores, 0.5).tolist() == [0, -1, -1]
    assert assign(np.zeros((0, 3)), 0.5).tolist() == []
    assert assign(np.zeros((2, 0)), 0.5).tolist() == [-1, -1]
    assert assign(np.array([[np.nan, 0.7]]), 0.5).tolist() == [1]


def test_against_brute_force() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        figures, characters = int(rng.integers(1, 5)), int(rng.integers(1, 4))
        scores, weights = rng.random((figures, characters)), rng.integers(1, 5, figures).astype(float)
        one = assign(scores, 0.5)
        total = sum(scores[t, c] - 0.5 for t, c in enumerate(one) if c >= 0)
        assert np.isclose(total, brute(scores, 0.5, np.ones(figures), [list(range(figures))]))
        groups = [[t for t in range(figures) if rng.random() < 0.6] for _ in range(3)]
        many = assign_together(scores, 0.5, weights, groups)
        total = sum(weights[t] * (scores[t, c] - 0.5) for t, c in enumerate(many) if c >= 0)
        assert np.isclose(total, brute(scores, 0.5, weights, groups))
        for group in groups:
            named = [many[t] for t in group if many[t] >= 0]
            assert len(named) == len(set(named))


def test_tracks_that_never_meet_may_share_a_name() -> None:
    scores = np.array([[0.9, 0.6], [0.9, 0.6], [0.7, 0.65]])
    assert assign_together(scores, 0.5, np.array([5.0, 1.0, 1.0]), [[0], [1, 2]]).tolist() == [0, 0, 1]


def test_sixty_characters_and_a_crowded_shot_are_quick() -> None:
    rng = np.random.default_rng(1)
    scores = rng.random((40, 60))
    groups = [rng.choice(40, 6, replace=False).tolist() for _ in range(30)]
    answer = assign_together(scores, 0.6, np.ones(40), groups)
    assert all(len({answer[t] for t in g if answer[t] >= 0}) == sum(answer[t] >= 0 for t in g) for g in groups)
    assert (answer >= 0).all()
