"""Black bars: found over all pictures of a shot, so that a night scene's dark sky is not taken for one."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

Bars = tuple[int, int, int, int]
"""Pixels of black at (left, top, right, bottom)."""
NO_BARS: Bars = (0, 0, 0, 0)

_BLACK = 26
"""Video-range luma: 16 is black; compression and a picture's bleeding edge add up to 10."""
_LEAST = 0.02
"""Share of the side: thinner bars are left, they are rather an edge of the drawing."""
_UNEQUAL = 0.015
_DARK_SHARE = 0.7
"""Share of a row that must be black: subtitles are often set into the lower bar."""


def find_bars(lumas: Sequence[np.ndarray]) -> Bars:
    """Bars common to pictures of one shot, each (h, w) uint8 luma in video range; both of a pair or neither.

    Bars are as black as can be, equal on both sides, and the picture beside them is not black in at least one frame.
    """
    if not lumas:
        return NO_BARS
    seen = [cv2.threshold(luma, _BLACK, 1, cv2.THRESH_BINARY)[1] for luma in lumas]
    rows, columns = (np.any([_is_bright(x, axis) for x in seen], axis=0) for axis in (1, 0))
    top, bottom = _pair(rows)
    left, right = _pair(columns)
    return left, top, right, bottom


def scale_bars(bars: Bars, small: tuple[int, int], full: tuple[int, int]) -> Bars:
    """Bars found at `small` = (width, height) in pixels of `full`, grown past the soft edge of scaling."""
    fx, fy = full[0] / small[0], full[1] / small[1]
    return tuple(  # type: ignore[return-value]
        int(np.ceil((b + 0.5) * f)) + 1 if b else 0 for b, f in zip(bars, (fx, fy, fx, fy), strict=True)
    )


def _is_bright(seen: np.ndarray, axis: int) -> np.ndarray:
    """Of each row (axis 1) or column (axis 0) of (h, w) uint8, 1 where it is not black: is less than `_DARK_SHARE` of
    it black?"""
    counts = cv2.reduce(seen, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
    length = seen.shape[axis]
    return counts >= length - int(length * _DARK_SHARE)


def _pair(lit: np.ndarray) -> tuple[int, int]:
    bright = np.flatnonzero(lit)
    n = len(lit)
    if not len(bright):
        return 0, 0
    first, last = int(bright[0]), n - 1 - int(bright[-1])
    if min(first, last) < _LEAST * n or abs(first - last) > max(2, _UNEQUAL * n) or first + last > 0.6 * n:
        return 0, 0
    return first, last
