"""The seed's way beside the nearest references: which wins, on references that neither has seen."""

from __future__ import annotations

import numpy as np
import pytest

from fullcast.recognition.castfile import cast_from_json, cast_to_json, rounded
from fullcast.recognition.identify import Gallery
from fullcast.recognition.methods import (
    CLASSIFIER,
    MAX_DOUBT,
    NEAREST,
    FormClassifier,
    choose_method,
    doubts,
    identify_by,
    method_words,
)
from fullcast.records import UNKNOWN, Cast, Character, Form, Naming
from tests.recognition.test_identify import around, centres


def cast(rng: np.random.Generator, *, twins: bool, count: int = 10) -> Cast:
    """Four characters. Twins: two differ in one direction only, and all vary greatly in directions that they share."""
    points = centres(4, 64, rng)
    loud = centres(3, 64, rng)
    if twins:
        points[1] = around(points[0], 1, 0.02, rng)[0]
        points[1] = (points[1] + 0.25 * np.eye(64)[5]) / np.linalg.norm(points[1] + 0.25 * np.eye(64)[5])

    def seen(point: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        x = point + 0.02 * rng.normal(size=(*shape, 64))
        if twins:
            x = x + rng.normal(size=(*shape, 3)) @ loud
        return rounded(x / np.linalg.norm(x, axis=-1, keepdims=True))

    forms = [Form("", references=seen(p, (count,)), views=seen(p, (count, 5))) for p in points]
    return Cast("s", tuple(Character(f"c{i}", f"c{i}", (f,)) for i, f in enumerate(forms)), "e")


def test_the_classifier_is_taken_where_held_out_references_prefer_it() -> None:
    gallery = Gallery.of(cast(np.random.default_rng(0), twins=True))
    naming = choose_method(gallery, 20.0)
    assert naming.method == CLASSIFIER and naming.classifier > naming.nearest + 0.05
    assert f"classifier {naming.classifier:.3f}" in method_words(naming)


def test_of_equals_the_nearest_and_single_references_cannot_be_compared() -> None:
    plain = choose_method(Gallery.of(cast(np.random.default_rng(1), twins=False)), 20.0)
    assert (plain.method, plain.nearest, plain.classifier) == (NEAREST, 1.0, 1.0)
    alone = choose_method(Gallery.of(cast(np.random.default_rng(1), twins=False, count=1)), 20.0)
    assert alone.method == NEAREST and np.isnan(alone.classifier) and "too few" in method_words(alone)


def test_a_lead_that_chance_explains_is_no_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are wrong about as often, of other views: the classifier is taken; not when it is wrong far more often."""
    gallery = Gallery.of(cast(np.random.default_rng(1), twins=False))
    draws = np.random.default_rng(2)

    def wrong_of(share: float):
        def log_shares(self: FormClassifier, vectors: np.ndarray) -> np.ndarray:
            scores = vectors @ self.weights.T
            scores[draws.random(len(scores)) < share] *= -1
            return scores

        return log_shares

    real = Gallery.form_scores

    def noisy(self: Gallery, vectors: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
        scores = real(self, vectors, hidden)
        scores[draws.random(len(scores)) < 0.2] *= -1
        return scores

    monkeypatch.setattr(Gallery, "form_scores", noisy)
    monkeypatch.setattr(FormClassifier, "log_shares", wrong_of(0.2))
    found = choose_method(gallery, 20.0)
    assert found.method == CLASSIFIER and found.nearest > found.classifier
    monkeypatch.setattr(FormClassifier, "log_shares", wrong_of(0.6))
    assert choose_method(gallery, 20.0).method == NEAREST


def test_shares_are_probabilities_and_two_forms_are_enough() -> None:
    gallery = Gallery.of(cast(np.random.default_rng(2), twins=False))
    model = FormClassifier.of(gallery, gallery.owners < 2)
    assert model is not None
    shares = np.exp(model.log_shares(gallery.vectors))
    assert np.allclose(shares.sum(axis=1), 1) and shares[:, 2:].max() == pytest.approx(0)
    assert (shares[gallery.owners < 2].argmax(axis=1) == gallery.owners[gallery.owners < 2]).all()
    assert FormClassifier.of(gallery, gallery.owners < 1) is None


def test_a_character_is_as_likely_as_its_forms_together_and_doubt_has_a_limit() -> None:
    forms = [Form("", references=np.eye(3)[:1]), Form("x", references=np.eye(3)[1:2])]
    pair = (Character("a", "a", tuple(forms)), Character("b", "b", (Form("", references=np.eye(3)[2:]),)))
    gallery = Gallery.of(Cast("s", pair, "e"))
    lost = doubts(np.log([0.3, 0.3, 0.4]), gallery, 10.0)
    assert np.allclose(lost, [0, np.log(0.6 / 0.4) / 10])
    assert doubts(np.log([0.5, 0.5 - 1e-30, 1e-30]), gallery, 10.0)[1] == MAX_DOUBT


def test_views_and_choice_come_back_from_the_file() -> None:
    given = cast(np.random.default_rng(3), twins=True)
    given = Cast(given.show, given.characters, "e", 0.5, {}, Naming(CLASSIFIER, 12.5, float("nan"), 0.9))
    again = cast_from_json(cast_to_json(given))
    assert again.naming.method == CLASSIFIER and again.naming.slope == 12.5 and np.isnan(again.naming.nearest)
    one, two = given.characters[0].forms[0].views, again.characters[0].forms[0].views
    assert one is not None and two is not None and np.array_equal(one, two)


def test_who_says_the_classifier_and_whether_the_cosine() -> None:
    rng = np.random.default_rng(3)
    known = cast(rng, twins=True)
    gallery = Gallery.of(known)
    model = FormClassifier.of(gallery)
    assert model is not None
    again = known.characters[1].forms[0].views
    assert again is not None
    vectors = again.reshape(-1, 64)
    nearest = [a.character for a in identify_by(vectors, gallery, None, 20.0, 0.3)]
    trained = [a.character for a in identify_by(vectors, gallery, model, 20.0, 0.3)]
    assert trained.count("c1") > nearest.count("c1") and trained.count("c1") == len(vectors)
    (first,) = identify_by(vectors[:1], gallery, model, 20.0, 0.3)
    cosines = gallery.character_scores(gallery.form_scores(vectors[:1]))[0]
    assert first.score == pytest.approx(cosines.max()) and first.scores[1] == max(first.scores)
    strangers = identify_by(centres(50, 64, rng), gallery, model, 20.0, 0.6)
    assert {a.character for a in strangers} == {UNKNOWN}, (
        "the classifier gives everybody to somebody; the cosine does not"
    )


def test_of_equals_whichever_is_asked_for() -> None:
    gallery = Gallery.of(cast(np.random.default_rng(1), twins=False))
    assert choose_method(gallery, 20.0, CLASSIFIER).method == CLASSIFIER
