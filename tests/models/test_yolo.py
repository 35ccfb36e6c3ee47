"""The YOLO door: size, normalisation, decoding, suppression, labels; on graphs whose answer is known."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullcast.models.yolo import YoloDetector, suppress
from fullcast.store.errors import FullcastError
from tests import onnx_graphs


def box(x: float, y: float, w: float, h: float, person: float, head: float) -> list[float]:
    return [x, y, w, h, person, head]


def answering(tmp_path: Path, *boxes: list[float], **options: object) -> Path:
    return onnx_graphs.constant_yolo(tmp_path / "det.onnx", np.array(boxes).T, 288, 512, **options)  # type: ignore[arg-type]


def test_boxes_come_back_in_the_pictures_own_pixels(tmp_path: Path) -> None:
    door = YoloDetector(answering(tmp_path, box(100, 50, 40, 20, 0.9, 0.1)), threads=1)
    (found,), (small,) = door.detect([np.zeros((720, 1280, 3), np.uint8), np.zeros((144, 256, 3), np.uint8)])
    assert found.xyxy == (200.0, 100.0, 300.0, 150.0)  # x and y scale by 2.5
    assert small.xyxy == (40.0, 20.0, 60.0, 30.0)
    assert found.label == "person" and found.confidence == pytest.approx(0.9)


def test_boxes_are_clipped_to_the_picture(tmp_path: Path) -> None:
    door = YoloDetector(answering(tmp_path, box(0, 0, 100, 100, 0.9, 0)), threads=1)
    assert door.detect([np.zeros((288, 512, 3), np.uint8)])[0][0].xyxy == (0.0, 0.0, 50.0, 50.0)


def test_a_head_inside_its_person_survives_and_class_agnostic_suppression_would_delete_it(tmp_path: Path) -> None:
    path = answering(
        tmp_path,
        box(100, 100, 100, 100, 0.9, 0.0),
        box(100, 95, 95, 90, 0.0, 0.8),  # a close-up: the head is nearly the whole person
        box(103, 100, 100, 100, 0.7, 0.0),  # the same person again
        box(300, 100, 50, 100, 0.2, 0.0),  # too weak
    )
    picture = np.zeros((288, 512, 3), np.uint8)
    assert [d.label for d in YoloDetector(path, threads=1).detect([picture])[0]] == ["person", "head"]
    assert [d.label for d in YoloDetector(path, class_aware=False, threads=1).detect([picture])[0]] == ["person"]
    assert len(YoloDetector(path, confidence=0.1, threads=1).detect([picture])[0]) == 3
    per_label = YoloDetector(path, confidence={"person": 0.95, "head": 0.5}, threads=1)
    assert [d.label for d in per_label.detect([picture])[0]] == ["head"]


def test_end_to_end_heads_are_read_as_corners(tmp_path: Path) -> None:
    rows = np.array([[10, 20, 110, 220, 0.9, 1], [10, 20, 110, 220, 0.1, 0], [300, 20, 310, 40, 0.8, 0]], dtype=float)
    path = onnx_graphs.constant_yolo(tmp_path / "e2e.onnx", rows, 288, 512)
    found = YoloDetector(path, threads=1).detect([np.zeros((288, 512, 3), np.uint8)])[0]
    assert [(d.label, d.xyxy) for d in found] == [("head", (10, 20, 110, 220)), ("person", (300, 20, 310, 40))]


def test_the_picture_is_resized_as_pillow_does_without_letterbox(tmp_path: Path) -> None:
    door = YoloDetector(answering(tmp_path, box(1, 1, 1, 1, 0, 0)), threads=1)
    picture = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(picture).resize((512, 288), Image.Resampling.BICUBIC)) / 255
    prepared = door.prepare(picture)
    assert prepared.shape == (3, 288, 512)
    assert np.allclose(prepared, expected.transpose(2, 0, 1))


def test_the_detector_sees_where_things_are(tmp_path: Path) -> None:
    """A graph that looks: the marker's place in the picture, not a constant, decides the box."""
    door = YoloDetector(onnx_graphs.marker_yolo(tmp_path / "marker.onnx", 144, 256), threads=1)
    picture = np.zeros((144, 256, 3), np.uint8)
    picture[40:48, 160:168] = onnx_graphs.MARKER
    found = {d.label: d for d in door.detect([picture, np.zeros_like(picture)])[0]}
    assert found["head"].xyxy == (144, 24, 184, 64)
    assert found["head"].confidence == pytest.approx(0.95, abs=1e-5)
    assert door.detect([np.full_like(picture, 255)]) == [[]]


