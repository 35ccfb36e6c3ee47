"""S_N@k: the best of k pictures, picked by one scorer and judged by another."""

from __future__ import annotations

from collections.abc import Sequence

from fullcast.judging.counterfactual import prompt_of
from fullcast.judging.rows import Row
from fullcast.judging.statistics import Estimate, clustered_share
from fullcast.records import Verdict


def faults(verdict: Verdict) -> tuple[int, int, float]:
    """How far a picture is from right; less is better: people missing or too many, hybrids, and (with the sign
    turned) how sure the scorer is of its least sure matched figure."""
    wrong = len(verdict.missing) + verdict.extra + abs(verdict.num_found - verdict.num_asked)
    surest = min((figure.margin for figure in verdict.found if figure.asked >= 0), default=0.0)
    return wrong, verdict.hybrids, -surest


def pick(scored: Sequence[Row]) -> Row:
    """The picture with the fewest faults; of equals the first."""
    return min(scored, key=lambda row: faults(row.verdict))


def success_at(judged: Sequence[Row], scored: Sequence[Row], k: int, num_people: int) -> Estimate:
    """S_N@k: of each scene's first ``k`` pictures the scorer picks one, the judge says whether it is right.

    ``scored`` holds the same pictures (by id) as other networks saw them: a scorer that is the judge picks what the
    judge errs on. Raises ValueError where a picture was not scored. Scenes with fewer than ``k`` pictures are left out.
    """
    right = {row.verdict.picture_id: row.verdict.success for row in judged if row.num_people == num_people}
    by_scene: dict[str, list[Row]] = {}
    seen = {row.verdict.picture_id: row for row in scored}
    for row in judged:
        if row.num_people == num_people:
            if row.verdict.picture_id not in seen:
                raise ValueError(f"{row.verdict.picture_id} was judged but not scored; score the same pictures")
            by_scene.setdefault(row.scene.id, []).append(seen[row.verdict.picture_id])
    groups = {scene: group[:k] for scene, group in by_scene.items() if len(group) >= k}
    picked = [right[pick(group).verdict.picture_id] for group in groups.values()]
    return clustered_share(picked, [*map(prompt_of, groups)]) if picked else Estimate(float("nan"), 0.0, 1.0, 0)
