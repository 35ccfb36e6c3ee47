"""Each figure is its box: the least segmenter, and the one that others are measured against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fullcast.records import Box


class BoxSegmenter:
    """A Segmenter."""

    name = "segment:box@1"

    def segment(self, image: np.ndarray, people: Sequence[tuple[Box, Box | None]]) -> np.ndarray:
        """(N, H, W) bool; where boxes overlap, the pixel is that of the box whose middle is nearer."""
        weights = np.stack([closeness(image.shape, box) for box, _ in people]) if people else np.zeros(0)
        return disjoint(weights) if people else np.zeros((0, *image.shape[:2]), bool)


def closeness(shape: tuple[int, ...], box: Box) -> np.ndarray:
    """(H, W) float32: 1 in the middle of the box, falling to 0 at its edge and beyond."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) + 0.5
    x0, y0, x1, y1 = box
    dx = np.abs(2 * x - x0 - x1) / max(1.0, x1 - x0)
    dy = np.abs(2 * y - y0 - y1) / max(1.0, y1 - y0)
    return np.clip(1 - np.maximum(dx, dy), 0, 1)


def disjoint(weights: np.ndarray) -> np.ndarray:
    """(N, H, W) bool for (N, H, W) weights: each pixel with the figure of the highest weight, if that is above 0."""
    best = weights.argmax(axis=0)
    return (np.arange(len(weights))[:, None, None] == best) & (weights > 0)
