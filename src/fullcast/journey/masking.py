"""Masks of everybody, by partition, where the recipe asks for them (people.masks)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.journey.mapping import make_all
from fullcast.journey.reusing import Former, box_line, boxes_of, image_of_item
from fullcast.models.base import Segmenter
from fullcast.ports import Progress, silent
from fullcast.records import Drop, Image, Person
from fullcast.store.executors import Task
from fullcast.store.partitions import partition_key
from fullcast.store.tables import read_records

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.journey.doors import Doors
    from fullcast.journey.taking_in import TakenIn
    from fullcast.people.masks import Mask

TABLE = "masks.parquet"
"""In the folder of each partition: a show's masks are larger than all its other tables."""


def mask_all(journey: Journey, doors: Doors, taken: TakenIn, people: Sequence[Person]) -> list[Drop]:
    """Masks of everybody in the pictures that are used; nothing is asked or written where the recipe wants none."""
    if not journey.recipe.people.masks:
        return []
    used = {image.id for image in taken.images if not image.dropped}
    tasks = list(_tasks(journey, doors.segmenter, taken, [p for p in people if p.image_id in used]))
    make_all(journey, tasks, "masks")
    return [drop for task in tasks for drop in read_records(task.result_dir / "drops.parquet", Drop)]


def read_masks(journey: Journey, people: Iterable[Person]) -> dict[str, Mask]:
    """The masks of these people by their ids, as the last `prepare` that was asked for masks left them; whoever has
    none is not in it."""
    from fullcast.people.masks import Mask

    wanted = {person.id for person in people}
    tables = sorted(journey.workspace.masks_dir.glob(f"*/{TABLE}"))
    return {mask.person_id: mask for path in tables for mask in read_records(path, Mask) if mask.person_id in wanted}


def _tasks(journey: Journey, segmenter: Segmenter, taken: TakenIn, people: Sequence[Person]) -> Iterable[Task]:
    from fullcast.people.masks import VERSION

    for partition in taken.partitions:
        ids = {image.id for image in partition.images}
        mine = [person for person in people if person.image_id in ids]
        if mine:
            key = partition_key([*map(box_line, mine)], models=[segmenter.name], version=VERSION)
            folder = journey.workspace.masks_dir / partition.name
            arguments = (partition.images, mine, folder, journey.workspace.root, segmenter)
            yield Task(folder, key, _mask, arguments)


def _mask(
    out: Path,
    images: Sequence[Image],
    people: Sequence[Person],
    former: Path,
    root: Path,
    segmenter: Segmenter,
    progress: Progress = silent,
) -> None:
    """Writes the masks of a partition's people into `out`. Pictures whose figures are those of the `former` result are
    not looked at again: who drops one picture of a show waits for none of the others."""
    from fullcast.people.masks import VERSION, Mask, mask_partition

    boxes = boxes_of(people)
    told = {image.id: boxes[image.id] for image in images if image.id in boxes}
    made_with = partition_key([], models=[segmenter.name], version=VERSION)
    earlier = Former.of(former, made_with, told)
    new = [person for person in people if person.image_id not in earlier.ready]
    made, lost = mask_partition(images, new, root, segmenter, progress)
    earlier.write(out, TABLE, Mask, made, lambda mask: image_of_item(mask.person_id), {"segmenter": segmenter.name})
    earlier.finish(out, lost)
