"""Figures as pictures with alpha: head and body drawn together at the size they are needed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image as PILImage

from fullcast.pocket.bodies import Outfit, draw_body
from fullcast.pocket.heads import STYLES, draw_head
from fullcast.pocket.looks import Look

LEFT, TOP, RIGHT, BOTTOM = -135.0, -175.0, 135.0, 302.0
"""What a sprite shows, in hundredths of the skull's height around the chin."""


@dataclass(frozen=True, slots=True)
class Sprite:
    """A drawn figure. Coordinates are pixels of `rgba`, origin top left."""

    rgba: np.ndarray
    """(H, W, 4) uint8, straight alpha."""
    chin: tuple[float, float]
    head: tuple[float, float, float, float]
    """xyxy of face and hair down to the chin."""
    skull_px: float


def _svg(fragments: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{LEFT} {TOP} {RIGHT - LEFT} {BOTTOM - TOP}">{fragments}</svg>'
    )


def rasterise(svg: str, width: int) -> np.ndarray:
    """(H, W, 4) uint8 of any SVG text at a width in pixels."""
    import resvg_py

    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=width))
    return np.asarray(PILImage.open(io.BytesIO(png)).convert("RGBA"))


@lru_cache(maxsize=4096)
def head_box(look: Look) -> tuple[float, float, float, float]:
    """xyxy of face and hair above the chin, in hundredths of the skull, chin at (0, 0).

    Long hair that falls below the chin does not count: the box is what a person would call the head.
    """
    behind, head = draw_head(look, "smile")
    width = 270
    alpha = rasterise(_svg(behind + head), width)[..., 3] > 96
    scale = (RIGHT - LEFT) / width
    alpha = alpha[: int(round(-TOP / scale))]
    ys, xs = np.nonzero(alpha)
    return (
        LEFT + xs.min() * scale,
        TOP + ys.min() * scale,
        LEFT + (xs.max() + 1) * scale,
        min(0.0, TOP + (ys.max() + 1) * scale),
    )


@lru_cache(maxsize=768)
def draw_figure(
    look: Look, outfit: Outfit, expression: str, pose: str, skull_px: int, mirrored: bool = False, tilt: int = 0
) -> Sprite:
    """A whole figure whose bare head is `skull_px` pixels high; `tilt` turns the head by that many degrees."""
    behind, head = draw_head(look, expression)
    turn = f'transform="rotate({tilt} 0 8)"'
    body = draw_body(outfit, pose, look.skin, STYLES[look.style].outline)
    svg = _svg(f"<g {turn}>{behind}</g>{body}<g {turn}>{head}</g>")
    scale = skull_px / 100
    rgba = rasterise(svg, max(8, round((RIGHT - LEFT) * scale)))
    scale = rgba.shape[1] / (RIGHT - LEFT)
    x0, y0, x1, y1 = head_box(look)
    box = [(x0 - LEFT) * scale, (y0 - TOP) * scale, (x1 - LEFT) * scale, (y1 - TOP) * scale]
    chin_x = -LEFT * scale
    if mirrored:
        rgba = np.ascontiguousarray(rgba[:, ::-1])
        width = rgba.shape[1]
        box[0], box[2] = width - box[2], width - box[0]
        chin_x = width - chin_x
    return Sprite(rgba, (chin_x, -TOP * scale), (box[0], box[1], box[2], box[3]), skull_px)
