"""Export: the dataset for other trainers, each format with a report of what its reader will make of the weights; and a
checkpoint as a plain folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.journey.answers import Answer
from fullcast.journey.captioning import spoken
from fullcast.journey.making import find_checkpoint
from fullcast.journey.planning import Planned, make_plan
from fullcast.journey.run_facts import RUN_RECIPE, hide_places
from fullcast.journey.wording import caption_source
from fullcast.store.atomic import replacing_dir
from fullcast.store.errors import FullcastError

if TYPE_CHECKING:
    from fullcast.formats.items import Exported, Item
    from fullcast.journey import Journey
    from fullcast.mixture.plan import MixturePlan
    from fullcast.mixture.stages import StagePlan
    from fullcast.records import Cast

DATASETS = {
    "dataset": "Hugging Face imagefolder",
    "webdataset": "tar archives",
    "everydream1": "folders with whole multiplies",
    "everydream2": "folders with multiplies",
    "kohya": "folders with whole repeats, and a dataset TOML",
    "seed": "the seed pipeline's own hierarchy",
}
"""Formats of datasets, and what they are in a few words."""

KINDS = (*DATASETS, "checkpoint")
ALIASES = {"everydream": "everydream2", "imagefolder": "dataset"}


def export(
    journey: Journey, what: str, out: Path, checkpoint: str, max_repeats: float | None = None, stage: str = ""
) -> Answer:
    """`what`: one of KINDS. max_repeats: the longest epoch of formats of whole repeats, see `formats.whole`. stage: of
    the plan, whose mixture and captions are exported; the first by default."""
    what = ALIASES.get(what, what)
    if what == "checkpoint":
        return _checkpoint(journey, out, checkpoint)
    if what not in DATASETS:
        from fullcast.journey.exporting_models import MODELS

        known = ", ".join((*KINDS, *MODELS))
        raise FullcastError(f"nothing is called {what!r} that could be exported; there are: {known}")
    planned = make_plan(journey)
    chosen = _stage(planned, stage)
    journey = journey.with_recipe(spoken(dict(journey.recipe.of_stages())[chosen.name], chosen.name))
    journey.progress.start("export", len(chosen.mixture.samples))
    exported = _writers(journey, planned.prepared.cast, chosen.mixture, out, max_repeats)[what]()
    journey.progress.done()
    lines = [f"{what} ({DATASETS[what]}): {out}", *exported.lines()]
    if len(planned.stages) > 1:
        lines.append(f"  this is stage {chosen.name!r}; the others: {', '.join(_others(planned, chosen))} (--stage)")
    data = {"path": str(out), "samples": exported.num_images, "stage": chosen.name, "report": exported.to_dict()}
    return Answer("\n".join(lines), data)


def _stage(planned: Planned, name: str) -> StagePlan:
    for stage in planned.stages:
        if name in ("", stage.name):
            return stage
    known = ", ".join(stage.name for stage in planned.stages if stage.name)
    if not known:
        raise FullcastError(f"--stage {name}: the recipe has no [[stages]], so that there is one mixture; leave it out")
    raise FullcastError(f"the plan has no stage {name!r}; its stages are: {known}")


def _others(planned: Planned, chosen: StagePlan) -> list[str]:
    return [stage.name for stage in planned.stages if stage is not chosen]


def _writers(
    journey: Journey, cast: Cast, mixture: MixturePlan, out: Path, max_repeats: float | None
) -> Mapping[str, Callable[[], Exported]]:
    """What writes each format. Other trainers know no loss weights: pictures come as often as both together ask."""
    from fullcast.formats.everydream import export_everydream
    from fullcast.formats.imagefolder import export_imagefolder
    from fullcast.formats.kohya import export_kohya
    from fullcast.formats.seed import export_seed
    from fullcast.formats.webdataset import export_webdataset
    from fullcast.formats.whole import MAX_MEAN

    weights, samples = mixture.deliverable.weights, mixture.samples
    mean = MAX_MEAN if max_repeats is None else max_repeats
    side = round(journey.recipe.mixture.area_px**0.5)

    def items() -> Iterator[Item]:
        return _items(journey, cast, mixture)

    return {
        "dataset": lambda: export_imagefolder(items(), out, progress=journey.progress),
        "webdataset": lambda: export_webdataset(items(), out, progress=journey.progress),
        "everydream1": lambda: export_everydream(items(), weights, out, 1, journey.progress, max_mean=mean),
        "everydream2": lambda: export_everydream(items(), weights, out, 2, journey.progress),
        "kohya": lambda: export_kohya(items(), weights, out, side, journey.progress, max_mean=mean),
        "seed": lambda: export_seed(items(), samples, weights, out, journey.progress),
    }


def _items(journey: Journey, cast: Cast, mixture: MixturePlan) -> Iterator[Item]:
    """Every sample with its caption of the first visit, at the size of its bucket."""
    from fullcast.formats.items import Item
    from fullcast.mixture.pixels import WorkspacePixels

    stream, weights = mixture.stream, mixture.deliverable.weights
    captions = caption_source(journey, cast, mixture.samples, for_others=True)
    pixels = WorkspacePixels(journey.workspace.root, mixture.samples)
    for index, sample in enumerate(mixture.samples):
        bucket = stream.buckets[stream.bucket_of[index]]
        picture = pixels.pixels(sample.id, bucket.width, bucket.height)
        weight = float(weights[index]) * len(mixture.samples)
        yield Item(sample, picture, captions.caption(sample.id, 0), weight, folder=sample.source)


def _checkpoint(journey: Journey, out: Path, checkpoint: str) -> Answer:
    """Without the state of the training: what other tools open. A LoRA alone becomes a whole model with its base."""
    from fullcast.journey.exporting_models import write_merged

    chosen = find_checkpoint(journey, checkpoint, lora_alone=True)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FullcastError(f"{out} is not empty; give a new folder")
    if chosen.folder.is_file():
        raise FullcastError(f"{chosen.folder} is one file already; only a folder is copied: copy the file itself")
    with replacing_dir(out) as temporary:
        shutil.copytree(chosen.folder, temporary, dirs_exist_ok=True, ignore=shutil.ignore_patterns("state"))
        if not (temporary / "model_index.json").exists():
            write_merged(journey, chosen, temporary)
        if (temporary / RUN_RECIPE).is_file():
            hide_places(temporary / RUN_RECIPE)
    return Answer(f"{chosen.name} as a diffusers folder: {out}", {"path": str(out), "checkpoint": chosen.name})
