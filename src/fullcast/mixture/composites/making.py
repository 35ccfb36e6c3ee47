"""From prepared frames to composites: pictures, and records of who stands in them.

Everything comes from what was predicted: boxes, heads and names. The records of a composite are right as far as those
of its figures are: each Person names the person it was cut from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fullcast.mixture.buckets import Bucket, make_buckets
from fullcast.mixture.composites.backdrops import Backdrop, find_backdrops, light_of_shots
from fullcast.mixture.composites.cutouts import CutOut, covered, cut_out
from fullcast.mixture.composites.plates import Plates
from fullcast.mixture.composites.scenes import (
    TRIES,
    Balance,
    Figure,
    Painted,
    choose_bucket,
    choose_heads,
    choose_names,
    paint,
    seat,
)
from fullcast.mixture.config import CompositeConfig, MixtureConfig
from fullcast.ports import Progress, silent
from fullcast.records import UNKNOWN, Box, Cast, Drop, Image, Person, person_id
from fullcast.store.atomic import write_bytes
from fullcast.store.pictures import bytes_id, encode_png
from fullcast.store.seeding import rng

STAGE = "composites"
VERSION = 2
"""Raised when the same frames, people, settings and seed give other composites."""
MAX_COVERED = 0.03
"""Share of a figure's box that another box may cover for it to be cut out."""
GIVE_UP = 4
"""Frames of one figure of one shot without a sound cut-out, after which no other is tried: the rest look the same."""
NATIVE = 0.8
"""A cut-out's head over its height in the composite, at least: figures are hardly ever enlarged. So for scenery."""
PER_SHOT = 3
"""Frames of one shot whose scenery is used: the others look the same."""
MAX_SHOWN = 0.4
"""Joints of the scenery that no figure hides: length over the composite's height, times step over the full range."""
WELL_HIDDEN = 0.03
"""The same, so little that no other scene is tried."""
CHOICES = 6
"""Scenes of which the one is kept whose joints show least."""

Read = Callable[[Image], np.ndarray]
"""(H, W, 3) uint8 RGB of a picture."""


@dataclass(frozen=True)
class Composites:
    images: tuple[Image, ...]
    """Source "composite"; ``parent`` is the frame that the background is from."""
    people: tuple[Person, ...]
    """``detector`` is "cut-out:" and the id of the person that was cut out."""
    scene_tags: Mapping[str, tuple[str, ...]]
    """The background's words, by image id."""
    drops: tuple[Drop, ...]
    """Figures without a sound cut-out, and composites that could not be made."""


@dataclass(frozen=True)
class Stock:
    """What composites are made of."""

    cuts: tuple[CutOut, ...]
    backdrops: tuple[Backdrop, ...]
    light: Mapping[str, np.ndarray]
    """Shot -> (3,) log of its light."""
    shot_of: Mapping[str, str]
    """Image -> shot."""
    drops: tuple[Drop, ...]


@dataclass(frozen=True)
class Stage:
    """Places before a backdrop, and who may take them."""

    size: tuple[int, int]
    """Width and height of the composite."""
    heads: tuple[Box, ...]
    """From left to right."""
    figures: Mapping[str, Sequence[CutOut]]
    """By character."""
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
    stock = gather(images, people, read, config, progress, cast)
    balance = Balance.empty()
    plates = Plates(read, config.composites.floor, _work_head_px(config))
    buckets = make_buckets(config.area_px, config.bucket_step_px, config.max_aspect)
    made: list[tuple[Image, tuple[Person, ...]]] = []
    drops = list(stock.drops)
    wanted = config.composites
    progress.start("composites", wanted.count)
    for index in range(wanted.count):
        done = _compose(index, stock, buckets, balance, plates, wanted, seed)
        if done is None:
            drops.append(Drop(f"composite-{index}", STAGE, "no-scene", "no background and figures go together"))
        else:
            made.append(_keep(*done, root, folder))
        progress.advance()
    progress.done()
    tags = {i.id: tuple((scene_tags or {}).get(i.parent, i.tags)) for i, _ in made}
    return Composites(tuple(i for i, _ in made), tuple(p for _, group in made for p in group), tags, tuple(drops))


