"""From prepared frames to composites: pictures, and records of who stands in them.

Everything comes from what was predicted: boxes, heads and names. The records of a composite are right as far as those
of its figures are: each Person names the person it was cut from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fullcast.mixture.buckets import Bucket, make_buckets
from fullcast.mixture.composites.backdrops import Backdrop
from fullcast.mixture.composites.cutouts import CutOut
from fullcast.mixture.composites.plates import Plates
from fullcast.mixture.composites.scenes import (
    TRIES,
    Balance,
    Figure,
    Painted,
    choose_bucket,
    choose_heads,
    choose_looks,
    paint,
    seat,
)
from fullcast.mixture.composites.stock import STAGE, Read, Stock, gather, shot_of, work_head_px
from fullcast.mixture.config import CompositeConfig, MixtureConfig
from fullcast.ports import Progress, silent
from fullcast.records import Box, Cast, Drop, Image, Person, person_id
from fullcast.store.atomic import write_bytes
from fullcast.store.pictures import bytes_id, encode_png
from fullcast.store.seeding import rng

VERSION = 7
"""Raised when the same frames, people, settings and seed give other composites."""
NATIVE = 0.8
"""A cut-out's head over its height in the composite, at least: figures are hardly ever enlarged. So for scenery."""
MAX_SHOWN = 0.4
"""Joints of the scenery that no figure hides: length over the composite's height, times step over the full range."""
WELL_HIDDEN = 0.03
"""The same, so little that no other scene is tried."""
CHOICES = 6
"""Scenes of which the one is kept whose joints show least."""
CUT_OUT = "cut-out:"
"""The detector of a composite's figures, before the id of the person that was cut out."""


@dataclass(frozen=True)
class Composites:
    images: tuple[Image, ...]
    """Source "composite"; ``parent`` is the frame that the background is from."""
    people: tuple[Person, ...]
    """``detector`` is CUT_OUT and the id of the person that was cut out."""
    scene_tags: Mapping[str, tuple[str, ...]]
    """The background's words, by image id."""
    drops: tuple[Drop, ...]
    """Figures without a sound cut-out, and composites that could not be made."""


@dataclass(frozen=True)
class Stage:
    """Places before a backdrop, and who may take them."""

    size: tuple[int, int]
    """Width and height of the composite."""
    heads: tuple[Box, ...]
    """From left to right."""
    figures: Mapping[str, Sequence[CutOut]]
    """By look."""
    characters: Mapping[str, str]
    """Look -> who has it."""
    scenery: np.ndarray
    """(H, W, 3) uint8."""
    joints: np.ndarray
    """(H, W) float32; see `Plate.joints`."""


def make_composites(
    images: Iterable[Image],
    people: Iterable[Person],
    read: Read,
    config: MixtureConfig,
    seed: int,
    root: Path,
    folder: str = "data/composites",
    scene_tags: Mapping[str, Sequence[str]] | None = None,
    progress: Progress = silent,
    cast: Cast | None = None,
) -> Composites:
    """``config.composites.count`` pictures under ``root``/``folder``, and their records.

    cast: whose references tell how sure a figure's look is; without it every look is believed.
    The same frames, people, config and seed give the same composites, byte for byte.
    """
    stock = gather(images, people, read, config, progress, cast, scene_tags)
    balance = Balance.empty()
    plates = Plates(read, config.composites.floor, work_head_px(config))
    buckets = make_buckets(config.area_px, config.bucket_step_px, config.max_aspect)
    made: dict[str, tuple[Image, tuple[Person, ...]]] = {}
    drops = list(stock.drops)
    wanted = config.composites
    progress.start("composites", wanted.count)
    for index in range(wanted.count):
        done = _compose(index, stock, buckets, balance, plates, wanted, seed)
        if done is None:
            drops.append(Drop(f"composite-{index}", STAGE, "no-scene", "no background and figures go together"))
        else:
            image, group = _keep(*done, root, folder)
            if image.id in made:
                drops.append(Drop(f"composite-{index}", STAGE, "made-before", image.id))
            made.setdefault(image.id, (image, group))
        progress.advance()
    progress.done()
    images = tuple(image for image, _ in made.values())
    tags = {i.id: tuple((scene_tags or {}).get(i.parent, i.tags)) for i in images}
    return Composites(images, tuple(p for _, group in made.values() for p in group), tags, tuple(drops))


def _compose(
    index: int,
    stock: Stock,
    buckets: Sequence[Bucket],
    balance: Balance,
    plates: Plates,
    wanted: CompositeConfig,
    seed: int,
) -> tuple[Painted, Backdrop] | None:
    draw = rng(seed, "composite", index)
    count = wanted.people[index % len(wanted.people)]
    order = _in_turn(stock, balance, wanted.backdrops_per_scene, draw)
    best: tuple[float, Painted, Backdrop, list[str]] | None = None
    tries = choices = 0
    for backdrop in order:
        stage = _stage(count, backdrop, stock, buckets, plates, wanted, draw)
        if stage is None:
            continue
        tries += 1
        scene = _scene(stage, backdrop, stock, balance, draw, wanted.lengthen)
        if scene is not None:
            choices += 1
            best = scene if best is None or scene[0] < best[0] else best
        if tries == TRIES or choices == CHOICES or (best is not None and best[0] < WELL_HIDDEN):
            break
    if best is None or best[0] > MAX_SHOWN:
        return None
    _, painted, backdrop, looks = best
    height, width = painted.bare.shape
    balance.add(looks, [_cell(f, width, height) for f in painted.figures])
    balance.add_backdrop(backdrop.image.id, shot_of(backdrop.image), stock.scene_of[backdrop.image.id])
    return painted, backdrop


