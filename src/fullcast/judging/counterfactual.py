"""The same noise asked twice, two people changing places: only a model that listens passes both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fullcast.judging.rows import Row
from fullcast.judging.statistics import Estimate, share
from fullcast.judging.verdict import column
from fullcast.records import Scene

SWAPPED = "-swapped"
"""Ends the id of a scene that is another one with two places changed; `benchmark.seed_of` gives both one noise."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """After SpatialBench-UC (2602.13462): a pair passes, fails, or is undecided where somebody is not there at all."""

    passed: Estimate
    """Of all pairs: undecided ones do not pass."""
    decided: Estimate
    """Coverage: pairs in both of whose pictures everybody is there."""
    passed_if_decided: Estimate


def with_swaps(scenes: Sequence[Scene]) -> list[Scene]:
    """Each scene, and after it, where two people or more have places, the one in which first and last change them."""
    answer = []
    for scene in scenes:
        answer.append(scene)
        placed = [i for i, person in enumerate(scene.people) if column(person) is not None]
        if len(placed) > 1:
            first, last = placed[0], placed[-1]
            people = list(scene.people)
            a, b = people[first], people[last]
            people[first] = replace(b, cell=a.cell, box=a.box)
            people[last] = replace(a, cell=b.cell, box=b.box)
            answer.append(replace(scene, id=scene.id + SWAPPED, people=tuple(people)))
    return answer


def counterfactual_pairs(rows: Sequence[Row]) -> Pairs | None:
    """None where no scene has its swapped one. A pair's two pictures share their noise."""
    found = {(row.scene.id, row.seed): row.verdict for row in rows}
    pairs = [
        (v, found[scene + SWAPPED, seed]) for (scene, seed), v in found.items() if (scene + SWAPPED, seed) in found
    ]
    if not pairs:
        return None
    decided = [a.success and b.success for a, b in pairs]
    passed = [a.success_placed and b.success_placed for a, b in pairs]
    return Pairs(share(sum(passed), len(pairs)), share(sum(decided), len(pairs)), share(sum(passed), sum(decided)))
