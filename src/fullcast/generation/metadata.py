"""What a PNG says about itself: JSON that makes it again, and the line that A1111 users' tools read."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fullcast.formats.a1111 import PARAMETERS, RECORD, Parameters, format_parameters
from fullcast.records import Scene
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import bytes_id, read_png_text
from fullcast.store.tables import from_plain, to_plain

VERSION = 1
_A1111_NAMES = {"ddim": "DDIM", "euler": "Euler", "dpm++2m": "DPM++ 2M"}


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
    """parent (picture id), parent_file (its file's id), mask (PNG, base64), strength, feather; None: from noise."""
    dtype: str = "float32"
    """float32 | bfloat16 | float16, in which denoiser and text encoders computed."""

    @property
    def id(self) -> str:
        """Hash of all of it: the picture's id, which its own PNG can carry."""
        return bytes_id(json.dumps(self.to_json(), sort_keys=True).encode())

    @property
    def short_id(self) -> str:
        """Its first digits, for names of files."""
        return self.id[:6]

    def to_json(self) -> dict[str, Any]:
        value = {**self.__dict__, "scene": to_plain(self.scene)}
        del value["scene"]["seed"]  # the picture's own stands beside it
        if self.dtype == "float32":  # pictures of before keep their ids
            del value["dtype"]
        parent = self.inpaint["parent"] if self.inpaint else ""
        return {"version": VERSION, "parent": parent, **json.loads(json.dumps(value))}

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
    """Text chunks: the recipe as JSON, with the fields of a `Picture` among it, and `parameters` as A1111 writes it.

    A prompt that A1111's format cannot hold (it looks like a line of settings) leaves that chunk out.
    """
    value = {**recipe.to_json(), "id": recipe.id, "path": "", "slot": asdict(slot)}
    text = {RECORD: json.dumps(value, ensure_ascii=False, sort_keys=True)}
    with suppress(FullcastError):
        text[PARAMETERS] = format_parameters(parameters(recipe))
    return text


def read_recipe(path: Path) -> tuple[Recipe, Slot]:
    """FullcastError when the PNG was not made by Fullcast, or by a later one."""
    told = read_png_text(path).get(RECORD)
    if told is None:
        raise FullcastError(f"{path} does not say how it was made: it has no {RECORD!r} text; give a PNG from generate")
    value = json.loads(told)
    if value["version"] > VERSION:
        raise FullcastError(
            f"{path} was made by a later Fullcast (version {value['version']}, known {VERSION}); update it"
        )
    return Recipe.from_json(value), Slot(**value["slot"])


def parameters(recipe: Recipe) -> Parameters:
    """Prompt, negative prompt and settings with the names that A1111 gives them."""
    settings = {
        "Steps": str(recipe.num_inference_steps),
        "Sampler": _A1111_NAMES.get(recipe.scheduler, recipe.scheduler),
        "CFG scale": f"{recipe.guidance_scale:g}",
        "Seed": str(recipe.seed),
        "Size": f"{recipe.width}x{recipe.height}",
        "Model hash": recipe.checkpoint_sha256[:10],
        "Model": Path(recipe.checkpoint).name,
        "Denoising strength": f"{recipe.inpaint['strength']:g}" if recipe.inpaint else "",
        "Version": "fullcast",
    }
    one_line = " ".join(recipe.prompt.split()), " ".join(recipe.negative_prompt.split())
    return Parameters(*one_line, {k: v for k, v in settings.items() if v})
