"""Two ways from a vector to a character and a form, and the choice between them on held-out references.

nearest     the mean cosine to the nearest references of each form (`identify.Gallery`);
classifier  the seed's own way: a few-shot classifier trained on the references, here a multinomial logistic regression
            on frozen embeddings, which sees each reference also small, dark and half hidden.

Whether somebody is in the cast at all, the cosine says in both cases: a classifier that has seen the cast alone gives
a stranger to somebody. In the cast, the classifier weighs the few directions that part near-twins and forms of one
character higher than the many in which they are alike.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import log_softmax

from fullcast.recognition.identify import Gallery, Identity, identify, identity_of
from fullcast.records import Naming

NEAREST, CLASSIFIER = "nearest", "classifier"

FOLDS = 5
"""Parts into which each form's references are cut; one is held out at a time."""

STRENGTH = 100.0
"""C of the logistic regression on unit vectors: ten times less or more moves held-out accuracy by less than 0.01."""

MAX_DOUBT = 0.5
"""A character that the classifier finds impossible loses this much cosine, and no more: it is not always right."""


@dataclass(frozen=True, slots=True)
class FormClassifier:
    """A linear classifier over the forms of a cast."""

    weights: np.ndarray
    """(F, D)."""
    bias: np.ndarray
    """(F,)."""

    @staticmethod
    def of(gallery: Gallery, used: np.ndarray | None = None) -> FormClassifier | None:
        """Trained on the references (R,) `used` (None: all) and their views; None when they show one form only."""
        rows = np.arange(len(gallery.vectors)) if used is None else np.flatnonzero(used)
        seen = gallery.vectors[rows, None]
        if gallery.views is not None:
            seen = np.concatenate([seen, gallery.views[rows]], axis=1)
        owners = np.repeat(gallery.owners[rows], seen.shape[1])
        if len(np.unique(owners)) < 2:
            return None
        return _fit(seen.reshape(-1, seen.shape[-1]), owners, len(gallery.forms))

    def log_shares(self, vectors: np.ndarray) -> np.ndarray:
        """(N, F) natural logarithm of each form's probability, given that it is one of them; vectors: (N, D)."""
        return log_softmax(vectors @ self.weights.T + self.bias, axis=1)


def _fit(vectors: np.ndarray, owners: np.ndarray, num_forms: int) -> FormClassifier:
    """Every form counts the same, however many references it has; a form without any has no chance."""
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # stopping early is as good: the data are few, the penalty is weak
        model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=300, tol=1e-3)
        model.fit(vectors, owners)
    weights = np.zeros((num_forms, vectors.shape[1]))
    bias = np.full(num_forms, -1e3)
    if len(model.classes_) == 2:  # one row says both
        weights[model.classes_] = np.concatenate([-model.coef_, model.coef_]) / 2
        bias[model.classes_] = np.concatenate([-model.intercept_, model.intercept_]) / 2
    else:
        weights[model.classes_], bias[model.classes_] = model.coef_, model.intercept_
    return FormClassifier(weights, bias)


