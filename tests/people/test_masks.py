"""Masks of figures: stored exactly, everybody's own, and what cannot be masked is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fullcast.models.segment import BoxSegmenter, GraphCutSegmenter
from fullcast.people.masks import Mask, mask_partition
from fullcast.records import Image, Person
from fullcast.store.pictures import write_png
from fullcast.store.tables import read_records, write_records

FRAME = Image("f" * 20, "f.png", 200, 120, "screenshots")
LEFT = Person(f"{FRAME.id}/a", FRAME.id, (20, 10, 80, 118), 0.9, head_xyxy=(35, 10, 65, 40))
RIGHT = Person(f"{FRAME.id}/b", FRAME.id, (60, 30, 120, 118), 0.9)
GONE = Image("e" * 20, "gone.png", 200, 120, "screenshots")


def test_a_mask_comes_back_to_the_pixel(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((37, 53)) < 0.1
    pixels[:5] = pixels[:, 50:] = False
    mask = Mask.of("p", pixels)
    assert mask is not None
    write_records(tmp_path / "m.parquet", [mask], Mask)
    (read,) = read_records(tmp_path / "m.parquet", Mask)
    assert read == mask and np.array_equal(read.pixels(37, 53), pixels)
    assert read.xyxy[1] >= 5 and read.xyxy[2] <= 50
    assert Mask.of("p", np.zeros((4, 4), bool)) is None


@pytest.mark.parametrize("segmenter", [BoxSegmenter(), GraphCutSegmenter()])
def test_everybody_has_pixels_of_their_own(tmp_path: Path, segmenter: BoxSegmenter | GraphCutSegmenter) -> None:
    picture = np.full((120, 200, 3), 230, np.uint8)
    picture[12:118, 25:75] = (200, 40, 40)
    picture[32:118, 78:118] = (40, 40, 200)
    write_png(tmp_path / "f.png", picture)
    masks, drops = mask_partition([FRAME, GONE], [LEFT, RIGHT], tmp_path, segmenter)
    assert not drops and [mask.person_id for mask in masks] == [LEFT.id, RIGHT.id]
    left, right = (mask.pixels(120, 200) for mask in masks)
    assert not (left & right).any()
    assert left[60, 50] and right[80, 100] and not left[:, 130:].any() and not right[:20].any()


def test_who_cannot_be_masked_is_a_drop(tmp_path: Path) -> None:
    write_png(tmp_path / "f.png", np.zeros((120, 200, 3), np.uint8))
    outside = Person(f"{FRAME.id}/c", FRAME.id, (300, 10, 320, 40), 0.9)
    ghost = Person(f"{GONE.id}/d", GONE.id, (0, 0, 50, 50), 0.9)
    masks, drops = mask_partition([FRAME, GONE], [outside, ghost], tmp_path, BoxSegmenter())
    assert not masks
    assert [(drop.item, drop.reason) for drop in drops] == [(outside.id, "no-mask"), (GONE.id, "unreadable")]
