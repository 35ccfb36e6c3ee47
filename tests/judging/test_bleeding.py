"""Leaking is not weak identity, and weak reading is not leaking: where nothing leaks, nothing is reported."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from fullcast.judging.bleeding import Labels, _Pictures, identity_leak, measure_leakage
from fullcast.judging.contrast import Observation, contrast
from fullcast.judging.rows import Row
from tests.judging.cases import NAMES, ask, perfect, row

DYES = {"aoi": "brown", "hinata": "brown", "mio": "brown", "rin": "pink", "sora": "blue", "yuki": "green"}
LAB = {"brown": (35, 15, 25), "pink": (70, 40, 0), "blue": (40, 10, -50), "green": (60, -50, 40)}
COLORS = {name: tuple(map(float, LAB[dye])) for name, dye in DYES.items()}


def hair_rows(leak: float, seed: int, prompts: int = 300) -> list[Row]:
    """A third of the readings is somebody's of the cast, whoever else is asked for; ``leak`` of the rest is a
    neighbour's."""
    draw = np.random.default_rng(seed)
    rows = []
    for i in range(prompts):
        scene = ask(f"s{i}", *[str(name) for name in draw.choice(NAMES, 2 + i % 3, replace=False)])
        asked = [p.character for p in scene.people]
        read = []
        for name in asked:
            other = str(draw.choice([a for a in asked if a != name]))
            chance = draw.random()
            read.append(str(draw.choice(NAMES)) if chance < 1 / 3 else other if chance < 1 / 3 + leak else name)
        rows.append(row(scene, perfect(scene), hair=tuple(COLORS[name] for name in read)))
    return rows


def test_hair_that_is_misread_alike_with_and_without_the_other_is_no_leak():
    """Half of the cast is brown, which is misread most often and is in most prompts: pooled over colours, that was a
    leak of +0.03."""
    told = [measure_leakage(hair_rows(0.0, seed), COLORS, repeats=200, seed=seed).leak.difference for seed in range(6)]
    assert abs(np.mean([d.value for d in told])) < 0.015
    assert sum(d.low <= 0 <= d.high for d in told) >= 5
    leaking = measure_leakage(hair_rows(0.2, 7), COLORS, repeats=200).leak.difference
    assert leaking.low > 0.05


def test_strata_are_compared_each_with_itself():
    """Rare and often exposed in one stratum, common and seldom exposed in the other: pooled, it looks like the
    contrary of what holds in both."""
    seen = [
        *(Observation(f"a{i}", "a", i < 80, i % 10 == 0 or (i < 80 and i % 10 == 1)) for i in range(100)),
        *(Observation(f"b{i}", "b", i < 20, i % 10 < 5 or (i < 20 and i % 10 == 5)) for i in range(100)),
    ]
    found = contrast(seen, repeats=200)
    assert found.difference.value == pytest.approx(0.1) and found.difference.low < 0.1 < found.difference.high


def test_what_never_happened_may_still_happen():
    """No hit among 30 exposed and 60 unexposed prompts: the rule of three, no interval of no width."""
    never = [Observation(i, 2, i < 30, False) for i in range(90)]
    found = contrast(never, repeats=200).difference
    assert (found.value, found.low, found.high) == (0, -3 / 60, 3 / 30)
    seldom = [Observation(i, 2, i < 30, i in (40, 50, 60)) for i in range(90)]
    assert contrast(seldom, repeats=200).difference.high == pytest.approx(3 / 30 - 3 / 60)


def test_a_prompt_is_drawn_whole():
    """All figures of a prompt err together, in two strata: two hundred observations that are worth twenty."""
    seen = [
        Observation(prompt, stratum, prompt % 2 == 0, prompt % 4 < 2)
        for prompt in range(20)
        for stratum in ("a", "b")
        for _ in range(5)
    ]
    found = contrast(seen, repeats=400).difference
    assert found.high - found.low > 0.6


def brute(asked: set[int], seen: list[int], rates: np.ndarray) -> float:
    """Expected figures of somebody else in the prompt, over all names that can fall on all figures; own ones first."""
    expected = 0.0
    for names in product(range(rates.shape[1]), repeat=len(seen)):
        left = list(names)
        for own in seen:
            if own in left:
                left.remove(own)
        chance = np.prod([rates[own, name] for own, name in zip(seen, names, strict=True)])
        expected += chance * sum(name in asked for name in left)
    return float(expected)


def test_expected_mistakes_are_those_of_all_ways_in_which_names_can_fall():
    """Also where somebody has no figure, and where somebody is asked for in two forms and is needed twice."""
    rates = np.random.default_rng(1).dirichlet(np.ones(4), 3)  # a cast of three, and unknown
    prompts = {"abc": ("abc", "abc"), "ab": ("ab", "a"), "aab": ("ab", "aab")}
    read = [
        Labels(scene, len(scene), frozenset(asked), tuple((name, name) for name in seen))
        for scene, (asked, seen) in prompts.items()
    ]
    pictures = _Pictures.of(read, "abc")
    found = pictures._expected(np.stack([rates] * len(pictures.numbers)))
    truth = [brute({*map("abc".index, a)}, [*map("abc".index, s)], rates) for a, s in prompts.values()]
    np.testing.assert_allclose(found, truth)


def drawn_labels(prompts: int, draw: np.random.Generator) -> list[Labels]:
    """Three in ten figures are taken for aoi, whoever is asked for."""
    read = []
    for i in range(prompts):
        asked = [str(name) for name in draw.choice(NAMES, 2 + i % 3, replace=False)]
        left = ["aoi" if draw.random() < 0.3 else name for name in asked]
        found = {}
        for name in asked:
            if name in left:
                left.remove(name)
                found[name] = name
        seen = tuple((name, found.get(name) or left.pop()) for name in asked)
        read.append(Labels(f"s{i}", len(asked), frozenset(asked), seen))
    return read


def test_the_interval_of_the_lift_knows_that_its_rates_are_estimates():
    """60 prompts, one whom everybody is taken for: with the rates taken as they are, 0.78 of intervals held 0."""
    draw = np.random.default_rng(3)
    told = [identity_leak(drawn_labels(60, draw), NAMES, 100, i).difference for i in range(80)]
    assert sum(d.low <= 0 <= d.high for d in told) >= 72


def test_a_lift_without_any_mistake_is_not_certain():
    read = [Labels(f"s{i}", 2, frozenset(NAMES[:2]), tuple((n, n) for n in NAMES[:2])) for i in range(50)]
    lift = identity_leak(read, NAMES, 100)
    assert (lift.difference.value, lift.difference.low, lift.difference.high) == (0, -3 / 50, 3 / 50)
