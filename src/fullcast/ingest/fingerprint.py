"""What is kept of a picture so that the whole show can be compared without its pixels: 58 kB, 10 kB compressed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from fullcast.ingest.planes import to_size

SIDE = 320
"""Longer side of the luma in pixels: an eighth of the pixels of 720p; a mouth of a 40 px head is 3x2 of them."""
_CHROMA = 32


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A picture small, for `find_duplicates`."""

    image_id: str
    width: int
    """Pixels of `luma`."""
    height: int
    luma: bytes
    """(height, width) uint8, full range."""
    chroma: bytes
    """(18, 32, 2) uint8: Cb and Cr."""
    has_text: bool = False
    """Burned-in subtitles were seen: of two equals the other one is kept."""

    @property
    def luma_array(self) -> np.ndarray:
        return np.frombuffer(self.luma, np.uint8).reshape(self.height, self.width)

    @property
    def chroma_array(self) -> np.ndarray:
        return np.frombuffer(self.chroma, np.uint8).reshape(18, _CHROMA, 2)


def make_fingerprint(image_id: str, rgb: np.ndarray, has_text: bool = False) -> Fingerprint:
    """The fingerprint of (H, W, 3) uint8 RGB."""
    h, w = rgb.shape[:2]
    scale = SIDE / max(h, w)
    small = to_size(rgb, (max(8, round(w * scale)), max(8, round(h * scale))))
    # ITU-T T.871 (JFIF), full range.
    ycc = cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb)
    whole = np.ascontiguousarray(ycc[..., 0])
    chroma = np.ascontiguousarray(to_size(ycc, (_CHROMA, 18))[..., :0:-1])
    return Fingerprint(image_id, whole.shape[1], whole.shape[0], whole.tobytes(), chroma.tobytes(), has_text)
