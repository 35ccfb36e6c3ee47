"""Drawn pictures that the small graphs of `onnx_graphs` can read: a figure is a head of one colour on a grey body."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from fullcast.models.ccip import CcipEmbedder
from fullcast.models.yolo import YoloDetector
from tests import onnx_graphs

HEIGHT, WIDTH = 288, 512
HEAD = 40

COLOURS = {"aoi": (220, 40, 40), "mio": (40, 60, 220), "rin": (40, 200, 60), "hairdown": (225, 150, 30)}
STRANGER = (200, 60, 210)


def detector(folder: Path) -> YoloDetector:
    return YoloDetector(onnx_graphs.marker_yolo(folder / "detector.onnx", HEIGHT, WIDTH, head=HEAD), threads=1)


def embedder(folder: Path) -> CcipEmbedder:
    metadata = {"threshold": "0.8", "crop_scale": "1.0"}
    return CcipEmbedder(onnx_graphs.colour_embedder(folder / "embedder.onnx", metadata=metadata), threads=1)


def picture(
    figures: Mapping[tuple[int, int], tuple[int, int, int]], size: tuple[int, int] = (HEIGHT, WIDTH)
) -> np.ndarray:
    """(H, W, 3) black with a figure for each head centre (x, y), which lies at 4 modulo 8."""
    image = np.zeros((*size, 3), np.uint8)
    for (x, y), colour in figures.items():
        image[y - 20 : y + 100, x - 32 : x + 32] = 90
        image[y - 20 : y + 20, x - 20 : x + 20] = colour
        image[y - 4 : y + 4, x - 4 : x + 4] = onnx_graphs.MARKER
    return image


def write_references(folder: Path, looks: Mapping[str, tuple[int, int, int]], count: int = 4) -> Path:
    """A folder of references: per look `count` pictures in slightly different colours."""
    rng = np.random.default_rng(0)
    for look, colour in looks.items():
        (folder / look).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            shade = tuple(int(v) for v in np.clip(np.array(colour) + rng.integers(-25, 26, 3), 0, 255))
            Image.fromarray(picture({(252, 140): shade})).save(folder / look / f"{i}.png")  # type: ignore[dict-item]
    return folder
