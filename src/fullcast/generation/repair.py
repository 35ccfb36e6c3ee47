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
FORM = 1e-3
"""Of similarity that another form than asked for costs, as for the judge: far under any margin that matters."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """What came of one attempt."""

    picture: Picture | None
    """The mended picture; None: nothing better was found, or there was nothing to mend."""
    tries: int
    character: str = ""
    """Whom the figure should have been."""


def wrong_figures(found: Sequence[Found], scene: Scene, cast: Cast) -> list[tuple[int, int]]:
    """(index of the figure, index into scene.people) of everybody who is not who he should be, in the figures' order.

    Figures are assigned to those asked for by similarity in total, as the judge does: where one character is asked for
    in two forms, the form tells them apart. Another number of figures than asked for is no case for inpainting one of
    them: the answer is then [].
    """
    if len(found) != scene.num_people or not all(p.character in cast.names for p in scene.people):
        return []
    columns = [cast.names.index(placement.character) for placement in scene.people]
    scores = np.array([[figure.scores[column] if figure.scores else 0.0 for column in columns] for figure in found])
    other_form = [[bool(p.form and figure.form != p.form) for p in scene.people] for figure in found]
    scores = scores.reshape(len(found), len(columns)) - FORM * np.array(other_form).reshape(len(found), len(columns))
    answer = assign(scores, -1.0 - FORM)
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
    """Paints a wrong figure anew, one seed after the other, until the look takes it for the right one; then the next
    wrong one where that fails for all seeds. The first that comes out right ends it.

    Only a picture with fewer wrong figures than before is written to `out`. Pixels outside the figure's box, and heads
    of right figures inside it, stay identical.
    """
    image = read_picture(picture)
    [found] = look.look([image])
    wrong = wrong_figures(found, scene, cast)
    if not wrong:
        return Repaired(None, 0)
    height, width = image.shape[:2]
    tries = 0
    with tempfile.TemporaryDirectory() as folder:
        attempt = Path(folder) / "attempt.png"
        for figure, asked in wrong:
            mask = _without_heads(box_mask(_grown(found[figure].xyxy), width, height), found, [i for i, _ in wrong])
            wanted = _placed(scene, asked, found[figure], width, height)
            for seed in seeds:
                tries += 1
                made = inpaint(
                    *(model, picture, mask, wanted, cast, config, attempt),
                    seed=seed,
                    strength=strength,
                    checkpoint=checkpoint,
                )
                [now] = look.look([read_picture(attempt)])
                if len(now) == len(found) and len(wrong_figures(now, scene, cast)) < len(wrong):
                    write_bytes(out, attempt.read_bytes())
                    return Repaired(replace(made, path=out.name), tries, scene.people[asked].character)
    return Repaired(None, tries, scene.people[wrong[0][1]].character)


def _is_right(figure: Found, placement: Placement) -> bool:
    return figure.character == placement.character and placement.form in ("", figure.form)


def _grown(box: Box) -> Box:
    dx, dy = GROWN * (box[2] - box[0]), GROWN * (box[3] - box[1])
    return box[0] - dx, box[1] - dy, box[2] + dx, box[3] + dy


def _without_heads(mask: np.ndarray, found: Sequence[Found], wrong: Sequence[int]) -> np.ndarray:
    """The mask without the heads of those who are right; as it was where nothing of it would be left."""
    left = mask.copy()
    for index, figure in enumerate(found):
        if index not in wrong and figure.head_xyxy is not None:
            x0, y0, x1, y1 = (max(0, round(v)) for v in figure.head_xyxy)
            left[y0:y1, x0:x1] = False
    return left if left.any() else mask


def _placed(scene: Scene, asked: int, figure: Found, width: int, height: int) -> Scene:
    """The scene with the wrong figure's character told to stand where that figure stands; the others as asked."""
    x0, y0, x1, y1 = figure.head_xyxy or figure.xyxy
    y = (y0 + y1) / 2 if figure.head_xyxy else y0 + (y1 - y0) / 5  # of a body the upper fifth, as everywhere
    cell = cell_of((x0 + x1) / 2 / width, y / height)
    people = list(scene.without_places().people)
    people[asked] = replace(people[asked], cell=cell)
    return replace(scene, people=tuple(people))
