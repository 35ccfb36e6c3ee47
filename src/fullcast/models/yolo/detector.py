"""YOLO detectors as deepghs exports and calls them, behind the PersonDetector protocol.

The call (data-preparation.md 3.2): RGB, plain resize to W x H with PIL's default filter (bicubic), no letterbox,
/ 255, CHW, input ``images`` -> ``output0`` [1, 4 + C, N]; best class above the confidence; cxcywh -> xyxy; non-maximum
suppression on that score with +1 pixel areas; scaled back, clipped, rounded. A last dimension of 6 is an end-to-end
head (x0, y0, x1, y1, score, class).

One deliberate difference: suppression runs inside each label (``class_aware``). The deepghs detectors have one label
each, so nothing changes for them; the pocket detector sees persons and heads, and in a close-up the head's box covers
more than half of the person's, so that class-agnostic suppression would delete one of the two.

Boxes of an end-to-end head are suppressed at 0.7 whatever `iou` is, as the original does. ``threshold.json`` beside the
graph is obeyed, and ``model_type.json`` that says rtdetr (boxes in 0 to 1, [N, 4 + C]).

One addition: ``letterbox``, for a network that saw only one shape of picture. A picture of another shape is first set
in the middle of a grey (114) canvas of the network's own shape. Off unless asked for or stated in the file's metadata.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fullcast.models.base import Detection
from fullcast.models.cards import Card, card_of
from fullcast.models.onnx_network import BATCH, OnnxNetwork
from fullcast.store.errors import FullcastError

DEFAULT_CONFIDENCE = 0.25
"""Ultralytics' own default, for a file without a card."""
DEFAULT_IOU = 0.5
END_TO_END_IOU = 0.7


class YoloDetector:
    """A PersonDetector. Picklable: a spawned worker opens the same file again."""

    def __init__(
        self,
        path: str | Path,
        confidence: float | Mapping[str, float] | None = None,
        iou: float | None = None,
        *,
        class_aware: bool = True,
        letterbox: bool | None = None,
        labels: Mapping[int, str] | None = None,
        threads: int = 0,
        device: str = "auto",
        batch: int = BATCH,
    ) -> None:
        """`confidence`: in [0, 1], one for all or one per label; None: the file's metadata ``threshold``, the folder's
        ``threshold.json``, the card, else 0.25.

        `iou`: in [0, 1]; of two boxes that overlap more, the weaker goes; None: the card, else 0.5.
        `letterbox`: None: the file's metadata ``letterbox`` ("true"), else False. `labels`: for a file without
        ``names``.
        """
        self.network = OnnxNetwork(path, threads=threads, device=device, batch=batch)
        self.input, self.output = self.network.require(
            "YOLO detector", channels_axis=1, input_name="images", output_name="output0"
        )
        metadata = self.network.metadata
        self.labels = dict(labels) if labels is not None else _names(metadata.get("names"), self.network.path)
        self.height, self.width = _input_size(self.network.inputs[self.input], metadata.get("imgsz"))
        self.card = card_of(self.network.path)
        self.name = f"yolo:{self.network.name}{_mark('confidence', confidence)}{_mark('iou', iou)}"
        """With what was asked for and is not the network's own: it gives other boxes."""
        if confidence is None:
            confidence = _own_confidence(metadata, self.network.path, self.card)
        if iou is None:
            iou = self.card.iou if self.card and self.card.iou is not None else DEFAULT_IOU
        self.confidence, self.iou, self.class_aware = confidence, iou, class_aware
        self.is_rtdetr = _beside(self.network.path, "model_type.json", "model_type") == "rtdetr"
        self.letterbox = metadata.get("letterbox", "").lower() == "true" if letterbox is None else letterbox

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Boxes in whole pixels of each (H, W, 3) uint8 RGB picture, strongest first; sizes may differ."""
        outputs = self.network.run(self.input, self.output, map(self.prepare, images))
        return [self._read(output, image.shape) for output, image in zip(outputs, images, strict=True)]

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """(3, height, width) float32 in [0, 1], RGB; the aspect ratio is kept with `letterbox` only."""
        height, width, left, top = self._canvas(image.shape)
        if self.letterbox and (height, width) != image.shape[:2]:
            canvas = np.full((height, width, 3), 114, dtype=np.uint8)
            canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
            image = canvas
        resized = Image.fromarray(image).resize((self.width, self.height))
        return np.asarray(resized, dtype=np.float32).transpose(2, 0, 1) / 255

    def _read(self, output: np.ndarray, shape: tuple[int, ...]) -> list[Detection]:
        if self.is_rtdetr:  # its boxes are shares of the picture
            output = output.T * np.r_[[self.width, self.height] * 2, np.ones(len(self.labels))][:, None]
        boxes, scores, classes = _decode(output, len(self.labels), self.network.path)
        wanted = scores > self._limits()[classes]
        boxes, scores, classes = boxes[wanted], scores[wanted], classes[wanted]
        iou = END_TO_END_IOU if _is_end_to_end(output, len(self.labels)) else self.iou
        kept = suppress(boxes, scores, iou, classes if self.class_aware else None)
        height, width, left, top = self._canvas(shape)
        scale, shift = np.array([width / self.width, height / self.height] * 2), np.array([left, top] * 2)
        pixels = np.clip(boxes[kept] * scale - shift, 0, [shape[1], shape[0]] * 2).round()
        names = list(self.labels.values())
        return [
            Detection(tuple(float(v) for v in box), float(scores[i]), names[classes[i]])  # type: ignore[arg-type]
            for i, box in zip(kept, pixels, strict=True)
            if box[2] > box[0] and box[3] > box[1]
        ]

    def _canvas(self, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """(height, width) of what is resized, and where (left, top) the picture lies in it, all in its own pixels."""
        height, width = shape[:2]
        if not self.letterbox:
            return height, width, 0, 0
        whole_height = max(height, round(width * self.height / self.width))
        whole_width = max(width, round(height * self.width / self.height))
        return whole_height, whole_width, (whole_width - width) // 2, (whole_height - height) // 2

    def _limits(self) -> np.ndarray:
        """(C,) confidence that each label needs."""
        if isinstance(self.confidence, Mapping):
            return np.array([self.confidence.get(name, DEFAULT_CONFIDENCE) for name in self.labels.values()])
        return np.full(len(self.labels), self.confidence)


def _mark(what: str, value: float | Mapping[str, float] | None) -> str:
    """Behind a # as all marks of a detector's name; '' for what nobody set."""
    if value is None:
        return ""
    each = value.items() if isinstance(value, Mapping) else [("", value)]
    return f"#{what}={','.join(f'{label}:{v:g}'.lstrip(':') for label, v in sorted(each))}"


