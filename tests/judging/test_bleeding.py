"""Leaking is not weak identity, and weak reading is not leaking: where nothing leaks, nothing is reported."""

from __future__ import annotations

import numpy as np
import pytest

from fullcast.judging.bleeding import measure_leakage
from fullcast.judging.contrast import Observation, contrast
from fullcast.judging.rows import Row
from tests.judging.cases import NAMES, ask, perfect, row

DYES = {"aoi": "brown", "hinata": "brown", "mio": "brown", "rin": "pink", "sora": "blue", "yuki": "green"}
LAB = {"brown": (35.0, 15.0, 25.0), "pink": (70.0, 40.0, 0.0), "blue": (40.0, 10.0, -50.0), "green": (60.0, -50.0, 40.0)}
COLORS = {name: LAB[dye] for name, dye in DYES.items()}


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
