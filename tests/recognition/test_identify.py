"""Open-set identification on vectors with known answers; the threshold calibrated on references."""

from __future__ import annotations

import numpy as np
import pytest

from fullcast.recognition.identify import TWINS, Gallery, best_scoring, calibrate, identify
from fullcast.records import UNKNOWN, Cast, Character, Form
from fullcast.store.errors import FullcastError


def around(centre: np.ndarray, count: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    """(count, D) unit vectors about a unit centre; spread: length of the noise relative to it."""
    noise = rng.normal(size=(count, len(centre)))
    noise *= spread / np.sqrt(len(centre))
    points = centre + noise
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def centres(count: int, dim: int, rng: np.random.Generator) -> np.ndarray:
    return around(np.zeros(dim), count, 1.0, rng)


@pytest.fixture
def show() -> tuple[Cast, np.ndarray, np.random.Generator]:
    """Eight characters, the first in two forms that differ by less than characters do; (9, D) centres."""
    rng = np.random.default_rng(1)
    points = centres(9, 64, rng)
    points[8] = around(points[0], 1, 0.7, rng)[0]
    forms = [Form("", references=around(p, 10, 0.6, rng)) for p in points[:8]]
    characters = [Character(f"c{i}", f"c{i}", (form,)) for i, form in enumerate(forms)]
    hairdown = Form("hairdown", "hairdown", references=around(points[8], 10, 0.6, rng))
    characters[0] = Character("c0", "c0", (forms[0], hairdown))
    return Cast("show", tuple(characters), "e"), points, rng


def test_names_forms_and_strangers_are_told_apart(show: tuple[Cast, np.ndarray, np.random.Generator]) -> None:
    cast, points, rng = show
    gallery = Gallery.of(cast)
    found = calibrate(gallery, prior=0.5)
    seen = np.concatenate([around(p, 40, 0.9, rng) for p in points])
    answers = identify(seen, gallery, found.threshold)
    truth = [(f"c{i % 8}", "hairdown" if i == 8 else "") for i in range(9) for _ in range(40)]
    assert np.mean([a.character == t[0] for a, t in zip(answers, truth, strict=True)]) > 0.97
    assert np.mean([(a.character, a.form) == t for a, t in zip(answers, truth, strict=True)]) > 0.9
    strangers = identify(centres(200, 64, rng), gallery, found.threshold)
    assert np.mean([a.character == UNKNOWN and a.form == "" for a in strangers]) > 0.97


def test_twins_raise_the_threshold_of_labels_and_not_the_judges(
    show: tuple[Cast, np.ndarray, np.random.Generator],
) -> None:
    cast, points, rng = show
    twin = Character("twin", "twin", (Form("", references=around(around(points[1], 1, 0.5, rng)[0], 10, 0.6, rng)),))
    with_twin = Gallery.of(Cast("show", (*cast.characters, twin), "e"))
    plain = calibrate(Gallery.of(cast), prior=0.5)
    strict, labels, judge = (calibrate(with_twin, prior=0.5, twins=share) for share in (1.0, TWINS, 0.0))
    assert labels.threshold == calibrate(with_twin, prior=0.5).threshold > judge.threshold + 0.015
    assert labels.threshold == pytest.approx(TWINS * strict.threshold + (1 - TWINS) * judge.threshold)
    assert judge.threshold == pytest.approx(plain.threshold, abs=0.05)
    assert calibrate(Gallery.of(cast), prior=0.5, twins=0.0).threshold == plain.threshold


def test_scores_margins_and_order(show: tuple[Cast, np.ndarray, np.random.Generator]) -> None:
    cast, points, _ = show
    (answer,) = identify(points[3:4], Gallery.of(cast), 0.3)
    assert answer.character == "c3" and len(answer.scores) == 8
    ordered = sorted(answer.scores, reverse=True)
    assert answer.score == ordered[0] == answer.scores[3]
    assert answer.margin == pytest.approx(ordered[0] - ordered[1])
    assert identify(points[3:4], Gallery.of(cast), 0.3, margin=1.9)[0].character == UNKNOWN


def test_topk_mean_by_hand() -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]], dtype=np.float32)
    cast = Cast("s", (Character("a", "a", (Form("", references=vectors),)),), "e")
    query = np.array([[1, 0]], dtype=np.float32)
    for scoring, expected in {"top1": 1.0, "top3": 0.8, "top5": 0.6, "mean": 0.6}.items():
        assert Gallery.of(cast, scoring).form_scores(query)[0, 0] == pytest.approx(expected), scoring


def test_leave_one_out_prefers_few_neighbours_where_a_look_has_two_modes() -> None:
    """Character a is drawn in two ways, twice each, b lies between them: the mean confuses, the nearest does not."""
    angle = np.deg2rad([0, 4, 120, 124, 56, 60, 64, 68])
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    looks = [Form("", references=points[:4]), Form("", references=points[4:])]
    cast = Cast("s", (Character("a", "a", (looks[0],)), Character("b", "b", (looks[1],))), "e")
    assert best_scoring(Gallery.of(cast, "mean")) == "top1"
    assert Gallery.of(cast).scoring == "top1"


def test_the_threshold_lies_between_the_distributions_and_moves_with_what_is_known() -> None:
    rng = np.random.default_rng(2)
    points = centres(8, 64, rng)
    cast = Cast(
        "s",
        tuple(Character(f"c{i}", "c", (Form("", references=around(p, 8, 0.5, rng)),)) for i, p in enumerate(points)),
    )
    gallery = Gallery.of(cast)
    plain = calibrate(gallery, prior=0.55)
    assert plain.accuracy == 1 and plain.accepted == 1 and plain.rejected == 1
    assert 0.4 < plain.threshold < 0.8
    noisy_views = [np.concatenate([around(p, 8, 1.2, rng) for p in points])]
    assert calibrate(gallery, 0.55, noisy_views).threshold < plain.threshold - 0.03
    lookalikes = np.concatenate([around(p, 4, 0.95, rng) for p in points])
    strict = calibrate(gallery, 0.55, strangers=lookalikes)
    assert strict.threshold > plain.threshold and strict.num_strangers == 32


def test_one_reference_each_leaves_the_embedders_own_threshold() -> None:
    points = centres(3, 16, np.random.default_rng(3))
    cast = Cast("s", tuple(Character(f"c{i}", "c", (Form("", references=p[None]),)) for i, p in enumerate(points)), "e")
    found = calibrate(Gallery.of(cast), prior=0.61)
    assert found.threshold == 0.61 and np.isnan(found.accuracy)
    assert identify(points, Gallery.of(cast), found.threshold)[1].character == "c1"


def test_a_cast_without_references_is_refused() -> None:
    with pytest.raises(FullcastError, match="aoi \\(plain\\) has no references"):
        Gallery.of(Cast("s", (Character("aoi", "aoi"),), "e"))
    with pytest.raises(FullcastError, match="the cast is empty"):
        Gallery.of(Cast("s", ()))
