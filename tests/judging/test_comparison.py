"""Two series on the same scenes: differences that are there, differences that are not, and what is said of either."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
import pytest

from fullcast.judging.comparison import compare
from fullcast.judging.counterfactual import SWAPPED
from fullcast.judging.statistics import holm, mcnemar, pictures_needed
from tests.judging.cases import NAMES, ask, figure, perfect, row


def series(name: str, right: dict[int, float], seed: int, pictures: int = 1, per_count: int = 100):
    """Pictures of 1 to 3 people, right with the given chance."""
    generator = np.random.default_rng(seed)
    rows = []
    for n, chance in right.items():
        for i in range(per_count):
            scene = ask(f"n{n}-{i:03d}", *NAMES[:n])
            for k in range(pictures):
                good = generator.random() < chance
                found = perfect(scene) if good else [figure(NAMES[5], 0)]
                rows.append(row(scene, found, seed=k, index=k, series=name))
    return rows


def test_a_better_series_is_better_and_an_equal_one_cannot_be_told():
    a = series("a", {1: 0.9, 3: 0.4}, 1)
    b = series("b", {1: 0.9, 3: 0.8}, 2)
    found = compare(a, b)
    one, three = found.by_count
    assert one.p_holm > 0.05 and one.difference.low < 0 < one.difference.high
    assert three.p_holm < 0.001 and three.difference.low > 0.15
    assert found.endpoint.num_people == (3,) and found.endpoint.p < 0.01
    assert found.same_noise and found.unpaired == 0
    back = compare(b, a).by_count[1]
    assert back.difference.value == pytest.approx(-three.difference.value)


def test_a_series_against_itself():
    a = series("a", {1: 0.5, 3: 0.5}, 1, pictures=4, per_count=20)
    for difference in compare(a, a).by_count:
        assert difference.difference.value == 0 and difference.p == 1
        assert difference.difference.low == -3 / 20 and difference.difference.high == 3 / 20


def test_several_pictures_a_scene_count_as_one_scene():
    a = series("a", {2: 0.3}, 3, pictures=4, per_count=25)
    b = series("b", {2: 0.7}, 4, pictures=4, per_count=25)
    [found] = compare(a, b).by_count
    assert found.num_pairs == 100 and found.num_scenes == 25 and 0 < found.p < 0.01


def test_endpoint_weighs_every_number_of_people_alike():
    a = series("a", {3: 0.0}, 1, per_count=90) + series("a", {4: 0.0}, 1, per_count=10)
    b = series("b", {3: 0.0}, 1, per_count=90) + series("b", {4: 1.0}, 1, per_count=10)
    assert compare(a, b).endpoint.difference.value == pytest.approx(0.5)


def test_nothing_in_common_is_said_and_partners_that_are_missing_are_counted():
    a, b = series("a", {1: 1.0}, 1, per_count=3), series("b", {2: 1.0}, 1, per_count=3)
    with pytest.raises(ValueError, match="no scene in common"):
        compare(a, b)
    assert compare(a, a[:2]).unpaired == 1


def test_other_noise_is_still_paired_by_scene_and_said():
    a = series("a", {1: 0.5}, 1, per_count=10)
    b = [r.__class__(r.scene, r.verdict, r.failures, r.path, r.sha256, 77, "b") for r in a]
    found = compare(a, b)
    assert not found.same_noise and found.by_count[0].num_pairs == 10


def outcomes(name: str, right: str, scenes: int, seeds: Sequence[int], people: int = 1):
    """The same outcomes, "1" or "0" a picture, in each of so many scenes."""
    asked = [ask(f"s{i:02d}", *NAMES[:people]) for i in range(scenes)]
    return [
        row(s, perfect(s) if good == "1" else [], seed=seed, index=k, series=name)
        for s in asked
        for k, (good, seed) in enumerate(zip(right, seeds, strict=True))
    ]


def test_pictures_whose_noise_nobody_knows_are_each_in_one_pair():
    """Of folders: a dictionary by noise kept the last picture of a scene for all."""
    a, b = outcomes("a", "1000", 10, [-1] * 4), outcomes("b", "1110", 10, [-1] * 4)
    found = compare(a, b)
    [one] = found.by_count
    assert (one.a, one.b, one.num_pairs, one.num_scenes) == (0.25, 0.75, 40, 10)
    assert found.unpaired == 0 and not found.same_noise


def test_noise_that_one_series_knows_pairs_nothing_and_a_noise_twice_counts_once():
    known = outcomes("a", "10", 4, [5, 6])
    assert compare(known, outcomes("b", "01", 4, [-1, -1])).by_count[0].num_pairs == 8
    twice = compare(known, outcomes("b", "011", 4, [6, 5, 5]))
    assert twice.same_noise and twice.unpaired == 4
    assert (twice.by_count[0].a, twice.by_count[0].b, twice.by_count[0].num_pairs) == (0.5, 0.5, 8)
    some = compare(known, [*outcomes("b", "01", 4, [5, 6])[:3], *outcomes("b", "01", 4, [-1, -1])[4:]])
    assert not some.same_noise and some.unpaired == 1 and some.by_count[0].num_pairs == 7


def test_few_pairs_that_are_all_won_are_not_certain():
    a, b = outcomes("a", "0", 3, [1], people=3), outcomes("b", "1", 3, [1], people=3)
    found = compare(a, b)
    for told in (found.by_count[0], found.endpoint):
        assert told.p == 0.25 and told.difference.value == 1
        assert told.difference.low == pytest.approx(0.206, abs=1e-3) and told.difference.high == 1
    # Every scene half won: resamples of scenes are all the same, and four pictures of one scene are not four scenes.
    half = compare(outcomes("a", "0000", 3, range(4)), outcomes("b", "1100", 3, range(4))).by_count[0].difference
    assert half.value == 0.5 and half.low < 0.1 and half.high > 0.8


def test_one_number_of_people_that_is_sure_does_not_make_the_mean_sure():
    a = series("a", {3: 0.0}, 1, per_count=6) + series("a", {4: 0.5}, 1, per_count=40)
    b = series("b", {3: 1.0}, 1, per_count=6) + series("b", {4: 0.6}, 2, per_count=40)
    three, four = compare(a, b).by_count
    end = compare(a, b).endpoint.difference
    assert end.value - end.low > (four.difference.value - four.difference.low) / 2 + 0.02
    assert end.high < (three.difference.high + four.difference.high) / 2 + 1e-9


def test_a_scene_and_its_swapped_one_are_one_prompt():
    def both(name: str, right: str):
        asked = [ask(f"s{i}{end}", *NAMES[:2]) for i in range(4) for end in ("", SWAPPED)]
        return [
            row(s, perfect(s) if good == "1" else [], seed=9, series=name) for s, good in zip(asked, right, strict=True)
        ]

    [found] = compare(both("a", "00000000"), both("b", "11111100")).by_count
    assert (found.num_pairs, found.num_scenes) == (8, 4)
    assert found.p > 0.2  # three scenes of four, not six pictures of eight (0.03)


def test_holm_by_hand():
    """Holm 1979: 0.01, 0.04, 0.03 of three -> 0.03, 0.06, 0.06."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    mixed = holm([float("nan"), 0.02])
    assert np.isnan(mixed[0]) and mixed[1] == pytest.approx(0.02)


def test_mcnemar_is_a_binomial():
    assert mcnemar(0, 0) == 1 and mcnemar(5, 5) == 1
    assert mcnemar(10, 2) == pytest.approx(2 * sum(comb(12, k) for k in range(3)) / 2**12)


def test_pictures_needed_are_the_published_ones():
    """387, 169 and 93 an arm are the usual table's for 80 % power (rounded down there, up here)."""
    assert [pictures_needed(0.5, q) for q in (0.60, 0.65, 0.70)] == [388, 170, 93]
