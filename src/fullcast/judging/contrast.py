"""How much more often something happens where it could have leaked than where it could not."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from fullcast.judging.statistics import Estimate, middle_95, resampled
from fullcast.store.seeding import rng


@dataclass(frozen=True, slots=True)
class Observation:
    """One chance for something to go wrong."""

    cluster: Hashable
    """The prompt."""
    stratum: Hashable
    """All that makes it go wrong more often by itself, such as the number of people (heads of five are smaller than
    heads of two) and which two it is about: only observations of one stratum are compared."""
    exposed: bool
    """Whether it was there to leak."""
    hit: bool


@dataclass(frozen=True, slots=True)
class Contrast:
    """Shares with and without exposure, over the same strata, each weighted by how much it says (Mantel-Haenszel)."""

    exposed: float
    unexposed: float
    difference: Estimate
    """exposed - unexposed: 0 is no leaking. ``n``: exposed observations."""

    @property
    def ratio(self) -> float:
        """exposed / unexposed: the lift as a factor, 1 is no leaking; nan where it never happens unexposed."""
        return self.exposed / self.unexposed if self.unexposed > 0 else float("nan")


def contrast(observations: Sequence[Observation], repeats: int = 2000, seed: int = 0) -> Contrast | None:
    """None where no stratum holds both kinds.

    A stratum counts by exposed * unexposed / all (Greenland and Robins 1985), which holds where strata are many and
    small. Interval: bootstrap over prompts, all strata of a prompt together; see `at_least_three` where a side has no
    hit.
    """
    strata = [table for table in _strata(observations) if table[:, 1].any() and table[:, 3].any()]
    if not strata:
        return None
    exposed, unexposed = (float(side[0]) for side in _weighted([table.sum(0)[None] for table in strata]))
    num_prompts = len(strata[0])
    times = resampled(num_prompts, repeats, rng(seed, "contrast", len(observations)))
    differences = np.subtract(*_weighted([_drawn(times, table) for table in strata]))
    with_it, without = (np.any([table[:, at] > 0 for table in strata], axis=0).sum() for at in (1, 3))
    interval = middle_95(differences, num_prompts)
    low, high = at_least_three(interval, (exposed, int(with_it)), (unexposed, int(without)))
    n = int(sum(table[:, 1].sum() for table in strata))
    return Contrast(exposed, unexposed, Estimate(exposed - unexposed, low, high, n))


def at_least_three(
    interval: tuple[float, float], exposed: tuple[float, int], unexposed: tuple[float, int]
) -> tuple[float, float]:
    """The interval of exposed - unexposed, wide enough for a side that never happened: no resample has what was not
    seen, but 3 over the number of prompts may be the truth (the rule of three). Sides: (share, prompts)."""
    low, high = interval
    (a, num_a), (b, num_b) = exposed, unexposed
    if b == 0:
        low = min(low, a - min(1.0, 3 / num_b))
    if a == 0:
        high = max(high, min(1.0, 3 / num_a) - b)
    return low, high


def _strata(observations: Sequence[Observation]) -> list[np.ndarray]:
    """(num_prompts, 4) of each stratum: exposed hits, exposed, unexposed hits, unexposed; prompts of all strata."""
    index = {cluster: i for i, cluster in enumerate(dict.fromkeys(o.cluster for o in observations))}
    tables: dict[Hashable, np.ndarray] = {}
    for o in observations:
        table = tables.setdefault(o.stratum, np.zeros((len(index), 4)))
        at = 0 if o.exposed else 2
        table[index[o.cluster], at] += o.hit
        table[index[o.cluster], at + 1] += 1
    return list(tables.values())


def _drawn(times: np.ndarray, table: np.ndarray) -> np.ndarray:
    """(repeats, 4) sums of a (num_prompts, 4) table whose rows are taken ``times`` (repeats, num_prompts)."""
    own = table.any(axis=1)
    return times[:, own] @ table[own]


def _weighted(sums: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(repeats,) shares with and without, over strata of (repeats, 4) sums; nan where no stratum has both."""
    with_it, without, total = np.zeros((3, len(sums[0])))
    for hits, number, other_hits, others in (table.T for table in sums):
        weight = number * others / np.maximum(1, number + others)
        with_it += weight * hits / np.maximum(1, number)
        without += weight * other_hits / np.maximum(1, others)
        total += weight
    total = np.where(total > 0, total, np.nan)
    return with_it / total, without / total
