"""The map stage: the pictures of a partition -> its people with boxes and embeddings, nobody named yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fullcast.models.base import Embedder, PersonDetector
from fullcast.people.config import PeopleConfig
from fullcast.ports import Progress, silent
from fullcast.recognition.detect import look_for_people
from fullcast.recognition.embed import embed_people
from fullcast.records import Drop, Image, Person, person_id
from fullcast.store.errors import UnreadableFile
from fullcast.store.pictures import read_picture

VERSION = 4
"""Raised when the same pictures, networks and settings would give other people. 4: heads of faces end with the
picture."""

CONFIG_FIELDS = ("confidence", "iou", "lone_confidence", "batch")
"""What of PeopleConfig a partition's key must hash; the rest is read by the whole-show stages only."""


@dataclass(frozen=True, slots=True)
class Detected:
    people: tuple[Person, ...]
    """In the order of the pictures, left to right in each."""
    drops: tuple[Drop, ...] = ()


def detect_partition(
    images: Sequence[Image],
    root: Path,
    detector: PersonDetector,
    embedder: Embedder,
    config: PeopleConfig,
    progress: Progress = silent,
) -> Detected:
    """The people in all pictures that are used. A picture that cannot be read is a drop, and the rest is done.

    `root`: the workspace; `Image.path` is relative to it.
    """
    wanted = [image for image in images if not image.dropped]
    people: list[Person] = []
    drops: list[Drop] = []
    progress.start("people", len(wanted))
    for start in range(0, len(wanted), config.batch):
        batch = wanted[start : start + config.batch]
        pictures = {}
        for image in batch:
            try:
                pictures[image.id] = read_picture(root / image.path)
            except UnreadableFile as error:
                drops.append(Drop(image.id, "people", error.reason, error.detail))
        found = look_for_people(list(pictures.values()), list(pictures), detector, lone=config.lone_confidence)
        people += embed_people([person for group, _ in found for person in group], pictures, embedder)
        for image_id, (_, lost) in zip(pictures, found, strict=True):
            drops += [Drop(person_id(image_id, one.xyxy), "people", one.reason, one.detail) for one in lost]
        progress.advance(len(batch))
    progress.done()
    return Detected(tuple(people), tuple(drops))
