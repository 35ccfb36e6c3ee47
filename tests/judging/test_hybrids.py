"""The margin of hybrids: what the references of a cast say, and what is done where they say nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fullcast.judging.config import JudgingConfig
from fullcast.judging.hybrids import reference_margin, settled
from fullcast.judging.judgement import DATA, make_judgement, recount, write_judgement
from fullcast.judging.measures import measure
from fullcast.judging.verdict import UNCALIBRATED
from fullcast.records import Cast, Character, Form, Naming
from tests.judging.cases import CAST, NAMES, ask, figure, row


def cast_of(spread: float, references: int = 10, method: str = "nearest", seed: int = 0) -> Cast:
    """Six characters at right angles in 16 dimensions, each with its references around it and two views of each."""
    draw = np.random.default_rng(seed)
    characters = []
    for i, name in enumerate(NAMES):
        middle = np.eye(16)[i]
        seen = middle + spread * draw.normal(size=(references, 3, 16))
        seen /= np.linalg.norm(seen, axis=-1, keepdims=True)
        form = Form("", references=seen[:, 0].astype(np.float32), views=seen[:, 1:].astype(np.float32))
        characters.append(Character(name, name, (form,)))
    return Cast("test", tuple(characters), naming=Naming(method, scoring="top3"))


@pytest.mark.parametrize("method", ["nearest", "classifier"])
def test_one_true_figure_in_twenty_is_within_the_margin(method: str):
    cast = cast_of(0.15, method=method)
    margin = reference_margin(cast)
    assert margin > 3 * UNCALIBRATED
    # References that are less alike part less clearly, and one in twenty is then within less.
    assert reference_margin(cast_of(0.3, method=method)) < margin - 0.05


def test_a_cast_that_says_nothing_and_a_setting_that_says_it():
    assert reference_margin(CAST) == reference_margin(cast_of(0.15, references=1)) == UNCALIBRATED
    assert settled(JudgingConfig(hybrid_margin=0.2), cast_of(0.15)).hybrid_margin == 0.2
    assert settled(JudgingConfig(), CAST).hybrid_margin == UNCALIBRATED


def test_hybrids_are_counted_by_the_cast_s_margin_and_counted_again_without_references(tmp_path):
    cast = cast_of(0.15)
    blend = figure("aoi", 1, sure=0.8, second="mio")
    scores = tuple(s - 0.04 * (name == "mio") for name, s in zip(NAMES, blend.scores, strict=True))
    near = replace(blend, scores=scores)  # aoi more than mio by 0.05
    rows = [row(ask(f"s{i}", "aoi", "mio"), [near], series="x") for i in range(4)]
    assert measure(rows, cast).bleeding.hybrids.value == 1
    assert measure(rows, CAST).bleeding.hybrids.value == 0
    made = make_judgement(rows, cast, JudgingConfig(bootstrap_repeats=100))
    write_judgement(made, tmp_path, tmp_path)
    assert made.config.hybrid_margin == reference_margin(cast)
    assert f'"hybrid_margin": {made.config.hybrid_margin}' in (tmp_path / DATA).read_text()
    assert recount(tmp_path)["series"]["x"]["bleeding"]["hybrids"]["value"] == 1
