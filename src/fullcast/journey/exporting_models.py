"""Export of what was trained: one .safetensors file for UIs, or the LoRA alone, each saying what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast.journey.answers import Answer
from fullcast.journey.doors import POCKET, WEIGHTS_DIR, Doors
from fullcast.journey.making import Checkpoint, find_checkpoint
from fullcast.journey.run_facts import RunFacts, read_run
from fullcast.store.errors import FullcastError

if TYPE_CHECKING:
    import torch

    from fullcast.journey import Journey
    from fullcast.models.stable_diffusion.lora import Layout
    from fullcast.recipe import Recipe
    from fullcast.records import Cast

MODELS = {
    "safetensors": "one file with the whole model, as UIs open it",
    "lora": "a LoRA in kohya's layout, as UIs open it",
    "lora-peft": "a LoRA in PEFT's layout, as diffusers opens it",
}
"""Kinds of export that are one file of weights."""


def export_model(journey: Journey, what: str, out: Path, checkpoint: str, half: bool, tell_training: bool) -> Answer:
    """`half`: float16. `tell_training`: all ss_* keys too, which say how it was trained; never a path."""
    import torch

    from fullcast.models.stable_diffusion.metadata import training_metadata
    from fullcast.models.stable_diffusion.single_file import folder_to_single

    if out.suffix != ".safetensors" or out.exists():
        raise FullcastError(f"{out}: give the name of a new file that ends in .safetensors")
    lora = what != "safetensors"
    chosen = find_checkpoint(journey, checkpoint, lora_alone=lora)
    held, trained = _facts_of(journey, chosen), read_run(chosen.folder)
    told = spec(journey, chosen, trained, held, lora)
    unknown = tell_training and trained.recipe is None
    if tell_training and trained.recipe is not None:
        told |= training_metadata(held.family, facts(trained.recipe, held.clip_skip), held.prediction_type)
    dtype = torch.float16 if half else None
    if lora:
        _write_lora(chosen, held, out, "kohya" if what == "lora" else "peft", dtype, told)
    else:
        folder_to_single(chosen.folder, out, dtype, told)
    data = {"path": str(out), "checkpoint": chosen.name, "metadata": told}
    rest = (
        f"; nothing beside the model says how it was trained: no {'other ' * lora}ss_* keys were written"
        if unknown
        else ""
    )
    return Answer(f"{chosen.name}, {MODELS[what]}: {out}{rest}", data)


@dataclass(frozen=True)
class _Facts:
    """Of a checkpoint, whole or a LoRA alone."""

    family: str
    prediction_type: str
    clip_skip: int
    configs: Mapping[str, Any] | None
    """None: the published ones."""


def _facts_of(journey: Journey, chosen: Checkpoint) -> _Facts:
    """As its own folder says; of a LoRA alone as its file and its base say."""
    from fullcast.models.stable_diffusion.folder import KOHYA_FILE, clip_skip_of, read_facts
    from fullcast.models.stable_diffusion.metadata import read_metadata, told_clip_skip, told_family, told_prediction

    lora = chosen.folder / KOHYA_FILE
    if (chosen.folder / "model_index.json").is_file() or not lora.is_file():
        held = read_facts(chosen.folder)
        return _Facts(held.family, held.prediction_type, clip_skip_of(chosen.folder), held.configs)
    told, base = read_metadata(lora), base_of(journey, chosen)
    recipe = read_run(chosen.folder).recipe
    heard = told_clip_skip(told)
    if heard == 1 and recipe is not None:  # files from before it was written into them
        heard = recipe.training.clip_skip or 1
    if not base.is_dir():
        return _Facts(told_family(told), told_prediction(told), heard, None)
    held = read_facts(base)
    return _Facts(held.family, told_prediction(told), heard, held.configs)


def base_of(journey: Journey, chosen: Checkpoint) -> Path:
    """The base of a LoRA that stands alone: today's, if it is the one that it was trained on. Else FullcastError."""
    from fullcast.models.stable_diffusion.folder import folder_sha256

    base = Doors(journey.workspace, journey.recipe).path("base")
    known = read_run(chosen.folder).provenance.get("base")
    if known and (found := folder_sha256(base)) != known["sha256"]:
        raise FullcastError(
            f"{chosen.name} is a LoRA on {known['name']!r} (sha256 {known['sha256'][:16]}), and models.base is "
            f"{base.name!r} ({found[:16]}); set models.base to the model that it was trained on"
        )
    return base


