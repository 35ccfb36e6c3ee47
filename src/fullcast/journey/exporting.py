"""Export: the dataset for other trainers, a checkpoint as a plain folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.journey.answers import Answer
from fullcast.journey.making import find_checkpoint
from fullcast.journey.planning import Planned, make_plan
from fullcast.journey.wording import caption_source
from fullcast.store.atomic import replacing_dir
from fullcast.store.errors import FullcastError
from fullcast.store.tables import to_plain

if TYPE_CHECKING:
    from fullcast.formats.items import Item
    from fullcast.journey import Journey

KINDS = ("dataset", "everydream", "checkpoint")


def export(journey: Journey, what: str, out: Path, checkpoint: str) -> Answer:
    """`what`: dataset (Hugging Face imagefolder), everydream (its folders) or checkpoint (a diffusers folder)."""
    if what == "dataset":
        return _dataset(journey, out)
    if what == "everydream":
        return _everydream(journey, out)
    if what == "checkpoint":
        return _checkpoint(journey, out, checkpoint)
    raise FullcastError(f"nothing is called {what!r} that could be exported; there are: {', '.join(KINDS)}")


def _dataset(journey: Journey, out: Path) -> Answer:
    from fullcast.formats.imagefolder import export_imagefolder

    planned = make_plan(journey)
    journey.progress.start("export", len(planned.mixture.samples))
    count = export_imagefolder(_items(journey, planned), out, progress=journey.progress)
    journey.progress.done()
    return Answer(f"{count} pictures with captions, weights and people: {out}", {"path": str(out), "samples": count})


def _everydream(journey: Journey, out: Path) -> Answer:
    from fullcast.formats.everydream import export_everydream

    planned = make_plan(journey)
    journey.progress.start("export", len(planned.mixture.samples))
    items, weights = _items(journey, planned), planned.mixture.stream.weights
    exported = export_everydream(items, weights, out, progress=journey.progress)
    journey.progress.done()
    return Answer(f"EveryDream folders: {out}", {"path": str(out), "report": to_plain(exported)})


def _items(journey: Journey, planned: Planned) -> Iterator[Item]:
    """Every sample with its caption of the first visit, at the size of its bucket."""
    from fullcast.formats.items import Item
    from fullcast.mixture.pixels import WorkspacePixels

    stream = planned.mixture.stream
    captions = caption_source(journey, planned.prepared.cast, planned.mixture.samples)
    pixels = WorkspacePixels(journey.workspace.root, planned.mixture.samples)
    for index, sample in enumerate(planned.mixture.samples):
        bucket = stream.buckets[stream.bucket_of[index]]
        picture = pixels.pixels(sample.id, bucket.width, bucket.height)
        weight = float(stream.weights[index]) * len(planned.mixture.samples)
        yield Item(sample, picture, captions.caption(sample.id, 0), weight, folder=sample.source)


def _checkpoint(journey: Journey, out: Path, checkpoint: str) -> Answer:
    """Without the state of the training: what other tools open."""
    chosen = find_checkpoint(journey, checkpoint)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FullcastError(f"{out} is not empty; give a new folder")
    with replacing_dir(out) as temporary:
        shutil.copytree(chosen.folder, temporary, dirs_exist_ok=True, ignore=shutil.ignore_patterns("state"))
    return Answer(f"{chosen.name} as a diffusers folder: {out}", {"path": str(out), "checkpoint": chosen.name})
