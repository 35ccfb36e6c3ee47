"""Intervals that hold what they promise, baselines that are chance."""

from __future__ import annotations

import numpy as np
import pytest

from fullcast.judging.statistics import (
    cluster_bootstrap,
    clustered_share,
    newcombe,
    permutation_baseline,
    rogan_gladen,
    share,
    wilson,
)


def test_wilson_against_published_values():
    """Newcombe 1998, table I: 81/263, 15/148, 0/20, 1/29."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_wilson_half_width_is_the_report_s_own():
    """multi-character.md 3.7: n = 200 at one half is +-6.9 points, n = 400 +-4.9."""
    for n, half in ((200, 0.069), (400, 0.049)):
        low, high = wilson(n / 2, n)
        assert (high - low) / 2 == pytest.approx(half, abs=5e-4)


def test_bootstrap_covers_clustered_shares_where_wilson_does_not():
    """40 prompts, 4 seeds each, outcomes shared within a prompt: the naive interval is too sure of itself."""
    generator = np.random.default_rng(7)
    hits = naive = 0
    for repeat in range(200):
        chance = generator.beta(1.0, 1.0, 40)
        outcomes = (generator.random((40, 4)) < chance[:, None]).ravel()
        clusters = np.repeat(np.arange(40), 4).tolist()
        low, high = cluster_bootstrap(outcomes.astype(float).tolist(), clusters, repeats=400, seed=repeat)
        hits += low <= 0.5 <= high
        low, high = wilson(int(outcomes.sum()), outcomes.size)
        naive += low <= 0.5 <= high
    assert hits / 200 >= 0.90
    assert naive / 200 < hits / 200 - 0.04


def test_share_of_one_picture_per_prompt_is_wilson():
    outcomes = [True] * 30 + [False] * 10
    assert clustered_share(outcomes, list(range(40))) == share(30, 40)


def test_all_successes_keep_a_width():
    sure = clustered_share([True] * 40, [i // 4 for i in range(40)])
    assert sure.value == 1 and sure.low == pytest.approx(wilson(10, 10)[0]) and sure.high == 1


def test_permutation_baseline_of_a_constant_model_is_its_score():
    """Everybody in the middle: right as often as targets are in the middle, with its own targets or others'."""
    targets = np.array([0, 1, 2, 2, 2, 1, 2, 0])
    scores = np.tile(targets == 2, (8, 1)).astype(float)
    assert permutation_baseline(scores, range(8), range(8)).mean() == pytest.approx(np.diag(scores).mean())


def test_no_picture_is_scored_against_its_own_prompt():
    """Two pictures of each of three prompts, right for their own alone; and one prompt that has no other."""
    prompts = ["a", "a", "b", "b", "c", "c"]
    own = np.array([[p == t for t in "abc"] for p in prompts], float)
    np.testing.assert_array_equal(permutation_baseline(own, prompts, "abc"), np.zeros(6))
    assert np.isnan(permutation_baseline(np.ones((2, 1)), ["a", "a"], ["a"])).all()


def test_newcombe_against_a_published_interval():
    """Bentur et al.'s pairs, 1, 7, 1 and 12, as Fagerland, Lydersen and Laake work them (Statistical Analysis of
    Contingency Tables, 2017, chapter 8): -0.507 to -0.026."""
    assert newcombe(1, 7, 1, 12) == pytest.approx((-0.507, -0.026), abs=5e-4)
    low, high = newcombe(0, 0, 3, 0)
    assert 0.15 < low < 0.3 and high == 1


def test_a_share_of_nothing():
    nothing = clustered_share([], [])
    assert np.isnan(nothing.value) and (nothing.low, nothing.high, nothing.n) == (0.0, 1.0, 0)


def test_rogan_gladen_undoes_the_judge_s_errors():
    truth, sensitivity, specificity = 0.6, 0.9, 0.95
    observed = truth * sensitivity + (1 - truth) * (1 - specificity)
    assert rogan_gladen(observed, sensitivity, specificity) == pytest.approx(truth)
    assert np.isnan(rogan_gladen(0.5, 0.5, 0.5))
    assert rogan_gladen(0.01, 0.9, 0.95) == 0.0
