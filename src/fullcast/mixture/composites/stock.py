"""What composites are made of: sound cut-outs of people with a sure name, backgrounds, and the light of each shot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fullcast.mixture.composites.backdrops import Backdrop, find_backdrops, light_of_shots
from fullcast.mixture.composites.cutouts import CutOut, covered, cut_out
from fullcast.mixture.config import CompositeConfig, MixtureConfig
from fullcast.ports import Progress, silent
from fullcast.records import UNKNOWN, Cast, Drop, Image, Person

STAGE = "composites"
FRAMES, REFERENCES = "screenshots", "reference"
MAX_COVERED = 0.03
"""Share of a figure's box that another box may cover for it to be cut out."""
GIVE_UP = 4
"""Frames of one figure of one shot without a sound cut-out, after which no other is tried: the rest look the same."""
PER_SHOT = 3
"""Frames of one shot whose scenery is used: the others look the same."""
MIN_BELOW = {FRAMES: 0.9, REFERENCES: 0.6}
"""What a cut-out shows below its head, at least, in head heights; a reference is a portrait."""

Read = Callable[[Image], np.ndarray]
"""(H, W, 3) uint8 RGB of a picture."""


@dataclass(frozen=True)
class Stock:
    """What composites are made of."""

    cuts: tuple[CutOut, ...]
    backdrops: tuple[Backdrop, ...]
    light: Mapping[str, np.ndarray]
    """Shot -> (3,) log of its light."""
    shot_of: Mapping[str, str]
    """Image -> shot."""
    scene_of: Mapping[str, tuple[str, ...]]
    """Image -> words of its scene."""
    drops: tuple[Drop, ...]


def gather(
    images: Iterable[Image],
    people: Iterable[Person],
    read: Read,
    config: MixtureConfig,
    progress: Progress = silent,
    cast: Cast | None = None,
    scene_tags: Mapping[str, Sequence[str]] | None = None,
) -> Stock:
    """Sound cut-outs of figures with a sure name, free backgrounds, and the light of each shot. A reference picture is
    a shot of its own, and no background."""
    wanted = config.composites
    frames = {i.id: i for i in images if not i.dropped and i.source in (FRAMES, *wanted.cut_from)}
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
            heads.append((shot_of(frame), person.name, _head_colour(picture, person)))
            figure = (shot_of(frame), person.track_id or person.name)
            if (
                frame.source not in wanted.cut_from
                or taken[figure] >= wanted.cuts_per_track
                or failed[figure] >= GIVE_UP
            ):
                continue
            if cast is not None and look_margin(person, cast) < wanted.min_look_margin:
                drops.append(Drop(person.id, STAGE, "unsure-look"))
                continue
            others = [p.xyxy for p in of_image[frame.id] if p.id != person.id]
            cut, reason = _cut(picture, person, others, frame, wanted, work_head_px(config))
            if cut is None:
                failed[figure] += 1
                drops.append(Drop(person.id, STAGE, reason))
            else:
                taken[figure] += 1
                cuts.append(cut)
        progress.advance()
    progress.done()
    light = light_of_shots(heads)
    backdrops = _some(find_backdrops([i for i in frames.values() if i.source == FRAMES], of_image), light)
    return Stock(
        tuple(_surest(cuts, wanted.cuts_per_look)),
        tuple(b for b in backdrops if _is_ordinary(light[shot_of(b.image)], wanted)),
        light,
        {i.id: shot_of(i) for i in frames.values()},
        {i.id: tuple((scene_tags or {}).get(i.id, i.tags)) for i in frames.values()},
        tuple(drops),
    )


def _some(backdrops: Sequence[Backdrop], light: Mapping[str, np.ndarray]) -> Iterator[Backdrop]:
    """At most PER_SHOT of each shot whose light is known, spread over the shot."""
    of_shot: dict[str, list[Backdrop]] = defaultdict(list)
    for backdrop in backdrops:
        of_shot[shot_of(backdrop.image)].append(backdrop)
    for shot, group in of_shot.items():
        if shot in light:
            count = min(PER_SHOT, len(group))
            yield from (group[i * len(group) // count] for i in range(count))


def _surest(cuts: Sequence[CutOut], count: int) -> list[CutOut]:
    """At most `count` of each look, those whose name is surest; 0: all."""
    of_look: dict[str, list[CutOut]] = defaultdict(list)
    for cut in cuts:
        of_look[cut.person.name].append(cut)
    for look in of_look.values():
        look.sort(key=lambda cut: (-cut.person.identity_margin, cut.person.id))
    kept = {cut.person.id for look in of_look.values() for cut in look[: count or len(look)]}
    return [cut for cut in cuts if cut.person.id in kept]


def _is_ordinary(light: np.ndarray, wanted: CompositeConfig) -> bool:
    return not wanted.max_backdrop_light or float(np.abs(light).max()) <= wanted.max_backdrop_light


def work_head_px(config: MixtureConfig) -> float:
    """Height of heads, in pixels, to which cut-outs and scenery are shrunk: a little more than composites need."""
    return float(0.4 * config.area_px**0.5 * config.composites.zoom)


def _cut(
    picture: np.ndarray,
    person: Person,
    others: Sequence[tuple[float, float, float, float]],
    frame: Image,
    wanted: CompositeConfig,
    head_px: float,
) -> tuple[CutOut | None, str]:
    """The cut-out, or why there is none."""
    head = person.head_xyxy
    assert head is not None
    if head[3] - head[1] < wanted.min_head_px:
        return None, "small-head"
    if covered(person.xyxy, others) > MAX_COVERED or any(covered(o, [person.xyxy]) > 0.1 for o in others):
        return None, "overlap"
    floor = wanted.floor if frame.source == FRAMES else 1.0  # no subtitles on a portrait
    below = MIN_BELOW.get(frame.source, MIN_BELOW[FRAMES])
    cut = cut_out(picture, person, others, floor * frame.height, head_px, below)
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


def shot_of(image: Image) -> str:
    return image.shot_id or image.id


def _head_colour(picture: np.ndarray, person: Person) -> np.ndarray:
    """(3,) mean RGB of the inner head."""
    x0, y0, x1, y1 = person.head_xyxy or person.xyxy
    dx, dy = 0.15 * (x1 - x0), 0.15 * (y1 - y0)
    part = picture[max(0, round(y0 + dy)) : round(y1 - dy), max(0, round(x0 + dx)) : round(x1 - dx)]
    return part.reshape(-1, 3).mean(axis=0) if part.size else np.full(3, 128.0)
