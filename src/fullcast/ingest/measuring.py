"""The map stage of the filters: pictures of a partition -> what they are like, in numbers. Nothing is decided here.

Colour and detail need no network. Class, quality and text are asked of networks where the recipe names some.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fullcast.models.base import Classifier, QualityScorer, TextDetector
from fullcast.ports import Progress, silent
from fullcast.records import Drop, Image
from fullcast.store.errors import UnreadableFile
from fullcast.store.pictures import read_picture

VERSION = 2
"""Raised when the same pictures and networks would give other numbers."""

BATCH = 8
"""Pictures held at a time."""

_SMALL = 128
"""Pixels of the longer side at which colours are judged: lines and grain are averaged away."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What one picture is like. -1 or '': nobody was asked."""

    image_id: str
    colour: float
    """Levels (0 to 255) of colour that brightness does not explain: 0 for grey, sepia and one ink."""
    detail: float
    """Finest detail over that of twice the size, in [0, 1]."""
    text: float = -1.0
    """Share of the area under text, in [0, 1]."""
    num_texts: int = -1
    image_class: str = ""
    class_probability: float = -1.0
    quality: float = -1.0
    """Share of all pictures that it is better than, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Measured:
    rows: tuple[Measure, ...]
    drops: tuple[Drop, ...] = ()


@dataclass(frozen=True, slots=True)
class Eyes:
    """The networks that are asked; None: nobody."""

    texts: TextDetector | None = None
    classes: Classifier | None = None
    quality: QualityScorer | None = None

    @property
    def names(self) -> list[str]:
        return [eye.name if eye else "" for eye in (self.texts, self.classes, self.quality)]


def measure_partition(images: Sequence[Image], root: Path, eyes: Eyes, progress: Progress = silent) -> Measured:
    """Every picture that can be read; `root`: the workspace."""
    rows: list[Measure] = []
    drops: list[Drop] = []
    progress.start("filters", len(images))
    for start in range(0, len(images), BATCH):
        read: dict[str, np.ndarray] = {}
        for image in images[start : start + BATCH]:
            try:
                read[image.id] = read_picture(root / image.path)
            except UnreadableFile as error:
                drops.append(Drop(image.id, "filters", error.reason, error.detail))
        rows += _measure(read, eyes)
        progress.advance(len(images[start : start + BATCH]))
    progress.done()
    return Measured(tuple(rows), tuple(drops))


def _measure(read: dict[str, np.ndarray], eyes: Eyes) -> list[Measure]:
    pictures = list(read.values())
    texts = eyes.texts.detect(pictures) if eyes.texts else [None] * len(pictures)
    classes = eyes.classes.classify(pictures) if eyes.classes else [{}] * len(pictures)
    quality = eyes.quality.quality(pictures) if eyes.quality else [-1.0] * len(pictures)
    rows = []
    for (image_id, picture), found, said, good in zip(read.items(), texts, classes, quality, strict=True):
        name = max(said, key=lambda word: said[word], default="")
        rows.append(
            Measure(
                image_id,
                round(colour(picture), 3),
                round(detail(picture), 4),
                -1.0 if found is None else round(covered([d.xyxy for d in found], picture.shape), 4),
                -1 if found is None else len(found),
                name,
                round(said[name], 4) if name else -1.0,
                round(float(good), 4),
            )
        )
    return rows


def colour(picture: np.ndarray) -> float:
    """Root mean square of the chroma (Cb, Cr) that a curve of the luma does not explain; (h, w, 3) uint8 RGB.

    One ink on one paper, whatever their colours, is a curve: sepia and blue prints are as monochrome as grey.
    """
    scale = _SMALL / max(picture.shape[:2])
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    y, cr, cb = np.moveaxis(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2YCrCb), 2, 0).reshape(3, -1)
    luma = y.astype(np.float64) / 255
    curve = np.stack([np.ones_like(luma), luma, luma**2], axis=1)
    chroma = np.stack([cb, cr], axis=1).astype(np.float64)
    explained, *_ = np.linalg.lstsq(curve, chroma, rcond=None)
    return float(np.sqrt(((chroma - curve @ explained) ** 2).sum(1).mean()))


def detail(picture: np.ndarray) -> float:
    """What is lost by halving the size, over what is lost by halving it again, where there are edges; in [0, 1].

    A drawing at its own size has edges a pixel wide; enlarged or out of focus it has none, whatever its contrast.
    """
    luma = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    half = _halved(luma)
    # The strongest few: flat ground and gradients say nothing about sharpness. At half the size lines lie twice as
    # dense, so that the same lines are a share twice as large.
    fine, coarse = _strong(_lost(luma), 0.005), _strong(_lost(half), 0.01)
    return float(min(1.0, fine / max(coarse, 1.0)))


def _halved(luma: np.ndarray) -> np.ndarray:
    return cv2.resize(luma, (max(1, luma.shape[1] // 2), max(1, luma.shape[0] // 2)), interpolation=cv2.INTER_AREA)


def _lost(luma: np.ndarray) -> np.ndarray:
    """(h, w) uint8: how far the picture is from itself at half its size."""
    back = cv2.resize(_halved(luma), (luma.shape[1], luma.shape[0]), interpolation=cv2.INTER_LINEAR)
    return cv2.absdiff(luma, back)


def _strong(lost: np.ndarray, share: float) -> float:
    top = max(1, int(share * lost.size))
    return float(np.partition(lost.ravel(), lost.size - top)[-top:].mean())


def covered(boxes: Sequence[tuple[float, float, float, float]], shape: tuple[int, ...]) -> float:
    """Share of a picture of (height, width, ...) that lies under any of the boxes."""
    under = np.zeros(shape[:2], bool)
    for x0, y0, x1, y1 in boxes:
        under[max(0, int(y0)) : int(np.ceil(y1)), max(0, int(x0)) : int(np.ceil(x1))] = True
    return float(under.mean())
