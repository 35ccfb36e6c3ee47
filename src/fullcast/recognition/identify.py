"""Vectors -> names: open-set identification over the cast by its references, and the threshold calibrated on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fullcast.models.base import Embedder
from fullcast.records import UNKNOWN, Cast
from fullcast.store.errors import FullcastError

SCORINGS = {"top1": 1, "top3": 3, "top5": 5, "mean": 10**9}
"""Similarity to a form: mean cosine to its k nearest references. Which k, leave-one-out on the references decides."""
PRIOR_WEIGHT = 4
"""The embedder's own threshold counts as much as this many characters: a cast of two says little about strangers."""
TWINS = 0.7
"""How far twins of the cast stand for strangers when people are labelled (docs/experiments.md)."""
DEFAULT_SLOPE = 20.0
"""What a unit of cosine is worth in nats where the references do not say."""

SLOPES = (5.0, 60.0)
"""Where references part perfectly their spread says little: no single face is worth more than that."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom one vector was taken for."""

    character: str
    """Name in the cast, or ``unknown``."""
    form: str
    score: float
    """Cosine to the nearest character, also when that was not near enough."""
    margin: float
    """score minus that of the second character; the score itself in a cast of one."""
    scores: tuple[float, ...] = ()
    """Similarity to each character, in the order of ``cast.names``; less what a classifier doubts, where one names."""
    cosines: tuple[float, ...] = ()
    """The similarities alone, where ``scores`` are not."""


@dataclass(frozen=True, slots=True)
class Gallery:
    """The references of a cast, ready to be compared with."""

    names: tuple[str, ...]
    forms: tuple[tuple[int, str], ...]
    """(index into names, form's name): the columns of `form_scores`."""
    vectors: np.ndarray
    """(R, D) float32 unit vectors."""
    owners: np.ndarray
    """(R,) index into forms."""
    scoring: str = "top3"
    views: np.ndarray | None = None
    """(R, V, D) the references as a show might hold them, if the cast has them of all."""

    @staticmethod
    def of(cast: Cast, scoring: str | None = None) -> Gallery:
        """`scoring`: None takes the cast's own, or chooses by leave-one-out where it has none.

        Raises FullcastError if a form has no references.
        """
        scoring = scoring or cast.naming.scoring or None
        forms: list[tuple[int, str]] = []
        vectors: list[np.ndarray] = []
        views: list[np.ndarray] = []
        owners: list[int] = []
        for index, character in enumerate(cast.characters):
            for form in character.forms:
                if form.references is None or not len(form.references):
                    raise FullcastError(f"{character.name} ({form.name or 'plain'}) has no references in the cast file")
                owners += [len(forms)] * len(form.references)
                forms.append((index, form.name))
                vectors.append(form.references)
                views += [] if form.views is None else [form.views]
        if not vectors:
            raise FullcastError("the cast is empty: nobody can be recognised; build it from a folder of references")
        stacked = _unit(np.concatenate(vectors))
        seen = _unit(np.concatenate(views)) if len(views) == len(vectors) else None
        gallery = Gallery(cast.names, tuple(forms), stacked, np.array(owners), scoring or "top3", seen)
        return gallery if scoring else gallery.with_scoring(best_scoring(gallery))

    def with_scoring(self, scoring: str) -> Gallery:
        return replace(self, scoring=scoring)

    @property
    def character_of(self) -> np.ndarray:
        """(R,) index into names of each reference."""
        return np.array([character for character, _ in self.forms])[self.owners]

    def form_scores(self, vectors: np.ndarray, hidden: np.ndarray | None = None) -> np.ndarray:
        """(N, F) similarity of each vector to each form; -1 where nothing of the form may be looked at.

        vectors: (N, D) unit. hidden: (N, R) bool, references that vector n must not see (leave-one-out).
        """
        cosine = vectors @ self.vectors.T
        if hidden is not None:
            cosine = np.where(hidden, -np.inf, cosine)
        k = SCORINGS[self.scoring]
        columns = []
        for form in range(len(self.forms)):
            best = -np.sort(-cosine[:, self.owners == form], axis=1)[:, :k]
            seen = np.isfinite(best)
            total = np.where(seen, best, 0).sum(axis=1)
            columns.append(np.where(seen.any(axis=1), total / np.maximum(1, seen.sum(axis=1)), -1.0))
        return np.stack(columns, axis=1)

    def character_scores(self, form_scores: np.ndarray) -> np.ndarray:
        """(N, C): the best form of each character."""
        character = np.array([index for index, _ in self.forms])
        return np.stack([form_scores[:, character == c].max(axis=1) for c in range(len(self.names))], axis=1)

    def best_form(self, form_scores: np.ndarray, character: int) -> str:
        """Name of the likeliest form of a character; form_scores: (F,)."""
        mine = [f for f, (index, _) in enumerate(self.forms) if index == character]
        return self.forms[max(mine, key=lambda f: form_scores[f])][1]


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Of length 1 again: they were stored in half precision."""
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)).astype(np.float32)


def identify(vectors: np.ndarray, gallery: Gallery, threshold: float, margin: float = 0.0) -> list[Identity]:
    """Each vector by itself: the nearest character, or unknown below `threshold` or with less than `margin`."""
    forms = gallery.form_scores(vectors)
    characters = gallery.character_scores(forms)
    return [identity_of(c, f, gallery, threshold, margin) for c, f in zip(characters, forms, strict=True)]


def identity_of(
    scores: np.ndarray,
    form_scores: np.ndarray,
    gallery: Gallery,
    threshold: float,
    margin: float = 0.0,
    chosen: int | None = None,
) -> Identity:
    """scores: (C,), form_scores: (F,). `chosen`: the character that an assignment decided on, -1 for unknown."""
    order = np.argsort(-scores, kind="stable")
    gap = float(scores[order[0]] - scores[order[1]]) if len(order) > 1 else float(scores[order[0]])
    if chosen is None:
        chosen = int(order[0]) if scores[order[0]] >= threshold and gap >= margin else -1
    who = int(order[0]) if chosen < 0 else chosen
    others = np.delete(scores, who)
    return Identity(
        character=UNKNOWN if chosen < 0 else gallery.names[chosen],
        form="" if chosen < 0 else gallery.best_form(form_scores, chosen),
        score=float(scores[who]),
        margin=float(scores[who] - others.max()) if len(others) else float(scores[who]),
        scores=tuple(float(s) for s in scores),
    )


def require_embedder(cast: Cast, embedder: Embedder) -> None:
    """Raises FullcastError when the cast's references were made by another network: such cosines mean nothing."""
    if cast.embedder != embedder.name:
        raise FullcastError(
            f"the cast of {cast.show or 'this show'} was embedded by {cast.embedder or 'nobody'}, not by "
            f"{embedder.name}; build it again from its references with this embedder: fullcast prepare"
        )


