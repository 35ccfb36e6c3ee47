"""The map stage: the pictures of a partition -> words with probabilities, for each figure and each whole picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fullcast.captions.config import CaptionsConfig
from fullcast.captions.general import is_general
from fullcast.captions.vocabulary import kind_of, names_pattern
from fullcast.models.base import Tagger
from fullcast.ports import Progress, silent
from fullcast.recognition.words import SUBTITLED
from fullcast.records import Box, Drop, Image, Person
from fullcast.store.errors import UnreadableFile
from fullcast.store.pictures import read_picture

VERSION = 2
"""Raised when the same pictures, people, tagger and settings would give other words."""

CONFIG_FIELDS = ("figure_crop", "min_tag_px")
"""What of CaptionsConfig a partition's key must hash; the tagger's name says its threshold, pruning and grammar read
tables only."""

_FIGURE = ("trait", "own")
"""Kinds of words that are about one figure."""

BATCH = 8
"""Pictures held at a time; the tagger makes its own batches of their crops."""


@dataclass(frozen=True, slots=True)
class Words:
    """What the tagger said of one figure or of one whole picture."""

    item: str
    """Id of the Person or of the Image."""
    tags: tuple[str, ...] = ()
    """Likeliest first."""
    probabilities: tuple[float, ...] = ()
    """Of the tags, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Tagged:
    words: tuple[Words, ...]
    drops: tuple[Drop, ...] = ()


def tag_partition(
    images: Sequence[Image],
    people: Iterable[Person],
    root: Path,
    tagger: Tagger,
    config: CaptionsConfig,
    progress: Progress = silent,
) -> Tagged:
    """Words of every used picture and of its figures. Pictures that cannot be read are drops; the rest is done."""
    wanted = [image for image in images if not image.dropped]
    of_image: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        of_image[person.image_id].append(person)
    words: list[Words] = []
    drops: list[Drop] = []
    progress.start("tags", len(wanted))
    for start in range(0, len(wanted), BATCH):
        items: list[str] = []
        crops: list[np.ndarray] = []
        for image in wanted[start : start + BATCH]:
            try:
                picture = read_picture(root / image.path)
            except UnreadableFile as error:
                drops.append(Drop(image.id, "captions", error.reason, error.detail))
                continue
            items.append(image.id)
            crops.append(picture)
            for person in of_image[image.id]:
                crop = figure_crop(picture, person, config)
                if crop is not None:
                    items.append(person.id)
                    crops.append(crop)
        words += [_words(item, found) for item, found in zip(items, tagger.tag(crops), strict=True)]
        progress.advance(len(wanted[start : start + BATCH]))
    progress.done()
    return Tagged(tuple(words), tuple(drops))


def figure_crop(picture: np.ndarray, person: Person, config: CaptionsConfig) -> np.ndarray | None:
    """(h, w, 3): face and chest, cut at the picture's edge; the whole box without a head; None: too small to tell."""
    area: Box = person.xyxy
    if person.head_xyxy is not None:
        x0, y0, x1, y1 = person.head_xyxy
        height, middle = y1 - y0, (x0 + x1) / 2
        if height < config.min_tag_px:
            return None
        width, above, below = config.figure_crop
        half = max(x1 - x0, height * width) / 2
        area = (middle - half, y0 - height * above, middle + half, y1 + height * below)
    left, top = max(0, round(area[0])), max(0, round(area[1]))
    crop = picture[top : max(top, round(area[3])), left : max(left, round(area[2]))]
    return crop if min(crop.shape[:2]) >= max(2, config.min_tag_px) else None


def _words(item: str, found: Mapping[str, float]) -> Words:
    ordered = sorted(found.items(), key=lambda pair: -pair[1])
    return Words(item, tuple(tag for tag, _ in ordered), tuple(round(float(p), 4) for _, p in ordered))


def tagged_people(
    people: Iterable[Person],
    words: Iterable[Words],
    images: Iterable[Image] = (),
    names: Collection[str] = (),
    miscounted: Collection[str] = (),
) -> list[Person]:
    """The same people with their own words: traits, clothes, expression; never the scene's or the count's.

    A picture with one figure lends it the words that came with its file (booru tags, in the alphabet's order): those
    that the tagger says too come first, then the tagger's own, likeliest first, then the file's. But not one of
    `miscounted`, ids of pictures that hold others by what the words say; and of the file's only those that boards use
    of anybody or that the tagger said somewhere, for the rest may name others, the show or the artist. `names`: of the
    cast, in small letters; who somebody is says the record, so a tag of the file with a name in it is no word of
    anybody's.
    """
    people, words = list(people), list(words)
    said = {entry.item: entry.tags for entry in words}
    known = {plain(tag) for entry in words for tag in entry.tags}
    pattern = names_pattern(names)
    alone = {person.image_id: person.id for person in people}
    for person in people:
        if alone[person.image_id] != person.id:
            alone[person.image_id] = ""
    lent = {alone[i.id]: i.tags for i in images if alone.get(i.id) and i.id not in miscounted}

    def own(person: Person) -> tuple[str, ...]:
        seen = _of_kinds(said.get(person.id, ()), _FIGURE)
        told = _of_kinds(lent.get(person.id, ()), _FIGURE)
        told = tuple(t for t in told if (t in known or is_general(t)) and not (pattern and pattern.search(t)))
        return _without(names, tuple(dict.fromkeys((*(tag for tag in seen if tag in told), *seen, *told))))

    return [replace(person, tags=own(person)) for person in people]


def _without(names: Collection[str], tags: tuple[str, ...]) -> tuple[str, ...]:
    """Less those that are names, also as boards write them: "aoi (yama no susume)"."""
    return tuple(tag for tag in tags if tag.partition(" (")[0] not in names)


def scene_tags(
    images: Iterable[Image], words: Iterable[Words], config: CaptionsConfig, say_subtitles: bool = False
) -> dict[str, tuple[str, ...]]:
    """Words about each whole picture by image id: settings (at most `max_settings`), one light, and where it is to be
    said whether it is subtitled."""
    said = {entry.item: entry.tags for entry in words}
    answer = {}
    for image in images:
        tags = (*image.tags, *said.get(image.id, ()))
        settings = _of_kinds(tags, ("setting",))[: config.max_settings]
        spoilt = (SUBTITLED,) if say_subtitles and SUBTITLED in image.tags else ()
        answer[image.id] = (*settings, *_of_kinds(tags, ("light",))[:1], *spoilt)
    return answer


def _of_kinds(tags: Sequence[str], kinds: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tag for tag in map(plain, tags) if tag and kind_of(tag) in kinds))


def plain(tag: str) -> str:
    """A tag with spaces, in small letters."""
    return tag.replace("_", " ").strip().lower()
