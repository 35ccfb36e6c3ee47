"""Bodies of the pocket world, drawn by us: poses and clothes below a DiceBear head.

Units: a hundredth of the skull's height; the chin is at (0, 0), y down. A standing figure is four heads tall.
Clothes and poses change from shot to shot, so nothing here belongs to an identity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fullcast.pocket.looks import shade

CLOTHES = ("t-shirt", "shirt", "hoodie", "dress", "jacket", "sailor collar")
POSES = ("arms down", "waving", "hands on hips", "arms crossed")
CLOTHES_COLORS = (
    "#d9483b", "#e78a2e", "#e9c341", "#5aa84f", "#2f8f8a", "#3f6fd1", "#27365f",
    "#7a4bb0", "#d66fa5", "#f0eee6", "#8b8f99", "#34343c", "#8a5a35", "#9cc7e8",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outfit:
    kind: str
    top: str
    bottom: str
    trim: str


def random_outfit(rng: np.random.Generator) -> Outfit:
    top, bottom, trim = rng.choice(len(CLOTHES_COLORS), 3, replace=False)
    return Outfit(str(rng.choice(CLOTHES)), CLOTHES_COLORS[top], CLOTHES_COLORS[bottom], CLOTHES_COLORS[trim])


def draw_body(outfit: Outfit, pose: str, skin: str, outline: float) -> str:
    """SVG fragment of everything below the head, neck included."""
    line = f'stroke="#241f2b" stroke-width="{outline}" stroke-linejoin="round"' if outline else ""
    parts = [_legs(outfit, skin, line), _neck(skin, line), _torso(outfit, line), _details(outfit)]
    parts += _arms(outfit, pose, skin, line)
    return "<g>" + "".join(parts) + "</g>"


def _neck(skin: str, line: str) -> str:
    return f'<path d="M-15 -22 L-15 26 Q0 38 15 26 L15 -22 Z" fill="{shade(skin, 0.88)}" {line}/>'


def _torso(outfit: Outfit, line: str) -> str:
    if outfit.kind == "dress":
        path = "M-14 14 Q-44 18 -50 30 L-36 96 L-66 205 L66 205 L36 96 L50 30 Q44 18 14 14 Q0 26 -14 14 Z"
    else:
        path = "M-14 14 Q-48 18 -54 32 L-42 132 L42 132 L54 32 Q48 18 14 14 Q0 26 -14 14 Z"
    return f'<path d="{path}" fill="{outfit.top}" {line}/>'


def _details(outfit: Outfit) -> str:
    dark, trim = shade(outfit.top, 0.8), outfit.trim
    match outfit.kind:
        case "shirt":
            return (
                '<path d="M-16 13 L0 34 L16 13 L24 24 L8 42 L0 34 L-8 42 L-24 24 Z" fill="#f5f3ee"/>'
                f'<path d="M-5 34 L5 34 L8 84 L0 94 L-8 84 Z" fill="{trim}"/>'
            )
        case "hoodie":
            return (
                f'<path d="M-34 18 Q0 60 34 18 Q24 8 14 12 Q0 30 -14 12 Q-24 8 -34 18 Z" fill="{dark}"/>'
                f'<rect x="-28" y="88" width="56" height="28" rx="8" fill="{dark}"/>'
            )
        case "jacket":
            return f'<path d="M-12 15 L0 26 L12 15 L12 132 L-12 132 Z" fill="{trim}"/>'
        case "sailor collar":
            return (
                f'<path d="M-40 20 L-14 13 L0 46 L14 13 L40 20 L26 58 L0 48 L-26 58 Z" fill="{trim}"/>'
                '<path d="M0 46 L-15 66 L0 60 L15 66 Z" fill="#d8342c"/>'
            )
        case "dress":
            return f'<path d="M-37 92 L37 92 L39 106 L-39 106 Z" fill="{trim}"/>'
        case _:
            return f'<rect x="-50" y="62" width="100" height="16" fill="{trim}"/>'


def _legs(outfit: Outfit, skin: str, line: str) -> str:
    if outfit.kind in ("dress", "sailor collar"):
        skirt = f'<path d="M-42 128 L42 128 L58 198 L-58 198 Z" fill="{outfit.bottom}" {line}/>'
        legs = "".join(f'<rect x="{x}" y="180" width="22" height="106" fill="{skin}" {line}/>' for x in (-30, 8))
        return legs + ("" if outfit.kind == "dress" else skirt) + _shoes(line)
    trousers = "M-43 124 L43 124 L40 286 L8 286 L2 176 L-2 176 L-8 286 L-40 286 Z"
    return f'<path d="{trousers}" fill="{outfit.bottom}" {line}/>' + _shoes(line)


def _shoes(line: str) -> str:
    return "".join(
        f'<path d="M{x} 284 L{x + 28} 284 Q{x + 36} 300 {x + 26} 300 L{x - 4} 300 Z" fill="#3a3540" {line}/>'
        for x in (-38, 8)
    )


def _arms(outfit: Outfit, pose: str, skin: str, line: str) -> list[str]:
    sleeve = outfit.top
    left = (
        f'<path d="M-48 25 Q-72 34 -74 64 L-76 122 L-56 122 L-48 70 Z" fill="{sleeve}" {line}/>'
        f'<circle cx="-66" cy="130" r="11" fill="{skin}" {line}/>'
    )
    right = (
        f'<path d="M48 25 Q72 34 74 64 L76 122 L56 122 L48 70 Z" fill="{sleeve}" {line}/>'
        f'<circle cx="66" cy="130" r="11" fill="{skin}" {line}/>'
    )
    match pose:
        case "waving":
            right = (
                f'<path d="M44 24 Q62 26 72 48 L96 -14 L80 -22 L62 22 Z" fill="{sleeve}" {line}/>'
                f'<circle cx="91" cy="-28" r="13" fill="{skin}" {line}/>'
            )
        case "hands on hips":
            left = f'<path d="M-48 25 Q-66 30 -88 78 L-44 120 L-36 106 L-64 80 L-46 56 Z" fill="{sleeve}" {line}/>'
            right = f'<path d="M48 25 Q66 30 88 78 L44 120 L36 106 L64 80 L46 56 Z" fill="{sleeve}" {line}/>'
        case "arms crossed":
            left = f'<path d="M-48 25 Q-70 34 -70 66 L-62 92 L30 100 L30 82 L-46 74 Z" fill="{sleeve}" {line}/>'
            right = (
                f'<path d="M48 25 Q70 34 70 66 L62 92 L-30 82 L-30 66 L46 70 Z" fill="{shade(sleeve, 0.9)}" {line}/>'
            )
    return [left, right]
