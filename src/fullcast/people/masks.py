"""Which pixels show each figure, stored beside the people: one bit a pixel of the part that the mask covers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullcast.models.base import Segmenter
from fullcast.ports import Progress, silent
from fullcast.records import Box, Drop, Image, Person
from fullcast.store.errors import UnreadableFile
from fullcast.store.pictures import read_picture

VERSION = 1
"""Raised when the same people would get other masks from the same segmenter."""

STAGE = "masks"


@dataclass(frozen=True, slots=True)
class Mask:
    """The pixels of one figure."""

    person_id: str
    xyxy: Box
    """Whole pixels of the picture: the least box about the mask."""
    bits: bytes
    """The box's pixels row by row, eight to a byte, the first in the highest bit, filled with zeros at the end."""

    @classmethod
    def of(cls, person_id: str, pixels: np.ndarray) -> Mask | None:
        """From (H, W) bool over the whole picture; None where no pixel is set."""
        rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
        if not len(rows):
            return None
        y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
        xyxy = (float(x0), float(y0), float(x1), float(y1))
        return cls(person_id, xyxy, np.packbits(pixels[y0:y1, x0:x1]).tobytes())

    def pixels(self, height: int, width: int) -> np.ndarray:
        """(height, width) bool over the whole picture."""
        x0, y0, x1, y1 = (int(v) for v in self.xyxy)
        inside = np.unpackbits(np.frombuffer(self.bits, np.uint8), count=(y1 - y0) * (x1 - x0))
        whole = np.zeros((height, width), bool)
        whole[y0:y1, x0:x1] = inside.reshape(y1 - y0, x1 - x0)
        return whole


def mask_partition(
    images: Sequence[Image],
    people: Sequence[Person],
    root: Path,
    segmenter: Segmenter,
    progress: Progress = silent,
) -> tuple[list[Mask], list[Drop]]:
    """A mask for everybody in the pictures, in the order of the people of each; what has none, with its reason.

    `root`: the workspace; `Image.path` is relative to it. No pixel belongs to two figures of a picture.
    """
    of_image: Mapping[str, list[Person]] = defaultdict(list)
    for person in people:
        of_image[person.image_id].append(person)
    wanted = [image for image in images if of_image[image.id]]
    masks: list[Mask] = []
    drops: list[Drop] = []
    progress.start(STAGE, len(wanted))
    for image in wanted:
        here = of_image[image.id]
        try:
            picture = read_picture(root / image.path)
        except UnreadableFile as error:
            drops.append(Drop(image.id, STAGE, error.reason, error.detail))
        else:
            found = segmenter.segment(picture, [(person.xyxy, person.head_xyxy) for person in here])
            for person, pixels in zip(here, found, strict=True):
                mask = Mask.of(person.id, pixels)
                if mask is None:
                    drops.append(Drop(person.id, STAGE, "no-mask", f"{segmenter.name} gives this figure no pixel"))
                else:
                    masks.append(mask)
        progress.advance()
    progress.done()
    return masks, drops
