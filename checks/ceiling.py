"""True pictures of the benchmark's own scenes, as drawn and through the base's VAE: what a perfect model could reach.

Drawn from the pocket show's cast at four times the model's size and shrunk, so that a picture is as sharp as one of the
show that was cut to that size.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from fullcast.journey.doors import Doors
from fullcast.journey.naming import judge_cast_path
from fullcast.models.stable_diffusion.family import StableDiffusion, to_images, to_tensor
from fullcast.pocket.bodies import POSES, random_outfit
from fullcast.pocket.cast import ShowCast, make_cast
from fullcast.pocket.heads import EXPRESSIONS
from fullcast.pocket.scene import Drawing, Figure, compose
from fullcast.recipe import read_recipe
from fullcast.recognition.castfile import read_cast
from fullcast.recognition.scenes import read_scenes
from fullcast.records import GRID, Scene
from fullcast.store.pictures import read_picture, resize, write_png
from fullcast.store.seeding import rng
from fullcast.store.workspace import Workspace

SCALE = 4
STYLE = "toon-head"


def draw_scenes(scenes: Sequence[Scene], seed: int, folder: Path, width: int, height: int) -> None:
    """``folder/SCENE-ID.png`` for each scene of the show of ``seed``; what is there stays."""
    cast = make_cast(seed, STYLE)
    for scene in scenes:
        path = folder / f"{scene.id}.png"
        if not path.exists():
            picture = compose(drawing_of(scene, cast, width * SCALE, height * SCALE)).rgb
            write_png(path, resize(picture, (width, height)))


def through_vae(model: StableDiffusion, pictures: Sequence[Path], folder: Path, batch_size: int = 16) -> None:
    """Each picture encoded (mean of the posterior) and decoded again, under its own name."""
    import torch

    with torch.inference_mode():
        for start in range(0, len(pictures), batch_size):
            batch = pictures[start : start + batch_size]
            pixels = to_tensor([read_picture(path) for path in batch])
            images = to_images(model.decode(model.encode_images(pixels)))
            for path, image in zip(batch, images, strict=True):
                write_png(folder / path.name, image)


def drawing_of(scene: Scene, cast: ShowCast, width: int, height: int) -> Drawing:
    """Everybody in the middle of the asked column, as large as the crowd allows, chins near one line."""
    generator = rng(0, "ceiling", scene.id)
    columns = [person.cell[0] for person in scene.people if person.cell is not None]
    gap = min((b - a for a, b in pairwise(columns)), default=GRID)
    # A head in the first or last column must fit between its middle and the edge: a tenth of the width.
    at_edge = 0.19 * width if {0, GRID - 1} & set(columns) else width
    skull = min(0.40 * height, 0.80 * gap * width / GRID, at_edge) * generator.uniform(0.85, 1.0)
    chin = height * generator.uniform(0.48, 0.6)
    figures = []
    for person, column in zip(scene.people, columns, strict=True):
        look = cast.member(person.character).look(person.form)
        x = (column + 0.5) * width / GRID + generator.uniform(-0.05, 0.05) * width / GRID
        y = chin + generator.uniform(-0.04, 0.04) * height
        expression, pose = str(generator.choice(EXPRESSIONS)), str(generator.choice(POSES))
        figures.append(Figure(look, random_outfit(generator), expression, pose, x, y, round(skull), person.character))
    return Drawing(scene.prompt, int(generator.integers(1000)), "day", 1.0, tuple(figures), width=width, height=height)


def bound_scenes(path: Path, workspace: Path, per_count: int) -> list[Scene]:
    """The first ``per_count`` scenes of each number of people, roles given to the workspace's cast as `judge` does."""
    cast = read_cast(judge_cast_path(Workspace.open(workspace)))
    scenes = read_scenes(path, cast)
    numbers = sorted({scene.num_people for scene in scenes})
    return [s for n in numbers for s in [s for s in scenes if s.num_people == n][:per_count]]


def base_model(workspace: Path) -> StableDiffusion:
    """The workspace's base before training, whose VAE every checkpoint of it has."""
    opened = Workspace.open(workspace)
    return StableDiffusion.load(Doors(opened, read_recipe(opened.recipe_path)).path("base"))


def mean_error(pictures: Sequence[Path], folder: Path) -> float:
    """Mean absolute difference of the VAE's pictures from the true ones, 0 to 255."""
    errors = [
        np.abs(read_picture(path).astype(int) - read_picture(folder / path.name).astype(int)).mean()
        for path in pictures
    ]
    return float(np.mean(errors))
