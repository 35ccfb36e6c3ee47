"""Training pictures of the pocket world at any size, with everything known about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image as PILImage

from fullcast.mixture.composites.scenes import tidy_cells, tidy_head_px
from fullcast.pocket.backgrounds import FOREGROUNDS, LIGHTS, SETTINGS, draw_foreground, relight
from fullcast.pocket.scene import paste
from fullcast.records import GRID
from recipes.pocket.bank import SKULL_PX, Bank

COUNT_SHARES = (0.05, 0.27, 0.24, 0.19, 0.14, 0.11)
"""Share of pictures with 0, 1, ... 5 people."""
LIGHT_SHARES = (0.6, 0.2, 0.2)
TIDY_LIGHT_SHARES = (0.8, 0.1, 0.1)


@dataclass
class Drawn:
    """One figure of a training picture; boxes in pixels of the picture, of what is visible."""

    row: dict
    xyxy: tuple[float, float, float, float]
    head: tuple[float, float, float, float]
    visible: float
    head_visible: float


@dataclass
class TrainingPicture:
    rgb: np.ndarray
    """(H, W, 3) uint8."""
    setting: str
    light: str
    people: list[Drawn] = field(default_factory=list)
    """Left to right by the middle of the head."""


def random_picture(
    bank: Bank,
    rng: np.random.Generator,
    width: int,
    height: int,
    count: int | None = None,
    styles: tuple[str, ...] | None = None,
    small: float = 0.25,
    rows: dict[str, np.ndarray] | None = None,
    any_size: bool = False,
    tidy: float = 0.0,
) -> TrainingPicture:
    """A picture of `width` x `height` pixels. `small`: share of pictures framed wide, with small figures.

    `tidy`: share of pictures whose heads are about the middles of cells, all of nearly one size, mostly by day and with
    nothing before them: what tidy composites show (`mixture.composites.disorder`).

    `any_size`: heads of 3 to 50 % of the height, whole figures, close together, as in frames of a show; without it people
    fill the picture, as in the crops that an image model is trained on. `rows` maps a style to the rows of the bank that show it (`rows_by_style`): all figures of a picture share a style.
    """
    rows = rows or rows_by_style(bank)
    style = str(rng.choice(list(styles or rows), p=_style_shares(styles or tuple(rows))))
    if count is None:
        count = int(rng.choice(len(COUNT_SHARES), p=COUNT_SHARES))
    setting = int(rng.integers(len(SETTINGS)))
    is_tidy = tidy > 0 and rng.random() < tidy
    light = str(rng.choice(LIGHTS, p=TIDY_LIGHT_SHARES if is_tidy else LIGHT_SHARES))
    canvas = _background(bank, rng, setting, width, height)
    owner = np.full((height, width), -1, np.int8)
    who = (bank.table[int(rng.choice(rows[style]))] for _ in range(count))
    if is_tidy:
        figures = list(_in_cells(rng, who, count, width, height))
    else:
        places = _layout(rng, count, width, height, small, any_size)
        figures = [(skull, x, y, row) for (x, y, skull), row in zip(places, who, strict=True)]
    figures.sort(key=lambda f: f[0])
    placed = []
    for index, (skull, x, y, row) in enumerate(figures):
        scale = skull / SKULL_PX
        sprite = bank.pixels[row["offset"] : row["offset"] + row["shape"][0] * row["shape"][1] * 4]
        rgba = scaled(sprite.reshape(*row["shape"], 4), scale)
        left, top = round(x - row["chin"][0] * scale), round(y - row["chin"][1] * scale)
        area = paste(canvas, owner, rgba, left, top, index)
        head = tuple(v * scale + (left, top)[i % 2] for i, v in enumerate(row["head"]))
        placed.append((row, head, area))
    if count and not is_tidy and rng.random() < 0.3:
        _foreground(rng, canvas, owner)
    rgb = relight(canvas, light, float(rng.uniform(0.85, 1.1)))
    people = [d for i, p in enumerate(placed) if (d := _drawn(i, *p, owner)) is not None]
    people.sort(key=lambda d: d.head[0] + d.head[2])
    return TrainingPicture(rgb, SETTINGS[setting], light, people)


def rows_by_style(bank: Bank) -> dict[str, np.ndarray]:
    styles = sorted({r["style"] for r in bank.table})
    return {s: np.array([i for i, r in enumerate(bank.table) if r["style"] == s]) for s in styles}


def _style_shares(styles: tuple[str, ...]) -> np.ndarray:
    shares = np.array([3.0 if s == "toon-head" else 1.2 if s == "adventurer" else 0.5 for s in styles])
    return shares / shares.sum()


def _background(bank: Bank, rng: np.random.Generator, setting: int, width: int, height: int) -> np.ndarray:
    source = bank.backgrounds[setting, int(rng.integers(bank.backgrounds.shape[1]))]
    h, w = source.shape[:2]
    share = rng.uniform(0.55, 1.0)
    crop_w = min(w, h * width / height) * share
    crop_h = crop_w * height / width
    x, y = rng.uniform(0, w - crop_w), rng.uniform(0, h - crop_h)
    picture = PILImage.fromarray(np.ascontiguousarray(source))
    return np.array(picture.resize((width, height), PILImage.Resampling.BILINEAR, (x, y, x + crop_w, y + crop_h)))


def _in_cells(rng: np.random.Generator, rows: Iterable[dict], count: int, width: int, height: int):
    """(skull px, chin x, chin y, row of the bank) of each figure of a tidy picture, from left to right: one to a column
    of the grid, heads with their hair as high as in composites."""
    high = tidy_head_px(width, height)
    for (column, row_of_grid), row in zip(tidy_cells(count, rng), rows, strict=True):
        x0, y0, x1, y1 = row["head"]
        scale = high * rng.uniform(0.95, 1.05) / (y1 - y0)
        x = (column + 0.5 + rng.uniform(-0.1, 0.1)) * width / GRID
        y = (row_of_grid + 0.5 + rng.uniform(-0.1, 0.1)) * height / GRID
        chin = x + (row["chin"][0] - (x0 + x1) / 2) * scale, y + (row["chin"][1] - (y0 + y1) / 2) * scale
        yield scale * SKULL_PX, *chin, row


def _layout(rng: np.random.Generator, count: int, width: int, height: int, small: float, any_size: bool):
    """(chin x, chin y, skull px) of each figure: slots across the picture, jittered; sizes alike, not equal."""
    if count == 0:
        return
    slot = width / count
    largest = min(0.62 * height, 0.92 * slot)
    if any_size:
        size = min(largest, height * np.exp(rng.uniform(np.log(0.03), np.log(0.5))))
    elif rng.random() < small:
        size = largest * rng.uniform(0.18, 0.5)
    else:
        size = largest * rng.uniform(0.6, 1.0)
    if count <= 2 and rng.random() < 0.5:
        spread = rng.uniform(min(width, 1.1 * size * count), width)
    elif any_size:
        spread = min(width, size * count * rng.uniform(1.1, 2.6))
    else:
        spread = max(rng.uniform(0.75, 1.0) * width, min(width, 1.15 * size * count))
    left = rng.uniform(0, width - spread) if spread < width else 0.0
    if any_size:
        base = rng.uniform(max(1.15 * size, 0.25 * height), max(1.2 * size, 0.75 * height))
    else:
        base = rng.uniform(max(1.05 * size, 0.3 * height), min(0.95 * height, max(1.1 * size, 0.9 * height)))
    for index in range(count):
        slot = spread / count
        skull = size * rng.uniform(0.82, 1.12)
        x = left + slot * (index + 0.5) + rng.uniform(-0.5, 0.5) * max(0.0, slot - 1.0 * skull)
        wobble = min(0.16 * height, 0.4 * skull) if any_size else 0.16 * height
        y = np.clip(base + rng.uniform(-1, 1) * wobble, 1.0 * skull, 0.97 * height)
        yield x, y, max(6.0, skull)


def _foreground(rng: np.random.Generator, canvas: np.ndarray, owner: np.ndarray) -> None:
    height, width = owner.shape
    kind = str(rng.choice(FOREGROUNDS))
    if kind == "pillar":
        w = int(width * rng.uniform(0.05, 0.12))
        x = int(rng.uniform(0, width - w))
        rgba = draw_foreground(kind, int(rng.integers(30)), w, height)
        paste(canvas, owner, rgba, x, 0, -2)
        return
    w, h = int(width * rng.uniform(0.3, 1.1)), int(height * rng.uniform(0.12, 0.3))
    x = int(rng.uniform(-0.2 * w, width - 0.5 * w))
    rgba = draw_foreground(kind, int(rng.integers(30)), max(8, w // 8 * 8), max(8, h // 8 * 8))
    paste(canvas, owner, rgba, x, height - h, -2)


def scaled(rgba: np.ndarray, scale: float) -> np.ndarray:
    """The sprite at another size, premultiplied so that no fringe appears."""
    picture = PILImage.fromarray(np.ascontiguousarray(rgba), "RGBA").convert("RGBa")
    size = (max(1, round(rgba.shape[1] * scale)), max(1, round(rgba.shape[0] * scale)))
    return np.asarray(
        picture.resize(size, PILImage.Resampling.BOX if scale < 0.6 else PILImage.Resampling.BILINEAR).convert("RGBA")
    )


def _drawn(index: int, row: dict, head: tuple, area: int, owner: np.ndarray) -> Drawn | None:
    height, width = owner.shape
    mask = owner == index
    seen = int(mask.sum())
    if seen == 0 or area == 0:
        return None
    cut = (max(0.0, head[0]), max(0.0, head[1]), min(float(width), head[2]), min(float(height), head[3]))
    if cut[0] >= cut[2] or cut[1] >= cut[3]:
        return None
    inside = (cut[2] - cut[0]) * (cut[3] - cut[1]) / ((head[2] - head[0]) * (head[3] - head[1]))
    window = owner[
        round(cut[1]) : max(round(cut[3]), round(cut[1]) + 1), round(cut[0]) : max(round(cut[2]), round(cut[0]) + 1)
    ]
    others = float(((window != index) & (window != -1)).mean()) if window.size else 1.0
    head_visible = inside * (1 - others)
    if head_visible < 0.35 or seen / area < 0.15:
        return None
    ys, xs = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    return Drawn(row, (xs[0], ys[0], xs[-1] + 1, ys[-1] + 1), cut, seen / area, head_visible)
