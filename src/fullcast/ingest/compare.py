"""Are two pictures one drawing? Compared place by place, never as a whole: a mouth is 0.02 % of a picture.

A change counts where it exceeds the noise of compression: a floor (raised where the whole picture is noisy) plus a
share of the local contrast, since codecs ring beside edges. What exceeds it is summed over 8x8 windows; one window
above the threshold makes another drawing, unless it lies in a line of subtitles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fullcast.ingest.text import subtitle_mask

_CELL = 4  # windows of 8x8 pixels, at every fourth pixel
_BUSY = 24
"""Local contrast (levels) from which a pixel belongs to an edge: only edges show whether a picture moved."""


@dataclass(frozen=True, slots=True)
class Tolerances:
    """How much change means nothing; see `IngestConfig` for each."""

    floor: float
    edge: float
    threshold: float
    subtitle_band: float


@dataclass(frozen=True, slots=True)
class Difference:
    same: bool
    strength: float
    """Largest sum over a window, luma levels beyond noise."""
    moved: float
    """Share of the pixels beside edges that changed, in [0, 1]: near 1 when the camera moved or the shot is another."""


class Surface:
    """One picture's luma (h, w) uint8 with what comparing needs, computed when first asked for."""

    __slots__ = ("_high", "_low", "_mask", "luma")

    def __init__(self, luma: np.ndarray) -> None:
        self.luma = luma
        self._low: np.ndarray | None = None
        self._high: np.ndarray | None = None
        self._mask: np.ndarray | None = None

    @property
    def low(self) -> np.ndarray:
        """(h, w) uint8: the least of the 3x3 around each pixel."""
        if self._low is None:
            self._low = _over_3x3(self.luma, np.minimum)
        return self._low

    @property
    def high(self) -> np.ndarray:
        if self._high is None:
            self._high = _over_3x3(self.luma, np.maximum)
        return self._high

    def subtitles(self, band: float) -> np.ndarray:
        """(h, w) bool: where lines of burned-in text stand in the lower `band` of the picture."""
        if self._mask is None:
            self._mask = subtitle_mask(self.luma, band)
        return self._mask

    @property
    def has_subtitles(self) -> bool:
        return self._mask is not None and bool(self._mask.any())


def difference(a: Surface, b: Surface, t: Tolerances) -> Difference:
    """Compares two pictures taken by a camera that did not move between them."""
    change = np.maximum(a.luma, b.luma) - np.minimum(a.luma, b.luma)
    if change.max() <= t.floor:
        return Difference(True, 0.0, 0.0)
    contrast = a.high - a.low
    tolerance = (contrast * np.float32(t.edge) + np.float32(_floor(change, t))).astype(np.uint8)
    excess = np.maximum(change, tolerance) - tolerance
    return _judge(excess, contrast, a, b, t)


def aligned_difference(a: Surface, b: Surface, valid: np.ndarray, t: Tolerances) -> Difference:
    """The same after b was warped onto a: edges may lie up to a pixel beside; `valid` (h, w) bool is where both show.

    A pixel is explained when its level occurs in the other picture's 3x3 around it, within the noise and the edges'
    share, for interpolation greys fine lines. The threshold is twice that of a camera at rest: on the pocket show's
    pans and zooms at crf 22 to 29 one drawing leaves up to 85.
    """
    contrast = a.high - a.low
    floor = np.float32(_floor(np.maximum(a.luma, b.luma) - np.minimum(a.luma, b.luma), t))
    tolerance = np.minimum(255, contrast * np.float32(t.edge) + floor).astype(np.uint8)
    excess = np.maximum(_outside(a, b), _outside(b, a))
    excess = np.maximum(excess, tolerance) - tolerance
    excess[~valid] = 0
    return _judge(excess, contrast, a, b, replace(t, threshold=2 * t.threshold))


def _outside(a: Surface, b: Surface) -> np.ndarray:
    """(h, w) uint8: by how much a's pixels leave the range of b's surroundings."""
    above = np.maximum(a.luma, b.high) - b.high
    below = b.low - np.minimum(a.luma, b.low)
    return np.maximum(above, below)


def _judge(excess: np.ndarray, contrast: np.ndarray, a: Surface, b: Surface, t: Tolerances) -> Difference:
    edges = contrast[::2, ::2] > _BUSY
    moved = float((excess[::2, ::2][edges] > 0).mean()) if edges.any() else 0.0
    sums = _window_sums(excess)
    strength = float(sums.max(initial=0.0))
    if strength <= t.threshold:
        return Difference(True, strength, moved)
    top = int(excess.shape[0] * (1 - t.subtitle_band))
    if moved < 0.5 and sums[: top // _CELL - 1].max(initial=0.0) <= t.threshold:
        text = a.subtitles(t.subtitle_band) | b.subtitles(t.subtitle_band)
        strength = float(_window_sums(np.where(text, 0, excess).astype(np.uint8)).max(initial=0.0))
    return Difference(strength <= t.threshold, strength, moved)


def _floor(change: np.ndarray, t: Tolerances) -> float:
    """The noise floor for this pair. Grain changes every pixel: 5 times the median change is about 3.4 sigma of it.

    At most 4 times the given floor: beyond, it is another light or another picture and no noise.
    """
    return max(t.floor, min(4 * t.floor, 5.0 * float(np.median(change[::4, ::4]))))


def _window_sums(excess: np.ndarray) -> np.ndarray:
    """(h // 4 - 1, w // 4 - 1) sums over 8x8 windows; only changed pixels are visited, which are few."""
    h, w = excess.shape[0] // _CELL, excess.shape[1] // _CELL
    # Four bytes are read as one number, so that finding the changed places visits a quarter of the elements.
    fours = np.ascontiguousarray(excess[: h * _CELL, : w * _CELL]).view(np.uint32)
    y, x = np.nonzero(fours)
    values = fours[y, x].view(np.uint8).reshape(-1, _CELL).sum(1)
    cells = np.bincount((y // _CELL) * w + x, weights=values, minlength=h * w).reshape(h, w)
    return cells[1:, 1:] + cells[:-1, 1:] + cells[1:, :-1] + cells[:-1, :-1]


def _over_3x3(x: np.ndarray, pick: np.ufunc) -> np.ndarray:
    rows = x.copy()
    pick(rows[1:], x[:-1], out=rows[1:])
    pick(rows[:-1], x[1:], out=rows[:-1])
    out = rows.copy()
    pick(out[:, 1:], rows[:, :-1], out=out[:, 1:])
    pick(out[:, :-1], rows[:, 1:], out=out[:, :-1])
    return out
