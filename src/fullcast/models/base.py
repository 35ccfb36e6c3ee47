"""What the rest of Fullcast may ask of a network, whatever its family. Doors in `models/<family>/` answer.

A door loads from a local path (or the Hugging Face cache), never lists a repository, downloads only when told to, and
knows its weights' licence, sha256, input size and thresholds. No pickle is ever loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fullcast.records import Box


@dataclass(frozen=True, slots=True)
class Detection:
    xyxy: Box
    confidence: float
    """In [0, 1]."""
    label: str
    """person | head | face | halfbody | hand ...: the label of the network's own metadata."""


class PersonDetector(Protocol):
    name: str
    """Family and weights, "yolo:pocket-detector@1a2b3c4d": written into every record that it makes."""

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Boxes in pixels of each (H, W, 3) uint8 RGB picture; sizes may differ."""
        ...


class Embedder(Protocol):
    name: str
    dim: int
    threshold: float
    """Cosine to the nearest of eight crops of a character above which a crop shows it, as the file states it."""
    pair_threshold: float
    """The same beside a single crop, which is lower; what a file that states only one says of both."""
    crop_scale: float
    """The crop it wants: the head box grown by this factor about its centre, made square."""

    def embed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        """(B, dim) float32 unit vectors for crops of single characters, each (H, W, 3) uint8 RGB."""
        ...


class Tagger(Protocol):
    name: str

    def tag(self, images: Sequence[np.ndarray]) -> list[Mapping[str, float]]:
        """For each (H, W, 3) uint8 RGB picture its tags above the tagger's threshold, with probabilities."""
        ...


class ShotDetector(Protocol):
    name: str

    def cuts(self, thumbnails: np.ndarray) -> list[int]:
        """Indices of the first frame of each shot but the first; thumbnails (T, h, w, 3) uint8 RGB, all frames."""
        ...


class TextDetector(Protocol):
    name: str

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Boxes labelled ``text`` in pixels of each (H, W, 3) uint8 RGB picture; sizes may differ."""
        ...


class Classifier(Protocol):
    name: str

    def classify(self, images: Sequence[np.ndarray]) -> list[Mapping[str, float]]:
        """For each (H, W, 3) uint8 RGB picture the probability of every class, summing to about 1."""
        ...


class QualityScorer(Protocol):
    name: str

    def quality(self, images: Sequence[np.ndarray]) -> list[float]:
        """For each (H, W, 3) uint8 RGB picture the share of all pictures that it is better than, in [0, 1]."""
        ...


class Segmenter(Protocol):
    name: str

    def segment(self, image: np.ndarray, people: Sequence[tuple[Box, Box | None]]) -> np.ndarray:
        """(N, H, W) bool: which pixels show each of the figures, given as box and head box (or None).

        image: (H, W, 3) uint8 RGB. No pixel belongs to two figures.
        """
        ...