def choose_method(gallery: Gallery, slope: float, of_equals: str = NEAREST) -> Naming:
    """The way that names more held-out references right, form included, every form counting the same.

    Each reference is shown as it is and in its views to a model that has seen neither. A few dozen references tell the
    two apart by a standard error or not at all: where the nearest references lead by less than one, the classifier is
    taken, for it parts a character's own forms better (docs/people.md). Where both give the same answers it is
    `of_equals`: the nearest references need no training. Forms with one reference cannot be tested and take no part.
    """
    counts = np.bincount(gallery.owners, minlength=len(gallery.forms))
    rank = np.array([int((gallery.owners[:i] == owner).sum()) for i, owner in enumerate(gallery.owners)])
    fold = np.where(counts[gallery.owners] > 1, rank % FOLDS, -1)
    right: dict[str, list[np.ndarray]] = {NEAREST: [], CLASSIFIER: []}
    tested: list[np.ndarray] = []
    leads: list[np.ndarray] = []  # of each reference: how much more of its views the nearest references name right
    for held in range(FOLDS):
        out = fold == held
        model = FormClassifier.of(gallery, ~out) if out.any() else None
        if model is None:
            continue
        queries = _with_views(gallery, out)
        owners = np.repeat(gallery.owners[out], len(queries) // int(out.sum()))
        hidden = np.broadcast_to(out, (len(queries), len(out)))
        right[NEAREST].append(gallery.form_scores(queries, hidden).argmax(axis=1) == owners)
        right[CLASSIFIER].append(model.log_shares(queries).argmax(axis=1) == owners)
        tested.append(owners)
        both = [
            right[name][-1].astype(float).reshape(int(out.sum()), -1).mean(axis=1) for name in (NEAREST, CLASSIFIER)
        ]
        leads.append(both[0] - both[1])
    if not tested:
        return Naming(NEAREST, slope)
    owners = np.concatenate(tested)
    shares = {
        name: float(np.mean([np.concatenate(hits)[owners == f].mean() for f in np.unique(owners)]))
        for name, hits in right.items()
    }
    lead = np.concatenate(leads)
    by_chance = float(lead.std() / np.sqrt(len(lead)))
    better = CLASSIFIER if shares[NEAREST] - shares[CLASSIFIER] < by_chance else NEAREST
    better = better if lead.any() else of_equals
    return Naming(better, slope, shares[NEAREST], shares[CLASSIFIER])


def _with_views(gallery: Gallery, rows: np.ndarray) -> np.ndarray:
    """(M, D) the references of `rows` and their views, reference by reference."""
    seen = gallery.vectors[rows, None]
    if gallery.views is not None:
        seen = np.concatenate([seen, gallery.views[rows]], axis=1)
    return seen.reshape(-1, seen.shape[-1])


def doubts(log_shares: np.ndarray, gallery: Gallery, slope: float) -> np.ndarray:
    """(C,) cosine that each character loses by what the classifier says; 0 for the likeliest, at most MAX_DOUBT.

    log_shares: (F,) of one figure. A character is as likely as all its forms together.
    """
    of_form = np.array([index for index, _ in gallery.forms])
    likely = np.array([np.logaddexp.reduce(log_shares[of_form == c]) for c in range(len(gallery.names))])
    return np.minimum(MAX_DOUBT, (likely.max() - likely) / slope)


def identify_by(
    vectors: np.ndarray, gallery: Gallery, model: FormClassifier | None, slope: float, threshold: float
) -> list[Identity]:
    """Each vector by itself; vectors: (N, D) unit. Without a classifier its nearest references decide.

    With one: whether it is anybody of the cast says the highest cosine, who of them says the classifier. A character's
    score is that cosine less what the classifier doubts. Near-twins of 22 px in true pictures: heads right 0.951 by the
    nearest references, 0.995 by the classifier (n = 597; docs/experiments.md).
    """
    if model is None:
        return identify(vectors, gallery, threshold)
    cosines = gallery.character_scores(gallery.form_scores(vectors))
    answers = []
    for cosine, shares in zip(cosines, model.log_shares(vectors), strict=True):
        scores = cosine.max() - doubts(shares, gallery, slope)
        chosen = int(scores.argmax()) if scores.max() >= threshold else -1
        named = identity_of(scores, shares, gallery, threshold, chosen=chosen)
        answers.append(replace(named, cosines=tuple(float(c) for c in cosine)))
    return answers


def method_words(naming: Naming) -> str:
    """One line for people: which way was taken, and what both reached."""
    if np.isnan(naming.classifier):
        return "names by the nearest references (too few references to hold some out and compare)"
    names = {NEAREST: "the nearest references", CLASSIFIER: "a classifier trained on the references"}
    return (
        f"names by {names[naming.method]}; of held-out references right: nearest {naming.nearest:.3f}, "
        f"classifier {naming.classifier:.3f}"
    )