# ------------------------------------------------------------------------------------------------- calibration


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the references say about themselves."""

    scoring: str
    threshold: float
    accuracy: float
    """Leave-one-out, over views: share named right in a closed set, mean over characters; nan: one reference each."""
    accepted: float
    """Of the same, share at or above the threshold."""
    rejected: float
    """Share of strangers below it: each character in turn left out of the cast, and the strangers given."""
    num_references: int
    num_strangers: int
    slope: float = DEFAULT_SLOPE
    """Nats of evidence per unit of cosine."""


def best_scoring(gallery: Gallery, views: Sequence[np.ndarray] = ()) -> str:
    """The scoring of the highest leave-one-out accuracy over forms; of equals the first of top3, top5, mean, top1."""
    order = ("top3", "top5", "mean", "top1")
    accuracy = {name: np.nan_to_num(_loo(gallery.with_scoring(name), views)[2]) for name in order}
    return max(order, key=lambda name: (round(accuracy[name], 6), -order.index(name)))


def calibrate(
    gallery: Gallery,
    prior: float,
    views: Sequence[np.ndarray] = (),
    strangers: np.ndarray | None = None,
    twins: float = TWINS,
) -> Calibration:
    """The threshold that best parts one's own references from everybody else's, leaning on the embedder's own.

    views: each (R, D), the references as a show might hold them (`embed.degraded`); strangers: (S, D). Accepting and
    refusing weigh the same, and so does every character. `prior`: the embedder's threshold (cosine).
    `twins`: how far twins within the cast stand for strangers, 0 not at all, 1 as much as anybody (`_without_twins`).
    """
    own, own_group, accuracy = _loo(gallery, views)
    left_out = _left_out(gallery, views)
    given = np.zeros(0)
    if strangers is not None and len(strangers):
        given = gallery.character_scores(gallery.form_scores(strangers)).max(axis=1)
    every, plain = (
        (np.concatenate([scores, given]), np.concatenate([groups, len(gallery.names) + np.arange(len(given))]))
        for scores, groups in (left_out, _without_twins(*left_out, prior))
    )
    ways = ((twins, every), (1 - twins, plain))
    threshold = sum(weight * _parting(own, own_group, *foreign, prior) for weight, foreign in ways)
    foreign, foreign_group = every if twins else plain
    accepted = _weights(own_group) @ (own >= threshold) if len(own) else float("nan")
    rejected = _weights(foreign_group) @ (foreign < threshold) if len(foreign) else float("nan")
    return Calibration(
        gallery.scoring,
        float(threshold),
        accuracy,
        float(accepted),
        float(rejected),
        len(gallery.vectors),
        len(given),
        _slope(own, foreign),
    )


def _parting(
    own: np.ndarray, own_group: np.ndarray, foreign: np.ndarray, foreign_group: np.ndarray, prior: float
) -> float:
    """What parts the two best, mixed with the prior; the prior alone where there is nothing to part."""
    if not (len(own) and len(foreign)):
        return prior
    best, count = _balanced(own, _weights(own_group), foreign, _weights(foreign_group)), len(np.unique(foreign_group))
    return (count * best + PRIOR_WEIGHT * prior) / (count + PRIOR_WEIGHT)


def _slope(own: np.ndarray, foreign: np.ndarray) -> float:
    """Log odds per unit of score between two normal distributions of one variance: (m1 - m0) / s^2."""
    if len(own) < 2 or len(foreign) < 2:
        return DEFAULT_SLOPE
    variance = (own.var() * len(own) + foreign.var() * len(foreign)) / (len(own) + len(foreign))
    return float(np.clip((own.mean() - foreign.mean()) / max(1e-6, variance), *SLOPES))


def _loo(gallery: Gallery, views: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, float]:
    """Every reference and view against the others: (M,) score of its own character, (M,) that character, accuracy.

    Accuracy is of the form, mean over forms with two references or more; nan without any.
    """
    hidden = np.eye(len(gallery.vectors), dtype=bool)
    counts = np.bincount(gallery.owners, minlength=len(gallery.forms))
    tested = counts[gallery.owners] > 1
    if not tested.any():
        return np.zeros(0), np.zeros(0, dtype=int), float("nan")
    own, right = [], []
    for view in (gallery.vectors, *views):
        forms = gallery.form_scores(view, hidden)
        characters = gallery.character_scores(forms)
        own.append(characters[np.arange(len(view)), gallery.character_of][tested])
        right.append((forms.argmax(axis=1) == gallery.owners)[tested])
    repeats = 1 + len(views)
    accuracy = _weights(np.tile(gallery.owners[tested], repeats)) @ np.concatenate(right)
    return np.concatenate(own), np.tile(gallery.character_of[tested], repeats), float(accuracy)


def _left_out(gallery: Gallery, views: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(M,) best score of every reference and view in a cast that does not know its character, (M,) that character."""
    if len(gallery.names) < 2:
        return np.zeros(0), np.zeros(0, dtype=int)
    hidden = gallery.character_of[:, None] == gallery.character_of
    scores = [
        gallery.character_scores(gallery.form_scores(view, hidden)).max(axis=1) for view in (gallery.vectors, *views)
    ]
    return np.concatenate(scores), np.tile(gallery.character_of, 1 + len(views))


