"""Are two pictures one drawing? Compared place by place, never as a whole: a mouth is 0.02 % of a picture.

A change counts where it exceeds the noise of compression: a floor (raised where the whole picture is noisy) plus a
share of the local contrast, since codecs ring beside edges. What exceeds it is summed over 8x8 windows; one window
above the threshold makes another drawing, unless it lies in a line of subtitles. Only rows that changed are visited.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from fullcast.ingest.planes import quantile
from fullcast.ingest.text import subtitle_mask

_CELL = 4  # windows of 8x8 pixels, at every fourth pixel
_BUSY = 24
"""Local contrast (levels) from which a pixel belongs to an edge: only edges show whether a picture moved."""
_STRIPE = 48
"""Rows looked at together when the question is only whether anything differs."""
_TILES = (8, 6)
_SOME = 0.002
"""Share of a tile's pixels that must have changed for the tile to count: one in 500."""
_EDGY = 0.008
"""Share of a tile's pixels that must lie beside edges for its change to be asked for."""
_MOVED = 0.02
_AROUND = np.ones((3, 3), np.uint8)


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
    spread: float = 0.0
    """Share of the picture's 8x6 tiles with edges in which some changed, in [0, 1]: a camera changes all places, a
    pose some. 0 where `moved` is next to nothing."""


class Surface:
    """One picture's luma (h, w) uint8 with what comparing needs, computed when first asked for."""

    __slots__ = ("_busy", "_contrast", "_edges", "_high", "_low", "_mask", "_num_edges", "luma")

    def __init__(self, luma: np.ndarray) -> None:
        self.luma = np.ascontiguousarray(luma)
        self._low: np.ndarray | None = None
        self._high: np.ndarray | None = None
        self._contrast: np.ndarray | None = None
        self._edges: np.ndarray | None = None
        self._busy: np.ndarray | None = None
        self._num_edges = 0
        self._mask: np.ndarray | None = None

    @property
    def low(self) -> np.ndarray:
        """(h, w) uint8: the least of the 3x3 around each pixel."""
        if self._low is None:
            self._low = cv2.erode(self.luma, _AROUND)
        return self._low

    @property
    def high(self) -> np.ndarray:
        if self._high is None:
            self._high = cv2.dilate(self.luma, _AROUND)
        return self._high

    @property
    def contrast(self) -> np.ndarray:
        """(h, w) uint8: range of the 3x3 around each pixel."""
        if self._contrast is None:
            self._contrast = cv2.subtract(self.high, self.low)
        return self._contrast

    def contrast_rows(self, start: int, stop: int) -> np.ndarray:
        """Rows [start, stop) of `contrast`, without computing the others."""
        if self._contrast is not None:
            return self._contrast[start:stop]
        above, below = max(0, start - 1), min(len(self.luma), stop + 1)
        part = self.luma[above:below]
        whole = cv2.subtract(cv2.dilate(part, _AROUND), cv2.erode(part, _AROUND))
        return whole[start - above : start - above + stop - start]

    @property
    def edges(self) -> np.ndarray:
        """(h, w) uint8: 255 beside edges, else 0."""
        if self._edges is None:
            self._edges = _above(self.contrast, _BUSY)
            self._num_edges = cv2.countNonZero(self._edges)
        return self._edges

    @property
    def num_edges(self) -> int:
        return self._num_edges if self.edges is not None else 0

    @property
    def busy(self) -> np.ndarray:
        """(6, 8) bool: tiles with edges."""
        if self._busy is None:
            self._busy = _in_tiles(self.edges) > _EDGY
        return self._busy

    def subtitles(self, band: float) -> np.ndarray:
        """(h, w) bool: where lines of burned-in text stand in the lower `band` of the picture."""
        if self._mask is None:
            self._mask = subtitle_mask(self.luma, band)
        return self._mask

    @property
    def has_subtitles(self) -> bool:
        return self._mask is not None and bool(self._mask.any())


def is_same(a: Surface, b: Surface, t: Tolerances) -> bool:
    """`difference(a, b, t).same` where subtitles count as a change; ends at the first place that differs."""
    if cv2.norm(a.luma, b.luma, cv2.NORM_INF) <= t.floor:
        return True
    change = cv2.absdiff(a.luma, b.luma)
    start, stop = _changed_rows(change, t.floor)
    floor = _floor(change, t)
    for y in range(start, stop, _STRIPE):
        end = min(stop, y + _STRIPE + _CELL)
        tolerance = cv2.convertScaleAbs(a.contrast_rows(y, end), alpha=t.edge, beta=floor)
        excess = cv2.subtract(change[y:end], tolerance)
        if _window_sums(excess).max(initial=0) > t.threshold:
            return False
    return True


def difference(a: Surface, b: Surface, t: Tolerances) -> Difference:
    """Compares two pictures taken by a camera that did not move between them."""
    change = cv2.absdiff(a.luma, b.luma)
    start, stop = _changed_rows(change, t.floor)
    if start == stop:
        return Difference(True, 0.0, 0.0)
    tolerance = cv2.convertScaleAbs(a.contrast_rows(start, stop), alpha=t.edge, beta=_floor(change, t))
    return _judge(cv2.subtract(change[start:stop], tolerance), start, a, b, t)


