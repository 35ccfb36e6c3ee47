"""Implements ports.CaptionSource: the words of a visit, a pure function of (seed, sample, visit)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fullcast.captions.config import CaptionsConfig
from fullcast.captions.core import own_tags
from fullcast.captions.count import CountCheck
from fullcast.captions.grammar import Draft, Figure, View, draw
from fullcast.ports import Progress, silent
from fullcast.recognition.regions import region_boxes
from fullcast.recognition.words import who_words
from fullcast.records import Box, Cast, Person, Sample
from fullcast.store.seeding import rng

CountTokens = Callable[[str], int]
"""Tokens of a text without the start and end marks; picklable (a tokenizer's bound method or a function)."""


class Captions:
    """Captions of a set of samples. Picklable under spawn if `count_tokens` is."""

    def __init__(
        self,
        samples: Iterable[Sample],
        cast: Cast,
        config: CaptionsConfig,
        seed: int,
        *,
        stage: str = "",
        count_tokens: CountTokens | None = None,
        token_limit: int = 0,
        counts: Iterable[CountCheck] = (),
        own: Mapping[str, str] | None = None,
    ) -> None:
        """`stage`: the training stage, whose shares of grammars count. `token_limit`: what the text encoder reads;
        the settings' `token_budget` may ask for less. Without `count_tokens` nothing is shortened.
        `counts`: what the tags say of the number of people, by picture. `own`: captions in a person's words by image
        id; they stand for whole pictures, at every visit, and are not shortened.

        Raises ValueError when a person's name or form is not in the cast.
        """
        self.config, self.seed, self.stage = config, seed, stage
        limits = [limit for limit in (config.token_budget, token_limit) if limit]
        self.count_tokens, self.token_limit = count_tokens, min(limits, default=0)
        samples = list(samples)
        checks = {check.image_id: check for check in counts}
        self.views: Mapping[str, View] = {s.id: view_of(s, cast, config, checks.get(s.image_id)) for s in samples}
        self.own = {s.id: own[s.image_id] for s in samples if s.kind == "full" and s.image_id in own} if own else {}

    def caption(self, sample_id: str, visit: int) -> str:
        """The words of one visit, no longer than the limit; the same for the same visit, in any process."""
        return self._fit(self._draft(sample_id, visit))[0].text

    def regions(self, sample_id: str, visit: int) -> list[tuple[Box, str]]:
        """For each figure the part of the picture that is its own, xyxy as fractions, and the words that are heard
        there: those of this visit's caption about it alone, and its place. [] where the caption binds no words to
        figures."""
        figures = self.views[sample_id].figures
        said = self._fit(self._draft(sample_id, visit))[0].alone([figure.cell for figure in figures])
        return [(figure.region, words) for figure, words in zip(figures, said, strict=False) if words]

    def _draft(self, sample_id: str, visit: int) -> Draft:
        if sample_id in self.own:
            return Draft((self.own[sample_id],))
        return draw(self.views[sample_id], rng(self.seed, "caption", f"{sample_id}/{visit}"), self.config, self.stage)

    def _fit(self, draft: Draft) -> tuple[Draft, bool]:
        """The draft cut word by word to the limit, and whether it is short enough now."""
        if self.count_tokens is None or not self.token_limit:
            return draft, True
        while self.count_tokens(draft.text) > self.token_limit:
            shorter = draft.shorter()
            if shorter is None:
                return draft, False
            draft = shorter
        return draft, True

    def fingerprint(self) -> str:
        """sha256 over all that the words of every visit come from."""
        about = [self.config.model_dump_json(), self.seed, self.stage, self.token_limit, sorted(self.own.items())]
        digest = hashlib.sha256(repr(about).encode())
        for sample_id in sorted(self.views):
            digest.update(repr((sample_id, self.views[sample_id])).encode())
        return digest.hexdigest()

    def survey(self, visits: int = 1, progress: Progress = silent) -> Survey:
        """How long the captions of the first `visits` visits of every sample are; `progress` advances by samples."""
        lengths, shortened, cut_off = [], 0, 0
        for sample_id in self.views:
            for visit in range(visits):
                draft = self._draft(sample_id, visit)
                fitted, fits = self._fit(draft)
                shortened += fitted != draft
                cut_off += not fits
                lengths.append(self.count_tokens(draft.text) if self.count_tokens else 0)
            progress.advance()
        longest, mean = (max(lengths), float(np.mean(lengths))) if lengths else (0, 0.0)
        return Survey(len(lengths), self.token_limit, shortened, cut_off, longest, mean)


@dataclass(frozen=True, slots=True)
class Survey:
    """Lengths of captions in tokens, before shortening."""

    captions: int
    token_limit: int
    shortened: int
    """Captions that lost words about figures or scene, and fit then."""
    cut_off: int
    """Captions too long even so: the text encoder will not read their end."""
    longest: int
    mean: float

    @classmethod
    def over(cls, parts: Sequence[Survey]) -> Survey:
        """Several as one; their limit is the encoder's, or of several the smallest."""
        count = sum(part.captions for part in parts)
        return cls(
            count,
            min((part.token_limit for part in parts), default=0),
            sum(part.shortened for part in parts),
            sum(part.cut_off for part in parts),
            max((part.longest for part in parts), default=0),
            sum(part.mean * part.captions for part in parts) / max(1, count),
        )


def view_of(sample: Sample, cast: Cast, config: CaptionsConfig, check: CountCheck | None = None) -> View:
    """What may be said of a sample; places are those inside its crop. `check`: the count of the whole picture."""
    people = sorted(sample.people, key=lambda person: person.place_xy[0])
    places = [(x / sample.width, y / sample.height) for x, y in (person.place_xy for person in people)]
    return View(
        figures=tuple(
            _figure(person, box, sample, cast, config) for person, box in zip(people, region_boxes(places), strict=True)
        ),
        scene=sample.tags,
        medium=config.medium.get(sample.source, ""),
        cropped=sample.kind in ("person", "head"),  # a group crop is a picture framed anew
        say_count=check is None or check.agrees or config.doubtful_count == "say",
        count_tags=check.tags if check is not None and sample.kind == "full" else (),
    )


def _figure(person: Person, region: Box, sample: Sample, cast: Cast, config: CaptionsConfig) -> Figure:
    who = who_words(cast, person.character, person.form)
    return Figure(who, person.cell(sample.width, sample.height), own_tags(person, cast, config), region)
