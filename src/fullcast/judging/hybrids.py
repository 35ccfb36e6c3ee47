"""From which gap between the two nearest on a figure is a hybrid: what the cast's references say of each other."""

from __future__ import annotations

import numpy as np

from fullcast.judging.cache import question_key
from fullcast.judging.config import JudgingConfig
from fullcast.judging.verdict import UNCALIBRATED, calibrate_hybrid_margin
from fullcast.recognition.identify import Gallery
from fullcast.recognition.methods import CLASSIFIER, FOLDS, FormClassifier, doubts
from fullcast.records import Cast

FIGURES = 20
"""Fewer say nothing about one in twenty."""
ENOUGH = 300
"""Held-out views after which no more references are held out: a large cast is done after one part of five."""

_known: dict[str, float] = {}
"""By `cache.question_key`: a classifier is trained for it, which takes seconds."""


def settled(config: JudgingConfig, cast: Cast) -> JudgingConfig:
    """With the margin of hybrids that holds for ``cast``, where the settings state none."""
    if config.hybrid_margin is not None:
        return config
    key = question_key("", cast)
    if key not in _known:
        _known[key] = reference_margin(cast)
    return config.model_copy(update={"hybrid_margin": _known[key]})


def reference_margin(cast: Cast) -> float:
    """The fifth percentile of the gap between the two nearest characters, over references and their views that were
    held out, as `CastLook` scores figures: one true figure in twenty is called a hybrid. `UNCALIBRATED` for a cast
    whose references are too few, or not there.

    Measured on one pocket cast of five: 0.100 on the references, 0.115 on true pictures.
    """
    if len(cast.names) < 2 or any(
        form.references is None or not len(form.references) for character in cast.characters for form in character.forms
    ):
        return UNCALIBRATED
    gallery = Gallery.of(cast)
    counts = np.bincount(gallery.owners, minlength=len(gallery.forms))
    rank = np.array([int((gallery.owners[:i] == owner).sum()) for i, owner in enumerate(gallery.owners)])
    fold = np.where(counts[gallery.owners] > 1, rank % FOLDS, -1)
    scores = np.zeros((0, len(cast.names)))
    for held in range(FOLDS):
        if (fold == held).any() and len(scores) < ENOUGH:
            scores = np.concatenate([scores, _held_out(gallery, cast, fold == held)])
    return calibrate_hybrid_margin(scores) if len(scores) >= FIGURES else UNCALIBRATED


def _held_out(gallery: Gallery, cast: Cast, out: np.ndarray) -> np.ndarray:
    """(M, C) scores of the references (R,) ``out`` and of their views, to which they are not known."""
    seen = gallery.vectors[out, None]
    if gallery.views is not None:
        seen = np.concatenate([seen, gallery.views[out]], axis=1)
    vectors = seen.reshape(-1, seen.shape[-1])
    cosines = gallery.character_scores(gallery.form_scores(vectors, np.broadcast_to(out, (len(vectors), len(out)))))
    model = FormClassifier.of(gallery, ~out) if cast.naming.method == CLASSIFIER else None
    if model is None:
        return cosines
    doubted = np.stack([doubts(shares, gallery, cast.naming.slope) for shares in model.log_shares(vectors)])
    return cosines.max(axis=1, keepdims=True) - doubted
