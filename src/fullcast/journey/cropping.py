"""Crops as samples: pixels by partition, names and words taken from the parent each time anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.journey.mapping import make_all
from fullcast.ports import Progress, silent
from fullcast.recognition.words import words_of_part
from fullcast.records import Drop, Image, Person
from fullcast.store.errors import UnreadableFile
from fullcast.store.executors import Task
from fullcast.store.partitions import partition_key
from fullcast.store.tables import read_metadata, read_records, write_records

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.journey.taking_in import TakenIn
    from fullcast.people.crops import Cut

IMAGES, PEOPLE = "crops.parquet", "crop-people.parquet"
"""In data/show, apart from the originals' tables: who counts pictures counts no crop."""
CUTS = "cuts.parquet"
"""In the folder of each partition: where its crops lie in their pictures."""


def crop_all(
    journey: Journey, taken: TakenIn, people: Sequence[Person], scene_tags: Mapping[str, tuple[str, ...]]
) -> list[Drop]:
    """Writes both tables, empty where the recipe asks for no crops; what is too small, or could not be read."""
    from fullcast.people.crops import Cut, plan_cuts

    used = {image.id: image for image in taken.images if not image.dropped}
    cuts, drops = plan_cuts(used.values(), people, journey.recipe.people)
    of_image: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        of_image[person.image_id].append(person)
    tasks = list(_tasks(journey, taken, cuts, used))
    make_all(journey, tasks, "crops")
    made: list[tuple[Image, Cut]] = []
    for task in tasks:
        crops = read_records(task.result_dir / "images.parquet", Image)
        made += zip(crops, read_records(task.result_dir / CUTS, Cut), strict=True)
        drops += read_records(task.result_dir / "drops.parquet", Drop)
    images, inside, twice = _told_by_originals(made, used, of_image, scene_tags)
    show = journey.workspace.show_dir
    write_records(show / IMAGES, images, Image)
    write_records(show / PEOPLE, inside, Person)
    return drops + twice


def _told_by_originals(
    made: Sequence[tuple[Image, Cut]],
    originals: Mapping[str, Image],
    people: Mapping[str, Sequence[Person]],
    scene_tags: Mapping[str, tuple[str, ...]],
) -> tuple[list[Image], list[Person], list[Drop]]:
    """Crops with everything that their originals' records say today, everybody in them, and those of equal bytes.

    people: by image id.
    """
    from fullcast.people.crops import people_of, same_crop

    images: dict[str, Image] = {}
    inside: list[Person] = []
    drops: list[Drop] = []
    for crop, cut in made:
        if crop.id in images:
            drops.append(same_crop(Path(crop.path).name, images[crop.id]))
            continue
        whole = originals[cut.image_id]
        tags = words_of_part(scene_tags.get(whole.id, ()), cut.xyxy[3] / whole.height)
        images[crop.id] = replace(crop, tags=tags, artist=whole.artist, licence=whole.licence, url=whole.url)
        inside += people_of(crop, cut.xyxy, people[whole.id])
    return list(images.values()), inside, drops


def _tasks(journey: Journey, taken: TakenIn, cuts: Sequence[Cut], used: Mapping[str, Image]) -> Iterable[Task]:
    from fullcast.people.crops import VERSION

    workspace = journey.workspace
    for partition in taken.partitions:
        ids = {image.id for image in partition.images}
        mine = [cut for cut in cuts if cut.image_id in ids]
        if mine:
            key = partition_key([f"{c.image_id} {c.kind} {c.xyxy}" for c in mine], version=VERSION)
            folder = workspace.crops_dir / partition.name
            parents = {cut.image_id: used[cut.image_id] for cut in mine}
            yield Task(folder, key, _cut, (mine, parents, folder, workspace.root, workspace.relative(folder)))


def _cut(
    out: Path,
    cuts: Sequence[Cut],
    parents: Mapping[str, Image],
    former: Path,
    root: Path,
    final: str,
    progress: Progress = silent,
) -> None:
    """Writes a partition's crops into `out`; those that the `former` result holds are not cut again."""
    from fullcast.people.crops import VERSION, Cut, write_crops

    about = {"version": str(VERSION)}
    images, places, drops = write_crops(cuts, parents, root, out, final, _ready(former, about))
    write_records(out / "images.parquet", images, Image)
    write_records(out / CUTS, places, Cut, about)
    write_records(out / "drops.parquet", drops, Drop)


def _ready(former: Path, about: Mapping[str, str]) -> dict[Cut, Path]:
    """The files of an earlier result. about: how they must have been made."""
    from fullcast.people.crops import Cut

    try:
        if not about.items() <= read_metadata(former / CUTS).items():
            return {}
        cuts, crops = read_records(former / CUTS, Cut), read_records(former / "images.parquet", Image)
    except UnreadableFile:
        return {}
    files = (former / Path(crop.path).name for crop in crops)
    return {cut: path for cut, path in zip(cuts, files, strict=True) if path.is_file()}


def read_crops(journey: Journey) -> tuple[list[Image], list[Person]]:
    """The crops of the last `prepare` and everybody in them; none where it was before there were any."""
    show = journey.workspace.show_dir
    if not (show / IMAGES).exists():
        return [], []
    return read_records(show / IMAGES, Image), read_records(show / PEOPLE, Person)
