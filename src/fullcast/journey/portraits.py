"""Reference pictures as pictures with people in them: what composites can cut figures from (`composites.cut_from`)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.models.base import PersonDetector
from fullcast.ports import Progress, silent
from fullcast.records import Image, Person
from fullcast.store.errors import UnreadableFile
from fullcast.store.partitions import cached_dir, partition_key
from fullcast.store.pictures import file_id, read_picture
from fullcast.store.tables import read_records, write_records
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.journey.doors import Doors

VERSION = 1
"""Raised when the same references would give other people."""
FOLDER = "portraits"
"""In data/show, so that a packed training has them."""


def find_portraits(journey: Journey, doors: Doors) -> None:
    """Looks for the one person of every reference picture; again only when references or detector are others.

    The folder's name says who it is. A picture in which the detector finds nobody, or several, is left out: the cast
    has it all the same.
    """
    from fullcast.recognition.references import named_pictures

    workspace = journey.workspace
    named = named_pictures(workspace.references_dir)
    inputs = [f"{workspace.relative(path)} {file_id(path)} {name}/{form}" for path, name, form in named]

    def make(out: Path) -> None:
        _make(out, workspace, named, doors.detector, journey.progress)

    cached_dir(workspace.show_dir / FOLDER, partition_key(inputs, doors.detector.name, version=VERSION), make)


def read_portraits(workspace: Workspace) -> tuple[list[Image], list[Person]]:
    """Pictures and their people; nothing where `prepare` has not looked for them yet."""
    folder = workspace.show_dir / FOLDER
    if not (folder / "images.parquet").exists():
        return [], []
    return read_records(folder / "images.parquet", Image), read_records(folder / "people.parquet", Person)


def _make(
    out: Path,
    workspace: Workspace,
    named: list[tuple[Path, str, str]],
    detector: PersonDetector,
    progress: Progress = silent,
) -> None:
    from fullcast.recognition.detect import look_for_people

    images: dict[str, Image] = {}
    people = []
    progress.start("portraits", len(named))
    for path, character, form in named:
        progress.advance()
        try:
            picture = read_picture(path)
        except UnreadableFile:
            continue  # the cast has counted it
        height, width = picture.shape[:2]
        image = Image(file_id(path), workspace.relative(path), width, height, "reference")
        ((found, _),) = look_for_people([picture], [image.id], detector)
        if len(found) == 1 and image.id not in images:
            images[image.id] = image
            people.append(replace(found[0], character=character, form=form, identity_score=1.0, identity_margin=1.0))
    progress.done()
    write_records(out / "images.parquet", list(images.values()), Image)
    write_records(out / "people.parquet", people, Person)
