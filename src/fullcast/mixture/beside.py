"""What other trainers' orders would deliver of the same plan, in the same steps: many draws of each, counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fullcast.mixture.peers import ed1_order, ed2_order, iid_order
from fullcast.mixture.shares import Leaf
from fullcast.mixture.stages import StagePlan
from fullcast.ports import Progress, silent
from fullcast.store.errors import FullcastError

MAX_MULTIPLY = 100.0
"""The seed pipeline's cap on a multiply."""

Order = Callable[[np.ndarray, np.ndarray, int, int, int], np.ndarray]
TRAINERS: dict[str, Order] = {"EveryDream1": ed1_order, "EveryDream2": ed2_order, "i.i.d.": iid_order}


@dataclass(frozen=True, slots=True)
class Range:
    """A share over many draws."""

    branch: str
    planned: float
    listed: float
    """What a whole epoch of the trainer's list would give, were it ever finished."""
    low: float
    """5 % of the draws are below."""
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class Peers:
    """One trainer's delivery of the outermost branches, over all stages."""

    trainer: str
    draws: int
    ranges: tuple[Range, ...]
    within_5_points: float
    """Share of draws in which every branch is within 5 points of its plan."""
    epoch: float
    """Entries of the list; of the longest stage list, where stages differ."""
    never_seen: float
    """Median share of samples of positive weight that no stage visits."""


def compare(stages: Sequence[StagePlan], draws: int, progress: Progress = silent) -> tuple[Peers, ...]:
    """Each stage is walked from the beginning of its trainer's list, as a new run of that trainer does."""
    progress.start("orders of other trainers", len(TRAINERS) * len(stages) * draws)
    found = [_peers(name, stages, draws, progress) for name in TRAINERS]
    progress.done()
    return tuple(peers for peers in found if peers is not None)


def top_of(stage: StagePlan) -> tuple[list[str], np.ndarray, np.ndarray]:
    """(names of the outermost branches, (n,) the branch of most of each sample's weight, (k,) planned shares)."""
    resolved = stage.mixture.resolved
    leaves: dict[str, list[Leaf]] = {}
    for leaf in resolved.leaves:
        leaves.setdefault(leaf.path[0], []).append(leaf)
    most, branch = np.zeros(len(resolved.weights)), np.zeros(len(resolved.weights), dtype=np.int64)
    shares = np.zeros(len(leaves))
    for number, group in enumerate(leaves.values()):  # branch by branch: shots may be thousands
        items, where = np.unique(np.concatenate([leaf.items for leaf in group]), return_inverse=True)
        mass = np.bincount(where, np.concatenate([leaf.mass for leaf in group]), len(items))
        shares[number] = mass.sum()
        more = mass > most[items]
        most[items[more]], branch[items[more]] = mass[more], number
    return [*leaves], branch, shares


def multiplies_of(stage: StagePlan) -> np.ndarray:
    """(n,) what the seed pipeline would write for each sample: at least 1, at most 100, to two decimals."""
    weights = stage.mixture.resolved.weights
    least = weights[weights > 0].min()
    return np.minimum(np.round(weights / least, 2), MAX_MULTIPLY)


def _peers(name: str, stages: Sequence[StagePlan], draws: int, progress: Progress) -> Peers | None:
    """None for a trainer that cannot make an order of these samples."""
    names = list(dict.fromkeys(branch for stage in stages for branch in top_of(stage)[0]))
    visits = np.zeros((draws, len(names)))
    planned, listed = np.zeros(len(names)), np.zeros(len(names))
    epoch = 0.0
    missed = np.zeros(draws)
    for number, stage in enumerate(stages):
        branches, of_sample, shares = top_of(stage)
        place = np.array([names.index(branch) for branch in branches])
        stream = stage.mixture.stream
        count = stream.num_steps * stream.batch_size
        planned[place] += shares * count
        given = stage.mixture.resolved.weights if name == "i.i.d." else multiplies_of(stage)
        entries = np.trunc(given) if name == "EveryDream1" else given
        listed[place] += np.bincount(of_sample, entries / entries.sum(), len(branches)) * count
        epoch = max(epoch, float(entries.sum()))
        for draw in range(draws):
            try:
                order = TRAINERS[name](
                    given, stream.bucket_of, stream.batch_size, stream.num_steps, 555 + draw * len(stages) + number
                )
            except FullcastError:
                return None
            visits[draw, place] += np.bincount(of_sample[order.ravel()], minlength=len(branches))
            unseen = np.bincount(order.ravel(), minlength=len(given)) == 0
            missed[draw] += (unseen & (given > 0)).sum() / (given > 0).sum() / len(stages)
            progress.advance(1, name)
    shares = visits / visits.sum(1, keepdims=True)
    planned, listed = planned / planned.sum(), listed / listed.sum()
    low, median, high = np.quantile(shares, [0.05, 0.5, 0.95], axis=0)
    ranges = tuple(
        Range(branch, *(float(column[i]) for column in (planned, listed, low, median, high)))
        for i, branch in enumerate(names)
    )
    near = float((np.abs(shares - planned).max(1) <= 0.05).mean())
    return Peers(name, draws, ranges, near, epoch, float(np.median(missed)))
