"""The sentences: one sample's people and words -> a caption, drawn afresh at every visit.

The words themselves (who, where, how many) are `recognition.words`, which prompts use as well. Nothing here is drawn
from anywhere but the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fullcast.captions.config import CaptionsConfig
from fullcast.recognition.words import (
    COLUMNS,
    CROPPED,
    ROWS,
    SEED_COLUMNS,
    SEED_ROWS,
    SOMEBODY,
    Phrase,
    count_words,
    join,
    sentence,
)
from fullcast.records import Box

SEED_MAX_PEOPLE, SEED_MAX_TAGS = 6, 15
"""The seed wrote "manypeople" from six on, and at most 15 tags (data-preparation.md 1.2)."""


DOING = {
    "smile": "smiling",
    "blush": "blushing",
    "grin": "grinning",
    "frown": "frowning",
    "tears": "in tears",
    "sad": "looking sad",
    "angry": "looking angry",
    "happy": "looking happy",
    "surprised": "looking surprised",
    "serious": "looking serious",
    "scared": "looking scared",
    "embarrassed": "looking embarrassed",
    "expressionless": "without expression",
    "arms up": "with arms up",
    "crossed arms": "with crossed arms",
}
"""Tags that a sentence says as something done; tags that begin with a word in -ing are said so as they are."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What a grammar may say of one person."""

    who: str
    """Trigger words, or ``person``."""
    cell: tuple[int, int]
    own: tuple[str, ...] = ()
    region: Box = (0.0, 0.0, 1.0, 1.0)
    """The part of the picture that is this figure's, xyxy as fractions."""


@dataclass(frozen=True, slots=True)
class View:
    """What a grammar may say of one sample."""

    figures: tuple[Figure, ...]
    """Left to right."""
    scene: tuple[str, ...] = ()
    """Setting and light."""
    medium: str = ""
    cropped: bool = False
    say_count: bool = True
    """False: people and tags disagree about their number, so that captions keep silent about it."""
    count_tags: tuple[str, ...] = ()
    """What the tags call the number ("2girls"); said by the seed's format only."""

    @property
    def count(self) -> str:
        """ "2 people", or nothing where it is in doubt."""
        return count_words(len(self.figures)) if self.say_count else ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A caption that can still be shortened."""

    head: tuple[str, ...]
    """Never shortened."""
    phrases: tuple[Phrase, ...] = ()
    tail: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return join([*self.head, *(phrase.text() for phrase in self.phrases), *self.tail])

    def alone(self, cells: Sequence[tuple[int, int]]) -> tuple[str, ...]:
        """For each phrase what is said of that figure alone, with its place (column, row) whether or not the caption
        says it: a region that reaches to the bottom says by words alone how high its head is. "" where nothing else
        is said of somebody."""
        said = [replace(phrase, cell=cell, row=True) for phrase, cell in zip(self.phrases, cells, strict=False)]
        return tuple("" if p.who == SOMEBODY and not p.own else sentence([p], self.tail) for p in said)

    def shorter(self) -> Draft | None:
        """One word less: the last own word of whoever has most, then from the tail's end; None: nothing left to cut."""
        most = max(range(len(self.phrases)), key=lambda i: len(self.phrases[i].own), default=-1)
        if most >= 0 and self.phrases[most].own:
            cut = replace(self.phrases[most], own=self.phrases[most].own[:-1])
            return replace(self, phrases=(*self.phrases[:most], cut, *self.phrases[most + 1 :]))
        return replace(self, tail=self.tail[:-1]) if self.tail else None


@dataclass(frozen=True, slots=True)
class Prose(Draft):
    """A caption in sentences, cut in the same order as any other."""

    place_first: tuple[bool, ...] = ()
    """For each figure: "On the left is aoi." or "Aoi is on the left."."""

    @property
    def text(self) -> str:
        counted = [f"There {'is' if words.startswith('1 ') else 'are'} {words}" for words in self.head if words]
        people = [_told(*pair) for pair in zip(self.phrases, self.place_first, strict=True)]
        parts = [*counted, *people, ", ".join(self.tail)]
        return " ".join(part[0].upper() + part[1:] + "." for part in parts if part)


def _told(phrase: Phrase, place_first: bool) -> str:
    """One figure as a sentence without its full stop."""
    who = f"a {SOMEBODY}" if phrase.who == SOMEBODY else phrase.who
    doing = [DOING.get(tag, tag) for tag in phrase.own if tag in DOING or tag.split()[0].endswith("ing")]
    having = [tag for tag in phrase.own if tag not in DOING and not tag.split()[0].endswith("ing")]
    who += f" with {_listed(having)}" if having else ""
    place = "" if phrase.cell is None else prose_place(phrase.cell, phrase.row)
    if place and place_first:
        return f"{place} is {who}" + (f", {_listed(doing)}" if doing else "")
    if place:
        return f"{who} is {place}" + (f", {_listed(doing)}" if doing else "")
    return f"{who} is {_listed(doing)}" if doing else f"there is {who}"


