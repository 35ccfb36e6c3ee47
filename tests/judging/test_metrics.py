"""Every metric on hand-made pictures whose answer is known: perfect, swapped, one missing, one extra, all blended,
empty; and a leak that was put in by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from fullcast.judging.best_of import success_at
from fullcast.judging.bleeding import measure_bleeding, measure_leakage
from fullcast.judging.config import JudgingConfig
from fullcast.judging.contrast import Contrast
from fullcast.judging.counterfactual import SWAPPED, counterfactual_pairs, with_swaps
from fullcast.judging.detect_compare import detect_and_compare
from fullcast.judging.error import measure_error, true_margin
from fullcast.judging.hair import color_groups, hair_color, nearest_group, to_lab
from fullcast.judging.head_sizes import by_head_size
from fullcast.judging.measure_tables import measure_tables
from fullcast.judging.measures import Error, Known, corrected, measure
from fullcast.judging.statistics import Estimate
from tests.judging.cases import CAST, NAMES, ask, figure, perfect, row

PAIRS = [ask(f"n2-{i:02d}", a, b, columns=(1, 3)) for i, (a, b) in enumerate(combinations(NAMES, 2))]
MARGIN = 0.03


def asked_for(kind: str, scene):
    """The figures of one kind of picture."""
    a, b = (person.character for person in scene.people)
    other = next(name for name in NAMES if name not in (a, b))
    return {
        "perfect": perfect(scene),
        "swapped": [figure(b, 1), figure(a, 3)],
        "one missing": [figure(a, 1)],
        "one extra": [*perfect(scene), figure(other, 4)],
        "all blended": [figure(a, 1, second=b), figure(b, 3, second=a)],
        "empty": [],
    }[kind]


ANSWERS = {
    # kind: S_2, S_2 in place, counted right, recall, precision, hybrids, left-right order
    "perfect": (1, 1, 1, 1, 1, 0, 1),
    "swapped": (1, 0, 1, 1, 1, 0, 0),
    "one missing": (0, 0, 0, 0.5, 1, 0, math.nan),
    "one extra": (0, 0, 0, 1, 2 / 3, 0, 1),
    "all blended": (1, 1, 1, 1, 1, 1, 1),
    "empty": (0, 0, 0, 0, 0, math.nan, math.nan),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_known_answers(kind: str):
    measures = measure([row(scene, asked_for(kind, scene)) for scene in PAIRS], CAST)
    count = measures.summary.by_count[0]
    places = measures.summary.places
    found = (
        count.success.value,
        count.success_placed.value,
        count.count_accuracy.value,
        count.id_recall.value,
        count.id_precision.value,
        measures.bleeding.hybrids.value,
        places.pair_order.value if places else math.nan,
    )
    np.testing.assert_allclose(found, ANSWERS[kind])
    assert count.p_eff == pytest.approx(math.sqrt(ANSWERS[kind][0]))


def test_scenes_with_somebody_who_has_no_name_are_measured():
    scenes = [ask(f"s{i}", name, "unknown", columns=(0, 4)) for i, name in enumerate(("aoi", "mio"))]
    rows = [*(row(scene, perfect(scene)) for scene in scenes), *(row(scene, perfect(scene)) for scene in PAIRS)]
    measures = measure(rows, CAST, known=Known(similarity=np.eye(6)))
    assert measures.summary.by_count[0].success.value == 1
    assert measures.summary.identity_confusion["unknown"] == {"unknown": 2}
    assert measures.detect_and_compare == measure(rows[2:], CAST, known=Known(similarity=np.eye(6))).detect_and_compare
    assert measure_error(rows, CAST)[2].sensitivity == 1
    assert measure(rows[:2], CAST, known=Known(similarity=np.eye(6))).detect_and_compare == {}


def test_a_leak_that_was_put_in_is_found_and_weak_identity_is_none():
    """Hinata is drawn as aoi whenever aoi is asked for too; then: as mio, whoever else is asked for."""

    def drawn(scene, as_whom, only_with: str):
        together = only_with in {p.character for p in scene.people}
        return [
            figure(as_whom if p.character == "hinata" and (together or not only_with) else p.character, i)
            for i, p in enumerate(scene.people)
        ]

    leak = measure_bleeding([row(s, drawn(s, "aoi", "aoi")) for s in PAIRS], CAST, MARGIN)
    assert leak.pairs["hinata"]["aoi"] == 1 and leak.pairs["mio"]["aoi"] == 0
    assert (
        leak.lift.difference.value == pytest.approx(1 / 30) and leak.lift.unexposed == 0 and math.isnan(leak.lift.ratio)
    )
    weak = measure_bleeding([row(s, drawn(s, "mio", "")) for s in PAIRS], CAST, MARGIN)
    assert weak.pairs["hinata"]["mio"] == pytest.approx(0)
    assert weak.lift.difference.low <= 0 <= weak.lift.difference.high


def test_shuffled_labels_give_no_lift():
    """Whoever is asked for, figures are anybody's: mistakes abound, none of them is a leak. Compared without care they
    would be one of -0.16, since a mistake for somebody in the prompt is often taken for that one."""
    generator = np.random.default_rng(5)
    rows = []
    for repeat in range(12):
        for scene in PAIRS:
            names = [str(n) for n in generator.choice(NAMES, 2)]
            rows.append(row(scene, [figure(n, i) for i, n in enumerate(names)], seed=repeat))
    found = measure_bleeding(rows, CAST, MARGIN)
    assert abs(found.lift.difference.value) < 0.02
    assert np.mean([v for pairs in found.pairs.values() for v in pairs.values()]) < -0.1


def test_one_person_a_scene_says_nothing_of_leaking():
    rows = [row(ask(f"n1-{n}", n), [figure(n, 2)]) for n in NAMES]
    assert measure_bleeding(rows, CAST, MARGIN).lift is None


COLORS = {"aoi": (30.0, 0.0, 0.0), "hinata": (60.0, 50.0, 30.0), "mio": (60.0, 52.0, 33.0), "rin": (40.0, 10.0, -50.0)}


def test_hair_of_somebody_else_in_the_prompt():
    scenes = [s for s in PAIRS if {p.character for p in s.people} <= COLORS.keys()]
    own = [row(s, perfect(s), hair=tuple(COLORS[p.character] for p in s.people)) for s in scenes]
    none = measure_leakage(own, COLORS)
    assert none.right.value == 1 and none.leak.difference.value == 0
    # Rin takes the hair of whoever stands beside her.
    leaking = [
        row(
            s,
            perfect(s),
            hair=tuple(
                COLORS[next(o.character for o in s.people if o is not p) if p.character == "rin" else p.character]
                for p in s.people
            ),
        )
        for s in scenes
    ]
    found = measure_leakage(leaking, COLORS)
    assert found.leak.difference.value > 0.2 and found.leak.unexposed == 0
    assert found.pairs["rin"]["aoi"] == 1 and found.pairs["aoi"]["rin"] == 0


def test_colours_near_each_other_have_one_name():
    groups = color_groups(COLORS)
    assert groups["hinata"] == groups["mio"] and len(set(groups.values())) == 3
    assert nearest_group((61, 49, 31), COLORS, groups) == groups["hinata"]
    assert nearest_group((), COLORS, groups) == ""
    assert measure_leakage([], {"aoi": COLORS["aoi"], "b": COLORS["aoi"]}) is None


def test_hair_is_read_from_the_upper_part_of_the_head():
    image = np.full((100, 100, 3), 200, np.uint8)
    image[20:40, 30:70] = (53, 96, 200)  # blue hair
    image[40:60, 30:70] = (247, 217, 196)  # face
    image[22:26, 40:60] = (216, 52, 44)  # a ribbon
    read = hair_color(image, (30, 20, 70, 60))
    assert np.allclose(read, to_lab(np.array([[53, 96, 200]], np.uint8))[0], atol=0.1)
    assert hair_color(image, None) == () and hair_color(image, (200, 200, 240, 240)) == ()


def test_lab_of_known_colours():
    lab = to_lab(np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0]], np.uint8))
    np.testing.assert_allclose(lab, [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20]], atol=0.02)


def test_detect_and_compare():
    truth = np.full((6, 6), 0.2) + 0.7 * np.eye(6)
    scene = ask("s", "aoi", "hinata")

    def seen(*scores):
        return [figure(n, i) for i, n in enumerate(scores)]

    same = row(scene, seen("hinata", "aoi"))
    flat = [
        f.__class__(**{**_fields(f), "scores": tuple(0.9 if c == f.character else 0.2 for c in NAMES)})
        for f in same.verdict.found
    ]
    exact = same.__class__(scene, same.verdict.__class__(**{**_fields(same.verdict), "found": tuple(flat)}))
    assert detect_and_compare(exact, CAST, truth) == pytest.approx(1)
    assert detect_and_compare(row(scene, seen("aoi")), CAST, truth) == 0
    twice = detect_and_compare(row(scene, seen("aoi", "aoi")), CAST, truth)
    assert twice < 0.5


def _fields(record) -> dict:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def test_counterfactual_pairs():
    scenes = with_swaps(
        [ask("a", "aoi", "hinata", columns=(1, 3)), ask("b", "mio", "rin", columns=(0, 4)), ask("c", "aoi")]
    )
    assert [s.id for s in scenes] == ["a", "a" + SWAPPED, "b", "b" + SWAPPED, "c"]
    swapped = scenes[1]
    assert [(p.character, p.cell[0]) for p in swapped.people] == [("hinata", 1), ("aoi", 3)]
    listens = counterfactual_pairs([row(s, perfect(s)) for s in scenes])
    assert listens.passed.value == 1 and listens.decided.value == 1 and listens.passed.n == 2
    deaf = counterfactual_pairs([row(s, [figure("aoi", 1), figure("hinata", 3)]) for s in scenes[:2]])
    assert deaf.passed.value == 0 and deaf.decided.value == 1
    undecided = counterfactual_pairs([row(scenes[0], perfect(scenes[0])), row(scenes[1], [figure("aoi", 3)])])
    assert undecided.decided.value == 0 and math.isnan(undecided.passed_if_decided.value)
    # A stranger more is no success, but nobody is missing: the pair is decided, and does not pass.
    one_more = [*perfect(scenes[0]), replace(figure("mio", 0), character="unknown", scores=(0.1,) * 6)]
    crowded = counterfactual_pairs([row(scenes[0], one_more), row(scenes[1], perfect(scenes[1]))])
    assert (crowded.decided.value, crowded.passed.value, crowded.passed_if_decided.value) == (1, 0, 0)
    assert counterfactual_pairs([row(scenes[4], [figure("aoi", 2)])]) is None


def test_counterfactual_pairs_of_one_scene_are_one_prompt():
    scenes = with_swaps([ask(f"s{k}", "aoi", "hinata", columns=(1, 3)) for k in range(4)])
    rows = [row(s, perfect(s) if int(s.id[1]) % 2 else [], seed=seed, index=seed) for s in scenes for seed in range(16)]
    passed = counterfactual_pairs(rows).passed
    assert (passed.value, passed.n) == (0.5, 64) and passed.low < 0.15 and passed.high > 0.85


def test_counterfactual_pairs_of_unknown_noise_are_as_many_as_there_are():
    first, second = with_swaps([ask("a", "aoi", "hinata", columns=(1, 3))])
    kinds = [(first, True), (first, False), (second, True), (second, True)]
    rows = [row(s, perfect(s) if right else [], seed=-1, index=k) for k, (s, right) in enumerate(kinds)]
    assert (counterfactual_pairs(rows).passed.value, counterfactual_pairs(rows).passed.n) == (0.5, 2)


def test_best_of_k_needs_a_scorer_of_its_own():
    scenes = PAIRS[:5]
    judged = [
        row(s, perfect(s) if i == 2 else [figure(s.people[0].character, 0)], seed=i, index=i)
        for s in scenes
        for i in range(4)
    ]
    assert success_at(judged, judged, 1, 2).value == 0
    assert success_at(judged, judged, 4, 2).value == 1
    blind = [row(r.scene, [], seed=r.seed, index=r.seed) for r in judged]
    assert success_at(judged, blind, 4, 2).value == 0  # sees nobody, takes the first
    with pytest.raises(ValueError, match="not scored"):
        success_at(judged, judged[1:], 4, 2)
    assert math.isnan(success_at(judged, judged, 8, 2).value)


def test_head_sizes():
    scene = PAIRS[0]
    a, b = (p.character for p in scene.people)
    other = next(n for n in NAMES if n not in (a, b))
    rows = [
        row(scene, [figure(a, 1, head_px=20), figure(b, 3, head_px=20)]),
        row(scene, [figure(a, 1, head_px=20), figure(other, 3, head_px=10)], seed=1),
    ]
    bins = {b.low_px: b for b in by_head_size(rows)}
    assert set(bins) == {0, 16}
    assert bins[16].named.value == 1 and bins[16].named.n == 3 and bins[16].scenes.value == 1
    assert bins[0].named.value == 0 and bins[0].scenes.value == 0 and bins[0].scenes.n == 1


def test_corrected_success_undoes_the_judge_s_errors():
    found = corrected(Estimate(0.72, 0.6, 0.8, 100), Error(0.8, 0.96))
    assert found.value == pytest.approx((0.72 - 0.04) / 0.76) and found.low < found.value < found.high
    measures = measure([row(s, perfect(s)) for s in PAIRS], CAST, known=Known(errors={2: Error(0.9, 1.0)}))
    assert measures.corrected[2].value == 1


def test_the_margin_of_true_figures_needs_twenty():
    ordered = ask("t", "aoi")
    close = [row(ordered, [figure("aoi", 0, sure=0.5, second="mio")], seed=i) for i in range(2)]
    clear = [row(ordered, [figure("aoi", 0, sure=0.9)], seed=i) for i in range(18)]
    assert true_margin(clear) is None
    assert true_margin([*close, *clear]) == pytest.approx(0.01, abs=1e-6)
    assert true_margin([*clear, *clear]) > 0.5


def test_tables_have_a_dash_for_what_has_no_value_and_no_interval_of_a_handful():
    nobody = measure([row(scene, []) for scene in PAIRS], CAST, JudgingConfig(bootstrap_repeats=100), Known())

    def cells(lift: Contrast) -> list[str]:
        told = {"x": replace(nobody, bleeding=replace(nobody.bleeding, lift=lift))}
        return [cell for table in measure_tables(told) for line in table.rows for cell in line]

    nan = float("nan")
    assert not [cell for cell in cells(Contrast(nan, nan, Estimate(nan, nan, nan, 0))) if "nan" in cell]
    for few in (Estimate(0.5, 0.5, 0.5, 40), Estimate(0.5, 0.1, 0.9, 2)):
        assert "+0.500" in cells(Contrast(0.5, 0.0, few))
    assert "+0.500 (+0.100 to +0.900)" in cells(Contrast(0.5, 0.0, Estimate(0.5, 0.1, 0.9, 40)))