def write_merged(journey: Journey, chosen: Checkpoint, folder: Path) -> None:
    """Base and LoRA as one diffusers folder, with the target and the noise that it was trained for, into a folder that
    the caller makes atomic."""
    import torch

    from fullcast.models.stable_diffusion.adapter import configs_of, merge
    from fullcast.models.stable_diffusion.family import StableDiffusion
    from fullcast.models.stable_diffusion.folder import KOHYA_FILE
    from fullcast.models.stable_diffusion.lora import read_lora

    training = (read_run(chosen.folder).recipe or journey.recipe).training
    model = StableDiffusion.load(base_of(journey, chosen))
    model.use_schedule(training.prediction_type, training.zero_terminal_snr)
    model.use_clip_skip(training.clip_skip)
    merge(model, read_lora(chosen.folder / KOHYA_FILE, model.family, configs_of(model)))
    model.write(folder, torch.float16 if training.checkpoint_dtype == "float16" else None)


def _write_lora(
    chosen: Checkpoint, held: _Facts, out: Path, layout: Layout, dtype: torch.dtype | None, told: dict[str, str]
) -> None:
    from fullcast.models.stable_diffusion.folder import KOHYA_FILE
    from fullcast.models.stable_diffusion.lora import read_lora, write_lora

    if not (chosen.folder / KOHYA_FILE).is_file():
        raise FullcastError(
            f"{chosen.folder} has no LoRA: it was trained whole; set training.lora_rank, or export safetensors"
        )
    lora = read_lora(chosen.folder / KOHYA_FILE, held.family, held.configs)
    write_lora(lora if dtype is None else lora.to(dtype), out, layout, told, held.configs)


def spec(journey: Journey, chosen: Checkpoint, trained: RunFacts, held: _Facts, lora: bool) -> dict[str, str]:
    """modelspec.*: what it is, its licence, and the words that call its cast."""
    from fullcast.models.stable_diffusion.metadata import modelspec

    told = about(journey, chosen.cast, trained)
    heard: dict[str, Any] = {"prediction_type": held.prediction_type, "clip_skip": held.clip_skip}
    return modelspec(held.family, lora=lora, date=date.today().isoformat(), **heard, **told)


def about(journey: Journey, cast: Cast, trained: RunFacts | None = None) -> dict[str, Any]:
    """What `modelspec` takes beside family and prediction: title, resolution, licence, trigger words; of what was
    `trained` before, as it was then. No date: the LoRA of a checkpoint has the same bytes on any day. FullcastError
    when one of them names a path."""
    from fullcast.models.stable_diffusion.metadata import without_paths

    trained = trained or RunFacts()
    _, last = (trained.recipe or journey.recipe).of_stages()[-1]
    side = round(last.mixture.area_px**0.5)
    words = {
        "title": journey.recipe.show or "Fullcast",
        "licence": licence_of_trained(journey, trained),
        "trigger_phrase": ", ".join(character.trigger_word for character in cast.characters),
    }
    return {**without_paths(words), "resolution": (side, side)}


def facts(recipe: Recipe, clip_skip: int = 1) -> dict[str, Any]:
    """Of the training with this recipe, by kohya's names without ss_: no folder, no caption. `clip_skip`: the layer
    that is heard, whether recipe or base said so. Of stages what the last one has."""
    _, last = recipe.of_stages()[-1]
    training, mixture = last.training, last.mixture
    told: dict[str, Any] = {
        "seed": recipe.seed,
        "learning_rate": training.learning_rate,
        "unet_lr": training.learning_rate,
        "text_encoder_lr": training.text_encoder_learning_rate,
        "lr_scheduler": training.lr_schedule,
        "optimizer": training.optimizer,
        "batch_size_per_device": mixture.batch_size,
        "max_train_steps": sum(of.mixture.num_steps for _, of in recipe.of_stages()),
        "min_snr_gamma": training.min_snr_gamma,
        "noise_offset": training.noise_offset or None,
        "clip_skip": clip_skip if clip_skip > 1 else None,
    }
    if training.lora_rank:
        alpha = training.lora_rank if training.lora_alpha is None else training.lora_alpha
        told |= {"network_module": "networks.lora", "network_dim": training.lora_rank, "network_alpha": alpha}
    return told


def licence_of_trained(journey: Journey, trained: RunFacts) -> str:
    """Of what was trained: the recipe's licence, else what was stated beside it then, else as of what is made today."""
    return journey.recipe.licence or trained.licence or licence_of_made(journey)


def licence_of_made(journey: Journey) -> str:
    """The recipe's licence; where it has none, what the base states, since what is trained on it inherits that."""
    from fullcast.models.stable_diffusion.licence import licence_of

    if journey.recipe.licence:
        return journey.recipe.licence
    base = Doors(journey.workspace, journey.recipe).path("base")
    return licence_of(base) or (licence_of(WEIGHTS_DIR.parent) if journey.recipe.models.base == POCKET else "")
