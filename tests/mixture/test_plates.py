"""Clean plates: people are gone, scenery goes on, joints are known."""

from __future__ import annotations

import numpy as np
import pytest

from fullcast.mixture.composites.backdrops import find_backdrops
from fullcast.mixture.composites.plates import Plates, clean_plate
from tests.mixture.test_composites import drawn

SKY, GROUND, FIGURE = (150, 200, 240), (90, 140, 60), (200, 30, 40)


def scenery() -> np.ndarray:
    """200x400: sky over ground, and a pole of 6 px every 20 px."""
    picture = np.empty((200, 400, 3), np.uint8)
    picture[:120], picture[120:] = SKY, GROUND
    for x in range(10, 400, 20):
        picture[60:160, x : x + 6] = (80, 60, 40)
    return picture


def test_what_repeats_is_continued_without_a_trace() -> None:
    true = scenery()
    picture = true.copy()
    picture[50:200, 170:230] = FIGURE
    plate = clean_plate(picture, [(160.0, 40.0, 240.0, 200.0)])
    assert plate is not None and np.abs(plate.rgb.astype(int) - true).max() <= 1
    assert plate.joints.max() <= 1, "a joint between equal pieces has no step"


def test_nothing_of_anybody_is_left_and_the_rest_stays() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        picture = scenery()
        holes = []
        for x in rng.integers(20, 340, 2).astype(float):
            picture[70:200, int(x) : int(x) + 30] = FIGURE
            holes.append((x - 4, 60.0, x + 34, 200.0))
        plate = clean_plate(picture, holes)
        assert plate is not None
        assert np.abs(plate.rgb.astype(int) - FIGURE).max(-1).min() > 40, "no pixel of a figure, hole or not"
        far = np.ones((200, 400), bool)
        for x0, y0, x1, _ in holes:
            far[max(0, int(y0) - 20) :, max(0, int(x0) - 20) : int(x1) + 20] = False
        assert np.array_equal(plate.rgb[far], picture[far])


def test_a_joint_that_shows_is_noted() -> None:
    """Left of the hole all is white, right of it black: wherever the joint is, it is a step of 255."""
    picture = np.zeros((100, 300, 3), np.uint8)
    picture[:, :150] = 255
    picture[:, 120:180] = FIGURE
    plate = clean_plate(picture, [(110.0, 0.0, 190.0, 100.0)])
    assert plate is not None
    assert plate.joints.max() > 200 and (plate.joints > 200).any(axis=1).mean() > 0.9


@pytest.mark.parametrize("holes", [[(0.0, 0.0, 400.0, 200.0)], [(30.0, 0.0, 390.0, 200.0)]])
def test_a_wall_of_people_has_no_plate(holes: list[tuple[float, float, float, float]]) -> None:
    assert clean_plate(scenery(), holes) is None


def test_a_part_is_taken_in_the_frames_own_pixels() -> None:
    picture, mask, image, person = drawn("hinata", 300)
    (backdrop,) = find_backdrops([image], {image.id: [person]})
    reads = []

    def read(which: object) -> np.ndarray:
        reads.append(which)
        return picture

    plates = Plates(read, 0.9, 40.0)  # heads of 80 px: frames are halved
    parts = [plates.part(backdrop, (x, 0.0, x + 200.0, 100.0), (200, 100)) for x in (0.0, 420.0)]
    assert len(reads) == 1, "a plate is made once"
    for x, part in zip((0, 420), parts, strict=True):
        assert part is not None and part[0].shape == (100, 200, 3) and part[1].shape == (100, 200)
        kept = ~mask[:100, x : x + 200]
        assert np.abs(part[0].astype(int) - picture[:100, x : x + 200])[kept].mean() < 12
