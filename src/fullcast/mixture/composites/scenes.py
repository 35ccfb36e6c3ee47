"""Composites: who stands where on which background, drawn so that numbers, casts and cells come out even."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from fullcast.mixture.buckets import Bucket, match
from fullcast.mixture.composites.cutouts import CutOut
from fullcast.records import GRID, Box, cell_of
from fullcast.store.pictures import resize

PITCH = 1.3
"""Distance of neighbours in head heights, at least; shoulders overlap, faces do not. Groups of a show stand so: 1.27
(five people) to 1.46 (two) on average in pocket shows."""

WIDEST = 1.9
"""The same, at most."""

BUST = 2.4
"""Height of the picture in head heights, at least: head, chest and some air."""

TIDY_BUST = 2.2
"""Height of the picture in head heights where heads stand in cells: portraits are cut off at the chest."""

TIDY_ROWS = (1, 2)
"""Rows of the grid in which they stand: what scenes ask for, and where a show's heads are."""

SHOULDERS = 0.4
"""Head heights below the head from which on a figure may be drawn out: hair and collar stay as they are."""

MIN_SEEN = 0.93
"""Share of a head that must stay uncovered."""

TRIES = 24


@dataclass(frozen=True)
class Figure:
    """A cut-out as it stands in a composite."""

    cut: CutOut
    head_xyxy: Box
    """In pixels of the composite."""
    seen_xyxy: Box
    """The part that nobody stands before."""


@dataclass(frozen=True)
class Painted:
    """A composite."""

    pixels: np.ndarray
    """(H, W, 3) uint8."""
    figures: tuple[Figure, ...]
    bare: np.ndarray
    """(H, W) float32 in [0, 1]: how much of the backdrop is seen."""


@dataclass(frozen=True)
class Balance:
    """What was shown how often so far."""

    looks: Counter[str]
    """Of people: a character, or one form of it."""
    pairs: Counter[tuple[str, str]]
    cells: Counter[tuple[str, tuple[int, int]]]
    shots: Counter[str]
    """That a background is from."""
    scenes: dict[tuple[str, ...], Counter[str]]
    """Words of a scene -> image that a background is from."""

    @classmethod
    def empty(cls) -> Balance:
        return cls(Counter(), Counter(), Counter(), Counter(), defaultdict(Counter))

    def add(self, looks: Sequence[str], cells: Sequence[tuple[int, int]]) -> None:
        self.looks.update(looks)
        self.pairs.update(itertools.combinations(sorted(looks), 2))
        self.cells.update(zip(looks, cells, strict=True))

    def add_backdrop(self, image: str, shot: str, scene: tuple[str, ...]) -> None:
        self.shots[shot] += 1
        self.scenes[scene][image] += 1


def choose_looks(available: Mapping[str, str], count: int, balance: Balance, rng: np.random.Generator) -> list[str]:
    """``count`` looks of different characters: one by one whichever was seen least, then least with those chosen.

    available: look -> the character that has it. Looks are shown alike often, so that somebody with two of them, each
    to be learnt like anybody's only one, comes twice as often as the others.
    """
    chosen: list[str] = []
    lots = dict(zip(sorted(available), rng.random(len(available)), strict=True))
    while len(chosen) < count:

        def seen(look: str) -> tuple[int, int, float]:
            together = sum(balance.pairs[min(look, c), max(look, c)] for c in chosen)
            return balance.looks[look], together, lots[look]

        there = {available[look] for look in chosen}
        chosen.append(min((look for look in lots if available[look] not in there), key=seen))
    return chosen


def choose_bucket(count: int, buckets: Sequence[Bucket], rng: np.random.Generator, aspect: float = 0.0) -> Bucket:
    """Nearest in shape to `aspect`; 0: near the shape in which so many heads side by side come out largest."""
    loose = (count * PITCH + 0.5) / BUST * np.exp(rng.normal(0, 0.15))
    return buckets[int(match([aspect or loose], buckets)[0])]


