"""How the camera moved between two pictures: a shift and a zoom, found although figures move of their own.

Phase correlation gives the first guess of the shift (Kuglin and Hines, "The phase correlation image alignment
method", 1975); Gauss-Newton on the luma refines shift and zoom (Lucas and Kanade, "An iterative image registration
technique", 1981), reweighted so that what moves differently does not pull (Tukey's biweight).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

_ROUNDS = 12
# Below this agreement at half size, the pictures are not one scene and a closer look is a waste.
_HOPELESS = 0.4
# Tukey's constant for 95 % efficiency on Gaussian noise.
_TUKEY = 4.685
_STILL = 0.004
"""Pixels of the pictures registered; a smaller step ends the search."""


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


def register(a: np.ndarray, b: np.ndarray, guess: Motion | None = None) -> Registration:
    """The motion from a to b, both (h, w) float32 luma, about 320x180. Without a guess, the shift is searched for.

    First at half size and blurred, where half a pixel off still leads downhill, then at full size.
    """
    half_a, half_b = (ndimage.gaussian_filter(_halve(x), 1.0) for x in (a, b))
    guesses = [guess] if guess is not None else [Motion(), phase_shift(half_a, half_b)]
    found = max((_refine(half_a, half_b, g) for g in guesses), key=lambda r: r.agreement)
    if found.agreement < _HOPELESS:
        return found
    return _refine(a, b, found.motion)


def _halve(x: np.ndarray) -> np.ndarray:
    h, w = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    return (x[0:h:2, 0:w:2] + x[1:h:2, 0:w:2] + x[0:h:2, 1:w:2] + x[1:h:2, 1:w:2]) / 4


def phase_shift(a: np.ndarray, b: np.ndarray) -> Motion:
    """The shift at the peak of the phase correlation, whole pixels."""
    h, w = a.shape
    window = np.outer(np.hanning(h), np.hanning(w)).astype(np.float32)
    fa, fb = fft.rfft2((a - a.mean()) * window), fft.rfft2((b - b.mean()) * window)
    cross = fb * np.conj(fa)
    surface = fft.irfft2(cross / np.maximum(np.abs(cross), 1e-6), s=(h, w))
    y, x = divmod(int(surface.argmax()), w)
    return Motion(1.0, (x - w if x > w // 2 else x) / w, (y - h if y > h // 2 else y) / w)


def warp(b: np.ndarray, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    """b seen from a's camera, (h, w) float32, and where b shows it, (h, w) bool.

    A zoom and a shift are separable: first columns, then rows, each by linear interpolation.
    """
    h, w = b.shape
    x = _sources(w, w, motion.scale, motion.dx)
    y = _sources(h, w, motion.scale, motion.dy)
    valid = ((y >= 0) & (y <= h - 1))[:, None] & ((x >= 0) & (x <= w - 1))[None, :]
    x0 = np.clip(x.astype(np.int64), 0, w - 2)
    y0 = np.clip(y.astype(np.int64), 0, h - 2)
    fx = np.clip(x - x0, 0, 1).astype(np.float32)
    fy = np.clip(y - y0, 0, 1).astype(np.float32)[:, None]
    source = b.astype(np.float32, copy=False)
    top, bottom = source[y0], source[y0 + 1]
    rows = top + (bottom - top) * fy
    left, right = rows[:, x0], rows[:, x0 + 1]
    return left + (right - left) * fx, valid


def _sources(length: int, width: int, scale: float, shift: float) -> np.ndarray:
    centre = (length - 1) / 2
    return (np.arange(length) - centre) * scale + centre + shift * width


def _refine(a: np.ndarray, b: np.ndarray, start: Motion) -> Registration:
    h, w = a.shape
    gy, gx = np.gradient(a)
    x = (np.arange(w, dtype=np.float32) - (w - 1) / 2)[None, :]
    y = (np.arange(h, dtype=np.float32) - (h - 1) / 2)[:, None]
    # d b(w(x)) / d (scale, shift x, shift y), with a's gradient for b's: equal at the solution.
    jacobian = np.stack([gx * x + gy * y, gx, gy], -1).reshape(-1, 3)
    motion = start
    for _ in range(_ROUNDS):
        seen, valid = warp(b, motion)
        residual = (seen - a).ravel()
        weights = _weights(residual, valid.ravel())
        weighted = jacobian * weights[:, None]
        hessian = weighted.T @ jacobian + np.diag([1e-3 * w * w, 1e-3, 1e-3])
        step = np.linalg.solve(hessian, weighted.T @ residual)
        motion = Motion(
            float(np.clip(motion.scale - step[0], 0.5, 2.0)),
            float(motion.dx - step[1] / w),
            float(motion.dy - step[2] / w),
        )
        if max(abs(step[0]) * w / 2, abs(step[1]), abs(step[2])) < _STILL:
            break
    seen, valid = warp(b, motion)
    return Registration(motion, _agreement(a, seen, valid, np.hypot(gx, gy)))


def _weights(residual: np.ndarray, valid: np.ndarray) -> np.ndarray:
    if not valid.any():
        return np.zeros_like(residual)
    spread = 1.4826 * np.median(np.abs(residual[valid])) + 2.0
    u = residual / (_TUKEY * spread)
    return np.where(valid & (np.abs(u) < 1), (1 - u * u) ** 2, 0.0)


def _agreement(a: np.ndarray, seen: np.ndarray, valid: np.ndarray, gradient: np.ndarray) -> float:
    """Over pixels with structure only: flat ground agrees with anything."""
    structure = valid & (gradient > 4)
    if structure.sum() < 50:
        return 0.0
    return float((np.abs(seen - a)[structure] < 4 + 0.5 * gradient[structure]).mean())
