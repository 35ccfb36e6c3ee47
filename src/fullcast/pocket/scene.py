"""Composing a drawing: figures before a background, under a light, with what stands in front; and the truth of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fullcast.pocket.backgrounds import draw_background, draw_foreground, relight
from fullcast.pocket.bodies import Outfit
from fullcast.pocket.looks import Look
from fullcast.pocket.sprites import draw_figure
from fullcast.records import Box

MIN_VISIBLE = 0.15
"""A figure of which less than this share of its drawing is seen is not in the picture."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One person of a drawing. `x`, `y`: the chin, in pixels of the canvas."""

    look: Look
    outfit: Outfit
    expression: str
    pose: str
    x: float
    y: float
    skull_px: int
    name: str = ""
    """Character in the show's cast; '' for somebody who is nobody."""
    form: str = ""
    mirrored: bool = False
    tilt: int = 0


@dataclass(frozen=True, slots=True)
class Foreground:
    kind: str
    seed: int
    xyxy: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Drawing:
    """All that one painted picture is made of; equal drawings are equal pictures."""

    setting: str
    background_seed: int
    light: str
    exposure: float
    figures: tuple[Figure, ...] = ()
    """Back to front."""
    foregrounds: tuple[Foreground, ...] = ()
    width: int = 1600
    height: int = 900


@dataclass(frozen=True, slots=True)
class Seen:
    """The truth about one figure of a composed picture."""

    figure: Figure
    xyxy: Box
    """Box of the visible pixels."""
    head_xyxy: Box
    """Box of the head as drawn, cut at the picture's edge."""
    visible: float
    """Visible share of the figure's pixels that lie inside the canvas, in [0, 1]."""
    head_visible: float


@dataclass(frozen=True, slots=True)
class Composed:
    rgb: np.ndarray
    """(height, width, 3) uint8."""
    owner: np.ndarray
    """(height, width) int8: index of the figure that each pixel shows; -1 background, -2 foreground."""
    figures: tuple[Figure, ...]
    heads: tuple[Box, ...]
    areas: tuple[int, ...]
    """Pixels that each figure would cover inside the canvas if nothing stood before it."""


def compose(drawing: Drawing) -> Composed:
    """Paint a drawing: background, figures back to front, foregrounds, light."""
    canvas = draw_background(drawing.setting, drawing.background_seed, drawing.width, drawing.height).copy()
    owner = np.full(canvas.shape[:2], -1, np.int8)
    heads: list[Box] = []
    areas: list[int] = []
    for index, figure in enumerate(drawing.figures):
        sprite = draw_figure(
            figure.look, figure.outfit, figure.expression, figure.pose, figure.skull_px, figure.mirrored, figure.tilt
        )
        x, y = round(figure.x - sprite.chin[0]), round(figure.y - sprite.chin[1])
        areas.append(paste(canvas, owner, sprite.rgba, x, y, index))
        hx0, hy0, hx1, hy1 = sprite.head
        heads.append((hx0 + x, hy0 + y, hx1 + x, hy1 + y))
    for item in drawing.foregrounds:
        x0, y0, x1, y1 = item.xyxy
        paste(canvas, owner, draw_foreground(item.kind, item.seed, x1 - x0, y1 - y0), x0, y0, -2)
    return Composed(
        relight(canvas, drawing.light, drawing.exposure), owner, drawing.figures, tuple(heads), tuple(areas)
    )


def paste(canvas: np.ndarray, owner: np.ndarray, rgba: np.ndarray, x: int, y: int, index: int) -> int:
    """Alpha-blend `rgba` at (x, y) in place, mark its opaque pixels in `owner`; returns how many they are."""
    height, width = owner.shape
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(width, x + rgba.shape[1]), min(height, y + rgba.shape[0])
    if x0 >= x1 or y0 >= y1:
        return 0
    source = rgba[y0 - y : y1 - y, x0 - x : x1 - x]
    alpha = source[..., 3]
    target = canvas[y0:y1, x0:x1]
    a = alpha[..., None].astype(np.uint16)
    target[:] = ((source[..., :3] * a + target * (255 - a) + 127) // 255).astype(np.uint8)
    opaque = alpha > 127
    owner[y0:y1, x0:x1][opaque] = index
    return int(opaque.sum())


def seen_in(composed: Composed, camera: Box, width: int, height: int) -> list[Seen]:
    """Who is in the picture that a camera box (canvas pixels) shows when scaled to width x height."""
    cx0, cy0, cx1, cy1 = camera
    sx, sy = width / (cx1 - cx0), height / (cy1 - cy0)
    ix0, iy0, ix1, iy1 = (round(v) for v in camera)
    owner = composed.owner[max(0, iy0) : iy1, max(0, ix0) : ix1]
    out = []
    for index, figure in enumerate(composed.figures):
        mask = owner == index
        area = int(mask.sum())
        if area == 0:
            continue
        hx0, hy0, hx1, hy1 = composed.heads[index]
        head_full = (hx1 - hx0) * (hy1 - hy0)
        head = (max(hx0, cx0), max(hy0, cy0), min(hx1, cx1), min(hy1, cy1))
        if head[0] >= head[2] or head[1] >= head[3]:
            continue
        inside = (head[2] - head[0]) * (head[3] - head[1]) / head_full
        window = composed.owner[round(head[1]) : round(head[3]), round(head[0]) : round(head[2])]
        others = float(((window != index) & (window != -1)).mean()) if window.size else 1.0
        head_visible = inside * (1 - others)
        visible = area / max(1, composed.areas[index])
        if visible < MIN_VISIBLE or head_visible < 0.35:
            continue
        ys, xs = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
        box = (
            (xs[0] + max(0, ix0) - cx0) * sx,
            (ys[0] + max(0, iy0) - cy0) * sy,
            (xs[-1] + 1 + max(0, ix0) - cx0) * sx,
            (ys[-1] + 1 + max(0, iy0) - cy0) * sy,
        )
        scaled = ((head[0] - cx0) * sx, (head[1] - cy0) * sy, (head[2] - cx0) * sx, (head[3] - cy0) * sy)
        out.append(Seen(figure, _clip(box, width, height), _clip(scaled, width, height), visible, head_visible))
    return out


def _clip(box: Box, width: int, height: int) -> Box:
    return max(0.0, box[0]), max(0.0, box[1]), min(float(width), box[2]), min(float(height), box[3])