def _decode(output: np.ndarray, num_labels: int, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, 4) xyxy in pixels of the network's input, (N,) scores, (N,) class indices."""
    if _is_end_to_end(output, num_labels):
        return output[:, :4], output[:, 4], output[:, 5].astype(int)
    if output.ndim != 2 or output.shape[0] != 4 + num_labels:
        raise FullcastError(
            f"{path} gives {list(output.shape)} per picture, but with its {num_labels} labels a YOLO head gives "
            f"[{4 + num_labels}, N] or [N, 6]; pass `labels` for a file whose metadata lacks names"
        )
    centre, half = output[:2].T, output[2:4].T / 2
    scores = output[4:]
    classes = scores.argmax(axis=0)
    return np.hstack([centre - half, centre + half]), scores.max(axis=0), classes


def _is_end_to_end(output: np.ndarray, num_labels: int) -> bool:
    return output.ndim == 2 and output.shape[1] == 6 and output.shape[0] != 4 + num_labels


def _own_confidence(metadata: Mapping[str, str], path: Path, card: Card | None) -> float:
    """What the makers say: the file itself, then the file beside it, then the call in their own library."""
    if "threshold" in metadata:
        return float(metadata["threshold"])
    beside = _beside(path, "threshold.json", "threshold")
    if beside is not None:
        return float(beside)
    return card.threshold if card and card.threshold is not None else DEFAULT_CONFIDENCE


def _beside(path: Path, file: str, key: str) -> Any:
    """A value of a small JSON file in the network's folder; None without it."""
    try:
        return json.loads(path.with_name(file).read_text(encoding="utf-8")).get(key)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise FullcastError(f"{path.with_name(file)} is damaged: wanted is a JSON object with {key!r}") from error


def suppress(boxes: np.ndarray, scores: np.ndarray, iou: float, classes: np.ndarray | None = None) -> np.ndarray:
    """Indices kept by greedy non-maximum suppression, strongest first; within each class if `classes` is given.

    boxes: (N, 4) xyxy; areas count both edge pixels (+1), as the detectors' own code does.
    """
    x0, y0, x1, y1 = boxes.T
    areas = (x1 - x0 + 1) * (y1 - y0 + 1)
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        w = np.maximum(0, np.minimum(x1[best], x1[rest]) - np.maximum(x0[best], x0[rest]) + 1)
        h = np.maximum(0, np.minimum(y1[best], y1[rest]) - np.maximum(y0[best], y0[rest]) + 1)
        overlap = w * h / (areas[best] + areas[rest] - w * h)
        stays = overlap <= iou
        if classes is not None:
            stays |= classes[rest] != classes[best]
        order = rest[stays]
    return np.array(kept, dtype=int)


def _names(text: str | None, path: Path) -> dict[int, str]:
    """Metadata ``names``: "{0: 'person', 1: 'head'}" as Ultralytics writes it (a Python literal), or JSON."""
    if text is None:
        raise FullcastError(f"{path} has no label names in its metadata (key names); pass `labels`")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise FullcastError(f"{path}: label names {text[:80]!r} are neither a Python literal nor JSON") from error
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {int(index): str(name) for index, name in sorted((int(k), v) for k, v in items)}


def _input_size(shape: tuple[int | None, ...], imgsz: str | None) -> tuple[int, int]:
    """(height, width): the graph's own where it is fixed, else metadata ``imgsz`` (Ultralytics: [h, w]), else 640."""
    if shape[2] and shape[3]:
        return shape[2], shape[3]
    if imgsz is None:
        return 640, 640
    size = ast.literal_eval(imgsz)
    return (int(size), int(size)) if isinstance(size, int) else (int(size[0]), int(size[1]))
