"""Samples and settings made into one plan: weights, stream, and what was delivered up to any step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullcast.mixture.caps import CapCost, capped, fill
from fullcast.mixture.config import MixtureConfig
from fullcast.mixture.samples import bucket_indices
from fullcast.mixture.seed_csv import read_rules, resolve_csv
from fullcast.mixture.shares import Resolved, resolve, uniform
from fullcast.mixture.stream import WeightedStream, make_stream
from fullcast.records import Sample


@dataclass(frozen=True)
class MixturePlan:
    """What is seen how often, and when. The same samples, config and seed give the same plan."""

    samples: tuple[Sample, ...]
    config: MixtureConfig
    seed: int
    resolved: Resolved
    """The target, before the cap on repeats."""
    deliverable: Resolved
    """What can be had of it: the share of visits, or of the weighted loss, that every sample gets."""
    costs: tuple[CapCost, ...]
    """What the cap takes from which branch, dearest first."""
    stream: WeightedStream
    """The order; its weights are how often samples come, which is the deliverable when only visits weigh."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What did not go as the mixture says, one sentence each."""
        visits = self.stream.num_steps * self.stream.batch_size
        costs = (cost.sentence(visits, self.config.max_repeats or 0.0) for cost in self.costs)
        return (*self.resolved.notes, *costs, *self._over_the_cap())

    def _over_the_cap(self) -> Iterator[str]:
        """Targets keep to the cap; visits are whole, and a sample alone in its bucket takes whole batches."""
        cap = self.config.max_repeats
        if cap is None:
            return
        visits = np.bincount(picture_indices(self.samples), self.stream.counts()).astype(int)
        if over := int((visits > cap).sum()):
            yield (
                f"max_repeats {cap:g}: {over} of the {(visits > 0).sum()} pictures seen come more often, up to "
                f"{visits.max()} times, for visits and batches are whole; a larger mixture.min_bucket_samples, which "
                "merges small buckets, or smaller batches bring them nearer"
            )

    def delivered(self, visits: np.ndarray) -> np.ndarray:
        """(n,) what visits amount to: each counts with its loss weight."""
        weights = self.stream.loss_weights
        return visits if weights is None else visits * weights


@dataclass(frozen=True)
class Ledger:
    """What had been delivered when ``step`` steps were done."""

    step: int
    visits: np.ndarray
    """(n,) int64, by sample in the order of the plan."""
    shares: dict[tuple[str, ...], float]
    """Delivered share of every branch of the tree, by path; loss weights count."""
    worst_lag: float
    """max |visits - target| over samples, in visits."""


def plan(samples: Sequence[Sample], config: MixtureConfig, seed: int, root: Path | None = None) -> MixturePlan:
    """Weights from the tree or the seed's table, capped, and the order in which they are delivered.

    root: the workspace, below which ``weights_csv`` is looked for. Raises `FullcastError` when no sample gets weight or
    the cap leaves steps that nobody may fill.
    """
    if config.weights_csv:
        rules = read_rules((root or Path()) / config.weights_csv)
        resolved = resolve_csv(samples, rules, config.csv_levels, config.csv_min_combination)
    else:
        resolved = resolve(samples, config.shares, config.uniform_over)
    deliverable, costs, weights, loss_weights = _shared_out(samples, resolved, config)
    buckets, bucket_of = bucket_indices(samples, config)
    stream = make_stream(
        [sample.id for sample in samples],
        weights,
        buckets,
        bucket_of,
        batch_size=config.batch_size,
        num_steps=config.num_steps,
        seed=seed,
        strata=resolved.strata,
        shots=shot_indices(samples) if config.separate_shots else None,
        pictures=None if config.max_repeats is None else picture_indices(samples),
        loss_weights=loss_weights,
    )
    return MixturePlan(tuple(samples), config, seed, resolved, deliverable, costs, stream)


def _shared_out(
    samples: Sequence[Sample], resolved: Resolved, config: MixtureConfig
) -> tuple[Resolved, tuple[CapCost, ...], np.ndarray, np.ndarray | None]:
    """(deliverable, costs, sampling weights, loss weights).

    With target w, and pictures drawn by p, a visit's loss weight is w / p: the expected weighted loss sum w l is the
    same whatever p, and loss weights average sum p (w / p) = 1 over the plan, so the learning rate means the same.
    loss: p alike for all pictures that weigh anything; split: p ~ sqrt(w * alike), half of log w in each.
    """
    cap = None if config.max_repeats is None else config.max_repeats / (config.batch_size * config.num_steps)
    if config.weigh_by == "sample":
        if cap is None:
            return resolved, (), resolved.weights, None
        deliverable, costs = fill(resolved, picture_indices(samples), cap)
        return deliverable, costs, deliverable.weights, None
    target = resolved.weights
    alike = np.zeros(len(samples))
    positive = np.flatnonzero(target > 0)
    alike[positive] = uniform(samples, positive, config.uniform_over)
    often = alike if config.weigh_by == "loss" else np.sqrt(target * alike)
    often = often / often.sum()
    if cap is not None:
        often = capped(often, picture_indices(samples), cap)
    return resolved, (), often, np.divide(target, often, out=np.zeros(len(target)), where=often > 0)


def ledger(planned: MixturePlan, step: int | None = None) -> Ledger:
    """The ledger after ``step`` steps (None: at the end): a pure function of the plan, so a checkpoint needs the step
    and the stream's fingerprint only."""
    stream = planned.stream
    step = stream.num_steps if step is None else step
    visits = stream.counts(step)
    lag = np.abs(visits - step * stream.batch_size * stream.weights).max()
    return Ledger(step, visits, planned.deliverable.branch_shares(planned.delivered(visits)), float(lag))


def shot_indices(samples: Sequence[Sample]) -> np.ndarray:
    """(n,) int64: samples of one shot have one number, and so have samples of one picture that has no shot."""
    number: dict[str, int] = {}
    return np.array([number.setdefault(s.shot_id or f"image {s.image_id}", len(number)) for s in samples])


def picture_indices(samples: Sequence[Sample]) -> np.ndarray:
    """(n,) int64: samples of one picture have one number."""
    number: dict[str, int] = {}
    return np.array([number.setdefault(sample.image_id, len(number)) for sample in samples])
