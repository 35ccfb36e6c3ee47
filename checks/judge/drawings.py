"""True pictures of a cast, and the same pictures made wrong in one known way: what the judge is judged on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from checks.ceiling import SCALE, drawing_of
from fullcast.journey.doors import WEIGHTS_DIR
from fullcast.models.stable_diffusion.family import StableDiffusion, to_images, to_tensor
from fullcast.pocket.cast import ShowCast, differing
from fullcast.pocket.looks import Look
from fullcast.pocket.scene import Drawing, Figure, compose, paste
from fullcast.pocket.sprites import draw_figure
from fullcast.recognition.scenes import read_scenes
from fullcast.records import Cast, Scene
from fullcast.store.pictures import resize, write_png
from fullcast.store.seeding import rng

SCENES = Path(__file__).parents[2] / "benchmarks" / "scenes" / "any-cast-of-8.jsonl"
WIDTH, HEIGHT = 144, 64
"""The pocket base's own size."""

Made = tuple[Scene, np.ndarray]
"""What is asked for, and a picture of it."""


@dataclass(frozen=True)
class World:
    """A cast that can be drawn, and scenes of it."""

    seed: int
    cast: ShowCast
    scenes: tuple[Scene, ...]

    def true(self) -> Iterator[Made]:
        for scene in self.scenes:
            yield scene, shrink(compose(self.drawing(scene)).rgb)

    def drawing(self, scene: Scene) -> Drawing:
        return drawing_of(scene, self.cast, WIDTH * SCALE, HEIGHT * SCALE)

    def wrong(self, kind: str, count: int) -> Iterator[Made]:
        """Up to ``count`` pictures that are wrong in one way; scenes that do not allow it are passed over."""
        made = 0
        for scene in self.scenes:
            if made == count:
                return
            picture = KINDS[kind](self, scene, rng(self.seed, f"wrong {kind}", scene.id))
            if picture is not None:
                made += 1
                yield scene, shrink(picture)


def world_of(seed: int, cast: ShowCast, known: Cast, per_count: int, first: int = 0) -> World:
    """Scenes of the shipped benchmark, roles given to the cast that the judge knows."""
    scenes = read_scenes(SCENES, known)
    numbers = sorted({scene.num_people for scene in scenes})
    chosen = [s for n in numbers for s in [s for s in scenes if s.num_people == n][first : first + per_count]]
    return World(seed, cast, tuple(chosen))


def shrink(picture: np.ndarray) -> np.ndarray:
    return resize(picture, (WIDTH, HEIGHT))