def prose_place(cell: tuple[int, int], row: bool) -> str:
    """ "on the far left", "in the center", "in the upper far left"."""
    if row:
        return f"in the {ROWS[cell[1]]} {COLUMNS[cell[0]]}"
    return f"{'in' if COLUMNS[cell[0]] == 'center' else 'on'} the {COLUMNS[cell[0]]}"


def _listed(words: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def bound(view: View, rng: np.random.Generator, config: CaptionsConfig) -> Draft:
    """Names bound to places and own words: "2 people, aoi at left upper smiling, mio at right, park, night"."""
    places = rng.random() >= config.omit_places
    phrases = []
    for figure in view.figures:
        row = bool(rng.random() < config.say_row)
        kept = tuple(tag for tag in figure.own if rng.random() < config.keep_own_tag)
        phrases.append(Phrase(figure.who, figure.cell if places else None, row, kept))
    return Draft((view.count,), tuple(phrases), _scene(view, rng))


def layout(view: View, rng: np.random.Generator, config: CaptionsConfig) -> Draft:
    """Who and where, nothing else: the share of steps in which only the layout can explain the picture."""
    phrases = [Phrase(f.who, f.cell, bool(rng.random() < config.say_row)) for f in view.figures]
    return Draft((view.count,), tuple(phrases), (CROPPED,) if view.cropped else ())


def plain(view: View, rng: np.random.Generator, config: CaptionsConfig) -> Draft:
    """Count and names, then all words in any order, as tag lists are: nothing is bound to anybody."""
    names = [figure.who for figure in view.figures]
    tags = dict.fromkeys(tag for figure in view.figures for tag in figure.own if rng.random() < config.keep_own_tag)
    return Draft((view.count, *names), (), (*_shuffled(list(tags), rng), *_scene(view, rng)))


def seed(view: View, rng: np.random.Generator, config: CaptionsConfig) -> Draft:
    """The seed model's own format (v1, January 2023): "2people, A B, aniscreen, fhml fvmt fhmr fvmd, smile, park".

    Kept with its flaw, for comparison: people without a name are not named but their place is said. Tags about boys,
    girls and solo go first, the rest is shuffled, 15 are kept (data-preparation.md 1.2).
    """
    count = len(view.figures)
    people = "manypeople" if count >= SEED_MAX_PEOPLE else f"{count}{'person' if count == 1 else 'people'}"
    names = " ".join(figure.who for figure in view.figures if figure.who != SOMEBODY)
    places = " ".join(f"{SEED_COLUMNS[f.cell[0]]} {SEED_ROWS[f.cell[1]]}" for f in view.figures)
    tags = list(dict.fromkeys([*(tag for figure in view.figures for tag in figure.own), *view.scene]))
    tail = [*view.count_tags, *_shuffled(tags, rng)][:SEED_MAX_TAGS]
    return Draft((people, names, view.medium, places), (), tuple(tail))


def sentences(view: View, rng: np.random.Generator, config: CaptionsConfig) -> Draft:
    """The same as `bound` in prose, for text encoders that read language: "There are 2 people. On the left is aoi,
    smiling. Mio with hoodie is in the center. Park, night."
    """
    draft = bound(view, rng, config)
    return Prose(draft.head, draft.phrases, draft.tail, tuple(bool(rng.random() < 0.5) for _ in draft.phrases))


Grammar = Callable[[View, np.random.Generator, CaptionsConfig], Draft]
BY_NAME: dict[str, Grammar] = {"bound": bound, "layout": layout, "plain": plain, "seed": seed, "sentences": sentences}


def draw(view: View, rng: np.random.Generator, config: CaptionsConfig, stage: str = "") -> Draft:
    """A caption in a grammar drawn by the stage's shares."""
    shares = config.shares(stage)
    names = sorted(shares)
    weights = np.array([shares[name] for name in names])
    return BY_NAME[names[int(rng.choice(len(names), p=weights / weights.sum()))]](view, rng, config)


def _scene(view: View, rng: np.random.Generator) -> tuple[str, ...]:
    words = [*view.scene, view.medium, CROPPED if view.cropped else ""]
    return tuple(_shuffled([word for word in words if word], rng))


def _shuffled(words: Sequence[str], rng: np.random.Generator) -> list[str]:
    return [words[i] for i in rng.permutation(len(words))]
