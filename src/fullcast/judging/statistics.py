"""How sure a share or a mean is. Pictures of one prompt are not independent: the prompt is the unit."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

Z_95 = 1.959963984540054
"""Two-sided 95 % point of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval and the number of pictures (or people) behind it."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] n={self.n}"


def wilson(successes: float, n: float, z: float = Z_95) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927; Brown, Cai and DasGupta 2001, section 3.1.1). No trial: (0, 1)."""
    if n <= 0:
        return 0.0, 1.0
    p = successes / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # The formula gives exactly 0 and 1 at the ends; rounding must not take that away.
    return (0.0 if successes <= 0 else float(middle - half)), (1.0 if successes >= n else float(middle + half))


def share(successes: int, n: int) -> Estimate:
    """A single proportion with its Wilson interval; nan without a trial."""
    low, high = wilson(successes, n)
    return Estimate(successes / n if n else float("nan"), low, high, n)


def resampled(num_clusters: int, repeats: int, generator: np.random.Generator) -> np.ndarray:
    """(repeats, num_clusters) float: how often each cluster (prompt) is in each resample with replacement."""
    return generator.multinomial(num_clusters, np.full(num_clusters, 1 / num_clusters), repeats).astype(float)


def middle_95(draws: np.ndarray, num_clusters: int) -> tuple[float, float]:
    """95 % interval from (repeats,) figures of resamples of so many clusters; nan is left out.

    Percentiles farther out than 2.5 and 97.5, since resamples of few clusters vary too little (Hesterberg 2015, The
    American Statistician 69, 371-386, section 4.2.1): by Student's t and by the root of n / (n - 1).
    """
    from scipy.stats import norm, t

    n = max(2, num_clusters)
    tail = 100 * float(norm.cdf(-np.sqrt(n / (n - 1)) * t.ppf(0.975, n - 1)))
    low, high = np.nanpercentile(draws, [tail, 100 - tail])
    return float(low), float(high)


def clustered_share(outcomes: Sequence[bool], clusters: Sequence[Hashable]) -> Estimate:
    """A share over pictures whose seeds are nested in prompts, with the Wilson interval of its effective size.

    The variance between prompts says how many independent pictures the ones at hand are worth (Kish 1965, design
    effect), and Student's t with as many degrees of freedom as there are prompts less one takes the normal's place
    (Korn and Graubard 1998). Covers 0.94 to 0.97 from 16 prompts on where a bootstrap covers 0.89 to 0.95
    (`make check-judge-2`). People or figures are outcomes too: those of one prompt fail together. One outcome a prompt:
    plain Wilson. All or none succeeded: Wilson over prompts. No outcome: nan in (0, 1).
    """
    n, successes = len(outcomes), int(np.sum(outcomes))
    if not n:
        return share(0, 0)
    sums, counts = _by_cluster([float(o) for o in outcomes], clusters)
    num_clusters = len(sums)
    if num_clusters == n:
        return share(successes, n)
    p = successes / n
    if successes in (0, n) or num_clusters == 1:
        low, high = wilson(num_clusters * p, num_clusters)
        return Estimate(p, low, high, n)
    variance = _variance(sums, counts)
    worth = min(float(n), p * (1 - p) / variance) if variance > 0 else float(n)
    low, high = wilson(p * worth, worth, _t(num_clusters))
    return Estimate(p, low, high, n)


def clustered_mean(values: Sequence[float], clusters: Sequence[Hashable]) -> Estimate:
    """A mean of values nested in prompts, with Student's t interval over prompts; nan without a value, and no interval
    (both ends nan) from one prompt."""
    if not len(values):
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    sums, counts = _by_cluster(values, clusters)
    mean = float(sums.sum() / counts.sum())
    if len(sums) < 2:
        return Estimate(mean, float("nan"), float("nan"), len(values))
    half = _t(len(sums)) * float(np.sqrt(_variance(sums, counts)))
    return Estimate(mean, mean - half, mean + half, len(values))


def paired_difference(a: np.ndarray, b: np.ndarray, clusters: Sequence[Hashable]) -> tuple[float, float]:
    """95 % interval of b - a, shares over pairs of pictures, (num_pairs,) 0 or 1 each, nested in prompts.

    Newcombe's score interval of as many pairs as these are worth, as in `clustered_share`: by the variance of the
    difference between prompts. It is wide enough without Student's t (0.94 to 0.97 from 16 prompts on; with it 0.98).
    All prompts differ alike: as many pairs as there are prompts. No pair differs: 3 over the number of prompts either
    way (the rule of three).
    """
    change = b - a
    sums, counts = _by_cluster(change.tolist(), clusters)
    num_clusters, n = len(sums), len(change)
    if not change.any():
        most = min(1.0, 3 / num_clusters)
        return -most, most
    variance = _variance(sums, counts) if num_clusters > 1 else 0.0
    worth = float(num_clusters)
    if num_clusters < n and variance > 1e-15:
        worth = min(float(n), max(1.0, float(change.var()) / variance))
    both, only_a, only_b, neither = (
        float(((a == x) & (b == y)).sum()) * worth / n for x, y in ((1, 1), (1, 0), (0, 1), (0, 0))
    )
    return newcombe(both, only_a, only_b, neither)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the given order: the smallest times their number, and so on down, never falling (Holm
    1979). One below 0.05 holds with a chance of 0.05 that any of them is wrong. nan stays nan and does not count."""
    known = sorted((p, i) for i, p in enumerate(p_values) if p == p)
    adjusted, highest = [float("nan")] * len(p_values), 0.0
    for rank, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        adjusted[i] = highest
    return adjusted