class Vae:
    """The pocket base's: no model on it draws sharper than this."""

    def __init__(self) -> None:
        self.model = StableDiffusion.load(WEIGHTS_DIR / "pocket-base")

    def __call__(self, pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        import torch

        answer: list[np.ndarray] = []
        with torch.inference_mode():
            for start in range(0, len(pictures), 16):
                pixels = to_tensor(list(pictures[start : start + 16]))
                answer += list(to_images(self.model.decode(self.model.encode_images(pixels))))
        return answer


def write_all(made: Sequence[Made], folder: Path, vae: Vae | None = None) -> list[tuple[Scene, Path]]:
    """``folder/SCENE.png``; what is there stays."""
    paths = [(scene, folder / f"{scene.id}.png") for scene, _ in made]
    if not all(path.exists() for _, path in paths):
        pictures = [picture for _, picture in made]
        for (_, path), picture in zip(paths, vae(pictures) if vae else pictures, strict=True):
            write_png(path, picture)
    return paths


# --- wrong in one way: each gives a picture at full size, or None where the scene does not allow it


def _missing(world: World, scene: Scene, draw: np.random.Generator) -> np.ndarray | None:
    drawing = world.drawing(scene)
    if scene.num_people < 2:
        return None
    gone = int(draw.integers(len(drawing.figures)))
    return _drawn(drawing, [f for i, f in enumerate(drawing.figures) if i != gone])


def _stranger(world: World, scene: Scene, draw: np.random.Generator) -> np.ndarray | None:
    """One more, who is nobody of the cast: where there is room."""
    return _one_more(world.drawing(scene), world.cast.extras[int(draw.integers(len(world.cast.extras)))], draw)


def _intruder(world: World, scene: Scene, draw: np.random.Generator) -> np.ndarray | None:
    """One more, of the cast, whom nobody asked for."""
    return _one_more(world.drawing(scene), _other(world, scene, draw), draw)


def _double(world: World, scene: Scene, draw: np.random.Generator) -> np.ndarray | None:
    """One of those asked for, a second time."""
    drawing = world.drawing(scene)
    return _one_more(drawing, drawing.figures[int(draw.integers(len(drawing.figures)))].look, draw)


def _another(world: World, scene: Scene, draw: np.random.Generator) -> np.ndarray | None:
    """Somebody else of the cast in the place of one."""
    drawing = world.drawing(scene)
    return _replaced(drawing, int(draw.integers(len(drawing.figures))), _other(world, scene, draw))


def _traits(world: World, scene: Scene, draw: np.random.Generator) -> np.ndarray | None:
    """One has half of the traits that part it from another one of the scene: what bleeding draws."""
    drawing = world.drawing(scene)
    pairs = [(i, j) for i, a in enumerate(drawing.figures) for j, b in enumerate(drawing.figures)
             if i != j and differing(a.look, b.look) >= 2]  # fmt: skip
    if not pairs:
        return None
    i, j = pairs[int(draw.integers(len(pairs)))]
    return _replaced(drawing, i, _half(drawing.figures[i].look, drawing.figures[j].look, draw))


def _blended(world: World, scene: Scene, draw: np.random.Generator) -> np.ndarray | None:
    """The drawings of two lie on each other, half and half, in the place of one of them."""
    drawing = world.drawing(scene)
    pairs = [(i, j) for i, a in enumerate(drawing.figures) for j, b in enumerate(drawing.figures)
             if i != j and differing(a.look, b.look) >= 2]  # fmt: skip
    if not pairs:
        return None
    i, j = pairs[int(draw.integers(len(pairs)))]
    one = drawing.figures[i]
    canvas = compose(replace(drawing, figures=tuple(f for k, f in enumerate(drawing.figures) if k != i))).rgb.copy()
    sprites = [
        draw_figure(look, one.outfit, one.expression, one.pose, one.skull_px)
        for look in (one.look, drawing.figures[j].look)
    ]
    mixed = np.mean([sprite.rgba.astype(float) for sprite in sprites], axis=0)
    weights = np.stack([sprite.rgba[..., 3:].astype(float) for sprite in sprites])
    colors = np.stack([sprite.rgba[..., :3].astype(float) for sprite in sprites])
    mixed[..., :3] = (colors * weights).sum(0) / np.maximum(1, weights.sum(0))
    x, y = round(one.x - sprites[0].chin[0]), round(one.y - sprites[0].chin[1])
    paste(canvas, np.zeros(canvas.shape[:2], np.int8), mixed.round().astype(np.uint8), x, y, 0)
    return canvas


def _swapped(world: World, scene: Scene, draw: np.random.Generator) -> np.ndarray | None:
    """First and last have changed places."""
    drawing = world.drawing(scene)
    if scene.num_people < 2:
        return None
    figures = list(drawing.figures)
    first, last = figures[0], figures[-1]
    figures[0] = replace(last, x=first.x, y=first.y)
    figures[-1] = replace(first, x=last.x, y=last.y)
    return _drawn(drawing, figures)


KINDS: dict[str, Callable[[World, Scene, np.random.Generator], np.ndarray | None]] = {
    "one missing": _missing,
    "a stranger more": _stranger,
    "one of the cast more": _intruder,
    "one twice": _double,
    "another one": _another,
    "hybrid of traits": _traits,
    "hybrid of pixels": _blended,
    "swapped places": _swapped,
}
COUNTS = ("one missing", "a stranger more", "one of the cast more", "one twice")
HYBRIDS = ("hybrid of traits", "hybrid of pixels")


def _drawn(drawing: Drawing, figures: Sequence[Figure]) -> np.ndarray:
    return compose(replace(drawing, figures=tuple(figures))).rgb


def _replaced(drawing: Drawing, index: int, look: Look) -> np.ndarray:
    figures = list(drawing.figures)
    figures[index] = replace(figures[index], look=look)
    return _drawn(drawing, figures)


def _one_more(drawing: Drawing, look: Look, draw: np.random.Generator) -> np.ndarray | None:
    """In the middle of the widest gap, if a head has room there."""
    xs = [0.0, *sorted(figure.x for figure in drawing.figures), float(drawing.width)]
    model = drawing.figures[int(draw.integers(len(drawing.figures)))]
    # To the edge a head needs half of itself, to another figure a whole one.
    rooms = []
    for i, (a, b) in enumerate(zip(xs, xs[1:], strict=False)):
        left, right = (
            a + (0.5 if i == 0 else 1.0) * model.skull_px,
            b - (0.5 if i == len(xs) - 2 else 1.0) * model.skull_px,
        )
        rooms.append((right - left, (left + right) / 2))
    room, x = max(rooms)
    if room < 0:
        return None
    return _drawn(drawing, [*drawing.figures, replace(model, look=look, x=x, name="")])


def _other(world: World, scene: Scene, draw: np.random.Generator) -> Look:
    asked = {person.character for person in scene.people}
    others = [member for member in world.cast.members if member.name not in asked]
    return others[int(draw.integers(len(others)))].looks[0][1]


def _half(a: Look, b: Look, draw: np.random.Generator) -> Look:
    """a with half (rounded up) of the traits in which b differs."""
    traits = {
        "hair": {"hair": b.hair},
        "color": {"hair_color": b.hair_color, "hair_color_word": b.hair_color_word},
        "skin": {"skin": b.skin},
        "accessory": {"accessory": b.accessory, "accessory_color": b.accessory_color},
    }
    differ = [
        name
        for name, same in (
            ("hair", a.hair == b.hair),
            ("color", a.hair_color_word == b.hair_color_word),
            ("skin", a.skin == b.skin),
            ("accessory", a.accessory == b.accessory),
        )
        if not same
    ]
    taken = draw.permutation(differ)[: (len(differ) + 1) // 2]
    if len(taken) == len(differ):  # two traits: one of them
        taken = taken[:1]
    for name in taken:
        a = replace(a, **traits[str(name)])  # type: ignore[arg-type]
    return a
