"""Intervals that hold what they promise, baselines that are chance."""

from __future__ import annotations

import numpy as np
import pytest

from fullcast.judging.statistics import (
    clustered_mean,
    clustered_share,
    middle_95,
    newcombe,
    paired_difference,
    permutation_baseline,
    resampled,
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


def test_a_bootstrap_of_few_prompts_is_widened():
    """Twelve prompts: percentiles of their mean cover 0.90, those that are farther out 0.95."""
    generator = np.random.default_rng(7)
    hits = naive = 0
    for _ in range(400):
        values = generator.normal(size=12)
        draws = resampled(12, 400, generator) @ values / 12
        low, high = middle_95(draws, 12)
        hits += low <= 0 <= high
        low, high = np.percentile(draws, [2.5, 97.5])
        naive += low <= 0 <= high
    assert hits / 400 >= 0.93 and naive < hits - 8


def test_intervals_cover_clustered_shares_where_wilson_does_not():
    """40 prompts, 4 seeds each, outcomes shared within a prompt: the naive interval is too sure of itself."""
    generator = np.random.default_rng(7)
    hits = naive = mean = 0
    for _ in range(200):
        chance = generator.beta(1.0, 1.0, 40)
        outcomes = (generator.random((40, 4)) < chance[:, None]).ravel()
        clusters = np.repeat(np.arange(40), 4).tolist()
        told = clustered_share(outcomes.tolist(), clusters)
        hits += told.low <= 0.5 <= told.high
        told = clustered_mean(outcomes.astype(float).tolist(), clusters)
        mean += told.low <= 0.5 <= told.high
        low, high = wilson(int(outcomes.sum()), outcomes.size)
        naive += low <= 0.5 <= high
    assert min(hits, mean) / 200 >= 0.90
    assert naive / 200 < min(hits, mean) / 200 - 0.04


def test_differences_of_few_scenes_are_covered():
    """16 scenes of one picture each, one better by 0.1: resamples of scenes covered 0.89."""
    generator = np.random.default_rng(11)
    hits = 0
    for _ in range(600):
        hard = generator.beta(1, 1, 16) * 0.9
        a, b = generator.random(16) < hard, generator.random(16) < hard + 0.1
        low, high = paired_difference(a.astype(float), b.astype(float), range(16))
        hits += low <= 0.1 <= high
    assert hits / 600 >= 0.93


def test_a_mean_of_one_prompt_has_no_interval():
    alone = clustered_mean([0.5, 0.7], ["a", "a"])
    assert alone.value == pytest.approx(0.6) and np.isnan(alone.low) and np.isnan(alone.high)
    assert np.isnan(clustered_mean([], []).value)


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
