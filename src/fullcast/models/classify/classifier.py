"""Classifiers of whole pictures (kind of picture, grey or colour, quality), behind the Classifier protocol.

The call (data-preparation.md 3.2, ``ClassifyModel``): on white, bilinear to the graph's own size (else 384), /255,
(x - 0.5) / 0.5, CHW, `input` -> `output`, which holds probabilities; their labels are in ``meta.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fullcast.models.cards import card_of
from fullcast.models.onnx_network import BATCH, OnnxNetwork
from fullcast.store.errors import FullcastError

SIZE = 384
"""Side of the picture for a graph that leaves it open."""


class AnimeClassifier:
    """A Classifier. Picklable: a spawned worker opens the same files again."""

    def __init__(self, folder: str | Path, *, threads: int = 0, device: str = "auto", batch: int = BATCH) -> None:
        """`folder` holds ``model.onnx`` and ``meta.json``. Raises FullcastError when they are no pair."""
        self.folder = Path(folder)
        self.network = OnnxNetwork(self.folder / "model.onnx", threads=threads, device=device, batch=batch)
        self.input, self.output = self.network.require("classifier", channels_axis=1)
        self.labels = _labels(self.folder / "meta.json")
        number = self.network.outputs[self.output][-1]
        if number not in (None, len(self.labels)):
            raise FullcastError(f"{self.folder}: meta.json names {len(self.labels)} labels, model.onnx gives {number}")
        shape = self.network.inputs[self.input]
        self.height, self.width = shape[2] or SIZE, shape[3] or SIZE
        self.card = card_of(self.folder)
        self.name = f"classify:{self.network.name}"

    def classify(self, images: Sequence[np.ndarray]) -> list[Mapping[str, float]]:
        """Probability by label, for each (H, W, 3) uint8 RGB picture."""
        return [dict(zip(self.labels, map(float, row), strict=True)) for row in self.scores(images)]

    def scores(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """(B, labels) float32."""
        rows = list(self.network.run(self.input, self.output, map(self.prepare, images)))
        return np.stack(rows) if rows else np.zeros((0, len(self.labels)), np.float32)

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """(3, height, width) float32 in [-1, 1]; the aspect is not kept."""
        small = Image.fromarray(image).resize((self.width, self.height), Image.Resampling.BILINEAR)
        return ((np.asarray(small, dtype=np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)


class AestheticScorer:
    """A QualityScorer: the mean of seven labels from worst to masterpiece, as a place among the makers' samples."""

    def __init__(self, folder: str | Path, *, threads: int = 0, device: str = "auto", batch: int = BATCH) -> None:
        """As `AnimeClassifier`; the folder also holds ``samples.npz``."""
        self.classifier = AnimeClassifier(folder, threads=threads, device=device, batch=batch)
        self.name = self.classifier.name
        self.order = np.array([_rank(label) for label in self.classifier.labels], np.float64)
        self.places = _samples(Path(folder) / "samples.npz")

    def quality(self, images: Sequence[np.ndarray]) -> list[float]:
        """Share of the samples that each (H, W, 3) uint8 RGB picture is better than, in [0, 1]."""
        return [self._place(score) for score in self.means(images)]

    def _place(self, score: float) -> float:
        """As the makers' own code reads the samples: on the line through the first sample that is no lower and the one
        after it, so that places are up to a step lower than between neighbours."""
        scores, places = self.places
        at = int(np.searchsorted(scores, np.clip(score, scores[0], scores[-1])))
        if at >= len(scores) - 1 or np.isclose(scores[at + 1], scores[at]):
            return float(places[at])
        slope = (places[at + 1] - places[at]) / (scores[at + 1] - scores[at])
        return float(np.clip(places[at] + (score - scores[at]) * slope, places.min(), places.max()))

    def means(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """(B,) in [0, 6]: 0 is worst, 6 a masterpiece, whatever the order of the labels in the file."""
        return self.classifier.scores(images) @ self.order


LABELS = ("worst", "low", "normal", "good", "great", "best", "masterpiece")


def _rank(label: str) -> int:
    if label not in LABELS:
        raise FullcastError(f"an aesthetic network has the labels {', '.join(LABELS)}; this one has {label!r}")
    return LABELS.index(label)


def _labels(path: Path) -> tuple[str, ...]:
    try:
        labels = json.loads(path.read_text(encoding="utf-8"))["labels"]
        return tuple(str(label) for label in labels)
    except FileNotFoundError:
        raise FullcastError(f"{path}: there is no such file; a classifier needs its meta.json with labels") from None
    except (ValueError, KeyError, TypeError):
        raise FullcastError(f'{path} has no list of labels; wanted is {{"labels": [...]}}') from None


def _samples(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(scores, places), both (N,), scores ascending; no pickle is opened."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            scores, places = (np.asarray(row, np.float64) for row in stored["arr_0"])
    except FileNotFoundError:
        raise FullcastError(f"{path}: there is no such file; an aesthetic network needs its samples.npz") from None
    except (OSError, ValueError, KeyError) as error:
        raise FullcastError(f"{path} holds no samples of scores and places ({error})") from None
    order = np.argsort(scores, kind="stable")
    return scores[order], places[order]
