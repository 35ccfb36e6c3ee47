"""Filters in the journey: what pictures are like is a map stage, kept by partition; who is used is decided anew.

Before near-duplicates are looked for, so that a picture that may not be used never stands for one that may. What only
tagger and names can say (a rating that nobody wrote down, somebody of the cast among the regularization pictures) comes
after them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.journey.reusing import Former, note_seen
from fullcast.records import UNKNOWN, Drop, Image
from fullcast.store.partitions import cached_dir, partition_key
from fullcast.store.tables import read_records, write_records

if TYPE_CHECKING:
    from fullcast.captions.tagging import Words
    from fullcast.ingest.measuring import Eyes, Measure
    from fullcast.journey import Journey
    from fullcast.journey.naming import Named
    from fullcast.journey.taking_in import Partition

TABLE = "measures.parquet"
"""In data/show: what every picture is like that somebody asked about."""


def sift_given(
    journey: Journey, partitions: Sequence[Partition], images: Sequence[Image]
) -> tuple[list[Image], dict[str, str]]:
    """The images with a reason on those that are not used, and the details by image id."""
    from fullcast.ingest.filters import read_opt_out, sift
    from fullcast.ingest.measuring import Measure
    from fullcast.journey.doors import Doors

    config = journey.recipe.ingest
    doors = Doors(journey.workspace, journey.recipe)
    rows: dict[str, Measure] = {}
    for partition in partitions:
        asked = [i for i in partition.images if doors.text_detector or i.source in config.filters.sources]
        if asked:
            rows |= {row.image_id: row for row in _measures(journey, doors.eyes, partition, asked)}
    write_records(journey.workspace.show_dir / TABLE, rows.values(), Measure)
    return sift(images, rows, config, read_opt_out(journey.workspace.opt_out_path))


def _measures(journey: Journey, eyes: Eyes, partition: Partition, asked: Sequence[Image]) -> list[Measure]:
    from fullcast.ingest.measuring import VERSION, Measure, measure_partition

    key = partition_key([image.id for image in asked], models=eyes.names, version=VERSION)
    made_with = partition_key([], models=eyes.names, version=VERSION)
    folder = journey.workspace.measures_dir / partition.name
    workspace = journey.workspace

    def make(out: Path) -> None:
        earlier = Former.of(folder, made_with, {image.id: "" for image in asked})
        rows = measure_partition(earlier.unseen(asked), workspace.root, eyes, journey.progress).rows
        earlier.write(out, "measures.parquet", Measure, rows, lambda row: row.image_id)
        note_seen(out, made_with, dict.fromkeys((*earlier.ready, *(row.image_id for row in rows)), ""))

    cached_dir(folder, key, make)
    return read_records(folder / "measures.parquet", Measure)


def sift_after_names(
    journey: Journey, images: Sequence[Image], named: Named, words: Iterable[Words]
) -> tuple[list[Image], dict[str, str]]:
    """The same once more, with the tagger's ratings and with whom the regularization pictures show."""
    from fullcast.ingest.filters import sift_known

    tagged = _tagged(images, words)
    targets = {p.image_id: p.name for p in named.people if p.character not in ("", UNKNOWN)}
    return sift_known(images, tagged, targets, journey.recipe.ingest.filters)


def ratings_of(images: Sequence[Image], words: Iterable[Words]) -> dict[str, str]:
    """By image id: the file's own rating, else the tagger's."""
    from fullcast.ingest.filters import final_ratings

    return final_ratings(images, _tagged(images, words))


def _tagged(images: Iterable[Image], words: Iterable[Words]) -> dict[str, str]:
    """The tagger's rating of whole pictures, by image id."""
    from fullcast.ingest.filters import rating_of

    ids = {image.id for image in images}
    return {w.item: rating for w in words if w.item in ids and (rating := rating_of(w.tags))}


def filter_drops(images: Iterable[Image], details: Mapping[str, str]) -> list[Drop]:
    """One for each picture that a filter keeps out."""
    from fullcast.ingest.filters import BY_FILTERS, STAGE

    return [Drop(i.id, STAGE, i.dropped, details.get(i.id, "")) for i in images if i.dropped in BY_FILTERS]
