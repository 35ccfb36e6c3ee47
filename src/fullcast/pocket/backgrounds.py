"""Places of the pocket world, drawn by us as SVG: a setting and a seed give one background, always the same."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from fullcast.pocket.looks import jitter
from fullcast.pocket.sprites import rasterise
from fullcast.store.seeding import rng as keyed

SETTINGS = ("park", "street", "classroom", "beach", "bedroom", "mountain")
LIGHTS = ("day", "dusk", "night")
FOREGROUNDS = ("hedge", "table", "fence", "pillar")

LIGHT_GAINS = {"day": (1.0, 1.0, 1.0), "dusk": (1.06, 0.82, 0.66), "night": (0.46, 0.54, 0.80)}
"""RGB gains of the whole picture."""


def relight(rgb: np.ndarray, light: str, exposure: float = 1.0) -> np.ndarray:
    """(H, W, 3) uint8 under another light; `exposure` multiplies all channels."""
    table = (
        np.arange(256, dtype=np.float32)[:, None] * np.float32(exposure) * np.asarray(LIGHT_GAINS[light], np.float32)
    )
    table = np.clip(table, 0, 255).astype(np.uint8)
    return np.stack([table[:, c][rgb[..., c]] for c in range(3)], axis=-1)


@lru_cache(maxsize=64)
def draw_background(setting: str, seed: int, width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8 RGB."""
    rng = keyed(seed, "background", setting)
    shapes = globals()[f"_{setting}"](rng)
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1600 900" preserveAspectRatio="xMidYMid slice" '
        f'width="{width}" height="{height}">{shapes}</svg>'
    )
    rgba = rasterise(svg, width)
    if rgba.shape[0] < height:
        rgba = np.pad(rgba, ((0, height - rgba.shape[0]), (0, 0), (0, 0)), mode="edge")
    return np.ascontiguousarray(rgba[:height, :width, :3])


@lru_cache(maxsize=64)
def draw_foreground(kind: str, seed: int, width: int, height: int) -> np.ndarray:
    """(height, width, 4) uint8: something that stands between the camera and the people; fills its rectangle."""
    rng = keyed(seed, "foreground", kind)
    match kind:
        case "hedge":
            green = jitter(rng, "#3d7a3a")
            balls = "".join(
                f'<circle cx="{x}" cy="{rng.uniform(26, 40):.0f}" r="{rng.uniform(22, 34):.0f}"/>'
                for x in range(0, 421, 20)
            )
            body = f'<g fill="{green}">{balls}<rect y="36" width="420" height="90"/></g>'
        case "table":
            wood = jitter(rng, "#9a6a3f")
            body = (
                f'<rect y="8" width="420" height="26" fill="{wood}"/>'
                f'<rect y="34" width="420" height="90" fill="{jitter(rng, "#6f4a2a")}"/>'
            )
        case "fence":
            wood = jitter(rng, "#d8cdb8")
            bars = "".join(f'<rect x="{x}" y="4" width="26" height="120"/>' for x in range(0, 420, 42))
            body = (
                f'<g fill="{wood}" stroke="#5b5346" stroke-width="2">{bars}<rect y="44" width="420" height="14"/></g>'
            )
        case _:
            color = jitter(rng, "#a79f95")
            body = f'<rect width="420" height="120" fill="{color}"/><rect x="280" width="140" height="120" fill="#00000030"/>'
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 420 120" preserveAspectRatio="none" '
        f'width="{width}" height="{height}">{body}</svg>'
    )
    return rasterise(svg, width)[:height]


def _rects(rng: np.random.Generator, count: int, color: str, ys: tuple[float, float], size: tuple[float, float]) -> str:
    out = []
    for _ in range(count):
        w = rng.uniform(size[0], size[1])
        y = rng.uniform(ys[0], ys[1])
        out.append(
            f'<rect x="{rng.uniform(-60, 1600):.0f}" y="{y:.0f}" width="{w:.0f}" height="{900 - y:.0f}" '
            f'fill="{jitter(rng, color, 0.12)}"/>'
        )
    return "".join(out)


def _sky(rng: np.random.Generator) -> str:
    color = jitter(rng, "#9fd3f2", 0.1)
    clouds = "".join(
        f'<ellipse cx="{rng.uniform(0, 1600):.0f}" cy="{rng.uniform(40, 300):.0f}" rx="{rng.uniform(70, 190):.0f}" '
        f'ry="{rng.uniform(20, 48):.0f}" fill="#ffffffcc"/>'
        for _ in range(int(rng.integers(2, 6)))
    )
    return f'<rect width="1600" height="900" fill="{color}"/>{clouds}'


def _park(rng: np.random.Generator) -> str:
    ground = jitter(rng, "#8bbf5f", 0.1)
    trees = ""
    for _ in range(int(rng.integers(4, 8))):
        x, y, r = rng.uniform(0, 1600), rng.uniform(300, 470), rng.uniform(80, 170)
        trees += (
            f'<rect x="{x - 18:.0f}" y="{y:.0f}" width="36" height="{620 - y:.0f}" fill="{jitter(rng, "#7b5434")}"/>'
            f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{r:.0f}" fill="{jitter(rng, "#4f9a48", 0.12)}"/>'
        )
    path = f'<path d="M{rng.uniform(500, 900):.0f} 600 L{rng.uniform(200, 500):.0f} 900 L{rng.uniform(900, 1300):.0f} 900 Z" fill="#d9c79a"/>'
    return _sky(rng) + f'<rect y="580" width="1600" height="320" fill="{ground}"/>' + path + trees


