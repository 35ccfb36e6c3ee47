"""Repair that knows who is wrong: look, find the figure that is not who it should be, paint it anew, keep only better.

Thin on purpose: pictures with as many figures as asked, wrong figures one after the other. Who is in the picture says a
`ports.Look` that must not be the judge's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fullcast.generation.config import GenerationConfig
from fullcast.generation.inpaint import box_mask, inpaint
from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.ports import Look
from fullcast.recognition.assign import assign
from fullcast.records import Box, Cast, Found, Picture, Placement, Scene, cell_of
from fullcast.store.atomic import write_bytes
from fullcast.store.pictures import read_picture

GROWN = 0.12
"""Of a figure's width and height that is painted around its box: hair sticks out of boxes by less."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """What came of one attempt."""

    picture: Picture | None
    """The mended picture; None: nothing better was found, or there was nothing to mend."""
    tries: int
    character: str = ""
    """Whom the figure should have been."""


def wrong_figures(found: Sequence[Found], scene: Scene, cast: Cast) -> list[tuple[int, int]]:
    """(index of the figure, index into scene.people) of everybody who is not who he should be; best matches first.

    Figures are assigned to those asked for by similarity in total. Another number of figures than asked for is no case
    for inpainting one of them: the answer is then [].
    """
    if len(found) != scene.num_people or not all(p.character in cast.names for p in scene.people):
        return []
    columns = [cast.names.index(placement.character) for placement in scene.people]
    scores = np.array([[figure.scores[column] if figure.scores else 0.0 for column in columns] for figure in found])
    answer = assign(scores.reshape(len(found), len(columns)), -1.0)
    pairs = [(figure, int(asked)) for figure, asked in enumerate(answer)]
    return [(figure, asked) for figure, asked in pairs if not _is_right(found[figure], scene.people[asked])]


def repair(
    model: StableDiffusion,
    picture: Path,
    scene: Scene,
    cast: Cast,
    look: Look,
    config: GenerationConfig,
    out: Path,
    *,
    seeds: Sequence[int] = (1, 2, 3),
    strength: float = 0.9,
    checkpoint: str = "",
) -> Repaired:
    """Paints the first wrong figure anew, one seed after the other, until the look takes it for the right one.

    Only a picture with fewer wrong figures than before is written to `out`. Pixels outside the figure stay identical.
    """
    image = read_picture(picture)
    [found] = look.look([image])
    wrong = wrong_figures(found, scene, cast)
    if not wrong:
        return Repaired(None, 0)
    figure, asked = wrong[0]
    height, width = image.shape[:2]
    mask = box_mask(_grown(found[figure].xyxy), width, height)
    wanted = _placed(scene, asked, found[figure], width, height)
    for tries, seed in enumerate(seeds, 1):
        with tempfile.TemporaryDirectory() as folder:
            attempt = Path(folder) / "attempt.png"
            made = inpaint(
                model,
                picture,
                mask,
                wanted,
                cast,
                config,
                attempt,
                seed=seed,
                strength=strength,
                checkpoint=checkpoint,
            )
            [now] = look.look([read_picture(attempt)])
            if len(now) == len(found) and len(wrong_figures(now, scene, cast)) < len(wrong):
                write_bytes(out, attempt.read_bytes())
                return Repaired(replace(made, path=out.name), tries, scene.people[asked].character)
    return Repaired(None, len(seeds), scene.people[asked].character)


def _is_right(figure: Found, placement: Placement) -> bool:
    return figure.character == placement.character and placement.form in ("", figure.form)


def _grown(box: Box) -> Box:
    dx, dy = GROWN * (box[2] - box[0]), GROWN * (box[3] - box[1])
    return box[0] - dx, box[1] - dy, box[2] + dx, box[3] + dy


def _placed(scene: Scene, asked: int, figure: Found, width: int, height: int) -> Scene:
    """The scene with the wrong figure's character told to stand where that figure stands; the others as asked."""
    x0, y0, x1, y1 = figure.head_xyxy or figure.xyxy
    cell = cell_of((x0 + x1) / 2 / width, (y0 + y1) / 2 / height)
    people = list(scene.without_places().people)
    people[asked] = replace(people[asked], cell=cell)
    return replace(scene, people=tuple(people))
