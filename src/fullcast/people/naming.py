"""The whole-show stage: who everybody is. Reads embeddings and tracks, never pixels, and is computed anew each time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fullcast.people.config import PeopleConfig
from fullcast.people.habits import Habits
from fullcast.people.tracks import track_people
from fullcast.people.trust import trusts, with_marks
from fullcast.recognition.assign import assign_together
from fullcast.recognition.identify import Gallery, Identity, identity_of
from fullcast.recognition.methods import CLASSIFIER, FormClassifier, doubts
from fullcast.records import UNKNOWN, Cast, Image, Person


def name_people(people: Iterable[Person], images: Iterable[Image], cast: Cast, config: PeopleConfig) -> list[Person]:
    """The same people in the same order with track, character, form, score and margin.

    Every figure is compared with every form's references, and asked of the classifier if the cast is named by one.
    The answers of a track are averaged over its appearances (large heads in full view count more), so that it gets
    one name; inside each shot names are given to tracks so that nobody comes twice in a picture and the total is
    highest; below the threshold everybody is ``unknown``. Who was seen with whom may then tip what was doubtful
    (`config.companions`). The form is the likeliest of the character that was chosen, again over the whole track.
    Score and margin are cosines. The embeddings must be those of `cast.embedder`; a cast of nobody leaves everybody
    unknown.
    """
    images = list(images)
    people = with_marks(track_people(people, images, config), images, config)
    unknown = [_named(person, Identity(UNKNOWN, "", 0.0, 0.0)) for person in people]
    if not cast.characters:
        return unknown
    gallery = Gallery.of(cast)
    threshold = cast.threshold if config.threshold is None else config.threshold
    shot_of = {image.id: image.shot_id or image.id for image in images}
    scored = _score(people, gallery, cast, config)
    groups = [group for g in _by_shot(people, shot_of) if (group := _evidence(g, people, scored, gallery, cast))]
    chosen = [_choose(group, threshold) for group in groups]
    if config.companions:
        habits = Habits.of([{int(c) for c in names if c >= 0} for names in chosen], len(gallery.names))
        chosen = [
            _choose(group, threshold, habits.worth(names, cast.naming.slope))
            for group, names in zip(groups, chosen, strict=True)
        ]
    for group, names in zip(groups, chosen, strict=True):
        for t, members in enumerate(group.tracks):
            who = identity_of(group.cosines[t], group.forms[t], gallery, threshold, chosen=int(names[t]))
            for index in members:
                unknown[index] = _named(people[index], who)
    return unknown


@dataclass(frozen=True, slots=True)
class _Scores:
    """Of all people; rows of nobody-to-ask hold nan."""

    forms: np.ndarray
    """(P, F) cosine."""
    shares: np.ndarray | None
    """(P, F) log probabilities of the classifier; None: the cast is named by the nearest references."""
    trust: np.ndarray
    """(P,) in [0, 1]; 0: has no say."""


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What speaks for whom in one shot, or in one picture that belongs to none."""

    tracks: list[list[int]]
    """Indices of the people of each track."""
    cosines: np.ndarray
    """(T, C)."""
    scores: np.ndarray
    """(T, C) cosines, less what the classifier doubts."""
    forms: np.ndarray
    """(T, F), the higher the likelier; comparable inside a track and a character only."""
    pictures: list[list[int]]
    """The tracks in each picture."""


def _score(people: Sequence[Person], gallery: Gallery, cast: Cast, config: PeopleConfig) -> _Scores:
    trust = trusts(people, config)
    forms = np.full((len(people), len(gallery.forms)), np.nan, dtype=np.float32)
    model = FormClassifier.of(gallery) if cast.naming.method == CLASSIFIER else None
    shares = None if model is None else np.full_like(forms, np.nan)
    asked = [int(i) for i in np.flatnonzero(trust)]
    if len(asked):
        vectors = np.stack([vector for i in asked if (vector := people[i].embedding) is not None])
        forms[asked] = gallery.form_scores(vectors)
        if model is not None and shares is not None:
            shares[asked] = model.log_shares(vectors)
    return _Scores(forms, shares, trust)


def _by_shot(people: Sequence[Person], shot_of: Mapping[str, str]) -> list[list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index, person in enumerate(people):
        groups[shot_of.get(person.image_id, person.image_id)].append(index)
    return list(groups.values())


def _evidence(
    group: Sequence[int], people: Sequence[Person], scored: _Scores, gallery: Gallery, cast: Cast
) -> _Evidence | None:
    """None: nobody there can be asked."""
    tracks: dict[str, list[int]] = defaultdict(list)
    for index in group:
        if scored.trust[index] or people[index].track_id:
            tracks[people[index].track_id or people[index].id].append(index)
    members = [m for m in tracks.values() if scored.trust[m].any()]
    if not members:
        return None
    forms = np.stack([_average(scored.forms[m], scored.trust[m]) for m in members])
    cosines = scores = gallery.character_scores(forms)
    if scored.shares is not None:
        forms = np.stack([_average(scored.shares[m], scored.trust[m]) for m in members])
        scores = cosines - np.stack([doubts(row, gallery, cast.naming.slope) for row in forms])
    pictures: dict[str, list[int]] = defaultdict(list)
    for t, m in enumerate(members):
        for index in m:
            pictures[people[index].image_id].append(t)
    return _Evidence(members, cosines, scores, forms, list(pictures.values()))


def _choose(group: _Evidence, threshold: float, worth: np.ndarray | float = 0.0) -> np.ndarray:
    """(T,) index of each track's character or -1; `worth`: (T, C) cosine added for who else is there.

    Company decides between names only, never between a name and unknown: strangers keep company too.
    """
    weights = np.array([float(len(m)) for m in group.tracks])
    tipped = np.maximum(threshold, group.scores + worth)
    scores = np.where(group.scores >= threshold, tipped, group.scores)
    return assign_together(scores, threshold, weights, group.pictures)


def _average(scores: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """(F,): mean over a track's appearances, weighted by trust; scores: (M, F) with nan where trust is 0."""
    return (np.nan_to_num(scores) * trust[:, None]).sum(axis=0) / trust.sum()


def _named(person: Person, who: Identity) -> Person:
    return replace(person, character=who.character, form=who.form, identity_score=who.score, identity_margin=who.margin)
