"""Stage 2 of prepare: references to the cast, images to people, people to names.

People are found partition by partition (a network looks at pixels); names are given over the whole show (no pixels).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.journey.deciding import Decided, decide_people
from fullcast.journey.given_names import with_given_names
from fullcast.journey.mapping import make_all
from fullcast.journey.reusing import Former
from fullcast.journey.taking_in import Partition, TakenIn
from fullcast.models.base import Embedder, PersonDetector
from fullcast.ports import Progress, silent
from fullcast.records import Cast, Drop, Image, Person
from fullcast.store.atomic import write_json
from fullcast.store.decisions import read_log
from fullcast.store.executors import Task
from fullcast.store.partitions import cached_dir, partition_key
from fullcast.store.tables import read_records, write_records
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.journey.doors import Doors
    from fullcast.people.config import PeopleConfig

CAST_VERSION = 10
"""Raised when the same references would give another cast. 8: names are composed, huge references shrunk; 9: folders
at any depth are looked into, loose pictures are drops; 10: thresholds by the number of references, twins in part."""


@dataclass(frozen=True)
class Named:
    """Everybody in all partitions, with names."""

    cast: Cast
    people: tuple[Person, ...]
    """Also those in near-duplicates: who is used says the image. After what people decided."""
    keys: dict[str, str]
    """Key of the people of each partition, by its name: what later map stages depend on."""
    found: frozenset[str]
    """Ids of those whom these keys stand for; datasets and people have added the others."""
    drops: tuple[Drop, ...]
    decided: Decided
    """What people said of it, and whom they said it about."""


def name_all(journey: Journey, doors: Doors, taken: TakenIn) -> Named:
    """The cast, then people, then names with tracks and the show's layout statistics."""
    from fullcast.people.layout import with_layout

    cast, drops = read_references(journey, "label", doors.detector, doors.embedder)
    found, keys, lost = find_all(journey, doors, taken)
    drops += lost
    images = {image.id: image for image in taken.images}
    decided, unnamed = who_is_who(journey, found, taken.images, cast)
    drops += unnamed
    used = [person for person in decided.people if not images[person.image_id].dropped]
    cast = with_layout(cast, used, taken.images)
    return Named(cast, decided.people, keys, frozenset(p.id for p in found), (*drops, *decided.drops), decided)


def who_is_who(
    journey: Journey, found: Sequence[Person], images: Sequence[Image], cast: Cast
) -> tuple[Decided, list[Drop]]:
    """The people found, with names: ours, then those that datasets give, at last what people decided; names that found
    nobody."""
    from fullcast.journey.importing import imported_people
    from fullcast.people.naming import name_people

    people = name_people(found, images, cast, journey.recipe.people)
    given = with_given_names(people, imported_people(journey.workspace, cast), cast)
    return decide_people(given.people, images, cast, read_log(journey.workspace.review_log)), given.drops


def find_all(journey: Journey, doors: Doors, taken: TakenIn) -> tuple[list[Person], dict[str, str], list[Drop]]:
    """Everybody in all pictures, each once and still without a name; the key of each partition's people; drops."""
    partitions = [partition for partition in taken.partitions if partition.images]
    tasks = [_finding(journey, doors, partition) for partition in partitions]
    make_all(journey, tasks, "people", device=True)
    keys = {partition.name: task.key for partition, task in zip(partitions, tasks, strict=True)}
    found = [p for task in tasks for p in read_records(task.result_dir / "people.parquet", Person)]
    drops = [drop for task in tasks for drop in read_records(task.result_dir / "drops.parquet", Drop)]
    images = {image.id for image in taken.images}
    return list({person.id: person for person in found if person.image_id in images}.values()), keys, drops


def read_references(
    journey: Journey, role: str, detector: PersonDetector, embedder: Embedder
) -> tuple[Cast, list[Drop]]:
    """The cast as one embedder sees it, "label" or "judge"; made anew only when references or networks change."""
    from fullcast.journey.references import References
    from fullcast.recognition.castfile import read_cast, write_cast
    from fullcast.recognition.methods import method_words
    from fullcast.recognition.references import build_cast, cast_inputs

    workspace = journey.workspace
    folder = workspace.data_dir / "references" / role
    given = References(workspace)
    files, names = cast_inputs(given.folder)
    inputs = {workspace.relative(path): given.content(path) for path in files} | dict.fromkeys(names, "")
    key = partition_key(inputs, journey.recipe.show, [detector.name, embedder.name], CAST_VERSION)

    def make(out: Path) -> None:
        built = build_cast(
            given.folder,
            embedder,
            detector,
            journey.recipe.show,
            strict=False,
            read=given.read,
            drawn=role == "judge",
            progress=journey.progress,
        )
        write_cast(out / "cast.json", built.cast)
        write_records(out / "drops.parquet", built.drops, Drop)
        calibration: dict[str, object] = {"threshold": built.cast.threshold, "accuracy": built.calibration.accuracy}
        calibration |= {"method": built.cast.naming.method, "said": method_words(built.cast.naming)}
        write_json(out / "calibration.json", calibration | {"headless": list(built.headless)})

    cached_dir(folder, key, make)
    return read_cast(folder / "cast.json"), read_records(folder / "drops.parquet", Drop)


def judge_cast_path(workspace: Workspace) -> Path:
    """The cast as the judge's embedder sees it; lies beside cast.json, and beside every checkpoint."""
    return workspace.show_dir / "cast-judge.json"


def _finding(journey: Journey, doors: Doors, partition: Partition) -> Task:
    from fullcast.people.detect import CONFIG_FIELDS, VERSION

    config = journey.recipe.people
    read = config.model_dump(mode="json", include=set(CONFIG_FIELDS))
    pictures = [image.id for image in partition.images]  # what was said beside them moves no box
    key = partition_key(pictures, read, [doors.detector.name, doors.embedder.name], VERSION)
    folder = journey.workspace.people_dir / partition.name
    arguments = (partition.images, folder, journey.workspace.root, doors.detector, doors.embedder, config)
    return Task(folder, key, _find, arguments)


def _find(
    out: Path,
    images: Sequence[Image],
    former: Path,
    root: Path,
    detector: PersonDetector,
    embedder: Embedder,
    config: PeopleConfig,
    progress: Progress = silent,
) -> None:
    """Writes the people of a partition's images into `out`; nobody is looked for where the `former` result has."""
    from fullcast.people.detect import CONFIG_FIELDS, VERSION, detect_partition

    read = config.model_dump(mode="json", include=set(CONFIG_FIELDS))
    made_with = partition_key([], read, [detector.name, embedder.name], VERSION)
    told = {image.id: "" for image in images if not image.dropped}
    earlier = Former.of(former, made_with, told)
    found = detect_partition(earlier.unseen(images), root, detector, embedder, config, progress)
    about = {"embedder": embedder.name}
    earlier.write(out, "people.parquet", Person, found.people, lambda person: person.image_id, about)
    earlier.finish(out, found.drops)
