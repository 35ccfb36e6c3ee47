"""What a person should look at, most doubtful first: names by the odds of the calibration, the rest by rules of thumb.

A track is one item: it carries one name, and one word settles all of its frames.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from fullcast.journey.deciding import decide_people, decided_ids
from fullcast.journey.preparing import Prepared, read_prepared
from fullcast.journey.wording import read_about_captions
from fullcast.records import UNKNOWN, Cast, Image, Person
from fullcast.store.decisions import read_log

if TYPE_CHECKING:
    from fullcast.captions.count import CountCheck
    from fullcast.journey import Journey

TWICE = 0.9
"""Doubt of a picture that shows one character twice: nearly always one of the two is somebody else."""

HEADLESS = 0.2
"""Doubt of a figure whose head was not seen: nobody could be asked, and a cast member from behind is no stranger."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to look at."""

    number: int
    scope: Literal["track", "person", "picture"]
    ref: str
    """``track:ID``, a person's id, or ``picture:ID``: what the verbs take as well as the number."""
    doubt: float
    """Chance that it is wrong, in [0, 1]: calibrated for names, a rule of thumb for the rest."""
    reason: str
    name: str
    """As it stands now."""
    people: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()


# ---------------------------------------------------------------------------------------------- what to look at


def queue(journey: Journey, ready: Prepared | None = None) -> list[Item]:
    """Everything that is in use and that nobody has looked at yet, most doubtful first."""
    ready = ready or read_prepared(journey)
    log = read_log(journey.workspace.review_log)
    looked_at = decided_ids(decide_people(ready.people, ready.images, ready.cast, log))
    counts, _ = read_about_captions(journey.workspace)
    threshold = journey.recipe.people.threshold
    return rank(ready, counts, looked_at, ready.cast.threshold if threshold is None else threshold)


def rank(
    ready: Prepared, counts: Iterable[CountCheck], looked_at: Iterable[str], threshold: float | None = None
) -> list[Item]:
    """The same of given tables; ``looked_at``: ids of people and pictures that are no question any more."""
    looked_at = frozenset(looked_at)
    threshold = ready.cast.threshold if threshold is None else threshold
    used = {image.id: image for image in ready.images if not image.dropped}
    people = [p for p in ready.people if p.image_id in used]
    items = [
        *_figures([p for p in people if p.id not in looked_at], ready.cast, threshold),
        *_twice([p for p in people if p.image_id not in looked_at]),
        *_counts((c for c in counts if c.image_id in used and c.image_id not in looked_at), used),
    ]
    items.sort(key=lambda item: (-item.doubt, item.ref))
    return [replace(item, number=number) for number, item in enumerate(items, 1)]


def doubt_of(person: Person, cast: Cast, threshold: float) -> tuple[float, str]:
    """(chance that the name is wrong, why): the odds of the calibration, at the nearest border of another answer."""
    if person.head_xyxy is None or (person.identity_score == 0 and person.character == UNKNOWN):
        return HEADLESS, "its head was not seen, or is too small: nobody was asked"
    over = person.identity_score - threshold
    if person.character == UNKNOWN:
        return _chance(-over, cast), f"unknown, {-over:+.2f} under the threshold"
    if over < person.identity_margin:
        return _chance(over, cast), f"{over:+.2f} over the threshold"
    return _chance(person.identity_margin, cast), f"{person.identity_margin:+.2f} before the next character"


def form_gaps(people: Iterable[Person], cast: Cast) -> dict[str, float]:
    """Person id -> cosine of its form less that of the nearest other form of the character, where there are several."""
    from fullcast.recognition.identify import Gallery

    looks = {(c.name, form.name) for c in cast.characters if len(c.forms) > 1 for form in c.forms}
    asked = [p for p in people if (p.character, p.form) in looks and p.embedding is not None]
    if not asked or any(form.references is None for c in cast.characters for form in c.forms):
        return {}
    gallery = Gallery.of(cast)
    scores = gallery.form_scores(np.stack([p.embedding for p in asked if p.embedding is not None]))
    gaps = {}
    for person, row in zip(asked, scores, strict=True):
        own = [
            (gallery.forms[f][1], row[f])
            for f in range(len(row))
            if gallery.names[gallery.forms[f][0]] == person.character
        ]
        mine = max(score for form, score in own if form == person.form)
        gaps[person.id] = float(mine - max(score for form, score in own if form != person.form))
    return gaps


