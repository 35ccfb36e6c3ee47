"""Judged pictures for a person who does not know what the judge said, and how far the two agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from fullcast.judging.counterfactual import prompt_of
from fullcast.judging.rows import Row
from fullcast.judging.statistics import Estimate, clustered_share, middle_95
from fullcast.store.seeding import rng

Label = Literal["right", "wrong", "unclear"]
LABELS: tuple[Label, ...] = get_args(Label)
REPEATS = 2000


def draw_blind(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """At most `count` rows, alike many of each number of people, half of them called right by the judge where there are
    so many; in an order that tells nothing."""
    by_number: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_number[row.num_people].append(row)
    chosen: list[Row] = []
    for left, n in enumerate(sorted(by_number, key=lambda n: (len(by_number[n]), n))):  # few first: others fill up
        quota = (count - len(chosen)) // (len(by_number) - left)
        chosen += _half_right(by_number[n], quota, rng(seed, "blind", str(n)))
    return [chosen[i] for i in rng(seed, "blind", "order").permutation(len(chosen))]


def _half_right(rows: Sequence[Row], quota: int, generator: np.random.Generator) -> list[Row]:
    mixed = [rows[i] for i in generator.permutation(len(rows))]
    right = [row for row in mixed if row.verdict.success]
    wrong = [row for row in mixed if not row.verdict.success]
    num_right = min(len(right), max(quota // 2, quota - len(wrong)))
    return right[:num_right] + wrong[: quota - num_right]


@dataclass(frozen=True)
class Agreement:
    """One person's labels against the judge's verdicts on the same pictures; "unclear" counts in none of the shares."""

    num_labels: int
    num_unclear: int
    same: Estimate
    """Of all pictures: both say right, or both wrong. Of a sample that is half right, not of the series."""
    called_right: Estimate
    """Of pictures that the judge calls right: the person does, too."""
    called_wrong: Estimate
    """Of pictures that the judge calls wrong: the person does, too."""
    kappa: float
    """Cohen 1960: agreement beyond what chance gives with these shares; nan where one of both says one word only."""
    disagreed: tuple[int, ...]
    """Numbers on the sheet."""


def agreement(rows: Mapping[int, Row], labels: Mapping[int, Label]) -> Agreement:
    """`rows`: number on the sheet -> what the judge said. Raises ValueError for a label without a row."""
    if strangers := sorted(set(labels) - set(rows)):
        raise ValueError(f"there is no picture {strangers[0]}")
    told = {number: label == "right" for number, label in labels.items() if label != "unclear"}
    judged = {number: rows[number].verdict.success for number in told}
    return Agreement(
        len(labels),
        len(labels) - len(told),
        _share(rows, [n for n in told], told, judged),
        _share(rows, [n for n in told if judged[n]], told, judged),
        _share(rows, [n for n in told if not judged[n]], told, judged),
        kappa([told[n] for n in told], [judged[n] for n in told]),
        tuple(sorted(n for n in told if told[n] != judged[n])),
    )


def _share(
    rows: Mapping[int, Row], numbers: Sequence[int], told: Mapping[int, bool], judged: Mapping[int, bool]
) -> Estimate:
    if not numbers:
        return Estimate(float("nan"), 0.0, 1.0, 0)
    return clustered_share([told[n] == judged[n] for n in numbers], [prompt_of(rows[n].scene.id) for n in numbers])


def kappa(a: Sequence[bool], b: Sequence[bool]) -> float:
    """Cohen's kappa of two labellings of the same pictures, -1 to 1; nan where chance alone explains everything."""
    if not a:
        return float("nan")
    x, y = np.array(a, float), np.array(b, float)
    chance = x.mean() * y.mean() + (1 - x.mean()) * (1 - y.mean())
    return float(((x == y).mean() - chance) / (1 - chance)) if chance < 1 else float("nan")


def success_by_person(
    rows: Mapping[int, Row], labels: Mapping[int, Label], judged_right: float, num_pictures: int, seed: int = 0
) -> Estimate:
    """What the person would call right of all pictures, of which the judge calls the share `judged_right` right: those
    of them that the person confirms, and those of the others that the judge was too strict with. Both shares are pooled
    over all labels; the interval is of resampled labels and pictures. nan where one of them has no label."""
    by_verdict: dict[bool, list[bool]] = {True: [], False: []}
    for number, label in labels.items():
        if label != "unclear":
            by_verdict[rows[number].verdict.success].append(label == "right")
    weights = {True: judged_right, False: 1 - judged_right}
    if any(weights[verdict] > 0 and not told for verdict, told in by_verdict.items()):
        return Estimate(float("nan"), 0.0, 1.0, 0)
    generator = rng(seed, "blind", "resample")
    shares = generator.binomial(num_pictures, judged_right, REPEATS) / num_pictures
    value, drawn = 0.0, np.zeros(REPEATS)
    for verdict, told in by_verdict.items():
        if told:
            mean = float(np.mean(told))
            value += weights[verdict] * mean
            drawn += (shares if verdict else 1 - shares) * generator.binomial(len(told), mean, REPEATS) / len(told)
    num_labels = sum(map(len, by_verdict.values()))
    return Estimate(value, *middle_95(drawn, num_labels), num_labels)
