"""Figures over many verdicts, on cases whose answer is known."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from fullcast.judging.counterfactual import SWAPPED
from fullcast.judging.statistics import wilson
from fullcast.judging.summary import NOBODY, summarize
from fullcast.judging.verdict import judge_picture
from fullcast.records import Cast, Character, Found, Placement, Scene

CAST = Cast("test", tuple(Character(n, n) for n in ("aoi", "hinata", "mio")))


def figure(name: str, column: int, row: int = 1) -> Found:
    x, y = 20 * column + 10, 20 * row + 10
    scores = tuple(0.9 if c == name else 0.2 for c in CAST.names)
    return Found((x - 8, y - 7, x + 8, y + 20), (x - 6, y - 6, x + 6, y + 6), 0.9, name, "", 0.9, 0.7, scores=scores)


def scene(index: int, people: dict[str, int | None]) -> Scene:
    placed = tuple(Placement(n, cell=None if c is None else (c, 1)) for n, c in people.items())
    return Scene(f"s{index}", "park", placed)


def verdict(asked: Scene, found: list[Found]):
    return judge_picture(found, asked, CAST, width=100, height=100)


def test_success_counts_and_confusions():
    one, two = scene(1, {"aoi": None}), scene(2, {"aoi": None, "hinata": None})
    third = scene(3, {"hinata": None, "mio": None})
    verdicts = [
        verdict(one, [figure("aoi", 2)]),
        verdict(two, [figure("aoi", 1), figure("hinata", 3)]),
        verdict(third, [figure("hinata", 1), figure("hinata", 3), figure("mio", 4)]),
    ]
    summary = summarize(verdicts, [one, two, third], CAST)
    assert [c.num_people for c in summary.by_count] == [1, 2]
    single, double = summary.by_count
    assert single.success.value == 1 and single.p_eff == 1
    assert (double.success.value, double.success.low, double.success.high) == (0.5, *wilson(1, 2))
    assert double.p_eff == pytest.approx(math.sqrt(0.5))
    assert double.count_accuracy.value == 0.5 and double.count_bias == 0.5
    assert double.id_recall.value == 1.0 and double.id_precision.value == pytest.approx(4 / 5)
    assert double.failures == {"too many": 1, "duplicate": 1}
    assert summary.count_confusion == {1: {1: 1}, 2: {2: 1, 3: 1}}
    assert summary.auc == pytest.approx(0.75)
    assert summary.places is None
    json.dumps(summary.to_json())


def test_identity_confusion_says_what_was_drawn_instead():
    asked = scene(1, {"aoi": None, "hinata": None})
    verdicts = [verdict(asked, [figure("aoi", 1), figure("mio", 3)]), verdict(asked, [figure("aoi", 2)])]
    table = summarize(verdicts, [asked], CAST).identity_confusion
    assert table["aoi"] == {"aoi": 2}
    assert table["hinata"] == {"mio": 1, NOBODY: 1}


def test_places_have_lift_only_when_they_are_obeyed():
    generator = np.random.default_rng(3)
    scenes, obedient, central = [], [], []
    for i in range(60):
        asked = scene(i, {"aoi": int(generator.integers(5))})
        scenes.append(asked)
        obedient.append(verdict(asked, [figure("aoi", asked.people[0].cell[0])]))
        central.append(verdict(asked, [figure("aoi", 2)]))
    good, lazy = summarize(obedient, scenes, CAST).places, summarize(central, scenes, CAST).places
    assert good.exact_cell.value == 1 and good.distance == pytest.approx(0) and good.lift.low > 0.6
    assert lazy.lift.value == pytest.approx(0, abs=1e-9) and lazy.lift.low < 0 < lazy.lift.high
    assert lazy.exact_cell.value == pytest.approx(lazy.exact_cell_chance)


def test_a_model_that_obeys_owes_nothing_to_chance_where_all_places_differ():
    """Its own place, also that of another picture of its scene or of the swapped scene, is no other place."""
    scenes = [scene(i, {"aoi": i}) for i in range(5)]
    verdicts = [verdict(s, [figure("aoi", s.people[0].cell[0])]) for s in scenes for _ in range(3)]
    places = summarize(verdicts, scenes, CAST).places
    assert (places.exact_cell.value, places.exact_cell_chance, places.lift.value) == (1, 0, 1)
    # Five scenes in which nothing varies are not certain: as wide as the share of fifteen people of five prompts.
    assert places.lift.low == pytest.approx(places.exact_cell.low) == wilson(5, 5)[0]
    two = scene(7, {"aoi": 0, "hinata": 4})
    swapped = Scene(two.id + SWAPPED, two.prompt, (two.people[1], two.people[0]))
    both = [verdict(s, [figure("aoi", 0), figure("hinata", 4)]) for s in (two, swapped)]
    alone = summarize(both, [two, swapped], CAST).places
    assert alone.exact_cell.value == 1 and math.isnan(alone.exact_cell_chance) and math.isnan(alone.lift.value)


def test_chance_is_of_scenes_of_as_many_people_however_many_are_there():
    """Of two asked for, one is there: it is scored against the first or second place of the other scenes of two."""
    two, other, one = scene(0, {"aoi": 0, "hinata": 3}), scene(1, {"mio": 1, "aoi": 3}), scene(2, {"hinata": 1})
    verdicts = [verdict(two, [figure("hinata", 3)]), verdict(other, []), verdict(one, [figure("hinata", 1)])]
    places = summarize(verdicts, [two, other, one], CAST).places
    assert (places.num_pictures, places.exact_cell.value) == (2, 1)
    # Of the first picture: the last has no other scene of one.
    assert (places.exact_cell_chance, places.lift.value) == (1, 0)


def test_a_scene_and_its_swapped_one_are_one_prompt():
    scenes = [scene(i, {"aoi": 0, "hinata": 4}) for i in range(4)]
    scenes += [Scene(s.id + SWAPPED, s.prompt, (s.people[1], s.people[0])) for s in scenes]
    verdicts = [verdict(s, [figure("aoi", 1), figure("hinata", 3)] if s.id[1] in "01" else []) for s in scenes]
    [count] = summarize(verdicts, scenes, CAST).by_count
    assert (count.num_pictures, count.num_scenes) == (8, 4)
    assert count.success.high - count.success.low > wilson(4, 8)[1] - wilson(4, 8)[0] + 0.1


def test_pair_order():
    asked = scene(1, {"aoi": 0, "hinata": 2, "mio": 4})
    right = summarize([verdict(asked, [figure("aoi", 0), figure("hinata", 1), figure("mio", 3)])], [asked], CAST)
    assert right.places.pair_order.value == 1 and right.places.exact_cell.value == pytest.approx(1 / 3)
    swapped = summarize([verdict(asked, [figure("hinata", 0), figure("aoi", 2), figure("mio", 4)])], [asked], CAST)
    assert swapped.places.pair_order.value == pytest.approx(2 / 3)


def test_places_are_counted_over_people_and_measured_in_pixels():
    """Three right in one picture, one wrong in another: three people of four; a column of a picture of 200 x 100 is 40
    of the 223.6 pixels of its diagonal."""
    asked = scene(1, {"aoi": 0, "hinata": 2, "mio": 4})
    other = Scene("s2", "", asked.people)
    wide = judge_picture([replace(figure("aoi", 1), head_xyxy=(54, 24, 66, 36))], other, CAST, width=200, height=100)
    right = verdict(asked, [figure("aoi", 0), figure("hinata", 2), figure("mio", 4)])
    places = summarize([right, wide], [asked, other], CAST).places
    assert (places.exact_cell.value, places.exact_cell.n) == (0.75, 4)
    assert places.distance == pytest.approx(40 / math.hypot(200, 100) / 4)


def test_people_of_one_prompt_are_no_independent_people():
    """Twenty pictures of three, all there in half of them and none in the other half: sixty people worth twenty."""
    scenes = [scene(i, {"aoi": None, "hinata": None, "mio": None}) for i in range(20)]
    everybody = [figure(name, column) for name, column in zip(CAST.names, (0, 2, 4), strict=True)]
    verdicts = [verdict(s, everybody if i % 2 else []) for i, s in enumerate(scenes)]
    recall = summarize(verdicts, scenes, CAST).by_count[0].id_recall
    assert (recall.value, recall.n) == (0.5, 60) and recall.low < wilson(10, 20)[0]


def test_precision_where_nobody_was_found_is_nothing():
    empty = scene(1, {"aoi": None})
    [count] = summarize([verdict(empty, [])], [empty], CAST).by_count
    assert (count.id_precision.value, count.id_precision.n, count.id_f1) == (0, 0, 0)


def test_a_verdict_without_its_scene_is_said():
    asked = scene(1, {"aoi": None})
    with pytest.raises(ValueError, match="s1"):
        summarize([verdict(asked, [])], [], CAST)
