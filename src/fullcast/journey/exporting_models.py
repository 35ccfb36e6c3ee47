"""Export of what was trained: one .safetensors file for UIs, or the LoRA alone, each saying what it is."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast.journey.answers import Answer
from fullcast.journey.doors import POCKET, WEIGHTS_DIR, Doors
from fullcast.journey.making import Checkpoint, find_checkpoint
from fullcast.store.errors import FullcastError

if TYPE_CHECKING:
    from fullcast.journey import Journey

MODELS = {
    "safetensors": "one file with the whole model, as UIs open it",
    "lora": "a LoRA in kohya's layout, as UIs open it",
    "lora-peft": "a LoRA in PEFT's layout, as diffusers opens it",
}
"""Kinds of export that are one file of weights."""


def export_model(journey: Journey, what: str, out: Path, checkpoint: str, half: bool, tell_training: bool) -> Answer:
    """`half`: float16. `tell_training`: the ss_* keys too, which say how it was trained; never a path."""
    import torch

    from fullcast.models.stable_diffusion.folder import read_facts
    from fullcast.models.stable_diffusion.metadata import training_metadata
    from fullcast.models.stable_diffusion.single_file import folder_to_single

    if out.suffix != ".safetensors" or out.exists():
        raise FullcastError(f"{out}: give the name of a new file that ends in .safetensors")
    chosen = find_checkpoint(journey, checkpoint)
    held = read_facts(chosen.folder)
    told = spec(journey, chosen, held.family, held.prediction_type, lora=what != "safetensors")
    if tell_training:
        told |= training_metadata(held.family, facts(journey), held.prediction_type)
    dtype = torch.float16 if half else None
    if what == "safetensors":
        folder_to_single(chosen.folder, out, dtype, told)
    else:
        _write_lora(chosen.folder, out, "kohya" if what == "lora" else "peft", dtype, told)
    data = {"path": str(out), "checkpoint": chosen.name, "metadata": told}
    return Answer(f"{chosen.name}, {MODELS[what]}: {out}", data)


def _write_lora(folder: Path, out: Path, layout: Any, dtype: Any, told: dict[str, str]) -> None:
    import json

    from fullcast.models.stable_diffusion.adapter import KOHYA_FILE
    from fullcast.models.stable_diffusion.folder import read_facts
    from fullcast.models.stable_diffusion.lora import LoraLayer, read_lora, write_lora

    if not (folder / KOHYA_FILE).is_file():
        raise FullcastError(
            f"{folder} has no LoRA: it was trained whole; set training.lora_rank, or export safetensors"
        )
    held = read_facts(folder)
    configs = json.loads(json.dumps(held.configs))
    lora = read_lora(folder / KOHYA_FILE, held.family, configs)
    if dtype is not None:
        for layers in lora.layers.values():
            layers.update({k: LoraLayer(v.down.to(dtype), v.up.to(dtype), v.alpha) for k, v in layers.items()})
    write_lora(lora, out, layout, told, configs)


def spec(journey: Journey, chosen: Checkpoint, family: str, prediction_type: str, lora: bool) -> dict[str, str]:
    """modelspec.*: what it is, its licence, and the words that call its cast."""
    from fullcast.models.stable_diffusion.metadata import modelspec

    side = round(journey.recipe.mixture.area_px**0.5)
    return modelspec(
        family,
        journey.recipe.show or "Fullcast",
        (side, side),
        prediction_type=prediction_type,
        lora=lora,
        licence=licence_of_made(journey),
        date=date.today().isoformat(),
        trigger_phrase=", ".join(character.trigger_word for character in chosen.cast.characters),
    )


def facts(journey: Journey) -> dict[str, Any]:
    """Of the training, by kohya's names without ss_: no folder, no caption."""
    training, mixture = journey.recipe.training, journey.recipe.mixture
    told: dict[str, Any] = {
        "seed": journey.recipe.seed,
        "learning_rate": training.learning_rate,
        "unet_lr": training.learning_rate,
        "text_encoder_lr": training.text_encoder_learning_rate,
        "lr_scheduler": training.lr_schedule,
        "optimizer": training.optimizer,
        "batch_size_per_device": mixture.batch_size,
        "max_train_steps": sum(of.mixture.num_steps for _, of in journey.recipe.of_stages()),
        "min_snr_gamma": training.min_snr_gamma,
        "noise_offset": training.noise_offset or None,
        "clip_skip": training.clip_skip if training.clip_skip > 1 else None,
    }
    if training.lora_rank:
        alpha = training.lora_rank if training.lora_alpha is None else training.lora_alpha
        told |= {"network_module": "networks.lora", "network_dim": training.lora_rank, "network_alpha": alpha}
    return told


def licence_of_made(journey: Journey) -> str:
    """The recipe's licence; where it has none, what the base states, since what is trained on it inherits that."""
    from fullcast.models.stable_diffusion.licence import licence_of

    if journey.recipe.licence:
        return journey.recipe.licence
    base = Doors(journey.workspace, journey.recipe).path("base")
    return licence_of(base) or (licence_of(WEIGHTS_DIR.parent) if journey.recipe.models.base == POCKET else "")
