"""How the camera moved between two pictures: a shift and a zoom, found although figures move of their own.

Phase correlation gives the first guess of the shift (Kuglin and Hines, "The phase correlation image alignment
method", 1975); Gauss-Newton on the luma refines shift and zoom (Lucas and Kanade, "An iterative image registration
technique", 1981), reweighted so that what moves differently does not pull (Tukey's biweight).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from fullcast.ingest.planes import halve

_ROUNDS = 10
# Pixels with structure that are looked at, spread over the picture: more do not move the answer.
_POINTS = 3000
_ROW = 20
"""Points are looked up in rows of so many: OpenCV's pictures have no longer side than 32,767."""
_STRUCTURE = 4.0
# Below this agreement at half size, the pictures are not one scene and a closer look is a waste.
_HOPELESS = 0.4
# Tukey's constant for 95 % efficiency on Gaussian noise.
_TUKEY = 4.685
_NO_ZOOM = 0.1
"""Pixels of the picture warped: a zoom that moves its sides by less is none, and a shift alone takes a tenth of the
time."""
_STILL = 0.01
"""Pixels of the pictures registered; a smaller step ends the search."""


Shown = tuple[int, int, int, int]
"""Rows [y0, y1) and columns [x0, x1) of a picture: (y0, y1, x0, x1)."""


@dataclass(frozen=True, slots=True)
class Motion:
    """A point x of the first picture is at ``scale * x + shift`` in the second; x from the centre, in widths."""

    scale: float = 1.0
    dx: float = 0.0
    """Widths of the picture."""
    dy: float = 0.0
    """Widths of the picture too."""

    def after(self, first: Motion) -> Motion:
        """The motion from a to c, when `first` leads from a to b and this one from b to c."""
        return Motion(self.scale * first.scale, self.scale * first.dx + self.dx, self.scale * first.dy + self.dy)

    def back(self) -> Motion:
        return Motion(1 / self.scale, -self.dx / self.scale, -self.dy / self.scale)

    def overlap(self, aspect: float) -> float:
        """Intersection over union of the two views; `aspect` is height over width."""
        union_of = 1.0
        shared, areas = 1.0, []
        for length, shift in ((1.0, self.dx), (aspect, self.dy)):
            low, high = (-length / 2 - shift) / self.scale, (length / 2 - shift) / self.scale
            shared *= max(0.0, min(high, length / 2) - max(low, -length / 2))
            areas.append((length, high - low))
        union_of = areas[0][0] * areas[1][0] + areas[0][1] * areas[1][1] - shared
        return shared / union_of

    @property
    def is_still(self) -> bool:
        """Less than half a pixel at 1280, anywhere in the picture."""
        return max(abs(self.dx), abs(self.dy)) + abs(self.scale - 1) / 2 < 4e-4


@dataclass(frozen=True, slots=True)
class Registration:
    motion: Motion
    agreement: float
    """Share of the pixels in both views that agree after the motion, in [0, 1]."""


class View:
    """A picture (h, w) float32 luma, about 320x180, with what registering needs, computed when first asked for: it is
    registered with many others."""

    def __init__(self, full: np.ndarray) -> None:
        self.full = full

    @cached_property
    def half(self) -> np.ndarray:
        """Half the size and blurred: where half a pixel off still leads downhill."""
        return cv2.GaussianBlur(halve(self.full), (0, 0), 1.0)

    @cached_property
    def points(self) -> _Points:
        return _Points(self.full)

    @cached_property
    def half_points(self) -> _Points:
        return _Points(self.half)


def register(a: View, b: View, guess: Motion | None = None) -> Registration:
    """The motion from a to b: first at half size, then at full. Without a guess, the shift is searched for.

    Started at full size from a guess, it settles a little off the motion often enough that views are kept twice.
    """
    guesses = [guess] if guess is not None else [Motion(), phase_shift(a.half, b.half)]
    found = max((a.half_points.refine(b.half, g) for g in guesses), key=lambda r: r.agreement)
    if found.agreement < _HOPELESS:
        return found
    return a.points.refine(b.full, found.motion)


def phase_shift(a: np.ndarray, b: np.ndarray) -> Motion:
    """The shift at the peak of the phase correlation."""
    h, w = a.shape
    window = np.outer(np.hanning(h), np.hanning(w)).astype(np.float32)
    # Without padding OpenCV multiplies the window into the very pictures that it is given.
    (x, y), _ = cv2.phaseCorrelate(a.copy(), b.copy(), window)
    return Motion(1.0, x / w, y / w)