def _street(rng: np.random.Generator) -> str:
    houses = _rects(rng, 9, str(rng.choice(("#c9a58a", "#9aa7b8", "#b9b39f"))), (80, 330), (180, 320))
    windows = "".join(
        f'<rect x="{x + rng.uniform(-8, 8):.0f}" y="{y}" width="54" height="66" fill="{jitter(rng, "#5b7186", 0.1)}"/>'
        for x in range(30, 1600, int(rng.integers(110, 170)))
        for y in (380, 500)
    )
    road = f'<rect y="650" width="1600" height="250" fill="{jitter(rng, "#7d7f86")}"/>'
    lines = "".join(f'<rect x="{x}" y="770" width="110" height="14" fill="#f1efe2"/>' for x in range(0, 1600, 230))
    return _sky(rng) + houses + windows + road + lines


def _classroom(rng: np.random.Generator) -> str:
    wall, board = jitter(rng, "#efe3c4", 0.08), jitter(rng, "#2f6b4f", 0.06)
    x = rng.uniform(150, 550)
    desks = "".join(
        f'<rect x="{dx}" y="{rng.uniform(690, 730):.0f}" width="190" height="26" fill="{jitter(rng, "#b98a55")}"/>'
        for dx in range(40, 1600, 270)
    )
    return (
        f'<rect width="1600" height="900" fill="{wall}"/><rect y="660" width="1600" height="240" fill="#b98d5f"/>'
        f'<rect x="{x:.0f}" y="130" width="640" height="300" fill="{board}" stroke="#8a5f36" stroke-width="18"/>'
        f'<rect x="{(x + 800) % 1300:.0f}" y="120" width="230" height="320" fill="{jitter(rng, "#bfe2f2")}" '
        f'stroke="#fff" stroke-width="16"/>{desks}'
    )


def _beach(rng: np.random.Generator) -> str:
    sea = jitter(rng, "#3f9fc4", 0.08)
    palms = ""
    for _ in range(int(rng.integers(1, 4))):
        x = rng.uniform(60, 1540)
        palms += f'<path d="M{x:.0f} 640 q30 -180 10 -330" stroke="#8a6238" stroke-width="26" fill="none"/>'
        palms += "".join(
            f'<path d="M{x + 10:.0f} 310 q{dx} -60 {2 * dx} {dy}" stroke="#3f8f4c" stroke-width="24" fill="none"/>'
            for dx, dy in ((80, 50), (-80, 50), (60, -50), (-60, -50))
        )
    return (
        _sky(rng)
        + f'<rect y="430" width="1600" height="200" fill="{sea}"/>'
        + f'<rect y="600" width="1600" height="300" fill="{jitter(rng, "#ecd9a3")}"/>{palms}'
    )


def _bedroom(rng: np.random.Generator) -> str:
    wall = jitter(rng, str(rng.choice(("#e7c9cf", "#c7d8e8", "#d9e4c4"))), 0.06)
    x = rng.uniform(80, 500)
    return (
        f'<rect width="1600" height="900" fill="{wall}"/><rect y="680" width="1600" height="220" fill="#a9794f"/>'
        f'<rect x="{x:.0f}" y="110" width="330" height="300" fill="{jitter(rng, "#a9d7ee")}" stroke="#fdfaf2" stroke-width="20"/>'
        f'<rect x="{x + 520:.0f}" y="470" width="560" height="290" rx="24" fill="{jitter(rng, "#b5525c", 0.2)}"/>'
        f'<rect x="{x + 560:.0f}" y="420" width="180" height="90" rx="26" fill="#fbf7ef"/>'
        f'<rect x="{(x + 1150) % 1450:.0f}" y="190" width="230" height="500" fill="{jitter(rng, "#8c6239")}"/>'
        f'<rect x="{x + 640:.0f}" y="150" width="150" height="110" fill="{jitter(rng, "#e6b24c", 0.2)}" stroke="#5b4632" stroke-width="12"/>'
    )


def _mountain(rng: np.random.Generator) -> str:
    peaks = ""
    for i in range(int(rng.integers(3, 6))):
        x, y, w = rng.uniform(0, 1600), rng.uniform(130, 320), rng.uniform(330, 620)
        color = jitter(rng, ("#6f7f9b", "#7d8f7a", "#8a7f93")[i % 3], 0.06)
        peaks += f'<path d="M{x - w:.0f} 700 L{x:.0f} {y:.0f} L{x + w:.0f} 700 Z" fill="{color}"/>'
        peaks += f'<path d="M{x - 0.16 * w:.0f} {y + 0.16 * (700 - y):.0f} L{x:.0f} {y:.0f} L{x + 0.16 * w:.0f} {y + 0.16 * (700 - y):.0f} Z" fill="#f6f6fa"/>'
    return _sky(rng) + peaks + f'<rect y="640" width="1600" height="260" fill="{jitter(rng, "#94a65e", 0.1)}"/>'
