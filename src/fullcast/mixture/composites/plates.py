"""Clean plates: a frame's scenery with its people painted out, so that others can stand where they stood.

A hole is filled with a piece of the same scenery, moved so that it goes on where the hole ends, and joined along the
cut that shows least (Kwatra et al. 2003, "Graphcut Textures"). Pieces move along the horizon, hardly up or down: ground
stays ground. A hole for which no piece fits is halved, and each half has its own. A plate knows its joints: whoever
stands new figures before it can see to it that they hide them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from fullcast.mixture.composites.backdrops import Backdrop
from fullcast.mixture.composites.mincut import min_cut
from fullcast.records import Box, Image
from fullcast.store.pictures import resize

RING = 12
"""Pixels around a hole that a piece must agree with, and within which the joint may run."""

FITS = 6.0
"""Mean difference (0 to 255) in the ring up to which a piece is taken for the whole hole; else it is halved."""

NARROWEST = 60
"""Pixels: holes are not halved below this width, unless nothing free is as wide; then once more."""

RISES = (0, -6, 6, -12, 12, -24, 24)
"""Rows by which pieces may rise or fall: slopes go on so."""

KEPT = 300
"""Plates in memory, half a megabyte each in the pocket model's area."""

AGAIN = 8.0
"""What a piece that was all taken before costs beside one that was not, in units of difference: no rows of one peak."""

MIN_FREE = 0.3
"""Share of the scenery that must be free: less is a wall of people, and nothing to copy from."""


