"""The animeface door: what it gives of a known face, whatever Pillow is installed (golden/face.png, see NOTICE)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("animeface")

from fullcast.models.animeface import AnimeFaceDetector
from fullcast.models.animeface.detector import head_of
from fullcast.store.pictures import read_picture

FACE = Path(__file__).parent / "golden" / "face.png"
EXPECTED = (22.0, 33.0, 110.0, 121.0)


def test_the_known_face_is_where_the_package_itself_finds_it() -> None:
    """animeface 2.0.3 with Pillow 11.3 gives EXPECTED on this file; with Pillow 12 and newer it alone gives nothing."""
    picture = read_picture(FACE)
    face, head = AnimeFaceDetector().detect([picture])[0]
    assert (face.label, head.label) == ("face", "head")
    assert face.xyxy == EXPECTED and face.confidence > 0.9
    assert head.xyxy[1] < face.xyxy[1] and head.xyxy[3] == 108  # above the brow; ends at the chin
    assert all(
        0 <= v <= side for v, side in zip(head.xyxy, (*picture.shape[1::-1], *picture.shape[1::-1]), strict=True)
    )


def test_channels_are_in_order_and_nothing_is_found_in_nothing() -> None:
    door = AnimeFaceDetector()
    assert door.detect([np.full((120, 160, 3), 200, np.uint8)]) == [[]]
    assert door.detect([read_picture(FACE)] * 2)[1] == door.detect([read_picture(FACE)])[0]


def test_parts_out_of_order_leave_the_head_to_the_box() -> None:
    face = {"face_box": (100, 100, 100, 100), "left_eye_box": (110, 130, 20, 20), "right_eye_box": (170, 130, 20, 20)}
    plain, lost = head_of({**face, "chin_point": (150, 200)}), head_of({**face, "chin_point": (150, 120)})
    assert plain == pytest.approx((87.0, 65.0, 213.0, 200.0)) and lost == pytest.approx(plain)


def test_a_mirrored_picture_has_the_mirrored_faces() -> None:
    picture = read_picture(FACE)
    plain, mirrored = AnimeFaceDetector().detect([picture, np.ascontiguousarray(picture[:, ::-1])])
    assert len(plain) == len(mirrored) == 2  # one face, seen both ways, and its head
    width = picture.shape[1]
    for seen, other in zip(plain, mirrored, strict=True):
        x0, y0, x1, y1 = other.xyxy
        assert seen.xyxy == pytest.approx((width - x1, y0, width - x0, y1), abs=3) and seen.label == other.label
