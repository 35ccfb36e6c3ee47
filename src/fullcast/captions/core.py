"""Core traits: what a name absorbs, so that the trigger word means it and captions need not say it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fullcast.captions.config import CaptionsConfig
from fullcast.captions.vocabulary import kind_of, without_overlaps
from fullcast.records import UNKNOWN, Cast, Person


@dataclass(frozen=True, slots=True)
class TraitCount:
    """How often one trait was seen on one look."""

    character: str
    form: str
    tag: str
    seen: int
    crops: int
    """Figures of this look that were alone in their picture."""
    core: bool


def count_traits(people: Iterable[Person], config: CaptionsConfig) -> list[TraitCount]:
    """Every trait of every named look, over the figures that were alone in their picture and have words at all.

    Only they count: on a crop of one of several people a neighbour's hair gets in; so leave out the people of pictures
    that hold more than were found. A trait is core from `core_frequency` on, if there are `core_min_crops` figures to
    tell from.
    """
    by_image: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        by_image[person.image_id].append(person)
    crops: Counter[tuple[str, str]] = Counter()
    seen: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for group in by_image.values():
        person = group[0]
        if len(group) == 1 and person.character not in ("", UNKNOWN) and person.tags:
            look = (person.character, person.form)
            crops[look] += 1
            seen[look].update({tag for tag in person.tags if kind_of(tag) == "trait"})
    return [
        TraitCount(*look, tag, count, crops[look], _is_core(count, crops[look], config))
        for look in sorted(seen)
        for tag, count in sorted(
            seen[look].items(), key=lambda item: (-item[1], item[0])
        )  # a set has no order of its own
    ]


def _is_core(seen: int, crops: int, config: CaptionsConfig) -> bool:
    return crops >= config.core_min_crops and seen >= config.core_frequency * crops


def with_core_tags(cast: Cast, traits: Iterable[TraitCount]) -> Cast:
    """The cast with each form's core tags, commonest first."""
    core: dict[tuple[str, str], list[str]] = defaultdict(list)
    for trait in traits:
        if trait.core:
            core[trait.character, trait.form].append(trait.tag)
    characters = tuple(
        replace(c, forms=tuple(replace(f, tags=tuple(core[c.name, f.name])) for f in c.forms)) for c in cast.characters
    )
    return replace(cast, characters=characters)


def own_tags(person: Person, cast: Cast, config: CaptionsConfig) -> tuple[str, ...]:
    """What captions may say of a figure: its words less what its name absorbs, likeliest first, at most max_own_tags.

    A word goes with a core tag that holds all its words ("hair" with "brown hair") or, for traits, whose words it
    holds all ("long brown hair"). Somebody without a name keeps every word: nothing else says what he looks like.
    """
    tags = person.tags
    if person.character not in ("", UNKNOWN) and config.prune != "none":
        core = [set(tag.split()) for tag in cast.character(person.character).form(person.form).tags]
        tags = tuple(tag for tag in tags if not _absorbed(tag, core, config))
    return without_overlaps(tags)[: config.max_own_tags]


def _absorbed(tag: str, core: list[set[str]], config: CaptionsConfig) -> bool:
    trait = kind_of(tag) == "trait"
    if trait and config.prune == "traits":
        return True
    words = set(tag.split())
    return any(words <= known or (trait and known <= words) for known in core)
