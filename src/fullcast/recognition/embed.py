"""Heads -> vectors: the one crop that labels, references, repair and the judge are embedded from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from fullcast.models.base import Embedder
from fullcast.records import Box, Person

VIEW_SIDE = 24 * 3 // 2
"""Pixels of the smallest crop that a show holds: a head of 24 px grown by 1.5."""

NIGHT, DUSK = (0.45, 0.5, 0.75), (1.0, 0.8, 0.65)
"""Factors on red, green and blue."""


def head_crop(image: np.ndarray, head: Box, scale: float) -> np.ndarray:
    """(S, S, 3) uint8: the square about the head's centre, S = its longer side times `scale`, at least 2 px.

    Beyond the picture's edge its last row or column is repeated: no new colour and no new edge enters, and the head
    stays in the middle of the crop, where the embedder expects it.
    """
    x0, y0, x1, y1 = head
    side = max(2, round(max(x1 - x0, y1 - y0) * scale))
    left, top = round((x0 + x1 - side) / 2), round((y0 + y1 - side) / 2)
    rows = np.clip(np.arange(top, top + side), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(left, left + side), 0, image.shape[1] - 1)
    return image[rows[:, None], columns]


def embed_people(people: Sequence[Person], images: Mapping[str, np.ndarray], embedder: Embedder) -> list[Person]:
    """The same people with the embedding of their head; those without a head keep None.

    images: (H, W, 3) uint8 RGB by image id. All crops go to the embedder in one call, which batches them.
    """
    with_head = [i for i, person in enumerate(people) if person.head_xyxy is not None]
    crops = [head_crop(images[people[i].image_id], people[i].head_xyxy, embedder.crop_scale) for i in with_head]  # type: ignore[arg-type]
    answer = list(people)
    for i, vector in zip(with_head, embedder.embed(crops), strict=True):
        answer[i] = replace(people[i], embedding=vector)
    return answer


def as_drawn(crop: np.ndarray) -> list[np.ndarray]:
    """Views of a reference crop as a drawn picture of several people holds it: heads of 19, 22 and 28 px by day, one
    of 24 px at night and one of 22 px at dusk, were the crop 1.5 heads wide.

    A judge that knows large references alone takes small near-twins for one another. Fixed views, as in `degraded`.
    """

    def small(side: int) -> np.ndarray:
        return np.asarray(Image.fromarray(crop).resize((side, side), Image.Resampling.BOX))

    return [small(28), small(33), small(42), _in_light(small(36), NIGHT), _in_light(small(33), DUSK)]


def degraded(crop: np.ndarray) -> list[np.ndarray]:
    """Views of a reference crop as a show would hold it: small, at night, at dusk, half hidden, off centre.

    References are clean and large; a threshold calibrated on them alone would refuse the small and the dark. Fixed
    views, nothing drawn at random: the same references always give the same threshold.
    """
    side = len(crop)
    small = np.asarray(Image.fromarray(crop).resize((VIEW_SIDE, VIEW_SIDE), Image.Resampling.BOX))
    hidden = crop.copy()
    hidden[round(side * 0.65) :] = crop[round(side * 0.65) :].mean(axis=(0, 1))
    aside = crop[: max(1, round(side * 0.9)), round(side * 0.1) :] if side >= 20 else crop
    return [small, _in_light(crop, NIGHT), _in_light(crop, DUSK), hidden, aside]


def _in_light(crop: np.ndarray, light: tuple[float, float, float]) -> np.ndarray:
    return (crop * np.array(light)).astype(np.uint8)
