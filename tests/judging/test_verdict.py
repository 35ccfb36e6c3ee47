"""Hand-made pictures whose verdict is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fullcast.judging.config import JudgingConfig
from fullcast.judging.verdict import calibrate_hybrid_margin, failures, judge_picture
from fullcast.records import Cast, Character, Form, Found, Placement, Scene

CAST = Cast(
    "test",
    (
        Character("aoi", "aoi", (Form(""), Form("hairdown", "hairdown"))),
        Character("hinata", "hinata"),
        Character("mio", "mio"),
        Character("rin", "rin"),
    ),
)
SIZE = 100


def figure(name: str, column: int, form: str = "", confidence: float = 0.9, scores: tuple[float, ...] = ()) -> Found:
    """A figure whose head is in the middle of a column of the 5x5 grid."""
    x = 20 * column + 10
    if not scores:
        scores = tuple(0.9 if c == name else 0.2 + 0.01 * i for i, c in enumerate(CAST.names))
    return Found(
        (x - 9, 30, x + 9, 100), (x - 6, 30, x + 6, 45), confidence, name, form, max(scores), 0.5, scores=scores
    )


def ask(*people: str, cells: tuple[int, ...] = ()) -> Scene:
    placements = []
    for i, person in enumerate(people):
        name, _, form = person.partition("/")
        placements.append(Placement(name, form, (cells[i], 1) if cells else None))
    return Scene("scene", "park", tuple(placements))


def judge(found: list[Found], scene: Scene, config: JudgingConfig | None = None):
    return judge_picture(found, scene, CAST, width=SIZE, height=SIZE, config=config)


def test_perfect_picture():
    scene = ask("aoi", "hinata", "mio", cells=(0, 2, 4))
    verdict = judge([figure("aoi", 0), figure("hinata", 2), figure("mio", 4)], scene)
    assert verdict.success and verdict.success_placed
    assert [f.asked for f in verdict.found] == [0, 1, 2]
    assert failures(verdict, scene) == []


def test_who_has_no_name_is_anybody_who_is_nobody_of_the_cast():
    scene = ask("unknown", "aoi", cells=(4, 0))
    right = judge([figure("aoi", 0), figure("unknown", 4)], scene)
    assert right.success and right.success_placed and right.unknown == 0 and failures(right, scene) == []
    known = judge([figure("aoi", 0), figure("mio", 4)], scene)
    assert not known.success and known.missing == ("unknown",) and known.intruders == ("mio",)
    strangers = judge([figure("unknown", 0), figure("unknown", 4)], scene)
    assert strangers.missing == ("aoi",) and strangers.unknown == 1 and "stranger" in failures(strangers, scene)


def test_an_ornament_inside_a_head_is_nobody_and_a_small_head_beside_it_is_somebody():
    aoi = figure("aoi", 1)
    inside = replace(figure("hinata", 1, confidence=0.85), head_xyxy=(25, 31, 31, 37))
    beside = replace(figure("hinata", 1), head_xyxy=(37, 31, 43, 37))
    scene = ask("aoi")
    assert judge([aoi, inside], scene).success
    assert judge([aoi, beside], scene).num_found == 2


def test_a_head_before_somebody_seen_from_behind_is_no_ornament():
    """Who has no head is compared by the body, which is no head that could hold another."""
    behind = replace(figure("hinata", 1), xyxy=(0, 0, 60, 100), head_xyxy=None)
    before = replace(figure("aoi", 1), head_xyxy=(25, 31, 37, 43))
    assert judge([behind, before], ask("aoi", "hinata")).num_found == 2


def test_empty_picture():
    scene = ask("aoi", "hinata")
    verdict = judge([], scene)
    assert not verdict.success and verdict.missing == ("aoi", "hinata") and verdict.num_found == 0
    assert failures(verdict, scene) == ["too few"]


def test_one_missing_names_who():
    verdict = judge([figure("hinata", 2)], ask("aoi", "hinata"))
    assert verdict.missing == ("aoi",) and verdict.extra == 0 and not verdict.success


def test_stranger_beside_the_right_ones_fails():
    scene = ask("aoi")
    verdict = judge([figure("aoi", 1), figure("unknown", 3, scores=(0.1, 0.1, 0.1, 0.1))], scene)
    assert verdict.missing == () and verdict.extra == 1 and verdict.unknown == 1 and not verdict.success
    assert failures(verdict, scene) == ["too many", "stranger"]


def test_duplicate_and_intruder():
    scene = ask("aoi", "hinata")
    twice = judge([figure("aoi", 1), figure("aoi", 3)], scene)
    assert twice.duplicates == ("aoi",) and twice.missing == ("hinata",) and not twice.success
    other = judge([figure("aoi", 1), figure("rin", 3)], scene)
    assert other.intruders == ("rin",) and other.missing == ("hinata",) and other.duplicates == ()
    assert failures(other, scene) == ["intruder"]


def test_count_right_but_identity_over_the_full_cast():
    """The similarity to the one asked for is high, but somebody who was not asked for is nearer."""
    mistaken = figure("rin", 2, scores=(0.2, 0.88, 0.2, 0.9))
    verdict = judge([mistaken], ask("hinata"))
    assert verdict.missing == ("hinata",) and verdict.intruders == ("rin",) and not verdict.success


def test_form_must_match_only_when_asked():
    down = figure("aoi", 2, form="hairdown")
    assert judge([down], ask("aoi")).success
    assert judge([down], ask("aoi/hairdown")).success
    scene = ask("aoi/hairdown")
    plain = judge([figure("aoi", 2)], scene)
    assert not plain.success and failures(plain, scene) == ["wrong form"]


def test_one_character_asked_twice_in_two_forms():
    scene = ask("aoi/hairdown", "aoi")
    verdict = judge([figure("aoi", 1), figure("aoi", 3, form="hairdown")], scene)
    assert verdict.success and [f.asked for f in verdict.found] == [1, 0] and verdict.duplicates == ()


def test_swapped_places():
    scene = ask("aoi", "hinata", cells=(1, 3))
    verdict = judge([figure("hinata", 1), figure("aoi", 3)], scene)
    assert verdict.success and not verdict.success_placed
    assert failures(verdict, scene) == ["place"]
    assert failures(verdict, scene.without_places()) == []
    assert judge([figure("hinata", 1), figure("aoi", 3)], scene.without_places()).success_placed


@pytest.mark.parametrize(
    ("columns", "placed"), [((1, 3), True), ((0, 2), True), ((2, 3), True), ((0, 4), True), ((3, 4), False)]
)
def test_one_column_beside_is_near_enough(columns: tuple[int, int], placed: bool):
    verdict = judge([figure("aoi", columns[0]), figure("hinata", columns[1])], ask("aoi", "hinata", cells=(1, 3)))
    assert verdict.success and verdict.success_placed is placed


def test_box_is_a_place_too():
    scene = Scene("s", "", (Placement("aoi", box=(0.6, 0.2, 1.0, 1.0)),))
    assert judge([figure("aoi", 4)], scene).success_placed
    assert not judge([figure("aoi", 1)], scene).success_placed


def test_hybrids_are_counted_only_between_those_asked_for():
    blend = figure("aoi", 2, scores=(0.80, 0.79, 0.1, 0.1))
    assert judge([blend], ask("aoi", "hinata")).hybrids == 1
    assert judge([blend], ask("aoi", "mio")).hybrids == 0
    assert judge([figure("aoi", 2)], ask("aoi", "hinata")).hybrids == 0


def test_margin_calibration_is_the_fifth_percentile():
    scores = np.stack([np.linspace(0.1, 1.1, 101), np.zeros(101)], axis=1)
    assert calibrate_hybrid_margin(scores) == pytest.approx(0.15)


def test_faint_small_and_doubled_detections_do_not_count():
    twin = replace(figure("aoi", 2, confidence=0.6), head_xyxy=(45, 30, 57, 45))
    tiny = replace(figure("mio", 0), head_xyxy=(0, 0, 3, 3))
    faint = figure("rin", 4, confidence=0.1)
    assert judge([figure("aoi", 2), twin, tiny, faint], ask("aoi")).success


def test_without_scores_the_label_alone_decides():
    plain = [replace(f, scores=()) for f in (figure("hinata", 1), figure("aoi", 3))]
    verdict = judge(plain, ask("aoi", "hinata"))
    assert verdict.success and [f.asked for f in verdict.found] == [1, 0] and verdict.hybrids == 0


def test_name_outside_the_cast_is_said():
    with pytest.raises(ValueError, match=r"nobody in the cast is called 'kaede'; the cast is: aoi, hinata, mio, rin"):
        judge([], ask("kaede"))
    with pytest.raises(ValueError, match="no form 'bun'"):
        judge([], ask("aoi/bun"))


def test_a_head_under_three_thousandths_of_the_picture_is_nobody():
    aoi = figure("aoi", 1)
    assert judge([aoi, replace(figure("hinata", 3), head_xyxy=(60, 31, 65, 36))], ask("aoi")).success
    assert judge([aoi, replace(figure("hinata", 3), head_xyxy=(60, 31, 66, 37))], ask("aoi")).num_found == 2


def test_a_faint_large_head_takes_nobody_away():
    """A small head inside a large one is an ornament only where the large one is at least as sure."""
    heads = [(10, 30, 25, 45), (60, 30, 75, 45)]
    two = [replace(figure(n, c), head_xyxy=h) for n, c, h in zip(("aoi", "hinata"), (1, 3), heads, strict=True)]
    large = replace(figure("mio", 2, confidence=0.31), head_xyxy=(5, 5, 80, 80))
    found = judge([*two, large], ask("aoi", "hinata")).found
    assert [f.character for f in found if f.confidence > 0.5] == ["aoi", "hinata"]
    assert [f.character for f in judge([*two, replace(large, confidence=0.9)], ask("mio")).found] == ["mio"]
