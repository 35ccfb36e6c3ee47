"""Many verdicts as figures: success by number of people, counts, names, places, each with its interval."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fullcast.judging.config import JudgingConfig
from fullcast.judging.counterfactual import prompt_of
from fullcast.judging.places import Places, measure_places
from fullcast.judging.statistics import Estimate, clustered_share
from fullcast.judging.verdict import failures, pair
from fullcast.records import UNKNOWN, Cast, Scene, Verdict

NOBODY = "(nobody)"
"""The column of the confusion table for somebody asked for who has no figure at all."""


@dataclass(frozen=True, slots=True)
class CountSummary:
    """All pictures that asked for one number of people."""

    num_people: int
    num_pictures: int
    num_scenes: int
    """A scene and its swapped one count once."""
    success: Estimate
    """S_N: as many people as asked, each matched over the full cast, no duplicate, no intruder."""
    success_placed: Estimate
    """S_N and everybody in place; equal to S_N where no place was asked for."""
    p_eff: float
    """S_N to the power 1/N: success per person if people failed independently. Flat over N: only compounding."""
    count_accuracy: Estimate
    count_bias: float
    """Mean of found minus asked."""
    count_mae: float
    occm: float
    """On-stage character count matching (ViStoryBench, Zhuang et al. 2025): mean of 100 exp(-|M - N| / (1e-6 + N))."""
    id_recall: Estimate
    """People asked for who are there; the prompt is the unit, as for all shares."""
    id_precision: Estimate
    """Figures who were asked for; 0 where nobody was found."""
    id_f1: float
    failures: dict[str, int] = field(default_factory=dict)
    """Pictures by what went wrong; one picture may be counted under several."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a folder of judged pictures says of a model."""

    by_count: tuple[CountSummary, ...]
    auc: float
    """Mean of S_N over the numbers of people that were judged: one figure for the whole curve."""
    count_confusion: dict[int, dict[int, int]]
    """asked -> found -> pictures."""
    identity_confusion: dict[str, dict[str, int]]
    """asked character -> what its figure was taken for -> times; `unknown` and `(nobody)` are columns."""
    places: Places | None
    """None: no place was asked for."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def summarize(
    verdicts: Sequence[Verdict], scenes: Sequence[Scene], cast: Cast, config: JudgingConfig | None = None
) -> Summary:
    """The figures of `verdicts` on `scenes` (matched by scene id; several pictures of one scene are one cluster,
    with those of its swapped one)."""
    config = config or JudgingConfig()
    by_id = {scene.id: scene for scene in scenes}
    strays = sorted({v.scene_id for v in verdicts} - by_id.keys())
    if strays:
        raise ValueError(f"verdicts on scenes that the scene file does not hold: {', '.join(strays[:5])}")
    judged = [(verdict, by_id[verdict.scene_id]) for verdict in verdicts]
    numbers = sorted({v.num_asked for v in verdicts})
    by_count = tuple(_count(n, [(v, s) for v, s in judged if v.num_asked == n], config) for n in numbers)
    counts: dict[int, Counter[int]] = {n: Counter() for n in numbers}
    for verdict in verdicts:
        counts[verdict.num_asked][verdict.num_found] += 1
    return Summary(
        by_count=by_count,
        auc=sum(c.success.value for c in by_count) / len(by_count) if by_count else math.nan,
        count_confusion={n: dict(sorted(row.items())) for n, row in counts.items()},
        identity_confusion=identity_confusion(judged, cast),
        places=measure_places(judged),
    )


def identity_confusion(judged: Sequence[tuple[Verdict, Scene]], cast: Cast) -> dict[str, dict[str, int]]:
    """K[c][c']: how often the figure paired with c (best assignment, right or wrong) was taken for c'; c is ``unknown``
    for who was asked for without a name."""
    table: dict[str, Counter[str]] = {name: Counter() for name in cast.names}
    for verdict, scene in judged:
        pairs = pair(verdict.found, scene.people, cast)
        for i, placement in enumerate(scene.people):
            label = verdict.found[pairs[i]].character if i in pairs else NOBODY
            table.setdefault(placement.character or UNKNOWN, Counter())[label] += 1
    return {name: dict(row) for name, row in table.items() if row}


def _count(n: int, judged: Sequence[tuple[Verdict, Scene]], config: JudgingConfig) -> CountSummary:
    verdicts = [verdict for verdict, _ in judged]
    clusters = [prompt_of(verdict.scene_id) for verdict in verdicts]

    def over_prompts(outcomes: list[bool]) -> Estimate:
        return clustered_share(outcomes, clusters)

    def over_people(outcomes: list[list[bool]]) -> Estimate:
        told = [(one, cluster) for own, cluster in zip(outcomes, clusters, strict=True) for one in own]
        return clustered_share([one for one, _ in told], [cluster for _, cluster in told])

    success = over_prompts([v.success for v in verdicts])
    errors = [v.num_found - n for v in verdicts]
    figures = [[figure.asked >= 0 for figure in v.found] for v in verdicts]
    recall = over_people([[k < sum(matched) for k in range(n)] for matched in figures])
    precision = over_people(figures) if any(figures) else Estimate(0.0, 0.0, 1.0, 0)
    kinds = Counter(str(kind) for verdict, scene in judged for kind in failures(verdict, scene))
    return CountSummary(
        num_people=n,
        num_pictures=len(verdicts),
        num_scenes=len(set(clusters)),
        success=success,
        success_placed=over_prompts([v.success_placed for v in verdicts]),
        p_eff=success.value ** (1 / n) if n else success.value,
        count_accuracy=over_prompts([e == 0 for e in errors]),
        count_bias=sum(errors) / len(errors),
        count_mae=sum(map(abs, errors)) / len(errors),
        occm=sum(100 * math.exp(-abs(e) / (1e-6 + n)) for e in errors) / len(errors),
        id_recall=recall,
        id_precision=precision,
        id_f1=_f1(recall.value, precision.value),
        failures=dict(kinds),
    )


def _f1(recall: float, precision: float) -> float:
    """0 where nobody was matched."""
    return 2 * recall * precision / (recall + precision) if recall > 0 and precision > 0 else 0.0
