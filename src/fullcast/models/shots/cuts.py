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
# Luma levels of mean difference below which two frames are taken for equal; a cut has 15 and up.
_NOTHING = 0.5
# After this many frames a flash is over.
_FLASH = 3


class Cuts:
    """Finds hard cuts. Input as TransNetV2's: thumbnails of 48x27 (other sizes work, parameters are meant for it)."""

    name = "shots:builtin@2"

    def cuts(self, thumbnails: np.ndarray) -> list[int]:
        """Indices of the first frame of each shot but the first; thumbnails (T, h, w, 3) uint8 RGB, all frames."""
        if len(thumbnails) < 2:
            return []
        luma, histograms = _features(thumbnails)
        scores = _scores(luma, histograms)
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
    """Luma (T, h, w) float32 and colour histograms (T, 512) that sum to 1; of held frames computed once."""
    fresh = np.ones(len(thumbnails), bool)
    flat = np.ascontiguousarray(thumbnails).reshape(len(thumbnails), -1)
    fresh[1:] = (flat[1:] != flat[:-1]).any(1)
    luma, histograms = _fresh_features(thumbnails[fresh])
    which = np.cumsum(fresh) - 1
    return luma[which], histograms[which]


def _fresh_features(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    luma = thumbnails @ weights
    bins = thumbnails >> 5
    bins = (bins[..., 0].astype(np.int32) << 6) | (bins[..., 1] << 3) | bins[..., 2]
    t = len(thumbnails)
    flat = bins.reshape(t, -1) + 512 * np.arange(t)[:, None]
    cube = np.bincount(flat.ravel(), minlength=512 * t).reshape(t, 8, 8, 8).astype(np.float32)
    # Light that drifts over a bin's border must not look like new colours: neighbours in each channel share.
    for axis in (1, 2, 3):
        cube = np.moveaxis(cube, axis, -1)
        shared = 0.5 * cube
        shared[..., 1:] += 0.25 * cube[..., :-1]
        shared[..., :-1] += 0.25 * cube[..., 1:]
        cube = np.moveaxis(shared, -1, axis)
    histograms = cube.reshape(t, 512)
    return luma, histograms / histograms.sum(1, keepdims=True)


def _scores(luma: np.ndarray, histograms: np.ndarray) -> np.ndarray:
    """(T - 1,): `_difference` of each frame and the next. Where next to nothing changes, no shift is looked for."""
    plain = np.abs(luma[1:] - luma[:-1]).mean((1, 2))
    scores = np.zeros(len(plain), np.float32)
    moved = np.flatnonzero(plain > _NOTHING)
    if len(moved):
        scores[moved] = _difference(luma[moved], luma[moved + 1], histograms[moved], histograms[moved + 1])
    return scores


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
    padded = np.pad(scores, _AROUND, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND + 1).copy()
    windows[:, _AROUND] = np.nan
    windows.sort(axis=1)  # nan comes last
    place = 0.75 * np.maximum(0, np.count_nonzero(~np.isnan(windows), axis=1) - 1)
    low, rows = place.astype(np.int64), np.arange(len(scores))
    below, above = windows[rows, low], windows[rows, np.ceil(place).astype(np.int64)]
    return np.nan_to_num(below + (above - below) * (place - low))


def _largest_near(scores: np.ndarray, radius: int) -> np.ndarray:
    padded = np.pad(scores, radius, constant_values=-1)
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1).max(1)