def _without_twins(scores: np.ndarray, groups: np.ndarray, prior: float) -> tuple[np.ndarray, np.ndarray]:
    """Without characters whom the cast that does not know them takes for another one in half of their views or more, by
    the embedder's own threshold. All of them again where nobody is left.

    With two pairs of twins the threshold rises from 0.38 to 0.61. Some of that is right for labels: a stranger who
    passes for a member spoils the training, and an extra may be somebody's twin; all of it refuses members (`TWINS`). A
    judge that refuses true people fails whole scenes: the order of scores tells twins apart, not the threshold.
    """
    twins = [group for group in np.unique(groups) if np.median(scores[groups == group]) >= prior]
    kept = ~np.isin(groups, twins)
    return (scores[kept], groups[kept]) if kept.any() else (scores, groups)


def _weights(groups: np.ndarray) -> np.ndarray:
    """(M,) weights, sum 1, every group as much as any other."""
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return 1 / (counts[inverse] * len(counts)) if len(groups) else np.zeros(0)


def _balanced(own: np.ndarray, own_weight: np.ndarray, foreign: np.ndarray, foreign_weight: np.ndarray) -> float:
    """The middle of the first widest stretch of thresholds at which accepted + refused is highest."""
    values = np.unique(np.concatenate([own, foreign]))
    if len(values) < 2:
        return float(values[0])
    middles = (values[1:] + values[:-1]) / 2
    total = np.array([own_weight @ (own >= t) + foreign_weight @ (foreign < t) for t in middles])
    best = np.flatnonzero(total >= total.max() - 1e-9)
    widest = max(best, key=lambda i: values[i + 1] - values[i])
    return float(middles[widest])
