"""`animeface` behind the PersonDetector protocol: faces as it gives them, and the heads that follow from them.

The package reads the memory of Pillow's image objects, whose layout changed in Pillow 12: with a newer Pillow it finds
nothing and says nothing. So the door lays out the few fields that it reads (those of Pillow 11) by itself, over the
picture's own bytes, and calls the package's C function with that. A known face is asked for when the door is first
opened in the tests; if the package ever reads more than these fields, that test fails.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np

from fullcast.models.base import Detection
from fullcast.records import Box, iou
from fullcast.store.errors import FullcastError

LICENCE = "Apache-2.0"
FACE, HEAD = "face", "head"

SAME = 0.3
"""IoU of two faces that are one, seen twice."""
HAIR = 0.25
"""Hair above the skull and at both sides, in half skulls: drawn hair stands off the head by about an eighth of it."""


class AnimeFaceDetector:
    """A PersonDetector without persons. Smallest face that it looks for: 43 px."""

    def __init__(self, confidence: float = 0.5) -> None:
        """`confidence`: likelihood in [0, 1]. Raises FullcastError when the package is not installed."""
        try:
            self.name = f"animeface:{version('animeface')}+mirrored"
            _detect(np.zeros((8, 8, 3), np.uint8))
        except (ImportError, NotImplementedError):  # not installed, or without its C part
            raise FullcastError("the package animeface is not installed; pip install 'fullcast[animeface]'") from None
        self.confidence = confidence

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        """A face and a head for each face that is found in (H, W, 3) uint8 RGB pictures, likeliest first.

        Each picture is looked at as it is and mirrored: the package knows some faces from one side only.
        """
        return [self._both_ways(image) for image in images]

    def _both_ways(self, image: np.ndarray) -> list[Detection]:
        width = image.shape[1]
        mirrored = self._read(_detect(np.ascontiguousarray(image[:, ::-1])), image.shape)
        found = self._read(_detect(image), image.shape)
        found += [tuple(replace(d, xyxy=_mirror(d.xyxy, width)) for d in pair) for pair in mirrored]
        kept: list[tuple[Detection, ...]] = []
        for pair in sorted(found, key=lambda pair: -pair[0].confidence):
            if all(iou(pair[0].xyxy, other[0].xyxy) < SAME for other in kept):
                kept.append(pair)
        return [detection for pair in kept for detection in pair]

    def _read(self, faces: list[dict[str, Any]], shape: tuple[int, ...]) -> list[tuple[Detection, ...]]:
        """(face, head) of each face that is likely enough."""
        found: list[tuple[Detection, ...]] = []
        for face in faces:
            if face["likelihood"] >= self.confidence:
                x, y, w, h = face["face_box"]
                sure = min(1.0, float(face["likelihood"]))
                box = (float(x), float(y), float(x + w), float(y + h))
                found.append((Detection(box, sure, FACE), Detection(_clipped(head_of(face), shape), sure, HEAD)))
        return found


def _mirror(box: Box, width: int) -> Box:
    return width - box[2], box[1], width - box[0], box[3]


def head_of(face: dict[str, Any]) -> Box:
    """The box of the whole head, hair included, from eyes and chin.

    Eyes lie halfway up a head (the first rule of drawing one), so half a skull is the way from eyes to chin. A skull is
    as wide as it is high from brow to chin, about 0.8 of its height; hair is added above and at the sides.
    """
    eyes = [face["left_eye_box"], face["right_eye_box"]]
    eye_y = sum(y + h / 2 for _, y, _, h in eyes) / 2
    x, y, w, h = face["face_box"]
    # Where the parts were not found in their order, the box itself says it: eyes at 0.4 of it, the chin at its foot.
    half = face["chin_point"][1] - eye_y
    if not 0.3 * h <= half <= 0.9 * h:
        eye_y, half = y + 0.4 * h, 0.6 * h
    middle = x + w / 2
    side = half * (0.8 + HAIR)
    return (middle - side, eye_y - half * (1 + HAIR), middle + side, eye_y + half)


def _clipped(box: Box, shape: tuple[int, ...]) -> Box:
    x0, y0, x1, y1 = (round(v) for v in box)
    return (float(max(0, x0)), float(max(0, y0)), float(min(shape[1], x1)), float(min(shape[0], y1)))


class _Memory(ctypes.Structure):
    """The first fields of Pillow 11's ImagingMemoryInstance."""

    _fields_ = (
        ("mode", ctypes.c_char * 7),
        ("type", ctypes.c_int),
        ("depth", ctypes.c_int),
        ("bands", ctypes.c_int),
        ("xsize", ctypes.c_int),
        ("ysize", ctypes.c_int),
        ("palette", ctypes.c_void_p),
        ("image8", ctypes.c_void_p),
        ("image32", ctypes.c_void_p),
        ("image", ctypes.c_void_p),
    )


class _Object(ctypes.Structure):
    """A Python object's head and the pointer that Pillow's image objects hold."""

    _fields_ = (("count", ctypes.c_ssize_t), ("type", ctypes.c_void_p), ("memory", ctypes.c_void_p))


def _detect(image: np.ndarray) -> list[dict[str, Any]]:
    """What the package's C function answers for (H, W, 3) uint8 RGB."""
    from animeface import _nvxs

    height, width = image.shape[:2]
    pixels = np.full((height, width, 4), 255, np.uint8)
    pixels[..., :3] = image
    rows = np.array([pixels.ctypes.data + y * width * 4 for y in range(height)], dtype=np.uintp)
    memory = _Memory(b"RGB", 0, 8, 3, width, height, None, None, rows.ctypes.data, rows.ctypes.data)
    # Never freed by Python: its count is far from 0, and the memory belongs to this function.
    shell = _Object(1 << 30, id(object), ctypes.addressof(memory))
    return _nvxs.detect(ctypes.cast(ctypes.pointer(shell), ctypes.py_object).value)
