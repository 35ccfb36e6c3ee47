"""Lines of text, found by what text is: rows of strokes of one height, many strokes to a row.

No network: good enough to know a title card, credits and a burned-in subtitle; what the text says, and text on
objects, is for a TextDetector door.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_EDGE = 40
"""Luma levels between neighbours at analysis size: letters are made to be read, their edges are strong."""
_STROKE = 9
"""Pixels at analysis size: strokes of subtitles are 2 to 5 wide."""
_LEAST_INK = 40
"""Pixels at analysis size; the shortest line of letters has more."""
_GAP = 14
"""Pixels at analysis size between the edges of one line: letters and words stand nearer."""
_FAINT = 10
"""Luma levels of the faintest edge that is drawn, at night too."""
_REST = 0.006
"""Share of the pixels outside text that may lie on edges in a card: a frame, an ornament. Drawings: 0.02 and up."""
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
    """(h, w) bool: boxes around lines of bright outlined text in the lower `band` of (h, w) uint8 luma.

    Letters are thin, bright and dark beside; a row of them turns on and off many times; a line is not high. White
    trousers have the first two, not the others.
    """
    h, w = luma.shape
    mask = np.zeros((h, w), bool)
    top = int(h * (1 - band))
    if top >= h - 8:
        return mask
    part = luma[top:]
    opened = cv2.morphologyEx(part, cv2.MORPH_OPEN, np.ones((1, _STROKE), np.uint8))
    strokes = (cv2.subtract(part, opened) > 50) & (part > 150)
    if np.count_nonzero(strokes) < _LEAST_INK:
        return mask
    strokes &= cv2.erode(part, np.ones((5, 5), np.uint8)) < 95
    grow = max(3, h // 60)
    for y0, y1 in _line_rows(_turns(strokes), h // 9):
        if y1 - y0 < max(4, h // 60):
            continue
        columns = np.flatnonzero(strokes[y0:y1].any(0))
        x0, x1 = columns[0], columns[-1] + 1
        mask[max(0, top + y0 - grow) : top + y1 + grow, max(0, x0 - 2 * grow) : x1 + 2 * grow] = True
    return mask


def _line_rows(turns: np.ndarray, highest: int) -> list[tuple[int, int]]:
    """[y0, y1) of lines of text by each row's number of turns. Where legs run into a line, the line turns more."""
    found = []
    for y0, y1 in _runs(turns >= 8, gap=3):
        if y1 - y0 <= highest:
            found.append((y0, y1))
            continue
        part = turns[y0:y1]
        found += [(y0 + a, y0 + b) for a, b in _runs(part >= 0.4 * part.max(), gap=3) if b - a <= highest]
    return found


def read_layout(luma: np.ndarray, band: float) -> TextLayout | None:
    """Lines of text of (h, w) uint8 luma and what else there is; None when that is too much for a card."""
    h, w = luma.shape
    faint = edge_map(luma, _FAINT)
    candidates = _candidates(edge_map(luma, _EDGE))
    # Were all of them text, what is left would still be a drawing: most pictures are known by this.
    if np.count_nonzero(faint & _outside(candidates, h, w)) > _REST * h * w:
        return None
    lines = [box for box in candidates if _is_line(luma, *box)]
    outside = _outside(lines, h, w)
    if not outside.any():
        return TextLayout(len(lines), 0.0, 0.0, False)
    levels = luma[outside]
    ground = int(np.bincount(levels, minlength=256).argmax())
    plain = float((np.abs(levels.astype(np.int16) - ground) <= 6).mean())
    rest = float(faint[outside].mean())
    return TextLayout(_num_rows(lines), rest, plain, all(y0 > h * (1 - band) for y0, *_ in lines))


def _outside(boxes: list[tuple[int, int, int, int]], h: int, w: int) -> np.ndarray:
    """(h, w) bool: what no box (y0, y1, x0, x1) covers, nor a margin of 4 around it."""
    outside = np.ones((h, w), bool)
    for y0, y1, x0, x1 in boxes:
        outside[max(0, y0 - 4) : y1 + 4, max(0, x0 - 4) : x1 + 4] = False
    return outside


def _num_rows(lines: list[tuple[int, int, int, int]]) -> int:
    """Words far apart are found as pieces; those side by side are one line."""
    rows: list[tuple[int, int]] = []
    for y0, y1, *_ in sorted(lines):
        if rows and (y0 + y1) / 2 < rows[-1][1]:
            rows[-1] = (rows[-1][0], max(rows[-1][1], y1))
        else:
            rows.append((y0, y1))
    return len(rows)


def edge_map(luma: np.ndarray, step: int) -> np.ndarray:
    """(h, w) bool: where (h, w) uint8 differs by more than `step` from its neighbour to the left or above."""
    edges = np.zeros(luma.shape, bool)
    edges[:, 1:] = cv2.absdiff(luma[:, 1:], luma[:, :-1]) > step
    edges[1:] |= cv2.absdiff(luma[1:], luma[:-1]) > step
    return edges


def _candidates(edges: np.ndarray) -> list[tuple[int, int, int, int]]:
    """(y0, y1, x0, x1) of edges (h, w) bool joined sideways that have the shape of a line: wide and not high."""
    h = len(edges)
    joined = cv2.morphologyEx(edges.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((1, _GAP + 1), np.uint8))
    joined[1:] = cv2.max(joined[1:], joined[:-1])
    outlines, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    boxes = [cv2.boundingRect(outline) for outline in outlines]
    return [(y, y + high, x, x + wide) for x, y, wide, high in boxes if 5 <= high <= h * 0.3 and wide >= 1.5 * high]


def _is_line(luma: np.ndarray, y0: int, y1: int, x0: int, x1: int) -> bool:
    """Letters are about as wide as half their height and turn ink on and off once or more each."""
    high, wide = y1 - y0, x1 - x0
    part = luma[y0:y1, x0:x1].astype(np.int16)
    middle = (int(part.min()) + int(part.max())) / 2
    if part.max() - part.min() < 50:
        return False
    turns = np.median(_turns(part > middle)[high // 4 : max(high // 4 + 1, 3 * high // 4)])
    return bool(turns >= max(4, 1.1 * wide / high))


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
