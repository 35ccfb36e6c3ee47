"""Who is in a pocket show: eight characters, two of them in two hair styles, near-twins among them, and extras."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from fullcast.pocket.looks import (
    ACCESSORIES,
    HAIR,
    HAIR_COLORS,
    SKINS,
    Look,
    jitter,
    random_look,
    split_hair_words,
)
from fullcast.store.seeding import rng as keyed

NAMES = (
    "aoi", "hinata", "mio", "kaede", "sora", "yuki", "rin", "tama", "nana", "emi", "koharu", "mei",
    "riku", "haru", "noa", "sakura", "tomo", "yui", "ken", "momo", "ran", "saki", "toru", "asa",
)  # fmt: skip
NUM_CHARACTERS = 8
SECOND_FORM = "hairdown"
NUM_COLORS = 4
"""Hair colours that the whole cast shares: no colour names anybody."""


@dataclass(frozen=True, slots=True)
class Member:
    """A character: its look in each form ('' first), and how often it is on screen."""

    name: str
    looks: tuple[tuple[str, Look], ...]
    frequency: float

    def look(self, form: str) -> Look:
        return dict(self.looks)[form]


@dataclass(frozen=True, slots=True)
class ShowCast:
    members: tuple[Member, ...]
    extras: tuple[Look, ...]
    never_together: tuple[tuple[str, str], ...]
    twins: tuple[tuple[str, str], ...]
    """Pairs that differ in one trait only."""

    def member(self, name: str) -> Member:
        return next(m for m in self.members if m.name == name)


def differing(a: Look, b: Look) -> int:
    """Number of traits in which two looks differ."""
    return sum(x != y for x, y in zip(a.traits, b.traits, strict=True))


class NoTwin(Exception):
    """The split of looks leaves no twin of one that was drawn: the cast is drawn again."""


def make_cast(seed: int, style: str) -> ShowCast:
    """The cast of a show: the same seed gives the same people, another seed others."""
    for attempt in count():
        try:
            return _cast(keyed(seed, "cast", f"{style}/{attempt}" if attempt else style), style)
        except NoTwin:
            continue
    raise AssertionError("unreachable")


def _cast(rng: np.random.Generator, style: str) -> ShowCast:
    names = [str(n) for n in rng.choice(NAMES, NUM_CHARACTERS, replace=False)]
    colors = [str(c) for c in rng.choice(list(HAIR_COLORS), NUM_COLORS, replace=False)]
    looks: list[Look] = []
    while len(looks) < NUM_CHARACTERS - 2:
        look = _with_color(rng, random_look(rng, style, for_shows=True), colors[len(looks) % NUM_COLORS])
        if look.for_shows and all(differing(look, other) >= 2 for other in looks):
            looks.append(look)
    twins = []
    for original, trait in ((0, "accessory"), (1, "hair")):
        looks.append(_twin(rng, looks[original], trait, looks))
        twins.append((names[original], names[len(looks) - 1]))
    forms: dict[int, Look] = {}
    for index in (2, 3):
        forms[index] = _second_form(rng, looks[index], [*looks, *forms.values()])
    frequencies = (1.0, 0.9, 0.8, 0.7, 0.55, 0.3, 0.5, 0.35)
    members = tuple(
        Member(
            names[i],
            (("", looks[i]), (SECOND_FORM, forms[i])) if i in forms else (("", looks[i]),),
            frequencies[i],
        )
        for i in range(NUM_CHARACTERS)
    )
    return ShowCast(
        members, _extras(rng, [*looks, *forms.values()]), ((names[4], names[5]), (names[2], names[7])), tuple(twins)
    )


def _with_color(rng: np.random.Generator, look: Look, word: str) -> Look:
    return replace(look, hair_color_word=word, hair_color=jitter(rng, HAIR_COLORS[word]))


def _second_form(rng: np.random.Generator, look: Look, taken: list[Look]) -> Look:
    """The same person with other hair: no word for it stays where the split leaves such a look, so that it is another
    style to the eye, as tied hair and hair down are. Long straight hair beside long wavy hair was one to nobody."""
    words = set(split_hair_words(HAIR[look.style][look.hair]))
    for _ in range(200):
        form = _twin(rng, look, "hair", taken, gap=2)
        if not words & set(split_hair_words(HAIR[form.style][form.hair])):
            break
    return form


def _twin(rng: np.random.Generator, look: Look, trait: str, taken: list[Look], gap: int = 1) -> Look:
    """The look with one trait changed; unlike all others in at least `gap` traits."""
    others = [t for t in taken if t is not look]
    for tried in range(3_000):
        if trait == "accessory":
            twin = replace(look, accessory=str(rng.choice(ACCESSORIES)))
        else:
            twin = replace(look, hair=str(rng.choice(list(HAIR[look.style]))))
        if differing(twin, look) == 1 and twin.for_shows and all(differing(twin, o) >= gap for o in others):
            return twin
        if trait == "accessory" and tried > 200:
            trait = "hair"
    raise NoTwin


def _extras(rng: np.random.Generator, cast: list[Look], number: int = 14) -> tuple[Look, ...]:
    """People who are nobody: each shares all but two traits with somebody of the cast, and is nobody's twin."""
    extras: list[Look] = []
    while len(extras) < number:
        base = cast[int(rng.integers(len(cast)))]
        word = str(rng.choice(list(HAIR_COLORS)))
        changes = {
            "hair": {"hair": str(rng.choice(list(HAIR[base.style])))},
            "color": {"hair_color_word": word, "hair_color": jitter(rng, HAIR_COLORS[word])},
            "skin": {"skin": str(rng.choice(list(SKINS.values())))},
            "accessory": {"accessory": str(rng.choice(ACCESSORIES))},
        }
        picked = rng.choice(list(changes), 2, replace=False)
        look = replace(base, **changes[str(picked[0])], **changes[str(picked[1])])
        if look.for_shows and all(differing(look, other) >= 2 for other in cast):
            extras.append(look)
    return tuple(extras)
