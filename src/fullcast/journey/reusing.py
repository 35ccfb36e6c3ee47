"""What an earlier result of a partition still says: a picture more in a folder of ten thousand costs one picture.

A partition is made anew as a whole when its key changes. Of the pictures of which its stage would be told what it was
told before, by the same networks and settings, it takes the rows of the result that is there, and looks at the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fullcast.records import Drop, Image, Person
from fullcast.store.errors import UnreadableFile
from fullcast.store.tables import read_metadata, read_records, write_records

TABLE = "seen.parquet"
"""In the result of a partition."""

DROPS = "drops.parquet"

MADE_WITH = "made_with"

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture that was looked at, and could be read."""

    image_id: str
    told: str
    """What the stage was told beside its pixels."""


@dataclass(frozen=True)
class Former:
    """The result that a partition has, and which of its pictures need not be looked at again."""

    folder: Path
    made_with: str
    """A `partition_key` over networks, settings and VERSION: rows that others made are not taken."""
    told: Mapping[str, str]
    """By id of each picture in question: what the stage is told of it today beside its pixels."""
    ready: Set[str]
    """Of these the result says what would be said today."""

    @classmethod
    def of(cls, folder: Path, made_with: str, told: Mapping[str, str]) -> Former:
        """Nothing is ready where there is no result, or others made it."""
        seen = seen_before(folder, made_with)
        return cls(folder, made_with, told, {image_id for image_id, said in told.items() if seen.get(image_id) == said})

    def unseen(self, images: Iterable[Image]) -> list[Image]:
        return [image for image in images if image.id not in self.ready]

    def write(
        self,
        out: Path,
        name: str,
        cls: type[Row],
        new: Iterable[Row],
        image_of: Callable[[Row], str],
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """The table of that name in `out`: its rows of the pictures that are ready, and `new` ones, in the order of the
        pictures, as if all had been made at once."""
        before = read_records(self.folder / name, cls) if self.ready else []
        kept = [row for row in before if image_of(row) in self.ready]
        place = {image_id: number for number, image_id in enumerate(self.told)}
        write_records(out / name, sorted([*kept, *new], key=lambda row: place[image_of(row)]), cls, metadata)

    def finish(self, out: Path, drops: Iterable[Drop]) -> None:
        """The drops, and what was seen: a picture that could not be read is tried again the next time."""
        drops = list(drops)
        self.write(out, DROPS, Drop, drops, lambda drop: image_of_item(drop.item))
        unread = {drop.item for drop in drops}
        note_seen(out, self.made_with, {i: said for i, said in self.told.items() if i not in unread})


def note_seen(out: Path, made_with: str, told: Mapping[str, str]) -> None:
    """Beside the result in `out`. told: by image id."""
    write_records(out / TABLE, [Seen(*pair) for pair in sorted(told.items())], Seen, {MADE_WITH: made_with})


def seen_before(former: Path, made_with: str) -> dict[str, str]:
    """What was noted; nothing where there is no result, or others made it."""
    try:
        if read_metadata(former / TABLE).get(MADE_WITH) != made_with:
            return {}
        return {row.image_id: row.told for row in read_records(former / TABLE, Seen)}
    except UnreadableFile:
        return {}


def image_of_item(item: str) -> str:
    """The picture that a picture's or a figure's id speaks of."""
    return item.partition("/")[0]


def boxes_of(people: Iterable[Person]) -> dict[str, str]:
    """Image id -> everybody in it with their boxes, a line each: what is told of figures."""
    told: dict[str, str] = {}
    for person in people:
        told[person.image_id] = told.get(person.image_id, "") + box_line(person) + "\n"
    return told


def box_line(person: Person) -> str:
    return f"{person.id} {person.xyxy} {person.head_xyxy}"