def gather(
    images: Iterable[Image],
    people: Iterable[Person],
    read: Read,
    config: MixtureConfig,
    progress: Progress = silent,
    cast: Cast | None = None,
) -> Stock:
    """Sound cut-outs of figures with a sure name, free backgrounds, and the light of each shot."""
    wanted = config.composites
    frames = {i.id: i for i in images if not i.dropped and i.source == "screenshots"}
    of_image: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        if person.image_id in frames:
            of_image[person.image_id].append(person)
    cuts: list[CutOut] = []
    drops: list[Drop] = []
    heads: list[tuple[str, str, np.ndarray]] = []
    taken: dict[tuple[str, str], int] = defaultdict(int)
    failed: dict[tuple[str, str], int] = defaultdict(int)
    progress.start("cut-outs", len(frames))
    for frame in frames.values():
        picture = None
        for person in sorted(of_image[frame.id], key=lambda p: p.id):
            if person.head_xyxy is None or not _is_sure(person, wanted):
                continue
            picture = read(frame) if picture is None else picture
            heads.append((_shot(frame), person.name, _head_colour(picture, person)))
            figure = (_shot(frame), person.track_id or person.name)
            if taken[figure] >= wanted.cuts_per_track or failed[figure] >= GIVE_UP:
                continue
            if cast is not None and look_margin(person, cast) < wanted.min_look_margin:
                drops.append(Drop(person.id, STAGE, "unsure-look"))
                continue
            others = [p.xyxy for p in of_image[frame.id] if p.id != person.id]
            cut, reason = _cut(picture, person, others, frame, wanted, _work_head_px(config))
            if cut is None:
                failed[figure] += 1
                drops.append(Drop(person.id, STAGE, reason))
            else:
                taken[figure] += 1
                cuts.append(cut)
        progress.advance()
    progress.done()
    light = light_of_shots(heads)
    return Stock(
        tuple(cuts),
        tuple(_some(find_backdrops(frames.values(), of_image), light)),
        light,
        {i.id: _shot(i) for i in frames.values()},
        tuple(drops),
    )


