"""How many people a picture holds: what was found against what the tagger, or the file's own tags, say.

The people found are the count, here as everywhere. Where the words say otherwise the picture goes to review, and until
somebody has looked its captions do not state a number: a wrong one taught often is how a model fails to count.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from fullcast.captions.tagging import Words, plain
from fullcast.records import Image, Person

_NUMBERED = re.compile(r"(\d+)(\+?) ?(girl|boy|other|person|people)s?")
_SEVERAL = re.compile(r"(multiple|many) (girl|boy|other|people|person)s?")
ALONE = frozenset({"solo"})
"""Not "solo focus", which boards say of one among several: it states no number."""
NOBODY = frozenset({"no humans", "no people"})
CROWD = frozenset({"crowd", "group"})
CROWD_PEOPLE = 6
"""From here on the tags stop to count ("6+girls")."""


@dataclass(frozen=True, slots=True)
class CountCheck:
    """One picture's people, counted twice."""

    image_id: str
    people: int
    """Found."""
    low: int
    """At least so many say the words."""
    high: int
    """At most; -1: no limit was said."""
    probability: float
    """Of the weakest word that this rests on, in [0, 1]; 1 for words that came with the file."""
    tags: tuple[str, ...] = ()
    confirmed: bool = False
    """A person has looked at the picture since."""

    @property
    def agrees(self) -> bool:
        return self.confirmed or (self.people >= self.low and (self.high < 0 or self.people <= self.high))


def check_counts(
    images: Iterable[Image], people: Iterable[Person], words: Iterable[Words], looked_at: Collection[str] = ()
) -> list[CountCheck]:
    """A row for each used picture whose words say how many there are; ``looked_at``: ids that a person confirmed."""
    found = Counter(person.image_id for person in people)
    said = {entry.item: dict(zip(entry.tags, entry.probabilities, strict=True)) for entry in words}
    checks = []
    for image in images:
        if image.dropped:
            continue
        own = {plain(tag): 1.0 for tag in image.tags}
        told = count_in(own) or count_in({plain(tag): p for tag, p in said.get(image.id, {}).items()})
        if told is not None:
            low, high, probability, tags = told
            checks.append(CountCheck(image.id, found[image.id], low, high, probability, tags, image.id in looked_at))
    return checks


def count_in(tags: Mapping[str, float]) -> tuple[int, int, float, tuple[str, ...]] | None:
    """(low, high or -1, probability, the words it rests on) of tags with probabilities; None: they do not say.

    Girls, boys and others are added up, each by its likeliest number. ``solo``, ``no humans`` and crowds are opinions
    of their own; the likeliest opinion counts.
    """
    opinions: list[tuple[float, int, int, tuple[str, ...]]] = []
    for names, low, high in ((ALONE, 1, 1), (NOBODY, 0, 0), (CROWD, 3, -1)):
        for tag in names & tags.keys():
            opinions.append((tags[tag], low, high, (tag,)))
    if (summed := _summed(tags)) is not None:
        opinions.append(summed)
    if not opinions:
        return None
    probability, low, high, used = max(opinions, key=lambda o: (o[0], -o[1], o[3]))
    return low, high, probability, used


def _summed(tags: Mapping[str, float]) -> tuple[float, int, int, tuple[str, ...]] | None:
    best: dict[str, tuple[bool, float, int, int, str]] = {}
    for tag, probability in tags.items():
        told = _of_kind(tag)
        if told is not None:
            kind, low, high = told
            # A number says more than "multiple": it goes first, since both may be true.
            best[kind] = max(best.get(kind, (False, 0.0, 0, 0, "")), (high >= 0, probability, low, high, tag))
    if not best:
        return None
    parts = list(best.values())
    high = -1 if any(part[3] < 0 for part in parts) else sum(part[3] for part in parts)
    used = tuple(sorted(part[4] for part in parts))
    return min(part[1] for part in parts), sum(part[2] for part in parts), high, used


def _of_kind(tag: str) -> tuple[str, int, int] | None:
    """(girl | boy | other, low, high or -1)."""
    if match := _NUMBERED.fullmatch(tag):
        number = int(match[1])
        return match[3], number, -1 if match[2] or number >= CROWD_PEOPLE else number
    if match := _SEVERAL.fullmatch(tag):
        return match[2], 2, -1
    return None


def disagreement(check: CountCheck) -> float:
    """How doubtful the number of people is, in [0, 1]: 0 where both counts agree."""
    return 0.0 if check.agrees else check.probability
