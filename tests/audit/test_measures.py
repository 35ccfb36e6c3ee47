"""The audit's figures on a hand-made show whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fullcast.audit.measures import Kept, identity, match_kept, match_people, measure
from fullcast.audit.truth import TrueFrame, TruePerson, Truth, in_image
from fullcast.judging.statistics import wilson
from fullcast.records import Image, Person

WIDE = (0.0, 0.0, 160.0, 90.0)


def person(name: str, x: float, form: str = "") -> TruePerson:
    return TruePerson(name, form, (x, 20, x + 20, 90), (x + 5, 20, x + 15, 30))


def frame(index: int, kind: str = "story", drawing: str = "", people: tuple[TruePerson, ...] = (), camera=WIDE, shot=0):
    return TrueFrame("e1.mp4", index, index / 24, shot, kind, drawing or f"d{index}", camera, people)


def image(index: int, dropped: str = "") -> Image:
    return Image(
        f"i{index}", f"{index}.png", 160, 90, "screenshots", video_id="v1", time_s=index / 24 + 0.004, dropped=dropped
    )


def found(image_id: str, name: str, x: float, form: str = "", shift: float = 2.0) -> Person:
    box = (x + shift, 20.0, x + 20 + shift, 90.0)
    return Person(f"{image_id}/{x}", image_id, box, 0.9, character=name, form=form)


SHOW = [
    frame(0, drawing="a", people=(person("aoi", 20), person("mio", 100))),
    frame(1, drawing="a", people=(person("aoi", 20), person("mio", 100))),
    frame(2, drawing="b", people=(person("aoi", 20, "hairdown"),), shot=1),
    frame(3, drawing="c", people=(person("unknown", 60),), shot=2),
    frame(4, "title", "t", shot=3),
    frame(5, "flashback", "a", (person("aoi", 20),), (0, 0, 80, 45), shot=4),
    frame(6, "credits", "", (), shot=5),
]
VIDEOS = {"v1": "e1.mp4"}


def rows(kept: Kept) -> dict:
    return {row.name: row for row in measure(kept, Truth(SHOW))}


def test_perfect_preparation():
    images = [image(0), image(1, dropped="near-duplicate"), image(2), image(3), image(5)]
    people = [
        found("i0", "aoi", 20),
        found("i0", "mio", 100),
        found("i2", "aoi", 20, "hairdown"),
        found("i3", "unknown", 60),
        found("i5", "aoi", 20),
    ]
    table = rows(match_kept(images, people, Truth(SHOW), VIDEOS))
    for name in ("person recall", "person precision", "recall of unknown", "people counted right"):
        assert table[name].ours.value == 1, name
    assert table["identity, macro over characters and forms"].ours.value == 1
    assert table["identity, macro over characters and forms"].more == {"aoi": 1, "aoi/hairdown": 1, "mio": 1}
    for name in ("story shots with a kept frame", "distinct drawings kept", "distinct views kept"):
        assert table[name].ours.value == 1, name
    assert table["distinct views kept"].ours.n == 4 and table["distinct drawings kept"].ours.n == 3
    assert table["junk among kept"].ours.value == 0 and table["true duplicates among kept"].ours.value == 0
    assert table["people counted right"].baseline_value.value == pytest.approx(3 / 4)


def test_each_fault_shows_where_it_belongs():
    images = [image(0), image(1), image(2), image(4)]
    people = [
        found("i0", "mio", 20),  # the wrong name
        found("i0", "mio", 100),
        found("i0", "aoi", 60),  # nobody is there
        found("i1", "aoi", 20, shift=15),  # IoU 1/7: not that person
        found("i2", "aoi", 20),  # the right character in the wrong form
    ]
    table = rows(match_kept(images, people, Truth(SHOW), VIDEOS))
    assert table["person recall"].ours.value == pytest.approx(3 / 5)
    assert table["person precision"].ours.value == pytest.approx(3 / 5)
    assert table["identity, macro over characters and forms"].more == {"aoi": 0, "aoi/hairdown": 0, "mio": 1}
    assert table["people counted right"].ours.value == pytest.approx(2 / 4)
    assert table["junk among kept"].ours.value == pytest.approx(1 / 4)
    assert table["junk among kept"].more == {"junk: title": 1}
    assert table["true duplicates among kept"].ours.value == pytest.approx(1 / 4)
    assert table["story shots with a kept frame"].ours.value == pytest.approx(2 / 3)
    assert table["recall of unknown"].ours.n == 0


def test_macro_counts_rare_characters_as_much_as_frequent_ones():
    true = {"aoi": person("aoi", 0), "mio": person("mio", 0)}
    pairs = []
    for i in range(20):
        name, said = ("mio", "aoi") if i == 0 else ("aoi", "aoi")
        pairs += match_people(image(i), [found(f"i{i}", said, 0)], [true[name]])
    row = identity(pairs, lambda pair: (pair.found.character, pair.found.form))
    assert row.ours.value == pytest.approx(0.5) and row.ours.n == 20
    down = (((1 - wilson(19, 19)[0]) ** 2 + 0) ** 0.5) / 2
    assert row.ours.low == pytest.approx(0.5 - down)


def test_boxes_follow_a_letterbox_that_was_cut_off():
    cut = replace(image(0), height=70, frame_xyxy=(0.0, 10.0, 160.0, 80.0))
    assert in_image((20, 20, 40, 90), cut) == (20, 10, 40, 70)
    stretched = replace(cut, width=320)
    assert in_image((20, 20, 40, 50), stretched) == (40, 10, 80, 40)


def test_a_box_serves_one_person_only():
    close = (person("aoi", 20), person("mio", 24))
    assert len(match_people(image(0), [found("i0", "aoi", 20)], close)) == 1


def test_frames_of_other_videos_are_told_apart():
    other = replace(image(2), video_id="v9")
    kept = match_kept([image(0), other], [], Truth(SHOW), VIDEOS)
    assert len(kept.images) == 1 and kept.unplaced == 1


def test_pan_over_one_drawing_is_several_views():
    pan = [frame(i, drawing="p", camera=(10.0 * i, 0, 10.0 * i + 100, 60)) for i in range(5)]
    kept = match_kept([image(0), image(4)], [], Truth(pan), VIDEOS)
    table = {row.name: row for row in measure(kept, Truth(pan))}
    assert table["distinct views kept"].ours.value == pytest.approx(2 / 5)
    assert table["distinct drawings kept"].ours.value == 1
    assert table["true duplicates among kept"].ours.value == 0
