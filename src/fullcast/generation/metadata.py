"""What a PNG says about itself: JSON that makes it again, and the line that A1111 users' tools read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fullcast.records import Scene
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import read_png_text
from fullcast.store.tables import from_plain, to_plain

CHUNK = "fullcast"
VERSION = 1


@dataclass(frozen=True)
class Recipe:
    """Everything that the pixels depend on."""

    scene: Scene
    prompt: str
    """The text that went into the text encoder."""
    negative_prompt: str
    regions: tuple[dict[str, Any], ...]
    """box, prompt, negative_prompt of each region; () without places."""
    seed: int
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    guidance_rescale: float
    scheduler: str
    region_global: float
    region_steps: float
    checkpoint: str
    """Name or path relative to the workspace; never an absolute path."""
    checkpoint_sha256: str
    inpaint: dict[str, Any] | None = None
    """parent's id, mask (PNG, base64), strength, feather; None for a picture made from noise alone."""

    def to_json(self) -> dict[str, Any]:
        value = {**self.__dict__, "scene": to_plain(self.scene)}
        return {"version": VERSION, **json.loads(json.dumps(value))}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Recipe:
        fields = {k: v for k, v in value.items() if k in cls.__dataclass_fields__}
        return cls(**{**fields, "scene": from_plain(Scene, value["scene"]), "regions": tuple(value["regions"])})


@dataclass(frozen=True)
class Slot:
    """Place in the batch: rounding may differ between batch shapes, so the same bytes need the same place."""

    batch_size: int
    index: int


def png_text(recipe: Recipe, slot: Slot) -> dict[str, str]:
    """Text chunks: `fullcast` (all of it) and `parameters` (as A1111 writes it)."""
    value = {**recipe.to_json(), "slot": asdict(slot)}
    return {CHUNK: json.dumps(value, ensure_ascii=False, sort_keys=True), "parameters": parameters(recipe)}


def read_recipe(path: Path) -> tuple[Recipe, Slot]:
    """FullcastError when the PNG was not made by Fullcast, or by a later one."""
    told = read_png_text(path).get(CHUNK)
    if told is None:
        raise FullcastError(f"{path} does not say how it was made: it has no {CHUNK!r} text; give a PNG from generate")
    value = json.loads(told)
    if value["version"] > VERSION:
        raise FullcastError(
            f"{path} was made by a later Fullcast (version {value['version']}, known {VERSION}); update it"
        )
    return Recipe.from_json(value), Slot(**value["slot"])


_A1111_NAMES = {"ddim": "DDIM", "euler": "Euler", "dpm++2m": "DPM++ 2M"}


def parameters(recipe: Recipe) -> str:
    """The `parameters` text: prompt, negative prompt, and one line of settings with the names that A1111 gives them."""
    settings = {
        "Steps": recipe.num_inference_steps,
        "Sampler": _A1111_NAMES.get(recipe.scheduler, recipe.scheduler),
        "CFG scale": f"{recipe.guidance_scale:g}",
        "Seed": recipe.seed,
        "Size": f"{recipe.width}x{recipe.height}",
        "Model hash": recipe.checkpoint_sha256[:10],
        "Model": Path(recipe.checkpoint).name,
    }
    lines = [recipe.prompt]
    if recipe.negative_prompt:
        lines.append(f"Negative prompt: {recipe.negative_prompt}")
    return "\n".join([*lines, ", ".join(f"{k}: {v}" for k, v in settings.items() if v != "")])
