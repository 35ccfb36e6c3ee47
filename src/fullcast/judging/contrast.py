"""How much more often something happens where it could have leaked than where it could not."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from fullcast.judging.statistics import Estimate
from fullcast.store.seeding import rng


@dataclass(frozen=True, slots=True)
class Observation:
    """One chance for something to go wrong."""

    cluster: Hashable
    """The prompt."""
    stratum: int
    """Number of people: heads of five are smaller than heads of two, and weak identity must not look like leaking."""
    exposed: bool
    """Whether it was there to leak."""
    hit: bool


@dataclass(frozen=True, slots=True)
class Contrast:
    """Shares with and without exposure, standardised to the strata of the exposed."""

    exposed: float
    unexposed: float
    difference: Estimate
    """exposed - unexposed: 0 is no leaking. ``n``: exposed observations."""

    @property
    def ratio(self) -> float:
        """exposed / unexposed: the lift as a factor, 1 is no leaking; nan where it never happens unexposed."""
        return self.exposed / self.unexposed if self.unexposed > 0 else float("nan")


def contrast(observations: Sequence[Observation], repeats: int = 2000, seed: int = 0) -> Contrast | None:
    """None where no stratum holds both kinds. Interval: bootstrap over prompts, within strata."""
    strata: list[np.ndarray] = []
    for number in sorted({o.stratum for o in observations}):
        own = [o for o in observations if o.stratum == number]
        table = _by_cluster(own)
        if table[:, 1].sum() and table[:, 3].sum():
            strata.append(table)
    if not strata:
        return None
    generator = rng(seed, "contrast", len(observations))
    exposed, unexposed = _standardised([table.sum(0)[None] for table in strata])
    sums = [table[generator.integers(0, len(table), (repeats, len(table)))].sum(1) for table in strata]
    drawn = np.subtract(*_standardised(sums))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    n = int(sum(table[:, 1].sum() for table in strata))
    value = float(exposed[0] - unexposed[0])
    return Contrast(float(exposed[0]), float(unexposed[0]), Estimate(value, float(low), float(high), n))


def _by_cluster(observations: Sequence[Observation]) -> np.ndarray:
    """(num_clusters, 4): exposed hits, exposed, unexposed hits, unexposed."""
    index = {cluster: i for i, cluster in enumerate(dict.fromkeys(o.cluster for o in observations))}
    table = np.zeros((len(index), 4))
    for o in observations:
        at = 0 if o.exposed else 2
        table[index[o.cluster], at] += o.hit
        table[index[o.cluster], at + 1] += 1
    return table


def _standardised(sums: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(repeats,) shares over strata, each weighted by its exposed observations."""
    weight = np.stack([s[:, 1] for s in sums])
    with np.errstate(invalid="ignore", divide="ignore"):
        with_it = np.stack([s[:, 0] / s[:, 1] for s in sums])
        without = np.stack([s[:, 2] / s[:, 3] for s in sums])
    usable = np.isfinite(with_it) & np.isfinite(without)
    weight = np.where(usable, weight, 0)
    total = np.where(weight.sum(0) > 0, weight.sum(0), np.nan)
    return (np.where(usable, with_it, 0) * weight).sum(0) / total, (np.where(usable, without, 0) * weight).sum(
        0
    ) / total
