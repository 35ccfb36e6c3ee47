"""Shares over a whole show from a sample of its pictures: drawn by stratum, weighted back, with honest intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fullcast.judging.statistics import Z_95, Estimate, wilson


@dataclass(frozen=True, slots=True)
class Cluster:
    """One sampled picture's part in a share: its people are looked at together and are not independent."""

    stratum: str
    hits: float
    trials: float
    """0: the picture has no say in this share, but it was drawn."""


def stratified_share(clusters: Sequence[Cluster], sizes: Mapping[str, int]) -> Estimate:
    """The share over all pictures, of those sampled; ``sizes``: pictures in each stratum, sampled or not.

    Combined ratio estimator, pictures weighted by N_h / n_h, variance by linearisation with finite populations
    (Cochran 1977, "Sampling Techniques", 6.11 and 5A.1). Its interval is Wilson's with the effective sample size
    p (1 - p) / v, made smaller by (z / t)^2 for few pictures (Korn and Graubard 1998, "Confidence intervals for
    proportions with small expected number of positive counts", Survey Methodology 24; Dean and Pagano 2015 compare it).
    It is never taken smaller than Kish's effective number of pictures, which also speaks where all or none are hits. A
    show that was labelled whole has no sampling error. ``n`` is the number of trials looked at.
    """
    groups: dict[str, list[Cluster]] = defaultdict(list)
    for cluster in clusters:
        groups[cluster.stratum].append(cluster)
    weight = {name: sizes[name] / len(group) for name, group in groups.items()}
    trials = sum(weight[c.stratum] * c.trials for c in clusters)
    seen = int(round(sum(c.trials for c in clusters)))
    if trials <= 0:
        return Estimate(float("nan"), 0.0, 1.0, 0)
    share = sum(weight[c.stratum] * c.hits for c in clusters) / trials
    share = min(1.0, max(0.0, share))
    if len(clusters) >= sum(sizes[name] for name in groups):
        return Estimate(share, share, share, seen)
    effective = _effective(clusters, groups, weight, sizes, share, trials)
    low, high = wilson(share * effective, effective)
    return Estimate(share, low if share > 0 else 0.0, high if share < 1 else 1.0, seen)


def _effective(
    clusters: Sequence[Cluster],
    groups: Mapping[str, Sequence[Cluster]],
    weight: Mapping[str, float],
    sizes: Mapping[str, int],
    share: float,
    trials: float,
) -> float:
    """How many independent trials say as much."""
    fraction = len(clusters) / sum(sizes[name] for name in groups)
    variance = _variance(clusters, groups, weight, sizes, share) / trials**2
    own = np.array([weight[c.stratum] * c.trials for c in clusters])
    # Each picture one trial, with the weights it has: at least so much is known. Near 0 and 1 the variance rests on
    # one or two mistakes and says anything.
    effective = float(own.sum() ** 2 / (own**2).sum()) / (1 - fraction)
    if 0 < share < 1 and variance > 0:
        most = sum(c.trials for c in clusters) / (1 - fraction)
        effective = min(max(share * (1 - share) / variance, effective), most)
    freedom = max(1, len(clusters) - len(groups))
    return max(1e-6, effective * (Z_95 / _t_95(freedom)) ** 2)


def _variance(
    clusters: Sequence[Cluster],
    groups: Mapping[str, Sequence[Cluster]],
    weight: Mapping[str, float],
    sizes: Mapping[str, int],
    share: float,
) -> float:
    """Of the estimated total of residuals hits - share * trials. A stratum with one picture borrows the overall one."""
    pooled = float(np.var([c.hits - share * c.trials for c in clusters], ddof=1)) if len(clusters) > 1 else 0.0
    total = 0.0
    for name, group in groups.items():
        residuals = [c.hits - share * c.trials for c in group]
        spread = float(np.var(residuals, ddof=1)) if len(group) > 1 else pooled
        total += sizes[name] ** 2 * (1 - len(group) / sizes[name]) * spread / len(group)
    return total


def _t_95(freedom: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, freedom))


def allocate(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """How many pictures of each stratum: in proportion to the root of its size, two at least where there are two.

    Half way between equal shares (rare characters are seen) and proportional ones (the whole show's figure is sharp):
    Bankier 1988, "Power allocations", The American Statistician 42, with power 1/2.
    """
    least = {name: min(2, size) for name, size in sizes.items()}
    given = dict(least)
    left = max(0, min(total, sum(sizes.values())) - sum(given.values()))
    while left > 0:
        open_ = [name for name in sizes if given[name] < sizes[name]]
        # One picture at a time to whoever is farthest behind its share: no rounding to repair afterwards.
        name = min(open_, key=lambda n: (given[n] / sizes[n] ** 0.5, n))
        given[name] += 1
        left -= 1
    return given
