"""Labelled XY grids: one thing changes along each axis, everything else stays, the seed too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fullcast.generation.config import GenerationConfig
from fullcast.generation.generate import generate
from fullcast.generation.layout import with_places
from fullcast.generation.out import file_to_write
from fullcast.generation.prompt import as_counted, parse_name
from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.ports import Progress, silent
from fullcast.records import Cast, Picture, Placement, Scene
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import read_picture, write_png

AXES = ("character", "seed", "checkpoint", "prompt", "guidance_scale", "num_inference_steps")
SHORT = {"guidance_scale": "cfg", "num_inference_steps": "steps"}
"""What a person may write for an axis."""
_MARGIN = 6
_BACKGROUND, _INK = (250, 250, 250), (30, 30, 30)


@dataclass(frozen=True)
class Axis:
    """What changes, and through which values."""

    kind: str
    """character | seed | checkpoint | prompt | guidance_scale | num_inference_steps."""
    values: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Axis:
        """ "seed=0,1,2", "character=aoi,hinata/hairdown", "cfg=3,5", "steps=10,20"; prompts are parted by |."""
        kind, _, told = text.partition("=")
        kind = next((axis for axis, short in SHORT.items() if short == kind.strip()), kind.strip())
        values = tuple(v.strip() for v in told.split("|" if kind == "prompt" else ",") if v.strip())
        if kind not in AXES or not values:
            both = ", ".join(f"{axis} ({SHORT[axis]})" if axis in SHORT else axis for axis in AXES)
            raise FullcastError(f"{text!r} is no axis; write one of {both} and values, such as seed=0,1,2")
        if kind in ("seed", "guidance_scale", "num_inference_steps"):
            number = float if kind == "guidance_scale" else int
            for value in values:
                try:
                    number(value)
                except ValueError as error:
                    raise FullcastError(f"{value!r} is no {kind}; give numbers, such as {kind}=1,2,3") from error
        return cls(kind, values)

    def label(self, value: str) -> str:
        """What stands over a column: names speak for themselves, a bare number does not."""
        return value if self.kind in ("character", "checkpoint", "prompt") else f"{self.kind.replace('_', ' ')} {value}"


def grid(
    load: Callable[[str], StableDiffusion],
    scene: Scene,
    cast: Cast,
    config: GenerationConfig,
    x: Axis,
    y: Axis,
    out: Path,
    *,
    checkpoint: str = "",
    progress: Progress = silent,
) -> list[Picture]:
    """Every pair of values as one picture in a folder beside `out`, and all of them with labels in the PNG `out`.

    `load(checkpoint)` opens a model; it is asked once per checkpoint. A character on an axis takes the turn of the
    scene's first person, and that one's place unless it has its own; counts in prompts ask for extras. Places that
    the show's layouts give (`plan_places`) are drawn once, by the settings' seed: only the axes change. Pictures row
    by row. FullcastError for a value that an axis does not take, and for an `out` that cannot be written.
    """
    out = file_to_write(out, folder_beside=True)
    if x.kind == y.kind:
        raise FullcastError(f"both axes change the {x.kind}; give two different ones")
    cells = [_cell(scene, config, checkpoint, cast, {x.kind: vx, y.kind: vy}) for vy in y.values for vx in x.values]
    made: dict[int, Picture] = {}
    progress.start("grid", len(cells))
    for name in dict.fromkeys(cell[2] for cell in cells):
        model = load(name)
        sha256 = model.sha256()
        for i, (cell_scene, cell_config, cell_checkpoint) in enumerate(cells):
            if cell_checkpoint == name:
                cell_scene = replace(cell_scene, id=f"{scene.id}-r{i // len(x.values)}c{i % len(x.values)}")
                folder = out.parent / out.stem
                [made[i]] = generate(
                    model, [cell_scene], cast, cell_config, folder, checkpoint=name, checkpoint_sha256=sha256
                )
                progress.advance(1)
    progress.done()
    pictures = [made[i] for i in range(len(cells))]
    images = [read_picture(out.parent / out.stem / p.path) for p in pictures]
    labels = ([x.label(v) for v in x.values], [y.label(v) for v in y.values])
    write_png(out, compose(images, *labels), {"fullcast-grid": f"x {x.kind}, y {y.kind}, prompt {scene.prompt}"})
    return pictures


def _cell(
    scene: Scene, config: GenerationConfig, checkpoint: str, cast: Cast, changed: dict[str, str]
) -> tuple[Scene, GenerationConfig, str]:
    """Scene, settings and checkpoint with the axes' values put in."""
    settings: dict[str, Any] = {}
    if prompt := changed.get("prompt"):  # before the character: its count may ask for somebody beside her
        scene = replace(scene, prompt=prompt, people=as_counted(scene.people, prompt))
    for kind, value in changed.items():
        if kind == "character":
            scene = replace(scene, people=_with_first(scene, parse_name(value, cast)))
        elif kind == "prompt":
            continue
        elif kind == "checkpoint":
            checkpoint = value
        else:
            settings[kind] = float(value) if kind == "guidance_scale" else int(value)
    if config.plan_places:
        scene, settings["plan_places"] = with_places(scene, cast, config.seed), False
    return scene, config.changed(**settings), checkpoint


def _with_first(scene: Scene, who: Placement) -> tuple[Placement, ...]:
    """The scene's people with `who` as the first, in the first's place unless `who` brings one."""
    if not scene.people:
        return as_counted([who], scene.prompt)
    first = replace(scene.people[0], character=who.character, form=who.form)
    if who.cell is not None:
        first = replace(first, cell=who.cell, box=None)
    return first, *scene.people[1:]


def compose(images: Sequence[np.ndarray], columns: Sequence[str], rows: Sequence[str]) -> np.ndarray:
    """Pictures row by row into one (H, W, 3) uint8, with a label over each column and before each row."""
    width, height = max(i.shape[1] for i in images), max(i.shape[0] for i in images)
    font_size = max(11, min(20, height // 8))
    font = ImageFont.load_default(size=font_size)
    label_height = int(font_size * 1.6)
    label_width = int(max(font.getlength(row) for row in rows)) + 2 * _MARGIN
    size = (label_width + len(columns) * (width + _MARGIN), label_height + len(rows) * (height + _MARGIN))
    sheet = Image.new("RGB", size, _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for c, text in enumerate(columns):
        x = label_width + c * (width + _MARGIN)
        draw.text((x, label_height // 5), _fitted(text, font, width), _INK, font)
    for r, text in enumerate(rows):
        draw.text((_MARGIN, label_height + r * (height + _MARGIN) + height // 2 - font_size // 2), text, _INK, font)
    for i, image in enumerate(images):
        r, c = divmod(i, len(columns))
        at = (label_width + c * (width + _MARGIN), label_height + r * (height + _MARGIN))
        sheet.paste(Image.fromarray(image), at)
    return np.asarray(sheet)


def _fitted(text: str, font: Any, width: int) -> str:
    """The text, its end replaced by ... where it is wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."
