"""Heads find their bodies; what has no partner is kept and marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fullcast.models.base import Detection
from fullcast.recognition.detect import LONE_HEAD, JointDetector, detect_people, join_heads
from tests.recognition import drawn


def body(x0: float, y0: float, x1: float, y1: float, confidence: float = 0.9) -> Detection:
    return Detection((x0, y0, x1, y1), confidence, "person")


def head(x0: float, y0: float, x1: float, y1: float, confidence: float = 0.9) -> Detection:
    return Detection((x0, y0, x1, y1), confidence, "head")


def test_people_come_from_left_to_right_with_their_own_heads() -> None:
    detections = [body(200, 50, 260, 200), body(20, 60, 80, 200), head(30, 62, 60, 100), head(215, 52, 245, 92)]
    (left, right), _ = join_heads(detections, "img", "yolo:x")
    assert (left.xyxy, left.head_xyxy) == ((20, 60, 80, 200), (30, 62, 60, 100))
    assert (right.xyxy, right.head_xyxy) == ((200, 50, 260, 200), (215, 52, 245, 92))
    assert left.id == "img/20-60-80-200" and left.detector == "yolo:x"


def test_somebody_behind_does_not_lend_his_head_to_who_stands_in_front() -> None:
    """Both heads lie in the front person's box; only one of them at its top."""
    front, behind = body(100, 40, 220, 240), body(170, 110, 260, 240)
    people, _ = join_heads([behind, front, head(190, 112, 225, 150), head(140, 42, 180, 90)], "img", "d")
    assert {p.xyxy: p.head_xyxy for p in people} == {
        front.xyxy: (140, 42, 180, 90),
        behind.xyxy: (190, 112, 225, 150),
    }


def test_a_lone_head_is_a_person_and_says_so_and_weak_halves_are_not_believed() -> None:
    detections = [head(10, 200, 60, 250, 0.8), head(300, 200, 350, 250, 0.3), body(400, 10, 440, 90, 0.3)]
    (person,), lost = join_heads(detections, "img", "d")
    assert len(lost) == 2
    assert person.xyxy == person.head_xyxy == (10, 200, 60, 250)
    assert person.detector == "d" + LONE_HEAD
    assert len(join_heads(detections, "img", "d", lone=0.2)[0]) == 3


def test_a_body_without_a_head_is_kept_and_has_none() -> None:
    (person,), _ = join_heads([body(10, 10, 60, 200)], "img", "d")
    assert person.head_xyxy is None and person.head_confidence == 0


def test_a_head_that_touches_a_body_only_is_not_its_head() -> None:
    people, _ = join_heads([body(0, 0, 100, 200), head(90, 0, 140, 50)], "img", "d")
    assert [p.head_xyxy for p in people] == [None, (90, 0, 140, 50)]


def test_drawn_figures_are_found_through_the_real_door(tmp_path: Path) -> None:
    figures = {(100, 100): (200, 0, 0), (300, 60): (0, 200, 0)}
    people, nobody = detect_people(
        [drawn.picture(figures), np.zeros((64, 64, 3), np.uint8)], ["a", "b"], drawn.detector(tmp_path)
    )
    assert [p.head_xyxy for p in people] == [(80, 80, 120, 120), (280, 40, 320, 80)]
    assert [p.xyxy for p in people] == [(68, 80, 132, 200), (268, 40, 332, 160)]
    assert nobody == []


def test_two_detectors_work_as_one() -> None:
    class Only:
        def __init__(self, name: str, answer: list[Detection]) -> None:
            self.name, self.answer = name, answer

        def detect(self, images: list[np.ndarray]) -> list[list[Detection]]:
            return [self.answer for _ in images]

    both = JointDetector([Only("a", [body(20, 60, 80, 200)]), Only("b", [head(30, 62, 60, 100)])])
    ((person,),) = detect_people([np.zeros((9, 9, 3), np.uint8)], ["i"], both)
    assert person.head_xyxy == (30, 62, 60, 100) and person.detector == "a+b"


def test_the_head_of_a_face_ends_where_the_picture_does() -> None:
    corners = [Detection((2, 1, 42, 41), 0.9, "face"), Detection((470, 250, 510, 287), 0.9, "face")]
    people, _ = join_heads(corners, "img", "d", size=(512, 288))
    for x0, y0, x1, y1 in (p.xyxy for p in people):
        assert 0 <= x0 < x1 <= 512 and 0 <= y0 < y1 <= 288
    assert people[0].xyxy[:2] == (0, 0) and people[1].xyxy[2:] == pytest.approx((512, 288), abs=2)


def test_half_bodies_and_faces_count_where_nobody_saw_more() -> None:
    """A face network alone finds people, too; beside a head network its faces are no second heads."""
    whole, face_in_head = body(100, 40, 200, 300), Detection((130, 60, 170, 100), 0.9, "face")
    seen = [whole, head(120, 40, 180, 110), face_in_head, Detection((105, 45, 195, 160), 0.9, "halfbody")]
    (person,), lost = join_heads(seen, "img", "d")
    assert not lost and person.head_xyxy == (120, 40, 180, 110) and person.xyxy == whole.xyxy
    alone = [Detection((400, 40, 500, 180), 0.9, "halfbody"), Detection((430, 60, 470, 100), 0.9, "face")]
    (other,), _ = join_heads([*alone, Detection((440, 150, 460, 170), 0.9, "hand")], "img", "d")
    assert other.xyxy == (400, 40, 500, 180) and other.head_xyxy is not None
    x0, y0, x1, y1 = other.head_xyxy
    assert x1 - x0 == 60 and y0 < 50 and x0 == 420


class Says:
    def __init__(self, *boxes: Detection) -> None:
        self.name, self.boxes = "says", list(boxes)

    def detect(self, images):
        return [self.boxes for _ in images]


def test_what_two_detectors_see_is_one_figure() -> None:
    """The pocket detector's head and the larger one that follows from a face: else somebody stands there twice."""
    ours, theirs = head(100, 100, 160, 170), head(90, 80, 170, 180)
    joint = JointDetector([Says(ours, head(400, 100, 460, 170)), Says(theirs)])
    people = detect_people([np.zeros((300, 600, 3), np.uint8)], ["i"], joint)[0]
    assert len(people) == 2
    near = [head(100, 100, 160, 170), head(120, 100, 180, 170)]  # one detector's own two: side by side, both stay
    assert len(JointDetector([Says(*near), Says()]).detect([np.zeros((9, 9, 3), np.uint8)])[0]) == 2


def test_a_figure_between_two_surer_ones_is_a_double_and_a_hidden_one_is_not() -> None:
    two = [body(0, 0, 80, 200, 0.95), head(15, 0, 65, 60), body(90, 0, 170, 200, 0.95), head(105, 0, 155, 60)]
    between = [body(45, 0, 125, 200, 0.6), head(38, 2, 88, 62, 0.6)]
    people, lost = join_heads([*two, *between], "img", "d")
    assert len(people) == 2 and [one.reason for one in lost] == ["double"]
    again = [body(5, 0, 84, 200, 0.7), head(25, 0, 75, 60, 0.7)]  # the left one, a second time
    assert len(join_heads([*two, *again], "img", "d")[0]) == 2
    sure = [body(45, 0, 125, 200, 0.94), head(38, 2, 88, 62, 0.94)]  # as sure as they are: somebody behind them
    assert len(join_heads([*two, *sure], "img", "d")[0]) == 3
    aside = [body(40, 30, 120, 200, 0.6), head(68, 30, 100, 70, 0.6)]  # its head is in view
    assert len(join_heads([*two, *aside], "img", "d")[0]) == 3
