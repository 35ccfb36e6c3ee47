"""The whole-show stage: who everybody is. Reads embeddings and tracks, never pixels, and is computed anew each time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fullcast.people.config import PeopleConfig
from fullcast.people.tracks import track_people
from fullcast.recognition.assign import assign_together
from fullcast.recognition.identify import Gallery, Identity, identity_of
from fullcast.records import UNKNOWN, Cast, Image, Person

FULL_TRUST_PX = 40.0
"""A head of this size or larger counts fully in its track's opinion, a smaller one in proportion."""


def name_people(people: Iterable[Person], images: Iterable[Image], cast: Cast, config: PeopleConfig) -> list[Person]:
    """The same people in the same order with track, character, form, score and margin.

    Every figure is compared with every form's references. The scores of a track are averaged over its appearances
    (larger heads count more), so that it gets one name; inside each shot names are given to tracks so that nobody
    comes twice in a picture and the total is highest; below the threshold everybody is ``unknown``. The form is the
    likeliest of the character that was chosen, again over the whole track. The embeddings must be those of
    `cast.embedder`.
    """
    images = list(images)
    people = track_people(people, images, config)
    gallery = Gallery.of(cast)
    threshold = cast.threshold if config.threshold is None else config.threshold
    shot_of = {image.id: image.shot_id or image.id for image in images}
    scored = _score(people, gallery, config)
    answer = [_named(person, Identity(UNKNOWN, "", 0.0, 0.0)) for person in people]
    for group in _by_shot(people, shot_of):
        for index, person in _name_group(group, people, scored, gallery, threshold):
            answer[index] = person
    return answer


@dataclass(frozen=True, slots=True)
class _Scores:
    """Of all people; rows of nobody-to-ask hold nan."""

    forms: np.ndarray
    """(P, F)."""
    trust: np.ndarray
    """(P,) in [0, 1]; 0: has no say."""


def _score(people: Sequence[Person], gallery: Gallery, config: PeopleConfig) -> _Scores:
    trust = np.array([_trust(person, config) for person in people])
    forms = np.full((len(people), len(gallery.forms)), np.nan, dtype=np.float32)
    asked = np.flatnonzero(trust)
    if len(asked):
        vectors = [vector for person in people if (vector := person.embedding) is not None and _trust(person, config)]
        forms[asked] = gallery.form_scores(np.stack(vectors))
    return _Scores(forms, trust)


def _trust(person: Person, config: PeopleConfig) -> float:
    if person.embedding is None or person.head_xyxy is None:
        return 0.0
    x0, y0, x1, y1 = person.head_xyxy
    side = max(x1 - x0, y1 - y0)
    return 0.0 if side < config.min_head_px else min(1.0, side / FULL_TRUST_PX)


def _by_shot(people: Sequence[Person], shot_of: dict[str, str]) -> list[list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index, person in enumerate(people):
        groups[shot_of.get(person.image_id, person.image_id)].append(index)
    return list(groups.values())


def _name_group(
    group: Sequence[int], people: Sequence[Person], scored: _Scores, gallery: Gallery, threshold: float
) -> list[tuple[int, Person]]:
    """Names for the people of one shot, or of one picture that belongs to none."""
    tracks: dict[str, list[int]] = defaultdict(list)
    for index in group:
        if scored.trust[index] or people[index].track_id:
            tracks[people[index].track_id or people[index].id].append(index)
    members = [m for m in tracks.values() if scored.trust[m].any()]
    if not members:
        return []
    forms = np.stack([_average(scored.forms[m], scored.trust[m]) for m in members])
    characters = gallery.character_scores(forms)
    place = {index: t for t, m in enumerate(members) for index in m}
    pictures: dict[str, list[int]] = defaultdict(list)
    for index, t in place.items():
        pictures[people[index].image_id].append(t)
    weights = np.array([float(len(m)) for m in members])
    chosen = assign_together(characters, threshold, weights, list(pictures.values()))
    named = []
    for t, m in enumerate(members):
        who = identity_of(characters[t], forms[t], gallery, threshold, chosen=int(chosen[t]))
        for index in m:
            named.append((index, _named(people[index], who)))
    return named


def _average(scores: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """(F,): mean over a track's appearances, weighted by trust; scores: (M, F) with nan where trust is 0."""
    return (np.nan_to_num(scores) * trust[:, None]).sum(axis=0) / trust.sum()


def _named(person: Person, who: Identity) -> Person:
    return replace(person, character=who.character, form=who.form, identity_score=who.score, identity_margin=who.margin)