@dataclass(frozen=True)
class Plate:
    """Scenery without people."""

    rgb: np.ndarray
    """(H, W, 3) uint8."""
    joints: np.ndarray
    """(H, W) float32: the step (0 to 255, largest channel) at pixels where pieces were joined, 0 elsewhere."""

    def part(self, box: Box, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """(h, w, 3) uint8 and (h, w) joints of the part ``box`` in a picture of ``size`` (width, height)."""
        joints = resize(np.clip(self.joints, 0, 255).astype(np.uint8), size, box=box).astype(np.float32)
        # A line of one pixel stays one: what resizing thins out across the line is put back.
        return resize(self.rgb, size, box=box), joints * max(1.0, (box[2] - box[0]) / size[0])


class Plates:
    """Clean plates of frames down to ``floor`` (share of the height), made when asked for; the last KEPT are kept."""

    def __init__(self, read: Callable[[Image], np.ndarray], floor: float, work_head_px: float) -> None:
        """work_head_px: frames with larger heads are shrunk until heads have this height, as cut-outs are."""
        self._read, self._floor, self._work_head_px = read, floor, work_head_px
        self._kept: OrderedDict[str, Plate | None] = OrderedDict()

    def part(self, backdrop: Backdrop, box: Box, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray] | None:
        """`Plate.part` of a frame's plate, ``box`` in pixels of the frame; None if it has no plate."""
        name = backdrop.image.id
        scale = min(1.0, self._work_head_px / backdrop.head_px)
        if name not in self._kept:
            self._kept[name] = self._make(backdrop, scale)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        plate = self._kept[name]
        if plate is None:
            return None
        high, wide = plate.joints.shape
        x, y = wide / backdrop.image.width, high / (self._floor * backdrop.image.height)
        x0, y0, x1, y1 = box
        return plate.part(
            (max(0.0, x0 * x), max(0.0, y0 * y), min(float(wide), x1 * x), min(float(high), y1 * y)), size
        )

    def _make(self, backdrop: Backdrop, scale: float) -> Plate | None:
        picture = self._read(backdrop.image)
        high, wide = self._floor * picture.shape[0], picture.shape[1]
        small = resize(picture, (round(wide * scale), round(high * scale)), box=(0.0, 0.0, float(wide), high))
        x, y = small.shape[1] / wide, small.shape[0] / high
        return clean_plate(small, [(h[0] * x, h[1] * y, h[2] * x, h[3] * y) for h in backdrop.holes])


def clean_plate(picture: np.ndarray, holes: Sequence[Box]) -> Plate | None:
    """(H, W, 3) uint8 ``picture`` with ``holes`` filled from the rest of it; None if too little of it is left."""
    height, width = picture.shape[:2]
    unknown = np.zeros((height, width), bool)
    for x0, y0, x1, y1 in holes:
        unknown[max(0, int(y0)) : max(0, int(np.ceil(y1))), max(0, int(x0)) : max(0, int(np.ceil(x1)))] = True
    if unknown.mean() > 1 - MIN_FREE:
        return None
    free = ~unknown
    plate, joints = picture.astype(np.float32), np.zeros((height, width), np.float32)
    used = np.zeros((height, width), np.float32)
    found, _ = ndimage.label(unknown)
    for number, where in enumerate(ndimage.find_objects(found), start=1):
        part = np.zeros_like(unknown)
        part[where] = found[where] == number
        if not _fill(_Canvas(plate, joints, unknown, free, used), part):
            return None
    return Plate(np.clip(np.round(plate), 0, 255).astype(np.uint8), joints)


@dataclass(frozen=True)
class _Canvas:
    """A plate in the making, all (H, W) but the first."""

    plate: np.ndarray
    """(H, W, 3) float32."""
    joints: np.ndarray
    unknown: np.ndarray
    """What is still to be filled."""
    free: np.ndarray
    """The frame's own scenery."""
    used: np.ndarray
    """1 where a piece was taken from."""


def _fill(canvas: _Canvas, part: np.ndarray) -> bool:
    """Fills ``part`` in place, in halves where one piece does not fit; False if there is no piece at all."""
    columns = np.flatnonzero(part.any(axis=0))
    move, difference = _best_move(canvas, part)
    wide = columns[-1] + 1 - columns[0]
    if (difference > FITS and wide >= 2 * NARROWEST) or (move is None and wide >= NARROWEST):
        middle = columns[0] + wide // 2
        halves = part.copy(), part.copy()
        halves[0][:, middle:], halves[1][:, :middle] = False, False
        return all(_fill(canvas, half) for half in halves)
    if move is None:
        return False
    _join(canvas, part, move)
    return True


def _best_move(canvas: _Canvas, part: np.ndarray) -> tuple[tuple[int, int] | None, float]:
    """(rows, columns) from the hole to the piece that agrees best with what surrounds it, and the mean difference."""
    height, width = part.shape
    ring = _thinned(ndimage.binary_dilation(part, iterations=RING) & ~canvas.unknown, 1200)
    hole = _thinned(part & ~ndimage.binary_erosion(part), 400), _thinned(part, 400)
    py, px = np.concatenate(hole, axis=1)
    best, least, difference = None, np.inf, np.inf
    columns = np.arange(-int(px.min()), width - int(px.max()), 2)
    columns = columns[columns != 0]
    if not ring.size or not len(columns):
        return None, np.inf
    channels = np.ascontiguousarray(canvas.plate.reshape(-1, 3).T)  # a mean over three numbers at a time is slow
    here = channels[:, ring[0] * width + ring[1], None]
    for rise in RISES:
        if py.min() + rise < 0 or py.max() + rise >= height:
            continue
        moves = columns[canvas.free[(py + rise)[:, None], px[:, None] + columns].all(axis=0)]
        y, x = np.broadcast_arrays((ring[0] + rise)[:, None], ring[1][:, None] + moves)
        valid = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        there = np.clip(y, 0, height - 1) * width + np.clip(x, 0, width - 1)
        r, g, b = (np.abs(channel.take(there) - h) for channel, h in zip(channels, here, strict=True))
        differences = (r + g + b) / np.float32(3)
        means = (differences * valid).sum(0) / np.maximum(1, valid.sum(0)) + 0.02 * abs(rise)
        means[valid.mean(0) < 0.7] = np.inf
        costs = means + AGAIN * canvas.used[(py + rise)[:, None], px[:, None] + moves].mean(axis=0)
        if len(moves) and costs.min() < least:
            nearest = int(np.argmin(costs))
            best, least, difference = (rise, int(moves[nearest])), float(costs[nearest]), float(means[nearest])
    return best, difference


def _thinned(mask: np.ndarray, count: int) -> np.ndarray:
    """(2, n) rows and columns of the mask, every so many: about ``count``."""
    found = np.stack(np.nonzero(mask))
    return found[:, :: max(1, found.shape[1] // count)]


def _join(canvas: _Canvas, part: np.ndarray, move: tuple[int, int]) -> None:
    """Copies the piece over the hole, joined in the ring where it shows least, and notes the joint."""
    height, width = part.shape
    rows, columns = np.nonzero(part)
    y0, y1 = max(0, rows.min() - RING), min(height, rows.max() + 1 + RING)
    x0, x1 = max(0, columns.min() - RING), min(width, columns.max() + 1 + RING)
    ys, xs = np.mgrid[y0:y1, x0:x1]
    ys, xs = ys + move[0], xs + move[1]
    inside = (ys >= 0) & (ys < height) & (xs >= 0) & (xs < width)
    piece = canvas.plate[np.clip(ys, 0, height - 1), np.clip(xs, 0, width - 1)]
    here = canvas.plate[y0:y1, x0:x1]
    hole, missing = part[y0:y1, x0:x1], canvas.unknown[y0:y1, x0:x1]
    inside &= ~canvas.unknown[np.clip(ys, 0, height - 1), np.clip(xs, 0, width - 1)] | hole
    ring = ndimage.binary_dilation(hole, iterations=RING - 1) & inside & ~missing
    difference = np.where(missing, 0.0, np.abs(piece - here).max(-1))
    cost = np.where(hole, 50.0, np.where(ring, 0.0, -50.0))
    step = 0.01 + np.minimum(difference, 90.0) / 60.0
    weights = step[:, :-1] + step[:, 1:], step[:-1] + step[1:]
    taken = min_cut(cost, weights) | hole
    soft = np.where(missing, taken, ndimage.gaussian_filter(taken.astype(np.float32), 0.6))[..., None]
    canvas.plate[y0:y1, x0:x1] = np.where(hole[..., None], piece, here + soft * (piece - here))
    canvas.unknown[part] = False
    canvas.used[rows + move[0], columns + move[1]] = 1
    outline = ~taken & ~missing & ndimage.binary_dilation(taken)
    canvas.joints[y0:y1, x0:x1] = np.where(taken & ~missing, 0.0, canvas.joints[y0:y1, x0:x1])
    canvas.joints[y0:y1, x0:x1] += np.where(outline, difference, 0.0)
