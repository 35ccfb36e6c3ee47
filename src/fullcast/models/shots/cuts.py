"""The built-in shot detector: colour histograms and small pictures, compared with their surroundings in time.

A cut changes the picture at one moment, so that its difference stands far above those just before and after. A pan or
a zoom changes every frame alike (and is first compensated by shifting), mouths and poses change little of the colours,
and after a flash the old picture comes back.
"""

from __future__ import annotations

import numpy as np

# Thumbnail pixels by which the picture before is shifted in search of the best agreement: 2 of 48 is a pan of
# 53 px per frame in 720p.
_SHIFT = 2
# The difference of one pair must exceed this much ...
_LEAST = 0.10
# ... and this many times the typical difference of the pairs around it.
_RATIO = 3.0
_AROUND = 8
# Luma levels of mean difference that count as a wholly different picture.
_FULL = 48.0
# After this many frames a flash is over.
_FLASH = 3


class Cuts:
    """Finds hard cuts. Input as TransNetV2's: thumbnails of 48x27 (other sizes work, parameters are meant for it)."""

    name = "shots:builtin@1"

    def cuts(self, thumbnails: np.ndarray) -> list[int]:
        """Indices of the first frame of each shot but the first; thumbnails (T, h, w, 3) uint8 RGB, all frames."""
        if len(thumbnails) < 2:
            return []
        luma, histograms = _features(thumbnails)
        scores = _difference(luma[:-1], luma[1:], histograms[:-1], histograms[1:])
        typical = _typical(scores)
        peaks = (scores > _LEAST) & (scores > _RATIO * typical) & (scores >= _largest_near(scores, 2))
        return [t + 1 for t in map(int, np.flatnonzero(peaks)) if not self._returns(t, luma, histograms, scores[t])]

    @staticmethod
    def _returns(t: int, luma: np.ndarray, histograms: np.ndarray, score: float) -> bool:
        """Was it a flash: is a picture soon after (or before) again that from before (after) the change?"""
        pairs = [(t, t + 1 + k) for k in range(1, _FLASH + 1)] + [(t - k, t + 1) for k in range(1, _FLASH + 1)]
        pairs = [(a, b) for a, b in pairs if a >= 0 and b < len(luma)]
        if not pairs:
            return False
        a, b = np.array(pairs).T
        return bool(_difference(luma[a], luma[b], histograms[a], histograms[b]).min() < 0.35 * score)


def _features(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Luma (T, h, w) float32 and colour histograms (T, 512) that sum to 1."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    luma = thumbnails @ weights
    bins = (thumbnails >> 5).astype(np.int64)
    bins = (bins[..., 0] << 6) | (bins[..., 1] << 3) | bins[..., 2]
    t = len(thumbnails)
    flat = bins.reshape(t, -1) + 512 * np.arange(t)[:, None]
    histograms = np.bincount(flat.ravel(), minlength=512 * t).reshape(t, 512).astype(np.float32)
    # Light that drifts over a bin's border must not look like new colours: neighbours in each channel share.
    cube = histograms.reshape(t, 8, 8, 8)
    for axis in (1, 2, 3):
        padded = np.pad(cube, [(0, 0)] + [(1, 1) if a == axis else (0, 0) for a in (1, 2, 3)])
        before, after = np.take(padded, range(0, 8), axis), np.take(padded, range(2, 10), axis)
        cube = 0.5 * cube + 0.25 * (before + after)
    histograms = cube.reshape(t, 512)
    return luma, histograms / histograms.sum(1, keepdims=True)


def _difference(luma_a: np.ndarray, luma_b: np.ndarray, hist_a: np.ndarray, hist_b: np.ndarray) -> np.ndarray:
    """(T,) in [0, 1]: mean of the colours' difference and of the pictures' after the best small shift."""
    h, w = luma_a.shape[1:]
    s = _SHIFT
    middle = luma_b[:, s : h - s, s : w - s]
    best = np.full(len(luma_a), np.inf, np.float32)
    for dy in range(2 * s + 1):
        for dx in range(2 * s + 1):
            shifted = luma_a[:, dy : dy + h - 2 * s, dx : dx + w - 2 * s]
            best = np.minimum(best, np.abs(shifted - middle).mean((1, 2)))
    colours = np.abs(hist_a - hist_b).sum(1) / 2
    return 0.5 * colours + 0.5 * np.minimum(1.0, best / _FULL)


def _typical(scores: np.ndarray) -> np.ndarray:
    """(T,): the 75th percentile of the scores around each, itself left out (held drawings make half of them 0)."""
    n = len(scores)
    padded = np.pad(scores, _AROUND, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND + 1).copy()
    windows[:, _AROUND] = np.nan
    if n == 1:
        return np.zeros(1, np.float32)
    return np.nanpercentile(windows, 75, axis=1)


def _largest_near(scores: np.ndarray, radius: int) -> np.ndarray:
    padded = np.pad(scores, radius, constant_values=-1)
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1).max(1)
