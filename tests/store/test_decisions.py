"""The log of what people decided: nothing is lost, everything can be taken back, and figures are found again."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from fullcast.records import Image, Person, iou
from fullcast.store import decisions
from fullcast.store.decisions import Decision, Target, append, attach, read_log, target_of
from fullcast.store.errors import FullcastError

A = Image("a" * 20, "a.png", 200, 100, "screenshots", video_id="v", pts=7)
B = Image("b" * 20, "b.png", 200, 100, "fanart")


def person(x: float, image: Image = A, detector: str = "yolo:one", width: float = 40) -> Person:
    return Person(f"{image.id}/{x}-{width}", image.id, (x, 10, x + width, 90), 0.9, detector=detector)


def relabel(person: Person, name: str, image: Image = A) -> Decision:
    return Decision("relabel", (target_of(image, person),), character=name)


def write_some(path: Path, first: int) -> int:
    for number in range(first, first + 20):
        append(path, [Decision("drop", (Target(f"image {number}"),), note="x" * 500)])
    return first


def test_an_entry_comes_back_as_it_was_written(tmp_path: Path) -> None:
    log = tmp_path / "review.jsonl"
    full = Decision(
        *("add", (target_of(A, person(3)), Target("b")), "track", "あおい", "hairdown", (1.5, 2, 3, 4)),
        add_tags=("red hair",),
        note="line\nbreak",
        by="somebody",
    )
    (written,) = append(log, [full])
    assert written.time and len(written.id) == 10
    assert read_log(log).decisions == (written,)
    assert replace(written, time="", id="") == full
    assert log.read_bytes().count(b"\n") == 1


def test_two_processes_write_at_once_and_no_line_is_lost(tmp_path: Path) -> None:
    log = tmp_path / "review.jsonl"
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(write_some, [log, log], [0, 100]))
    found = read_log(log)
    expected = {f"image {n}" for n in (*range(20), *range(100, 120))}
    assert not found.damaged and {d.targets[0].image_id for d in found.decisions} == expected


def test_a_line_cut_off_by_a_kill_costs_itself_only(tmp_path: Path) -> None:
    log = tmp_path / "review.jsonl"
    first, second = (append(log, [relabel(person(0), name)])[0] for name in ("aoi", "mio"))
    log.write_bytes(log.read_bytes()[:-30])
    (third,) = append(log, [relabel(person(0), "rin")])
    found = read_log(log)
    assert found.decisions == (first, third)
    assert len(found.damaged) == 1 and found.damaged[0].startswith("line 2")


def test_undo_and_undo_of_undo(tmp_path: Path) -> None:
    log = tmp_path / "review.jsonl"
    (said,) = append(log, [relabel(person(0), "aoi")])
    (taken_back,) = append(log, [Decision("undo", undoes=said.id)])
    assert read_log(log).active == ()
    (again,) = append(log, [Decision("undo", undoes=taken_back.id)])
    assert read_log(log).active == (said,)
    append(log, [Decision("undo", undoes=again.id)])
    assert read_log(log).active == () and len(read_log(log).decisions) == 4
    with pytest.raises(FullcastError, match="no decision in the log"):
        read_log(log).find("zzz")


def test_logs_put_together_count_every_entry_once(tmp_path: Path) -> None:
    log, other = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    append(log, [relabel(person(0), "aoi")])
    append(other, [relabel(person(0), "mio")])
    other.write_bytes(other.read_bytes() + log.read_bytes() + log.read_bytes())
    assert [d.character for d in read_log(other).decisions] == ["aoi", "mio"], "by time, whatever the order of lines"


def test_a_log_that_is_locked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock

    monkeypatch.setattr(decisions, "LOCK_TIMEOUT_S", 0.05)
    log = tmp_path / "review.jsonl"
    with FileLock(tmp_path / ".review.jsonl.lock"), pytest.raises(FullcastError, match="locked by another process"):
        append(log, [relabel(person(0), "aoi")])


def test_another_detector_gets_the_decision_from_half_overlap_on() -> None:
    said = relabel(person(0), "aoi")
    near, far = person(13, detector="yolo:two"), person(14, detector="yolo:two")
    assert iou(person(0).xyxy, near.xyxy) >= 0.5 > iou(person(0).xyxy, far.xyxy)
    assert attach([said], [A], [near]).of_person == {near.id: (said,)}
    lost = attach([said], [A], [far])
    assert not lost.of_person and [h.reason for h in lost.homeless] == ["nobody is there at IoU 0.5"]
    gone = attach([said], [B], [])
    assert [h.reason for h in gone.homeless] == ["the picture is not there"]


def test_figures_that_overlap_keep_their_own_decisions() -> None:
    """Two boxes of one detector are two figures: though both are nearest to the same new box, each gets its own."""
    left, right = person(0), person(10)
    new = [person(9, detector="yolo:two"), person(18, detector="yolo:two")]
    attached = attach([relabel(left, "aoi"), relabel(right, "mio")], [A], new)
    assert {who: d[-1].character for who, d in attached.of_person.items()} == {new[0].id: "mio"}
    assert [h.decision.character for h in attached.homeless] == ["aoi"], "listed, not given to somebody else"
    new = [person(2, detector="yolo:two"), person(12, detector="yolo:two")]
    attached = attach([relabel(left, "aoi"), relabel(right, "mio")], [A], new)
    assert [attached.of_person[p.id][-1].character for p in new] == ["aoi", "mio"]


def test_boxes_of_two_detectors_meet_at_one_figure_and_the_latest_counts() -> None:
    older, newer = relabel(person(0), "aoi"), relabel(person(4, detector="yolo:two#head"), "mio")
    now = person(2, detector="yolo:three")
    attached = attach([older, newer], [A], [now])
    assert attached.last(now.id, "relabel") == newer and not attached.homeless


def test_a_frame_that_was_stored_anew_is_known_by_its_time() -> None:
    said = relabel(person(0), "aoi")
    stored_anew = replace(A, id="c" * 20)
    now = person(0, stored_anew)
    assert attach([said], [stored_anew], [now]).of_person == {now.id: (said,)}
    cropped = replace(stored_anew, height=80)
    assert attach([said], [cropped], [now]).homeless, "boxes of another size say nothing here"


def test_somebody_added_is_there_until_a_detector_finds_them() -> None:
    box = (50.0, 10.0, 90.0, 90.0)
    add = Decision("add", (replace(target_of(A), xyxy=box, detector=decisions.HAND),), character="aoi")
    later = Decision("drop", add.targets)
    alone = attach([add, later], [A], [])
    assert [t.xyxy for _, t in alone.added] == [box]
    assert alone.of_person == {decisions.hand_id(add.targets[0]): (later,)}
    found = attach([add], [A], [person(52)])
    assert not found.added and found.of_person == {person(52).id: (add,)}


def by_hand(x: float, name: str, beside: tuple[Person, ...] = ()) -> Decision:
    target = replace(target_of(A), xyxy=(x, 10.0, x + 40, 90.0), detector=decisions.HAND)
    return Decision("add", (target,), character=name, beside=tuple(p.xyxy for p in beside))


def test_somebody_added_is_none_of_the_figures_that_were_there() -> None:
    """Whom suppression took away overlaps a found box by more than half: that is why nobody saw him."""
    aoi, mio = person(0), by_hand(8, "mio", (person(0),))
    assert iou(aoi.xyxy, mio.targets[0].xyxy or aoi.xyxy) >= 0.5
    attached = attach([relabel(aoi, "aoi"), mio], [A], [aoi])
    assert [d.character for d in attached.of_person[aoi.id]] == ["aoi"]
    assert attached.added == ((mio, mio.targets[0]),) and not attached.homeless
    both = [person(1, detector="yolo:two"), person(9, detector="yolo:two")]
    found = attach([mio], [A], both)
    assert found.of_person == {both[1].id: (mio,)} and not found.added, "a later detector sees her"
    third = by_hand(9, "rin", tuple(both))
    assert attach([mio, third], [A], both).added == ((third, third.targets[0]),), (
        "nor does who is added then, in her very box"
    )
    old = replace(mio, beside=())
    assert attach([old], [A], [aoi]).of_person == {aoi.id: (old,)}, "entries that do not say it mean what they meant"


def test_a_figure_that_another_run_drew_a_little_elsewhere_keeps_all_its_decisions() -> None:
    then, now = person(0), person(2)
    said, later = relabel(then, "aoi"), Decision("edit", (target_of(A, now),), remove_tags=("smile",))
    assert then.detector == now.detector and iou(then.xyxy, now.xyxy) >= decisions.REDRAWN
    attached = attach([said, later], [A], [now])
    assert attached.of_person == {now.id: (said, later)} and not attached.homeless