def _some(backdrops: Sequence[Backdrop], light: Mapping[str, np.ndarray]) -> Iterator[Backdrop]:
    """At most PER_SHOT of each shot whose light is known, spread over the shot."""
    of_shot: dict[str, list[Backdrop]] = defaultdict(list)
    for backdrop in backdrops:
        of_shot[_shot(backdrop.image)].append(backdrop)
    for shot, group in of_shot.items():
        if shot in light:
            yield from (group[i * len(group) // PER_SHOT] for i in range(min(PER_SHOT, len(group))))


def _work_head_px(config: MixtureConfig) -> float:
    """Height of heads, in pixels, to which cut-outs and scenery are shrunk: a little more than composites need."""
    return float(0.4 * config.area_px**0.5 * config.composites.zoom)


def _cut(
    picture: np.ndarray,
    person: Person,
    others: Sequence[tuple[float, float, float, float]],
    frame: Image,
    wanted: CompositeConfig,
    work_head_px: float,
) -> tuple[CutOut | None, str]:
    """The cut-out, or why there is none."""
    head = person.head_xyxy
    assert head is not None
    if head[3] - head[1] < wanted.min_head_px:
        return None, "small-head"
    if covered(person.xyxy, others) > MAX_COVERED or any(covered(o, [person.xyxy]) > 0.1 for o in others):
        return None, "overlap"
    cut = cut_out(picture, person, others, wanted.floor * frame.height, work_head_px)
    if cut is None or cut.outline < wanted.min_outline:
        return None, "unsound-cut"
    return cut, ""


def _is_sure(person: Person, wanted: CompositeConfig) -> bool:
    return person.character not in ("", UNKNOWN) and person.identity_margin >= wanted.min_margin


def look_margin(person: Person, cast: Cast) -> float:
    """By how much (mean cosine over references) a person is nearer to the look that was named than to the character's
    next one; infinite where there is only one look, or nothing to compare."""
    known = next((c for c in cast.characters if c.name == person.character), None)
    if known is None or person.embedding is None:
        return np.inf
    own = person.embedding / max(1e-9, float(np.linalg.norm(person.embedding)))
    near = {f.name: float(np.mean(f.references @ own)) for f in known.forms if f.references is not None}
    others = [value for name, value in near.items() if name != person.form]
    return near[person.form] - max(others) if others and person.form in near else np.inf


def _shot(image: Image) -> str:
    return image.shot_id or image.id


def _head_colour(picture: np.ndarray, person: Person) -> np.ndarray:
    """(3,) mean RGB of the inner head."""
    x0, y0, x1, y1 = person.head_xyxy or person.xyxy
    dx, dy = 0.15 * (x1 - x0), 0.15 * (y1 - y0)
    part = picture[max(0, round(y0 + dy)) : round(y1 - dy), max(0, round(x0 + dx)) : round(x1 - dx)]
    return part.reshape(-1, 3).mean(axis=0) if part.size else np.full(3, 128.0)


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
    order = sorted(stock.backdrops, key=lambda b: (balance.backdrops[_shot(b.image)], draw.random()))
    best: tuple[float, Painted, Backdrop, list[str]] | None = None
    tries = choices = 0
    for backdrop in order:
        stage = _stage(count, backdrop, stock, buckets, plates, wanted, draw)
        if stage is None:
            continue
        tries += 1
        scene = _scene(stage, backdrop, stock, balance, draw)
        if scene is not None:
            choices += 1
            best = scene if best is None or scene[0] < best[0] else best
        if tries == TRIES or choices == CHOICES or (best is not None and best[0] < WELL_HIDDEN):
            break
    if best is None or best[0] > MAX_SHOWN:
        return None
    _, painted, backdrop, names = best
    height, width = painted.bare.shape
    balance.add(names, [_cell(f, width, height) for f in painted.figures], _shot(backdrop.image))
    return painted, backdrop


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
    bucket = choose_bucket(count, buckets, draw)
    size = round(bucket.width * wanted.zoom), round(bucket.height * wanted.zoom)
    heads = choose_heads(count, *size, draw)
    part = _part(backdrop, heads, size, wanted.floor, draw)
    figures = _by_name(stock, backdrop, wanted, min(h[3] - h[1] for h in heads))
    if part[2] - part[0] < NATIVE * size[0] - 1 or len(figures) < count:
        return None
    scenery = plates.part(backdrop, part, size)
    return None if scenery is None else Stage(size, tuple(heads), figures, *scenery)


def _scene(
    stage: Stage, backdrop: Backdrop, stock: Stock, balance: Balance, draw: np.random.Generator
) -> tuple[float, Painted, Backdrop, list[str]] | None:
    """How much the joints show, the scene, its backdrop and its names from left to right."""
    chosen = choose_names(list(stage.figures), len(stage.heads), balance, draw)
    names = seat(chosen, stage.heads, stage.size, balance)
    cuts = [stage.figures[name][int(draw.integers(len(stage.figures[name])))] for name in names]
    painted = paint(stage.scenery, cuts, stage.heads, [np.exp(_difference(stock, cut, backdrop)) for cut in cuts])
    if painted is None:
        return None
    return float((stage.joints * painted.bare).sum()) / (255 * stage.size[1]), painted, backdrop, names


def _part(
    backdrop: Backdrop, heads: Sequence[Box], size: tuple[int, int], floor: float, draw: np.random.Generator
) -> Box:
    """The part of a frame that goes behind heads: one of them stands where one of the frame's own stood."""
    x0, y0, x1, y1 = heads[int(draw.integers(len(heads)))]
    head = (x0 + x1) / 2, (y0 + y1) / 2, (y1 - y0) * np.exp(draw.normal(0, 0.1))
    return backdrop.rectangle(size, head, floor * backdrop.image.height, draw.random(), NATIVE * size[0])


def _by_name(stock: Stock, backdrop: Backdrop, wanted: CompositeConfig, head_px: float) -> dict[str, list[CutOut]]:
    """Cut-outs by character (one look of each in a picture) whose light is near the background's."""
    found: dict[str, list[CutOut]] = defaultdict(list)
    for cut in stock.cuts:
        near = np.abs(_difference(stock, cut, backdrop)).max() <= wanted.max_light
        if near and cut.head_height >= NATIVE * head_px:
            found[cut.person.character].append(cut)
    return found


def _difference(stock: Stock, cut: CutOut, backdrop: Backdrop) -> np.ndarray:
    return stock.light[_shot(backdrop.image)] - stock.light[stock.shot_of[cut.person.image_id]]


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
            detector=f"cut-out:{figure.cut.person.id}",
            track_id="",
        )
        for figure in painted.figures
    )
    return image, people