def choose_heads(count: int, width: float, height: float, rng: np.random.Generator, disorder: float = 1.0) -> list[Box]:
    """Squares for heads, from left to right, in pixels: a row with some disorder; with 0 in the middles of cells."""
    loose = _loose_heads(count, width, height, rng)
    if disorder == 1.0:
        return loose
    tidy = _tidy_heads(count, width, height, rng)
    blend = np.asarray(tidy) + disorder * (np.asarray(loose) - np.asarray(tidy))
    return [tuple(float(v) for v in head) for head in blend]  # type: ignore[misc]


def tidy_cells(count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """(column, row) of heads from left to right: one to a column of the grid as long as there are columns."""
    columns = sorted(int(c) for c in rng.choice(GRID, count, replace=count > GRID))
    return [(column, int(rng.choice(TIDY_ROWS))) for column in columns]


def tidy_head_px(width: float, height: float) -> float:
    """Height of heads in the middles of cells."""
    return 0.95 * min(width / GRID / PITCH, height / TIDY_BUST)


def _tidy_heads(count: int, width: float, height: float, rng: np.random.Generator) -> list[Box]:
    """In the middles of cells, all of one size in all pictures: a head's cell says where it is, and nothing says how
    large it is."""
    cells = tidy_cells(count, rng)
    high = tidy_head_px(width, height)
    heads = []
    for column, row in cells:
        x, y = (column + 0.5) * width / GRID, (row + 0.5) * height / GRID
        heads.append((x - high / 2, y - high / 2, x + high / 2, y + high / 2))
    return heads


def _loose_heads(count: int, width: float, height: float, rng: np.random.Generator) -> list[Box]:
    high = min(width / (count * PITCH), height / BUST) * rng.uniform(0.85, 1.0)
    pitch = min(width / count, high * rng.uniform(PITCH, WIDEST))
    left = rng.uniform(0, width - count * pitch)
    top = rng.uniform(0.06, 0.24) * height
    heads = []
    for i in range(count):
        own = high * np.exp(rng.normal(0, 0.05))
        x = left + (i + 0.5) * pitch + rng.uniform(-0.1, 0.1) * pitch
        x = min(max(x, 0.62 * own), width - 0.62 * own)
        y = max(0.02 * height, top + rng.uniform(-0.15, 0.25) * own)
        heads.append((x - own / 2, y, x + own / 2, y + own))
    return heads


def seat(looks: Sequence[str], heads: Sequence[Box], size: tuple[float, float], balance: Balance) -> list[str]:
    """The looks in the order of ``heads``, so that each comes to the cells where it was seldom."""
    cells = [cell_of((h[0] + h[2]) / 2 / size[0], (h[1] + h[3]) / 2 / size[1]) for h in heads]
    costs = np.array([[balance.cells[look, cell] for cell in cells] for look in looks], dtype=float)
    rows, columns = linear_sum_assignment(costs**1.5)
    order = {int(column): looks[int(row)] for row, column in zip(rows, columns, strict=True)}
    return [order[i] for i in range(len(heads))]


def lengthened(cut: CutOut, head: Box, height: float, most: float) -> CutOut:
    """The cut-out with what is below its shoulders drawn out by up to `most` times, so that it reaches the lower edge
    with its head at `head`: a portrait ends at the chest, and would stand in the lower rows alone."""
    rows, head_px = len(cut.alpha), cut.head_height
    wanted = cut.head_xyxy[1] + (height + 1 - head[1]) * head_px / (head[3] - head[1])
    kept = round(cut.head_xyxy[3] + SHOULDERS * head_px)
    if most <= 1 or wanted <= rows or rows - kept < 2:
        return cut
    size = cut.alpha.shape[1], min(int(np.ceil(wanted)) - kept, round(most * (rows - kept)))
    rgb = resize(cut.rgb[kept:], size)
    alpha = resize((cut.alpha[kept:] * 255).astype(np.uint8), size).astype(np.float32) / 255
    return replace(cut, rgb=np.concatenate([cut.rgb[:kept], rgb]), alpha=np.concatenate([cut.alpha[:kept], alpha]))


def paint(
    backdrop: np.ndarray,
    cuts: Sequence[CutOut],
    heads: Sequence[Box],
    gains: Sequence[np.ndarray],
    lengthen: float = 1.0,
) -> Painted | None:
    """The figures before (H, W, 3) uint8 ``backdrop``, whoever's head is lowest in front; None if it does not work.

    gains: (3,) factors on each figure's colours. lengthen: see `lengthened`. It does not work when a cut-out is too
    short to reach the lower edge with its head inside, or when somebody's head is covered.
    """
    height, width = backdrop.shape[:2]
    cuts = [lengthened(cut, head, height, lengthen) for cut, head in zip(cuts, heads, strict=True)]
    places = [_place(cut, head, height) for cut, head in zip(cuts, heads, strict=True)]
    if any(place is None for place in places):
        return None
    canvas, bare = backdrop.astype(np.float32), np.ones((height, width), np.float32)
    layers: dict[int, np.ndarray] = {}
    alone: dict[int, np.ndarray] = {}
    front = sorted(range(len(cuts)), key=lambda i: (places[i] or (0, 0, 0))[1] + heads[i][3] - heads[i][1])
    for i in front:
        place = places[i]
        assert place is not None
        colour, alpha = _layer(cuts[i], place, width, height)
        canvas += alpha[..., None] * (np.clip(colour * gains[i], 0, 255) - canvas)
        for behind in (bare, *layers.values()):
            behind *= 1 - alpha
        layers[i], alone[i] = alpha.copy(), alpha
    figures = []
    for i, cut in enumerate(cuts):
        x, y, scale = places[i] or (0.0, 0.0, 1.0)
        hx0, hy0, hx1, hy1 = (v * scale for v in cut.head_xyxy)
        head = (max(0.0, x + hx0), max(0.0, y + hy0), min(float(width), x + hx1), min(float(height), y + hy1))
        whole, _ = _head_pixels(alone[i], head)
        seen, _ = _head_pixels(layers[i], head)
        if seen < MIN_SEEN * whole or hx1 - hx0 > (head[2] - head[0]) / 0.97:
            return None
        rows, columns = np.nonzero(layers[i] > 0.5)
        box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
        figures.append(Figure(cut, head, box))
    return Painted(np.clip(np.round(canvas), 0, 255).astype(np.uint8), tuple(figures), bare)


def _place(cut: CutOut, head: Box, height: float) -> tuple[float, float, float] | None:
    """(x, y, scale) of the cut-out's upper left corner; lower than asked if it would not reach the lower edge."""
    scale = (head[3] - head[1]) / cut.head_height
    centre = (cut.head_xyxy[0] + cut.head_xyxy[2]) / 2 * scale
    top = head[1] - cut.head_xyxy[1] * scale
    below = height + 1 - len(cut.alpha) * scale
    if below > top:
        top = below
    if top + cut.head_xyxy[3] * scale + 0.3 * (head[3] - head[1]) > height:
        return None
    return (head[0] + head[2]) / 2 - centre, top, scale


def _layer(cut: CutOut, place: tuple[float, float, float], width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) float32 colours and (H, W) float32 alpha of the figure on the composite's canvas."""
    x, y, scale = place
    h, w = cut.alpha.shape
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    small = resize(cut.rgb, size).astype(np.float32)
    alpha = resize((cut.alpha * 255).astype(np.uint8), size).astype(np.float32) / 255
    colours, mask = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    left, top = round(x), round(y)
    x0, y0, x1, y1 = max(0, left), max(0, top), min(width, left + size[0]), min(height, top + size[1])
    if x0 < x1 and y0 < y1:
        colours[y0:y1, x0:x1] = small[y0 - top : y1 - top, x0 - left : x1 - left]
        mask[y0:y1, x0:x1] = alpha[y0 - top : y1 - top, x0 - left : x1 - left]
    return colours, mask


def _head_pixels(alpha: np.ndarray, head: Box) -> tuple[float, int]:
    part = alpha[round(head[1]) : round(head[3]), round(head[0]) : round(head[2])]
    return float(part.sum()), part.size