def _in_turn(stock: Stock, balance: Balance, per_scene: int, draw: np.random.Generator) -> list[Backdrop]:
    """Backgrounds in the order in which they are tried: those of the shot that was seen least first, or, where a scene
    is to have `per_scene` only, those of the scene that was seen least. A scene that has all of its own gets no other:
    they count when they are used, since before many a frame nothing fits."""

    def is_free(backdrop: Backdrop) -> bool:
        used = balance.scenes[stock.scene_of[backdrop.image.id]]
        return not per_scene or len(used) < per_scene or backdrop.image.id in used

    def seen(backdrop: Backdrop) -> tuple[int, float]:
        if per_scene:
            return balance.scenes[stock.scene_of[backdrop.image.id]].total(), draw.random()
        return balance.shots[shot_of(backdrop.image)], draw.random()

    return sorted((b for b in stock.backdrops if is_free(b)), key=seen)


def _stage(
    count: int,
    backdrop: Backdrop,
    stock: Stock,
    buckets: Sequence[Bucket],
    plates: Plates,
    wanted: CompositeConfig,
    draw: np.random.Generator,
) -> Stage | None:
    """Places before a backdrop for so many; None if it is too small, has no plate, or too few figures in its light."""
    bucket = choose_bucket(count, buckets, draw, wanted.aspect)
    size = round(bucket.width * wanted.zoom), round(bucket.height * wanted.zoom)
    heads = choose_heads(count, *size, draw, wanted.disorder)
    part = _part(backdrop, heads, size, wanted.floor, draw)
    figures = _by_look(stock, backdrop, wanted, min(h[3] - h[1] for h in heads))
    characters = {look: cuts[0].person.character for look, cuts in figures.items()}
    if part[2] - part[0] < NATIVE * size[0] - 1 or len(set(characters.values())) < count:
        return None
    scenery = plates.part(backdrop, part, size)
    return None if scenery is None else Stage(size, tuple(heads), figures, characters, *scenery)


def _scene(
    stage: Stage, backdrop: Backdrop, stock: Stock, balance: Balance, draw: np.random.Generator, lengthen: float
) -> tuple[float, Painted, Backdrop, list[str]] | None:
    """How much the joints show, the scene, its backdrop and its looks from left to right."""
    chosen = choose_looks(stage.characters, len(stage.heads), balance, draw)
    looks = seat(chosen, stage.heads, stage.size, balance)
    cuts = [stage.figures[look][int(draw.integers(len(stage.figures[look])))] for look in looks]
    gains = [np.exp(_difference(stock, cut, backdrop)) for cut in cuts]
    painted = paint(stage.scenery, cuts, stage.heads, gains, lengthen)
    if painted is None:
        return None
    return float((stage.joints * painted.bare).sum()) / (255 * stage.size[1]), painted, backdrop, looks


def _part(
    backdrop: Backdrop, heads: Sequence[Box], size: tuple[int, int], floor: float, draw: np.random.Generator
) -> Box:
    """The part of a frame that goes behind heads: one of them stands where one of the frame's own stood."""
    x0, y0, x1, y1 = heads[int(draw.integers(len(heads)))]
    head = (x0 + x1) / 2, (y0 + y1) / 2, (y1 - y0) * np.exp(draw.normal(0, 0.1))
    return backdrop.rectangle(size, head, floor * backdrop.image.height, draw.random(), NATIVE * size[0])


def _by_look(stock: Stock, backdrop: Backdrop, wanted: CompositeConfig, head_px: float) -> dict[str, list[CutOut]]:
    """Cut-outs by look whose light is near the background's."""
    found: dict[str, list[CutOut]] = defaultdict(list)
    for cut in stock.cuts:
        near = np.abs(_difference(stock, cut, backdrop)).max() <= wanted.max_light
        if near and cut.head_height >= NATIVE * head_px:
            found[cut.person.name].append(cut)
    return found


def _difference(stock: Stock, cut: CutOut, backdrop: Backdrop) -> np.ndarray:
    return stock.light[shot_of(backdrop.image)] - stock.light[stock.shot_of[cut.person.image_id]]


def _cell(figure: Figure, width: int, height: int) -> tuple[int, int]:
    return replace(figure.cut.person, head_xyxy=figure.head_xyxy).cell(width, height)


def _keep(painted: Painted, backdrop: Backdrop, root: Path, folder: str) -> tuple[Image, tuple[Person, ...]]:
    """Written under its content's name, with records."""
    data = encode_png(painted.pixels)
    name = bytes_id(data)
    path = f"{folder}/{name}.png"
    write_bytes(root / path, data)
    source = backdrop.image
    image = Image(
        *(name, path, painted.pixels.shape[1], painted.pixels.shape[0], "composite"),
        parent=source.id,
        shot_id=source.shot_id,
        tags=source.tags,
        artist=source.artist,
        licence=source.licence,
    )
    people = tuple(
        replace(
            figure.cut.person,
            id=person_id(name, figure.seen_xyxy),
            image_id=name,
            xyxy=figure.seen_xyxy,
            head_xyxy=figure.head_xyxy,
            detector=f"{CUT_OUT}{figure.cut.person.id}",
            track_id="",
        )
        for figure in painted.figures
    )
    return image, people
