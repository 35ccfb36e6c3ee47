"""The same noise asked twice, two people changing places: only a model that listens passes both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fullcast.judging.rows import Row
from fullcast.judging.statistics import Estimate, clustered_share
from fullcast.judging.verdict import column
from fullcast.records import Scene, Verdict

SWAPPED = "-swapped"
"""Ends the id of a scene that is another one with two places changed; `benchmark.seed_of` gives both one noise."""


def prompt_of(scene_id: str) -> str:
    """The unit of every interval: a scene and its swapped one have the same people and noise, and count as one."""
    return scene_id.removesuffix(SWAPPED)


@dataclass(frozen=True, slots=True)
class Pairs:
    """After SpatialBench-UC (2602.13462): a pair passes, fails, or is undecided where somebody is not there at all.

    Pairs of one scene, each from a noise of its own, are no independent pairs: intervals are over scenes."""

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
    """None where no scene has its swapped one. A pair's two pictures share their noise, the first of each where there
    are several; of those whose noise is not known the first of the one goes with the first of the other, and so on."""
    found: dict[tuple[str, int, int], Verdict] = {}
    unknown: Counter[str] = Counter()
    for row in rows:
        found.setdefault((row.scene.id, row.seed, unknown[row.scene.id] if row.seed < 0 else 0), row.verdict)
        unknown[row.scene.id] += row.seed < 0
    pairs = [
        (scene, verdict, other)
        for (scene, seed, nth), verdict in found.items()
        if (other := found.get((scene + SWAPPED, seed, nth))) is not None
    ]
    if not pairs:
        return None
    scenes = [scene for scene, _, _ in pairs]
    decided = [not a.missing and not b.missing for _, a, b in pairs]
    passed = [a.success_placed and b.success_placed for _, a, b in pairs]
    of_decided = [(p, scene) for p, d, scene in zip(passed, decided, scenes, strict=True) if d]
    return Pairs(
        clustered_share(passed, scenes),
        clustered_share(decided, scenes),
        clustered_share([p for p, _ in of_decided], [scene for _, scene in of_decided]),
    )
