"""PaddleOCR's text detector (PP-OCRv4), behind the TextDetector protocol.

The call (data-preparation.md 3.2): the picture in its own size, / 255, padded with black at the right and at the bottom
to a multiple of 64, CLIP mean and std, CHW -> a heat map [B,1,H,W]. Where it is at least 0.3 lies text: of each patch
the smallest turned rectangle; its mean heat must reach 0.7; it is grown by area * 2 / perimeter, since the network was
taught shrunken regions (Liao et al., Real-time scene text detection with differentiable binarization, AAAI 2020).

Two differences from the original: holes in a patch are no text of their own there either, but its contour finder lists
them and ours does not; and the grown outline is exact here, rounded to whole pixels there, so that boxes may differ by
a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from fullcast.models.base import Detection
from fullcast.models.cards import card_of
from fullcast.models.ccip.embedder import CLIP_MEAN, CLIP_STD
from fullcast.models.onnx_network import OnnxNetwork

HEAT, BOX, UNCLIP = 0.3, 0.7, 2.0
ALIGN = 64
MIN_SIDE = 3
"""Pixels; of a patch before it is grown. After it is grown: 2 more."""
MAX_PATCHES = 1000


class PaddleTextDetector:
    """A TextDetector. Picklable: a spawned worker opens the same file again."""

    def __init__(
        self, path: str | Path, heat: float = HEAT, confidence: float = BOX, *, threads: int = 0, device: str = "auto"
    ) -> None:
        """`path`: model.onnx or its folder. `heat`, `confidence`: in [0, 1], of a pixel and of a box."""
        path = Path(path)
        # pictures come in their own sizes, so that one at a time is run
        self.network = OnnxNetwork(
            path / "model.onnx" if path.is_dir() else path, threads=threads, device=device, batch=1
        )
        self.input, self.output = self.network.require("text detector", channels_axis=1)
        self.card = card_of(self.network.path)
        self.heat, self.confidence = heat, confidence
        self.name = f"text:{self.network.name}"

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Boxes labelled text in whole pixels of each (H, W, 3) uint8 RGB picture."""
        return [self._read(self.heat_map(image)) for image in images]

    def heat_map(self, image: np.ndarray) -> np.ndarray:
        """(H, W) float32 in [0, 1]: how surely each pixel lies in the middle of text."""
        (values,) = self.network.run(self.input, self.output, [self.prepare(image)])
        return values[0, : image.shape[0], : image.shape[1]]

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """(3, H', W') float32 in CLIP's normalisation, both sides multiples of 64."""
        height, width = image.shape[:2]
        padded = np.zeros((-(-height // ALIGN) * ALIGN, -(-width // ALIGN) * ALIGN, 3), dtype=np.float32)
        padded[:height, :width] = image.astype(np.float32) / 255
        return ((padded - CLIP_MEAN) / CLIP_STD).transpose(2, 0, 1)

    def _read(self, heat: np.ndarray) -> list[Detection]:
        height, width = heat.shape
        labels, count = ndimage.label(heat >= self.heat, structure=np.ones((3, 3)))
        found = []
        for index, where in enumerate(ndimage.find_objects(labels)[:MAX_PATCHES], start=1):
            y, x = np.nonzero(labels[where] == index)
            corners, side = smallest_rectangle(np.stack([x + where[1].start, y + where[0].start], axis=1))
            if side < MIN_SIDE:
                continue
            score = _mean_inside(heat, corners)
            if score < self.confidence:
                continue
            grown, side = smallest_rectangle(corners.astype(int), _growth(corners))
            if side >= MIN_SIDE + 2:
                low = np.clip(grown.min(axis=0).round(), 0, [width, height])
                high = np.clip(grown.max(axis=0).round(), 0, [width, height])
                found.append(Detection((*map(float, low), *map(float, high)), score, "text"))  # type: ignore[arg-type]
        return sorted(found, key=lambda box: (box.xyxy[1], box.xyxy[0]))


def smallest_rectangle(points: np.ndarray, grow: float = 0.0) -> tuple[np.ndarray, float]:
    """(4, 2) corners of the turned rectangle of least area about (N, 2) points grown by a disc, and its shorter side.

    One of its sides lies along a side of the convex hull (Freeman and Shapira, 1975).
    """
    points = points.astype(float)
    try:
        hull = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):  # all on a line
        hull = points[[np.lexsort(points.T)[0], np.lexsort(points.T)[-1]]]
    sides = np.roll(hull, -1, axis=0) - hull
    lengths = np.linalg.norm(sides, axis=1, keepdims=True)
    along = np.where(lengths > 0, sides / np.maximum(lengths, 1e-9), [1.0, 0.0])
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    u, v = hull @ along.T, hull @ across.T  # (N, sides)
    wide, high = u.max(0) - u.min(0) + 2 * grow, v.max(0) - v.min(0) + 2 * grow
    k = int((wide * high).argmin())
    u0, u1, v0, v1 = u[:, k].min() - grow, u[:, k].max() + grow, v[:, k].min() - grow, v[:, k].max() + grow
    corners = np.array([(u0, v0), (u1, v0), (u1, v1), (u0, v1)]) @ np.stack([along[k], across[k]])
    return corners, float(min(wide[k], high[k]))


def _growth(corners: np.ndarray) -> float:
    """How far the text reaches beyond the patch that the network was taught."""
    a, b = np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[2] - corners[1])
    return float(a * b * UNCLIP / (2 * (a + b)))


def _mean_inside(heat: np.ndarray, corners: np.ndarray) -> float:
    """Mean heat inside a turned rectangle, its edge counted."""
    height, width = heat.shape
    x0, y0 = np.clip(np.floor(corners.min(axis=0)), 0, [width - 1, height - 1]).astype(int)
    x1, y1 = np.clip(np.ceil(corners.max(axis=0)), 0, [width - 1, height - 1]).astype(int)
    corners = (corners - [x0, y0]).astype(int)  # whole pixels, as the original fills it
    sides = np.roll(corners, -1, axis=0) - corners
    normals = np.stack([-sides[:, 1], sides[:, 0]], axis=1)
    if sides[0, 0] * sides[1, 1] - sides[0, 1] * sides[1, 0] < 0:
        normals = -normals
    y, x = np.mgrid[0 : y1 - y0 + 1, 0 : x1 - x0 + 1]
    away = np.stack([x, y], axis=-1)[:, :, None] - corners  # (h, w, sides, 2)
    # a pixel counts when its square touches the rectangle
    inside = ((away * normals).sum(-1) >= -np.abs(normals).sum(-1) / 2).all(-1)
    return float(heat[y0 : y1 + 1, x0 : x1 + 1][inside].mean()) if inside.any() else 0.0
