"""What colour a figure's hair has, read from pixels without a network: the attribute that leaks first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fullcast.records import Box

Lab = tuple[float, float, float]

TOP_SHARE = 0.45
"""Of the head box, from above: hair and forehead. Below it are eyes, mouth and the skin of cheeks."""
MARGIN = 0.12
"""Of the box's width left out at either side: the corners of a head's box show what is behind it."""
BIN = 8.0
"""Width of a bin of the LAB histogram whose fullest one is the colour; shades of one dye fall together."""
SAME = 18.0
"""Colours nearer than this (CIE76) have one name: jitter and light move a colour by 10, other dyes are 25 apart."""


def hair_color(image: np.ndarray, head_xyxy: Box | None) -> tuple[float, ...]:
    """(L, a, b) of the commonest colour in the upper part of a head in an (H, W, 3) uint8 picture; () without one."""
    if head_xyxy is None:
        return ()
    x0, y0, x1, y1 = head_xyxy
    dx = MARGIN * (x1 - x0)
    top, bottom = max(0, round(y0)), round(y0 + TOP_SHARE * (y1 - y0))
    left, right = max(0, round(x0 + dx)), round(x1 - dx)
    patch = image[top:bottom, left:right].reshape(-1, 3)
    if not len(patch):
        return ()
    lab = to_lab(patch)
    bins = np.floor(lab / BIN).astype(int)
    found, inverse, counts = np.unique(bins, axis=0, return_inverse=True, return_counts=True)
    # A colour on the edge of two bins must not lose to a smaller one: neighbours count for each other.
    near = np.abs(found[:, None] - found[None]).max(-1) <= 1
    fullest = int((near @ counts).argmax())
    own = near[fullest][inverse.ravel()]
    return tuple(float(v) for v in np.median(lab[own], axis=0).round(2))


def color_groups(colors: Mapping[str, Lab], same: float = SAME) -> dict[str, str]:
    """look -> the name of its colour group (that of its first member): single linkage at ``same``."""
    names = list(colors)
    group = {name: name for name in names}
    for i, a in enumerate(names):
        for b in names[:i]:
            if distance(colors[a], colors[b]) < same and group[a] != group[b]:
                old, new = group[a], group[b]
                group = {name: new if g == old else g for name, g in group.items()}
    return group


def nearest_group(color: Sequence[float], colors: Mapping[str, Lab], groups: Mapping[str, str]) -> str:
    """The group of the look whose colour is nearest; '' without a colour."""
    if not color:
        return ""
    return groups[min(colors, key=lambda name: (distance(color, colors[name]), name))]


def distance(a: Sequence[float], b: Sequence[float]) -> float:
    """CIE76 colour difference."""
    return float(np.linalg.norm(np.subtract(a, b)))


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """(N, 3) uint8 sRGB -> (N, 3) CIELAB under D65 (IEC 61966-2-1, CIE 15)."""
    c = rgb.astype(np.float64) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    matrix = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = linear @ matrix.T / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)
