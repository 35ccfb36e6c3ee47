"""Lines of text, found by what text is: rows of strokes of one height, many strokes to a row.

No network: good enough to know a title card, credits and a burned-in subtitle; what the text says, and text on
objects, is for a TextDetector door.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

_EDGE = 40
"""Luma levels between neighbours at analysis size: letters are made to be read, their edges are strong."""
_FAINT = 10
"""Luma levels of the faintest edge that is drawn, at night too."""
_REST = 0.006
"""Share of the pixels outside text that may lie on edges in a card: a thin frame, an ornament. Drawings have 0.02 up."""
_EMPTY = 0.97


@dataclass(frozen=True, slots=True)
class TextLayout:
    """What `read_layout` saw of a picture."""

    num_lines: int
    rest: float
    """Share of the pixels outside text that lie on an edge, in [0, 1]."""
    plain: float
    """Share of the pixels outside text that have the ground's level, in [0, 1]."""
    in_band: bool
    """All lines lie in the subtitles' band."""

    @property
    def is_card(self) -> bool:
        """Nothing but text on a plain ground: a title card or credits, not a subtitled picture."""
        if self.num_lines == 0 or self.rest > _REST:
            return False
        return not self.in_band or self.plain > _EMPTY


def subtitle_mask(luma: np.ndarray, band: float) -> np.ndarray:
    """(h, w) bool: boxes around lines of bright outlined text in the lower `band` of (h, w) uint8 luma."""
    h, w = luma.shape
    mask = np.zeros((h, w), bool)
    top = int(h * (1 - band))
    if top >= h - 8:
        return mask
    part = luma[top:]
    bright = part > 170
    dark_near = ndimage.minimum_filter(part, size=(5, 5)) < 95
    strokes = bright & dark_near
    # A row of letters turns on and off at least 8 times in half the picture's width.
    for y0, y1 in _runs(_turns(strokes) >= 8, gap=4):
        if y1 - y0 < max(4, h // 60):
            continue
        columns = np.flatnonzero(strokes[y0:y1].any(0))
        x0, x1 = columns[0], columns[-1] + 1
        grow = max(3, (y1 - y0) // 2)
        mask[max(0, top + y0 - grow) : top + y1 + grow, max(0, x0 - 2 * grow) : x1 + 2 * grow] = True
    return mask


def read_layout(luma: np.ndarray, band: float) -> TextLayout:
    """Lines of text of (h, w) uint8 luma and what else there is."""
    h, w = luma.shape
    lines = _lines(edge_map(luma, _EDGE), luma)
    outside = np.ones((h, w), bool)
    for y0, y1, x0, x1 in lines:
        outside[max(0, y0 - 4) : y1 + 4, max(0, x0 - 4) : x1 + 4] = False
    if not outside.any():
        return TextLayout(len(lines), 0.0, 0.0, False)
    rest = float(edge_map(luma, _FAINT)[outside].mean())
    levels = luma[outside]
    ground = int(np.bincount(levels, minlength=256).argmax())
    plain = float((np.abs(levels.astype(np.int16) - ground) <= 6).mean())
    return TextLayout(len(lines), rest, plain, all(y0 > h * (1 - band) for y0, *_ in lines))


def edge_map(luma: np.ndarray, step: int) -> np.ndarray:
    """(h, w) bool: where (h, w) uint8 differs by more than `step` from its neighbour to the left or above."""
    x = luma.astype(np.int16)
    edges = np.zeros(luma.shape, bool)
    edges[:, 1:] |= np.abs(x[:, 1:] - x[:, :-1]) > step
    edges[1:] |= np.abs(x[1:] - x[:-1]) > step
    return edges


def _lines(edges: np.ndarray, luma: np.ndarray) -> list[tuple[int, int, int, int]]:
    """(y0, y1, x0, x1) of each line: strokes joined sideways, wide, and turning often."""
    h, w = luma.shape
    joined = ndimage.binary_closing(np.pad(edges, 16), np.ones((1, 15), bool))[16:-16, 16:-16]
    labels, count = ndimage.label(ndimage.binary_dilation(joined, np.ones((3, 1), bool)))
    found = []
    for rows, columns in ndimage.find_objects(labels, count):
        y0, y1, x0, x1 = rows.start, rows.stop, columns.start, columns.stop
        high, wide = y1 - y0, x1 - x0
        if not (5 <= high <= h * 0.3 and wide >= 1.5 * high):
            continue
        part = luma[y0:y1, x0:x1].astype(np.int16)
        middle = (int(part.min()) + int(part.max())) / 2
        if part.max() - part.min() < 50:
            continue
        # Letters are about as wide as half their height and turn ink on and off once or more each.
        turns = np.median(_turns(part > middle)[high // 4 : max(high // 4 + 1, 3 * high // 4)])
        if turns >= max(4, 1.1 * wide / high):
            found.append((y0, y1, x0, x1))
    return found


def _turns(ink: np.ndarray) -> np.ndarray:
    """(h,) how often each row of (h, w) bool changes."""
    return (ink[:, 1:] != ink[:, :-1]).sum(1)


def _runs(flags: np.ndarray, gap: int) -> list[tuple[int, int]]:
    """[start, stop) of the stretches of True, those less than `gap` apart taken as one."""
    runs: list[tuple[int, int]] = []
    for i in np.flatnonzero(flags):
        if runs and i - runs[-1][1] < gap:
            runs[-1] = (runs[-1][0], int(i) + 1)
        else:
            runs.append((int(i), int(i) + 1))
    return runs