def mcnemar(better: int, worse: int) -> float:
    """Exact two-sided p-value of pairs that differ: ``better`` only right in one, ``worse`` only in the other
    (McNemar 1947; binomial). Without a difference 1."""
    from math import comb

    n = better + worse
    tail = sum(comb(n, k) for k in range(min(better, worse) + 1)) / 2**n
    return min(1.0, 2 * tail)


def pictures_needed(p: float, q: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Pictures in each of two arms that tell shares ``p`` and ``q`` apart with this power, unpaired, two-sided
    (Fleiss, Levin and Paik 2003, section 4.2, without continuity correction)."""
    from math import ceil, sqrt
    from statistics import NormalDist

    z_a, z_b = NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)
    mean = (p + q) / 2
    top = z_a * sqrt(2 * mean * (1 - mean)) + z_b * sqrt(p * (1 - p) + q * (1 - q))
    return ceil((top / (p - q)) ** 2)


def permutation_baseline(scores: np.ndarray, pictures: Sequence[Hashable], targets: Sequence[Hashable]) -> np.ndarray:
    """(P,) what chance gives each picture: the mean of its scores against the targets of all other prompts.

    ``scores`` (P, T): picture i against target j. ``pictures`` (P,) and ``targets`` (T,): their prompts; no picture is
    scored against the target of its own. nan where there is no other. Exact: nothing is drawn. Subtract it from the
    true scores for the lift: a model that puts everybody in the middle has none.
    """
    index = {prompt: i for i, prompt in enumerate(dict.fromkeys([*pictures, *targets]))}
    other = np.array([index[p] for p in pictures])[:, None] != np.array([index[t] for t in targets])
    number = other.sum(1)
    return np.where(number > 0, (scores * other).sum(1) / np.maximum(1, number), np.nan)


def newcombe(both: float, only_a: float, only_b: float, neither: float) -> tuple[float, float]:
    """Score interval of the difference b - a of two paired shares (Newcombe 1998, Statistics in Medicine 17, 2635-2650,
    method 10). Counts of pairs, which may be fractions, of at least one in all."""
    n = both + only_a + only_b + neither
    a, b = (both + only_a) / n, (both + only_b) / n
    (low_a, high_a), (low_b, high_b) = wilson(both + only_a, n), wilson(both + only_b, n)
    product = both * neither - only_a * only_b
    if product > 0:
        product = max(0.0, product - n / 2)
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    phi = product / float(np.sqrt(margins)) if margins > 0 else 0.0

    def reach(x: float, y: float) -> float:
        return float(np.sqrt(max(0.0, x * x - 2 * phi * x * y + y * y)))

    return b - a - reach(b - low_b, high_a - a), b - a + reach(high_b - b, a - low_a)


def rogan_gladen(observed: float, sensitivity: float, specificity: float) -> float:
    """The true share behind an observed one, given how often the judge is right (Rogan and Gladen 1978), in [0, 1].

    nan when the judge is no better than a coin: then nothing can be said.
    """
    youden = sensitivity + specificity - 1
    if youden <= 0:
        return float("nan")
    return float(np.clip((observed + specificity - 1) / youden, 0, 1))


def _by_cluster(values: Sequence[float], clusters: Sequence[Hashable]) -> tuple[np.ndarray, np.ndarray]:
    """(num_clusters,) sums and numbers of values."""
    index = {cluster: i for i, cluster in enumerate(dict.fromkeys(clusters))}
    where = np.array([index[cluster] for cluster in clusters])
    sums = np.bincount(where, weights=np.asarray(values, dtype=float), minlength=len(index))
    return sums, np.bincount(where, minlength=len(index)).astype(float)


def _variance(sums: np.ndarray, counts: np.ndarray) -> float:
    """Of the mean over all values, from the residuals of two clusters or more (linearised)."""
    residuals = sums - sums.sum() / counts.sum() * counts
    return len(sums) / (len(sums) - 1) * float(residuals @ residuals) / float(counts.sum()) ** 2


def _t(num_clusters: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, num_clusters - 1))
