"""Reference pictures as pictures with people in them: what composites can cut figures from (`composites.cut_from`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.models.base import PersonDetector
from fullcast.records import Image, Person
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.partitions import cached_dir, partition_key
from fullcast.store.pictures import file_id
from fullcast.store.tables import read_records, write_records
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.journey.doors import Doors
    from fullcast.journey.references import References

VERSION = 3
"""Raised when the same references would give other people."""
FOLDER = "portraits"
"""In data/show, so that a packed training has them."""


def find_portraits(journey: Journey, doors: Doors) -> None:
    """Looks for the one person of every reference picture; again only when references or networks are others.

    The folder's name says who it is. A picture in which the detector finds nobody, or several, is left out: the cast
    has it all the same.
    """
    from fullcast.captions.tagging import CONFIG_FIELDS, tag_partition, tagged_people
    from fullcast.captions.tagging import VERSION as WORDS
    from fullcast.journey.references import References
    from fullcast.recognition.references import named_pictures

    workspace, config = journey.workspace, journey.recipe.captions
    given = References(workspace)
    named = named_pictures(given.folder)
    inputs = [f"{workspace.relative(path)} {given.content(path)} {name}/{form}" for path, name, form in named]
    read = config.model_dump(mode="json", include=set(CONFIG_FIELDS))
    key = partition_key(inputs, read, [doors.detector.name, doors.tagger.name], f"{VERSION}/{WORDS}")

    def make(out: Path) -> None:
        journey.progress.start("portraits", len(named))
        images, people = _alone(given, named, doors.detector)
        journey.progress.advance(len(named))
        journey.progress.done()
        words = tag_partition(images, people, workspace.root, doors.tagger, config).words
        write_records(out / "images.parquet", images, Image)
        write_records(out / "people.parquet", tagged_people(people, words), Person)

    cached_dir(workspace.show_dir / FOLDER, key, make)


def read_portraits(workspace: Workspace) -> tuple[list[Image], list[Person]]:
    """Pictures and their people. Raises FullcastError when no `prepare` has looked for them yet."""
    folder = workspace.show_dir / FOLDER
    if not (folder / "images.parquet").exists():
        raise FullcastError(
            f"{workspace.root} was prepared before figures were cut from reference pictures; run: "
            f"fullcast prepare -w {workspace.root}, or leave reference out of mixture.composites.cut_from"
        )
    return read_records(folder / "images.parquet", Image), read_records(folder / "people.parquet", Person)


def _alone(
    given: References, named: Sequence[tuple[Path, str, str]], detector: PersonDetector
) -> tuple[list[Image], list[Person]]:
    """The pictures in which one person is found, and that person by name; each file once."""
    from fullcast.recognition.detect import look_for_people

    images: dict[str, Image] = {}
    people = []
    for path, character, form in named:
        try:
            picture = given.read(path)
        except UnreadableFile:
            continue  # the cast has counted it
        height, width = picture.shape[:2]
        image = Image(file_id(path), given.workspace.relative(path), width, height, "reference")
        ((found, _),) = look_for_people([picture], [image.id], detector)
        if len(found) == 1 and image.id not in images:
            images[image.id] = image
            people.append(replace(found[0], character=character, form=form, identity_score=1.0, identity_margin=1.0))
    return list(images.values()), people