def warp(b: np.ndarray, motion: Motion) -> tuple[np.ndarray, Shown]:
    """b (uint8 or float32) seen from a's camera, (h, w) of b's kind, and the part of it that b shows."""
    h, w = b.shape
    x = _sources(w, w, motion.scale, motion.dx)
    y = _sources(h, w, motion.scale, motion.dy)
    y0, y1 = np.searchsorted(y, (0, h - 1 + 1e-9))
    x0, x1 = np.searchsorted(x, (0, w - 1 + 1e-9))
    shown = int(y0), int(y1), int(x0), int(x1)
    if abs(motion.scale - 1) * w < _NO_ZOOM and b.dtype == np.uint8:
        centre = ((w - 1) / 2 + motion.dx * w, (h - 1) / 2 + motion.dy * w)
        return cv2.getRectSubPix(b, (w, h), centre), shown
    matrix = np.array([[motion.scale, 0, x[0]], [0, motion.scale, y[0]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(b, matrix, (w, h), flags=flags, borderMode=cv2.BORDER_REPLICATE), shown


def _sources(length: int, width: int, scale: float, shift: float) -> np.ndarray:
    centre = (length - 1) / 2
    return (np.arange(length) - centre) * scale + centre + shift * width


class _Points:
    """The pixels of a picture (h, w) float32 on which its motion can be seen: those with a gradient."""

    def __init__(self, a: np.ndarray) -> None:
        self.height, self.width = a.shape
        gx, gy = (cv2.Sobel(a, cv2.CV_32F, *axis, ksize=1, scale=0.5) for axis in ((1, 0), (0, 1)))
        gx[:, [0, -1]] = gy[[0, -1]] = 0
        steep = gx * gx + gy * gy
        places = np.flatnonzero(steep > _STRUCTURE**2)
        places = places[:: len(places) // _POINTS + 1]
        places = places[: len(places) // _ROW * _ROW]
        self.y, self.x = (v.astype(np.float32) for v in np.divmod(places, self.width))
        self.level = a.ravel()[places]
        self.x -= (self.width - 1) / 2
        self.y -= (self.height - 1) / 2
        gx, gy = gx.ravel()[places], gy.ravel()[places]
        # d b(w(x)) / d (scale, shift x, shift y), with a's gradient for b's: equal at the solution.
        self.jacobian = np.stack([gx * self.x + gy * self.y, gx, gy], -1)
        self.tolerance = 4 + 0.5 * np.sqrt(steep.ravel()[places])

    def refine(self, b: np.ndarray, motion: Motion) -> Registration:
        """The motion to b from a first guess; without points (a smooth gradient) nothing can agree."""
        if not len(self.x):
            return Registration(motion, 0.0)
        w = self.width
        ridge = np.diag([1e-3 * w * w, 1e-3, 1e-3]).astype(np.float32)
        for _ in range(_ROUNDS):
            residual, valid = self._residual(b, motion)
            weighted = self.jacobian * _weights(residual, valid)[:, None]
            step = np.linalg.solve(weighted.T @ self.jacobian + ridge, weighted.T @ residual)
            motion = Motion(
                float(np.clip(motion.scale - step[0], 0.5, 2.0)),
                float(motion.dx - step[1] / w),
                float(motion.dy - step[2] / w),
            )
            if max(abs(step[0]) * w / 2, abs(step[1]), abs(step[2])) < _STILL:
                break
        residual, valid = self._residual(b, motion)
        if np.count_nonzero(valid) < 50:
            return Registration(motion, 0.0)
        return Registration(motion, float((np.abs(residual) < self.tolerance)[valid].mean()))

    def _residual(self, b: np.ndarray, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
        """(n,) float32 b after the motion minus a, by linear interpolation, and (n,) bool where b shows the place."""
        h, w = b.shape
        x = self.x * np.float32(motion.scale) + np.float32((w - 1) / 2 + motion.dx * w)
        y = self.y * np.float32(motion.scale) + np.float32((h - 1) / 2 + motion.dy * w)
        valid = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
        rows = (len(x) // _ROW, _ROW)
        seen = cv2.remap(b, x.reshape(rows), y.reshape(rows), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return seen.ravel() - self.level, valid


def _weights(residual: np.ndarray, valid: np.ndarray) -> np.ndarray:
    size = np.abs(residual)
    inside = size[valid]
    if not len(inside):
        return np.zeros_like(residual)
    middle = len(inside) // 2
    spread = 1.4826 * np.partition(inside, middle)[middle] + 2.0
    u = size / np.float32(_TUKEY * spread)
    return np.where(valid & (u < 1), (1 - u * u) ** 2, np.float32(0))
