"""Whom a sheet holds, and what agreement is, on rows and labels with known answers."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from fullcast.judging.blind import agreement, draw_blind, kappa, success_by_person
from fullcast.judging.rows import Row
from tests.judging.cases import ask, perfect, row


def rows_of(num_people: int, right: int, wrong: int) -> list[Row]:
    names = ("aoi", "hinata", "mio", "rin", "sora")[:num_people]
    scenes = [ask(f"n{num_people}-{i}", *names) for i in range(right + wrong)]
    return [row(scene, perfect(scene)[: None if i < right else -1]) for i, scene in enumerate(scenes)]


def test_a_sheet_is_balanced_in_numbers_and_verdicts_and_its_order_tells_nothing() -> None:
    rows = [*rows_of(1, 30, 10), *rows_of(2, 3, 40), *rows_of(3, 0, 40)]
    chosen = draw_blind(rows, 60, seed=1)
    counts = Counter((r.num_people, r.verdict.success) for r in chosen)
    assert counts == {(1, True): 10, (1, False): 10, (2, True): 3, (2, False): 17, (3, False): 20}
    assert chosen == draw_blind(rows, 60, seed=1) != draw_blind(rows, 60, seed=2)
    first = Counter(r.verdict.success for r in chosen[:30])
    assert min(first[True], 13 - first[True]) >= 2, "right ones are not all in one half"


def test_where_there_are_few_pictures_of_a_number_the_others_fill_up() -> None:
    chosen = draw_blind([*rows_of(1, 2, 1), *rows_of(2, 40, 40)], 40, seed=0)
    assert Counter(r.num_people for r in chosen) == {1: 3, 2: 37}
    assert len(draw_blind(rows_of(1, 2, 1), 60, seed=0)) == 3


def test_agreement_counts_each_kind_and_leaves_unclear_out() -> None:
    sheet = dict(enumerate([*rows_of(1, 4, 0), *rows_of(2, 0, 6)], 1))
    labels = {n: "right" for n in (1, 2, 3, 5)} | {n: "wrong" for n in (4, 6, 7, 8, 9)} | {10: "unclear"}
    found = agreement(sheet, labels)  # type: ignore[arg-type]
    assert (found.num_labels, found.num_unclear, found.disagreed) == (10, 1, (4, 5))
    assert (found.called_right.value, found.called_right.n) == (0.75, 4)
    assert (found.called_wrong.value, found.called_wrong.n) == (0.8, 5)
    assert found.same.value == pytest.approx(7 / 9)
    chance = (4 / 9) ** 2 + (5 / 9) ** 2
    assert found.kappa == pytest.approx((7 / 9 - chance) / (1 - chance))
    with pytest.raises(ValueError, match="11"):
        agreement(sheet, {11: "right"})


def test_kappa_is_one_of_the_same_zero_of_chance_and_nan_where_only_one_word_is_said() -> None:
    assert kappa([True, False, True], [True, False, True]) == 1
    assert kappa([True, True, False, False], [True, False, True, False]) == 0
    assert math.isnan(kappa([True, True], [True, True])) and math.isnan(kappa([], []))


def test_success_in_a_person_s_eyes_undoes_that_the_sample_is_half_right() -> None:
    """The judge calls 0.2 of 1,000 right; of 50 called right the person confirms 40, of 50 others he calls 5 right."""
    sheet = dict(enumerate([*rows_of(1, 50, 0), *rows_of(2, 0, 50)], 1))
    labels = {n: "right" if n <= 40 or n > 95 else "wrong" for n in sheet}
    by_person = success_by_person(sheet, labels, 0.2, 1000)  # type: ignore[arg-type]
    assert by_person.value == pytest.approx(0.2 * 0.8 + 0.8 * 0.1)
    assert by_person.low < 0.2 and by_person.high > 0.28 and by_person.n == 100
    assert math.isnan(success_by_person(sheet, {1: "right"}, 0.2, 1000).value), "no label of what was called wrong"
    assert success_by_person(sheet, {60: "right", 61: "wrong"}, 0.0, 1000).value == 0.5