def test_letterboxing_keeps_the_shape_and_gives_boxes_in_the_pictures_pixels(tmp_path: Path) -> None:
    """A square of 144 px in a canvas of 256x144: 56 px of grey at each side; nothing is squeezed."""
    door = YoloDetector(onnx_graphs.marker_yolo(tmp_path / "marker.onnx", 144, 256), letterbox=True, threads=1)
    picture = np.zeros((144, 144, 3), np.uint8)
    picture[40:48, 64:72] = onnx_graphs.MARKER  # at x = 120 of the canvas
    found = {d.label: d for d in door.detect([picture])[0]}
    assert found["head"].xyxy == (48, 24, 88, 64)
    prepared = door.prepare(picture)
    assert np.allclose(prepared[:, :, :56], 114 / 255) and np.allclose(prepared[:, :, 200:], 114 / 255)


def test_a_fixed_batch_is_filled_and_a_door_survives_pickling(tmp_path: Path) -> None:
    path = answering(tmp_path, box(100, 50, 40, 20, 0.9, 0.1), batch=1)
    door = pickle.loads(pickle.dumps(YoloDetector(path, threads=1)))
    assert [len(found) for found in door.detect([np.zeros((288, 512, 3), np.uint8)] * 3)] == [1, 1, 1]
    assert door.name.startswith("yolo:det@") and len(door.name.split("@")[1]) == 8


def test_a_name_says_what_was_asked_for_beyond_the_network(tmp_path: Path) -> None:
    path = answering(tmp_path, box(100, 50, 40, 20, 0.9, 0.1))
    plain = YoloDetector(path, threads=1).name
    assert YoloDetector(path, confidence=0.3, threads=1).name == f"{plain}#confidence=0.3"
    asked = YoloDetector(path, confidence={"person": 0.95, "head": 0.5}, iou=0.6, threads=1).name
    assert asked == f"{plain}#confidence=head:0.5,person:0.95#iou=0.6"


def test_suppression_counts_edge_pixels() -> None:
    """Boxes of 10x10 pixels inclusive that share half: 50 / 150 = 1/3; without the +1 it would be 36 / 126."""
    boxes, scores = np.array([[0, 0, 9, 9], [0, 5, 9, 14]], dtype=float), np.array([0.5, 0.9])
    assert suppress(boxes, scores, 1 / 3 + 1e-6).tolist() == [1, 0]
    assert suppress(boxes, scores, 1 / 3 - 1e-3).tolist() == [1]


@pytest.mark.parametrize("content", [b"", b"not a network at all"])
def test_a_file_that_is_no_network_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(FullcastError, match=r"bad\.onnx is not an ONNX network") as error:
        YoloDetector(tmp_path / "bad.onnx")
    assert "\n" not in str(error.value)


def test_a_network_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FullcastError, match=r"is no YOLO detector: it takes input \[\?,3,16,16\]"):
        YoloDetector(onnx_graphs.colour_embedder(tmp_path / "emb.onnx"))
    with pytest.raises(FullcastError, match="no such model file"):
        YoloDetector(tmp_path / "absent.onnx")
    with pytest.raises(FullcastError, match="pass `labels`"):
        path = onnx_graphs.constant_yolo(tmp_path / "three.onnx", np.zeros((7, 5)), 288, 512)
        YoloDetector(path, threads=1).detect([np.zeros((288, 512, 3), np.uint8)])
