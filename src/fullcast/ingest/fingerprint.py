"""What is kept of a picture so that the whole show can be compared without its pixels: 58 kB, 10 kB compressed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fullcast.store.pictures import resize

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
    small = resize(rgb, (max(8, round(w * scale)), max(8, round(h * scale)))).astype(np.float32)
    r, g, b = small[..., 0], small[..., 1], small[..., 2]
    # ITU-T T.871 (JFIF), full range.
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    colours = np.stack([128 + 0.564 * (b - luma), 128 + 0.713 * (r - luma), np.full_like(luma, 128)], -1)
    chroma = resize(np.clip(colours + 0.5, 0, 255).astype(np.uint8), (_CHROMA, 18))[..., :2]
    whole = np.clip(luma + 0.5, 0, 255).astype(np.uint8)
    return Fingerprint(image_id, whole.shape[1], whole.shape[0], whole.tobytes(), chroma.tobytes(), has_text)
