"""Masks of figures: stored exactly, everybody's own, and what cannot be masked is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fullcast.journey import Journey, new_workspace
from fullcast.journey.doors import Doors
from fullcast.journey.masking import mask_all
from fullcast.journey.taking_in import Partition, TakenIn
from fullcast.models.segment import BoxSegmenter, GraphCutSegmenter
from fullcast.people.masks import Mask, mask_partition
from fullcast.records import Box, Image, Person
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


class Counting:
    """Every figure is its box; notes the pictures that it was shown, by their first pixel."""

    name = "counting"

    def __init__(self) -> None:
        self.shown: list[int] = []

    def segment(self, picture: np.ndarray, people: Sequence[tuple[Box, Box | None]]) -> list[np.ndarray]:
        self.shown.append(int(picture[0, 0, 0]))
        masks = [np.zeros(picture.shape[:2], bool) for _ in people]
        for mask, ((x0, y0, x1, y1), _) in zip(masks, people, strict=True):
            mask[int(y0) : int(y1), int(x0) : int(x1)] = True
        return masks


def test_what_somebody_drops_looks_at_no_other_picture_again(tmp_path: Path) -> None:
    """And the tables are those of a show that never had it."""
    images = [Image(f"{n:020d}", f"{n}.png", 100, 60, "fanart") for n in range(1, 4)]
    boxes = [(5.0, 5.0, 30.0, 50.0), (60.0, 5.0, 90.0, 50.0), (70.0, 55.0, 70.0, 60.0)]
    people = [Person(f"{i.id}/{k}", i.id, box, 0.9) for k, box in enumerate(boxes) for i in images]

    def masked(root: Path, images: Sequence[Image], people: Sequence[Person]) -> tuple[list[int], list[bytes]]:
        if not root.exists():
            new_workspace(root)
            for n in range(1, 4):
                write_png(root / f"{n}.png", np.full((60, 100, 3), n, np.uint8))
        journey = Journey.open(root, {"people.masks": "true", "executor": "here"})
        doors, seen = Doors(journey.workspace, journey.recipe), Counting()
        doors.__dict__["segmenter"] = seen
        taken = TakenIn((Partition("fanart", "k", root, tuple(images)),), tuple(images), (), (), ())
        drops = mask_all(journey, doors, taken, people)
        assert {d.reason for d in drops} == {"no-mask"} and len(drops) == sum(p.xyxy == boxes[2] for p in people)
        folder = journey.workspace.masks_dir / "fanart"
        return seen.shown, [(folder / name).read_bytes() for name in ("masks.parquet", "drops.parquet")]

    assert masked(tmp_path / "w", images, people)[0] == [1, 2, 3]
    without = [images[0], replace(images[1], dropped="by-hand"), images[2]]
    left = [p for p in people if p.image_id != images[1].id]
    shown, tables = masked(tmp_path / "w", without, left)
    assert shown == [] and tables == masked(tmp_path / "other", without, left)[1]
    fewer = [p for p in left if p.id != people[0].id]
    shown, tables = masked(tmp_path / "w", without, fewer)
    assert shown == [1] and tables == masked(tmp_path / "another", without, fewer)[1]