def aligned_difference(a: Surface, b: Surface, shown: tuple[int, int, int, int], t: Tolerances) -> Difference:
    """The same after b was warped onto a: edges may lie up to a pixel beside; `shown`, rows [y0, y1) and columns
    [x0, x1) as (y0, y1, x0, x1), is where both are seen.

    A pixel is explained when its level occurs in the other picture's 3x3 around it, within the noise and the edges'
    share, for interpolation greys fine lines. The threshold is twice that of a camera at rest: on the pocket show's
    pans and zooms at crf 22 to 29 one drawing leaves up to 85.
    """
    floor = _floor(cv2.absdiff(a.luma, b.luma), t)
    tolerance = cv2.convertScaleAbs(a.contrast, alpha=t.edge, beta=floor)
    excess = cv2.subtract(cv2.max(_outside(a, b), _outside(b, a)), tolerance)
    y0, y1, x0, x1 = shown
    excess[:y0] = excess[y1:] = 0
    excess[:, :x0] = excess[:, x1:] = 0
    return _judge(excess, 0, a, b, replace(t, threshold=2 * t.threshold))


def _outside(a: Surface, b: Surface) -> np.ndarray:
    """(h, w) uint8: by how much a's pixels leave the range of b's surroundings."""
    return cv2.max(cv2.subtract(a.luma, b.high), cv2.subtract(b.low, a.luma))


def _judge(excess: np.ndarray, start: int, a: Surface, b: Surface, t: Tolerances) -> Difference:
    """`excess` (n, w) uint8: change beyond tolerance in the rows from `start` on; there is none elsewhere."""
    sums = _window_sums(excess)
    strength = float(sums.max(initial=0))
    if strength == 0:
        return Difference(True, 0.0, 0.0)
    changed = cv2.bitwise_and(excess, a.edges[start : start + len(excess)])
    moved = cv2.countNonZero(changed) / a.num_edges if a.num_edges else 0.0
    spread = _spread(changed, start, a) if moved > _MOVED else 0.0
    if strength <= t.threshold:
        return Difference(True, strength, moved, spread)
    top = int(len(a.luma) * (1 - t.subtitle_band)) - start
    if moved < 0.5 and sums[: max(0, top // _CELL - 1)].max(initial=0) <= t.threshold:
        text = a.subtitles(t.subtitle_band) | b.subtitles(t.subtitle_band)
        excess = np.where(text[start : start + len(excess)], 0, excess).astype(np.uint8)
        strength = float(_window_sums(excess).max(initial=0))
    return Difference(strength <= t.threshold, strength, moved, spread)


def _spread(changed: np.ndarray, start: int, a: Surface) -> float:
    """`changed` (n, w) uint8: non-zero beside edges that changed, rows from `start` on."""
    whole = np.zeros_like(a.luma)
    whole[start : start + len(changed)] = _above(changed, 0)
    busy = a.busy
    return float((_in_tiles(whole) >= _SOME)[busy].mean()) if busy.any() else 0.0


def _in_tiles(marks: np.ndarray) -> np.ndarray:
    """(6, 8): share of the pixels marked (255) in each tile of (h, w) uint8."""
    rows, columns = (
        np.linspace(0, n, tiles + 1).astype(int) for n, tiles in zip(marks.shape, _TILES[::-1], strict=True)
    )
    counts = np.diff(np.diff(cv2.integral(marks)[np.ix_(rows, columns)], axis=0), axis=1)
    return counts / (255.0 * np.outer(np.diff(rows), np.diff(columns)))


def _above(levels: np.ndarray, level: float) -> np.ndarray:
    """uint8 of the same shape: 255 where `levels` (uint8) exceed `level`, else 0."""
    return cv2.threshold(levels, level, 255, cv2.THRESH_BINARY)[1]


def _changed_rows(change: np.ndarray, floor: float) -> tuple[int, int]:
    """[start, stop) of the rows whose windows hold a change above `floor`, in whole cells; equal: none does."""
    _, y, _, height = cv2.boundingRect(_above(change, floor))
    if height == 0:
        return 0, 0
    first, last = y // _CELL, (y + height - 1) // _CELL
    return max(0, first - 1) * _CELL, min(len(change), (last + 2) * _CELL)


def _floor(change: np.ndarray, t: Tolerances) -> float:
    """The noise floor for this pair. Grain changes every pixel: 5 times the median change is about 3.4 sigma of it.

    At most 4 times the given floor: beyond, it is another light or another picture and no noise.
    """
    sample = np.ascontiguousarray(change[::8, ::8])
    if 2 * np.count_nonzero(sample) < sample.size:
        return t.floor
    return max(t.floor, min(4 * t.floor, 5.0 * quantile(sample, 0.5)))


def _window_sums(excess: np.ndarray) -> np.ndarray:
    """(h // 4 - 1, w // 4 - 1) int32: sums over the 8x8 windows at every fourth pixel of (h, w) uint8."""
    corners = np.ascontiguousarray(cv2.integral(excess)[::_CELL, ::_CELL])
    columns = corners[:, 2:] - corners[:, :-2]
    return columns[2:] - columns[:-2]
