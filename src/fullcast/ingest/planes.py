"""Each frame small: the luma that drawings are compared on, and the thumbnail that cuts are found on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np

THUMBNAIL = (48, 27)
"""(width, height) of the thumbnails: what TransNetV2 takes, so that it can stand in for the built-in detector."""

# ITU-T BT.601, video range: rows give R, G, B from (Y, Cb, Cr, 1). Cuts compare thumbnails with each other only.
_TO_RGB = np.array(
    [[1.164, 0.0, 1.596, -222.9], [1.164, -0.392, -0.813, 135.6], [1.164, 2.017, 0.0, -276.8]], np.float32
)
_FULL_RANGE = 2
_CODEC_NOISE = 1
"""Levels by which a held frame may differ from the first of its kind: what a codec adds or takes where nothing moves.
It is the first that later ones are compared with, so that such steps do not add up."""


@dataclass(frozen=True, slots=True)
class Light:
    """What tells black, blank and fading frames, in levels of the thumbnail's luma (0 to 255)."""

    mean: float
    contrast: float
    """Standard deviation."""
    bright: float
    """99th percentile."""


@dataclass(frozen=True, slots=True)
class Small:
    """One frame small. A frame that looks as the one before, but for codec noise of a level, shares its object."""

    luma: np.ndarray
    """(h, w) uint8 in video range, 16 to 235."""
    thumbnail: np.ndarray
    """(27, 48, 3) uint8 RGB."""


class Shrinker:
    """Frame to `Small`. Planes of 8 bit are averaged where they lie, without a copy; all else goes by libswscale."""

    def __init__(self, width: int, height: int, analysis_height: int) -> None:
        scale = min(1.0, analysis_height / min(width, height))
        # Multiples of 8: the blocks of the comparison and three halvings come out whole.
        self.width = max(64, int(width * scale / 8 + 0.5) * 8)
        self.height = max(32, int(height * scale / 8 + 0.5) * 8)
        self._scaler = av.video.reformatter.VideoReformatter()
        self._held: tuple[Any, tuple[np.ndarray, ...], Small] | None = None

    def __call__(self, picture: Any) -> Small:
        """`picture`: an av.VideoFrame of any format; it is held until another one looks different."""
        planes = self._planes(picture)
        size = (self.width, self.height)
        luma = planes[0] if planes[0].shape == size[::-1] else cv2.resize(planes[0], size, interpolation=cv2.INTER_AREA)
        if self._held is not None:
            _, (_, *chroma), small = self._held
            if _near_equal(luma, small.luma) and all(map(_near_equal, planes[1:], chroma)):
                return small
        luma = np.ascontiguousarray(luma)
        # One plane at a time: only for single channels is OpenCV's halving fast.
        parts = [_near(plane, THUMBNAIL) for plane in (luma, *map(_quarter, planes[1:]))]
        together = cv2.merge([p if p.shape == parts[0].shape else _like(p, parts[0]) for p in parts])
        thumbnail = cv2.transform(cv2.resize(together, THUMBNAIL, interpolation=cv2.INTER_LINEAR), _TO_RGB)
        small = Small(luma, thumbnail)
        self._held = (picture, planes, small)
        return small

    def _planes(self, picture: Any) -> tuple[np.ndarray, ...]:
        """Y, Cb, Cr, uint8 in video range: of the frame itself where that is what it holds."""
        if picture.format.name != "yuv420p" or int(picture.color_range) == _FULL_RANGE:
            picture = self._scaler.reformat(
                picture, self.width, self.height, "yuv420p", dst_color_range="MPEG", interpolation="AREA"
            )
            return tuple(plane(picture, i) for i in range(3))
        return tuple(_view(picture.planes[i]) for i in range(3))


def _near_equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and cv2.norm(a, b, cv2.NORM_INF) <= _CODEC_NOISE


def _view(source: Any) -> np.ndarray:
    """(h, w) uint8 of one plane where it lies, without the padding at the ends of its rows."""
    rows = np.frombuffer(source, np.uint8).reshape(-1, source.line_size)
    return rows[: source.height, : source.width]


def plane(picture: Any, index: int) -> np.ndarray:
    """(h, w) uint8 copy of one plane of a frame, without the padding at the ends of its rows."""
    return _view(picture.planes[index]).copy()


def lights_of(thumbnails: np.ndarray) -> list[Light]:
    """Of (T, h, w, 3) uint8 RGB."""
    lumas = cv2.cvtColor(thumbnails.reshape(len(thumbnails), -1, 3), cv2.COLOR_RGB2GRAY)
    place = int(0.99 * lumas.shape[1])
    bright = np.partition(lumas, place, axis=1)[:, place]
    return [Light(*map(float, row)) for row in zip(lumas.mean(1), lumas.std(1), bright, strict=True)]


def quantile(levels: np.ndarray, share: float) -> float:
    """The level of uint8 pixels below which `share` of them lie; by counting, for sorting takes four times as long."""
    counts = cv2.calcHist([levels], [0], None, [256], [0, 256])
    return float(np.searchsorted(np.cumsum(counts), share * levels.size))


def to_size(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W[, C]) to `size` = (width, height) by means over areas; whole halvings first, which are the fast ones."""
    width, height = size
    picture = _near(picture, size)
    if (picture.shape[1], picture.shape[0]) == size:
        return picture
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _near(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Halved until another halving would leave less than 1.5 times `size` = (width, height)."""
    while picture.shape[0] >= 3 * size[1] and picture.shape[1] >= 3 * size[0]:
        picture = halve(picture)
    return picture


def _quarter(plane: np.ndarray) -> np.ndarray:
    """(h, w) to (h // 4, w // 4) by the middle four of every sixteen: colours are coarse already, and time is short."""
    h, w = plane.shape
    return cv2.resize(plane[: h // 4 * 4, : w // 4 * 4], (w // 4, h // 4), interpolation=cv2.INTER_LINEAR)


def _like(picture: np.ndarray, other: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, other.shape[1::-1], interpolation=cv2.INTER_AREA)


def halve(picture: np.ndarray) -> np.ndarray:
    """(h, w[, C]) to (h // 2, w // 2[, C]) by means of four; an odd last row or column is left out."""
    h, w = picture.shape[0] // 2, picture.shape[1] // 2
    return cv2.resize(picture[: 2 * h, : 2 * w], (w, h), interpolation=cv2.INTER_AREA)


def shrink(luma: np.ndarray, factor: int) -> np.ndarray:
    """(h, w) uint8 to (h // factor, w // factor) float32 means; `factor` is a power of two."""
    while factor > 1:
        luma, factor = halve(luma), factor // 2
    return luma.astype(np.float32)


def mean_laplacian(luma: np.ndarray) -> float:
    """Mean absolute Laplacian, (h, w) uint8 to 0 .. 255: how sharp a picture is, comparable for one drawing only."""
    edges = cv2.Laplacian(np.ascontiguousarray(luma), cv2.CV_16S, ksize=1)[1:-1, 1:-1]
    return cv2.norm(edges, cv2.NORM_L1) / max(1, edges.size) / 4


def focus(luma: np.ndarray) -> float:
    """How sharp a frame is beside others of its drawing: root mean square difference of pixels two apart, (h, w) uint8.

    Brenner's measure ("An automated microscope for cytologic research", 1976); a sixth of the Laplacian's time.
    """
    across = cv2.norm(luma[:, 2:], luma[:, :-2], cv2.NORM_L2SQR)
    down = cv2.norm(luma[2:], luma[:-2], cv2.NORM_L2SQR)
    return float(np.sqrt((across + down) / (2 * luma.size)))
