"""Each frame small: the luma that drawings are compared on, and the thumbnail that cuts are found on."""

from __future__ import annotations

from typing import Any

import av
import numpy as np

THUMBNAIL = (48, 27)
"""(width, height) of the thumbnails: what TransNetV2 takes, so that it can stand in for the built-in detector."""


class Shrinker:
    """Frame to (luma, thumbnail). Keeps its scalers, which cost more to make than to use."""

    def __init__(self, width: int, height: int, analysis_height: int) -> None:
        scale = min(1.0, analysis_height / min(width, height))
        # Multiples of 8: the blocks of the comparison and the chroma planes come out whole.
        self.width = max(64, int(width * scale / 8 + 0.5) * 8)
        self.height = max(32, int(height * scale / 8 + 0.5) * 8)
        self._first = av.video.reformatter.VideoReformatter()
        self._second = av.video.reformatter.VideoReformatter()

    def __call__(self, picture: Any) -> tuple[np.ndarray, np.ndarray]:
        """((h, w) uint8 luma in video range 16 to 235, (27, 48, 3) uint8 RGB) of a decoded frame."""
        small = self._first.reformat(
            picture, self.width, self.height, "yuv420p", dst_color_range="MPEG", interpolation="AREA"
        )
        thumbnail = self._second.reformat(small, *THUMBNAIL, "rgb24", interpolation="AREA")
        return plane(small, 0), thumbnail.to_ndarray()


def plane(picture: Any, index: int) -> np.ndarray:
    """(h, w) uint8 copy of one plane of a frame, without the padding at the ends of its rows."""
    source = picture.planes[index]
    rows = np.frombuffer(source, np.uint8).reshape(-1, source.line_size)
    return rows[: source.height, : source.width].copy()


def mean_laplacian(luma: np.ndarray) -> float:
    """Mean absolute Laplacian, (h, w) uint8 to 0 .. 255: how sharp a picture is, comparable for one drawing only."""
    x = luma.astype(np.int16)
    edges = 4 * x[1:-1, 1:-1] - x[:-2, 1:-1] - x[2:, 1:-1] - x[1:-1, :-2] - x[1:-1, 2:]
    return float(np.abs(edges).mean()) / 4


def shrink(luma: np.ndarray, factor: int) -> np.ndarray:
    """(h, w) uint8 to (h // factor, w // factor) float32 means."""
    h, w = luma.shape[0] // factor, luma.shape[1] // factor
    rows = luma[: h * factor].reshape(h, factor, -1).sum(1, dtype=np.uint16)
    return rows[:, : w * factor].reshape(h, w, factor).sum(2, dtype=np.uint32).astype(np.float32) / factor**2
