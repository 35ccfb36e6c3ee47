"""The sentences: one sample's people and words -> a caption, drawn afresh at every visit.

The words themselves (who, where, how many) are `recognition.words`, which prompts use as well. Nothing here is drawn
from anywhere but the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fullcast.captions.config import CaptionsConfig
from fullcast.recognition.words import CROPPED, SEED_COLUMNS, SEED_ROWS, SOMEBODY, Phrase, count_words, join

SEED_MAX_PEOPLE, SEED_MAX_TAGS = 6, 15
"""The seed wrote "manypeople" from six on, and at most 15 tags (data-preparation.md 1.2)."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What a grammar may say of one person."""

    who: str
    """Trigger words, or ``person``."""
    cell: tuple[int, int]
    own: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """What a grammar may say of one sample."""

    figures: tuple[Figure, ...]
    """Left to right."""
    scene: tuple[str, ...] = ()
    """Setting and light."""
    medium: str = ""
    cropped: bool = False


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

    def shorter(self) -> Draft | None:
        """One word less: the last own word of whoever has most, then from the tail's end; None: nothing left to cut."""
        most = max(range(len(self.phrases)), key=lambda i: len(self.phrases[i].own), default=-1)
        if most >= 0 and self.phrases[most].own:
            cut = replace(self.phrases[most], own=self.phrases[most].own[:-1])
            return replace(self, phrases=(*self.phrases[:most], cut, *self.phrases[most + 1 :]))
        return replace(self, tail=self.tail[:-1]) if self.tail else None


def bound(view: View, rng: np.random.Generator, config: CaptionsConfig) -> Draft:
    """Names bound to places and own words: "2 people, aoi at left upper smiling, mio at right, park, night"."""
    places = rng.random() >= config.omit_places
    phrases = []
    for figure in view.figures:
        row = bool(rng.random() < config.say_row)
        kept = tuple(tag for tag in figure.own if rng.random() < config.keep_own_tag)
        phrases.append(Phrase(figure.who, figure.cell if places else None, row, kept))
    return Draft((count_words(len(view.figures)),), tuple(phrases), _scene(view, rng))


def layout(view: View, rng: np.random.Generator, config: CaptionsConfig) -> Draft:
    """Who and where, nothing else: the share of steps in which only the layout can explain the picture."""
    phrases = [Phrase(f.who, f.cell, bool(rng.random() < config.say_row)) for f in view.figures]
    return Draft((count_words(len(view.figures)),), tuple(phrases), (CROPPED,) if view.cropped else ())


def plain(view: View, rng: np.random.Generator, config: CaptionsConfig) -> Draft:
    """Count and names, then all words in any order, as tag lists are: nothing is bound to anybody."""
    names = [figure.who for figure in view.figures]
    tags = dict.fromkeys(tag for figure in view.figures for tag in figure.own if rng.random() < config.keep_own_tag)
    return Draft((count_words(len(names)), *names), (), (*_shuffled(list(tags), rng), *_scene(view, rng)))


def seed(view: View, rng: np.random.Generator, config: CaptionsConfig) -> Draft:
    """The seed model's own format (v1, January 2023): "2people, A B, aniscreen, fhml fvmt fhmr fvmd, smile, park".

    Kept with its flaw, for comparison: people without a name are not named but their place is said.
    """
    count = len(view.figures)
    people = "manypeople" if count >= SEED_MAX_PEOPLE else f"{count}{'person' if count == 1 else 'people'}"
    names = " ".join(figure.who for figure in view.figures if figure.who != SOMEBODY)
    places = " ".join(f"{SEED_COLUMNS[f.cell[0]]} {SEED_ROWS[f.cell[1]]}" for f in view.figures)
    tags = list(dict.fromkeys([*(tag for figure in view.figures for tag in figure.own), *view.scene]))
    return Draft((people, names, view.medium, places), (), tuple(_shuffled(tags, rng)[:SEED_MAX_TAGS]))


Grammar = Callable[[View, np.random.Generator, CaptionsConfig], Draft]
BY_NAME: dict[str, Grammar] = {"bound": bound, "layout": layout, "plain": plain, "seed": seed}


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