def _chance(distance: float, cast: Cast) -> float:
    return 1 / (1 + math.exp(min(50.0, max(-50.0, cast.naming.slope * distance))))


def _figures(people: Sequence[Person], cast: Cast, threshold: float) -> list[Item]:
    """One item for each track, and for each figure without one."""
    groups: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        groups[f"track:{person.track_id}" if person.track_id else person.id].append(person)
    items = []
    gaps = form_gaps(people, cast)
    for ref, group in groups.items():
        asked = [_of_name_or_form(person, cast, threshold, gaps) for person in group]
        known = [pair for pair in asked if pair[0] != HEADLESS] or asked
        name, why = sum(doubt for doubt, _ in known) / len(known), max(known)[1]
        # Detectors understate themselves: on a pocket show 5 % of boxes at confidence 0.5 to 0.7 were nobody, 1.5 %
        # above; squared, 1 - confidence says 16 % and 2 %.
        seen = (1 - min(1.0, max(person.confidence for person in group))) ** 2
        doubt, reason = max((name, why), (seen, "a weak detection: is it a person?"))
        order = sorted(group, key=lambda p: -_of_name_or_form(p, cast, threshold, gaps)[0])
        scope: Literal["track", "person"] = "track" if ref.startswith("track:") else "person"
        ids = tuple(p.id for p in order)
        items.append(
            Item(0, scope, ref, round(doubt, 4), reason, order[0].name, ids, _unique(p.image_id for p in order))
        )
    return items


def _of_name_or_form(person: Person, cast: Cast, threshold: float, gaps: Mapping[str, float]) -> tuple[float, str]:
    doubt = doubt_of(person, cast, threshold)
    if person.id not in gaps:
        return doubt
    return max(doubt, (_chance(gaps[person.id], cast), f"{gaps[person.id]:+.2f} before the other look"))


def _twice(people: Sequence[Person]) -> list[Item]:
    """Pictures with a character in two figures; a character's other form counts as the same one."""
    seen: dict[tuple[str, str], list[Person]] = defaultdict(list)
    for person in people:
        if person.character not in ("", UNKNOWN):
            seen[person.image_id, person.character].append(person)
    return [
        Item(0, "picture", f"picture:{image_id}", TWICE, f"{who} is here {len(group)} times", who,
             tuple(p.id for p in group), (image_id,))
        for (image_id, who), group in seen.items()
        if len(group) > 1
    ]  # fmt: skip


def _counts(checks: Iterable[CountCheck], images: Mapping[str, Image]) -> list[Item]:
    """Drawings of one shot miscount alike: after the first each is half as urgent as the one before."""
    from fullcast.captions.count import disagreement

    items = []
    alike: dict[tuple[str, int, int], int] = defaultdict(int)
    for check in sorted(checks, key=lambda c: (-disagreement(c), c.image_id)):
        doubt = disagreement(check)
        if doubt:
            case = images[check.image_id].shot_id or check.image_id, check.people, check.low
            doubt *= 0.5 ** alike[case]
            alike[case] += 1
            said = f"{check.low} or more" if check.high < 0 else f"{check.low}"
            reason = f"{check.people} people found, the tags say {said}: {', '.join(check.tags)}"
            ref = f"picture:{check.image_id}"
            items.append(
                Item(0, "picture", ref, round(doubt, 4), reason, f"{check.people} people", (), (check.image_id,))
            )
    return items


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
