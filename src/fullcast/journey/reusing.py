"""What an earlier result of a partition still says: a picture more in a folder of ten thousand costs one picture.

A partition is made anew as a whole when its key changes. Of the pictures of which its stage would be told what it was
told before, by the same networks and settings, it takes the rows of the result that is there, and looks at the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fullcast.records import Drop, Image, Person
from fullcast.store.errors import UnreadableFile
from fullcast.store.tables import read_metadata, read_records, write_records

TABLE = "seen.parquet"
"""In the result of a partition."""

MADE_WITH = "made_with"

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture that was looked at, and could be read."""

    image_id: str
    told: str
    """What the stage was told beside its pixels."""


def note_seen(out: Path, made_with: str, told: Mapping[str, str]) -> None:
    """Beside the result in `out`. told: by image id. made_with: a `partition_key` over networks, settings, VERSION."""
    write_records(out / TABLE, [Seen(*pair) for pair in sorted(told.items())], Seen, {MADE_WITH: made_with})


def still_true(former: Path, made_with: str, told: Mapping[str, str]) -> set[str]:
    """The pictures of `told` of which the result in the folder `former` says what would be said today; none where
    there is no result, or others made it."""
    seen = seen_before(former, made_with)
    return {image_id for image_id, said in told.items() if seen.get(image_id) == said}


def seen_before(former: Path, made_with: str) -> dict[str, str]:
    """What was noted; nothing where there is no result, or others made it."""
    try:
        if read_metadata(former / TABLE).get(MADE_WITH) != made_with:
            return {}
        return {row.image_id: row.told for row in read_records(former / TABLE, Seen)}
    except UnreadableFile:
        return {}


def rows_of(former: Path, cls: type[Row], image_ids: set[str], image_of: Callable[[Row], str]) -> list[Row]:
    """The rows of the table at `former` that are about these pictures; the table is not opened where there are none."""
    return [row for row in read_records(former, cls) if image_of(row) in image_ids] if image_ids else []


def in_order(rows: Iterable[Row], images: Sequence[Image], image_of: Callable[[Row], str]) -> list[Row]:
    """In the order of the pictures, as if all had been made at once."""
    place = {image.id: number for number, image in enumerate(images)}
    return sorted(rows, key=lambda row: place[image_of(row)])


def image_of_item(item: str) -> str:
    """The picture that a picture's or a figure's id speaks of."""
    return item.partition("/")[0]


def image_of_drop(drop: Drop) -> str:
    return image_of_item(drop.item)


def without_unread(told: Mapping[str, str], drops: Iterable[Drop]) -> dict[str, str]:
    """What to note: a picture that could not be read is tried again."""
    unread = {drop.item for drop in drops}
    return {image_id: said for image_id, said in told.items() if image_id not in unread}


def boxes_of(people: Iterable[Person]) -> dict[str, str]:
    """Image id -> everybody in it with their boxes, a line each: what is told of figures."""
    told: dict[str, str] = {}
    for person in people:
        line = f"{person.id} {person.xyxy} {person.head_xyxy}\n"
        told[person.image_id] = told.get(person.image_id, "") + line
    return told
