"""Samples and settings made into one plan: weights, stream, and what was delivered up to any step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fullcast.mixture.config import MixtureConfig
from fullcast.mixture.samples import bucket_indices
from fullcast.mixture.shares import Resolved, capped, resolve
from fullcast.mixture.stream import WeightedStream, make_stream
from fullcast.records import Sample


@dataclass(frozen=True)
class MixturePlan:
    """What is seen how often, and when. The same samples, config and seed give the same plan."""

    samples: tuple[Sample, ...]
    config: MixtureConfig
    seed: int
    resolved: Resolved
    """The tree's target, before the cap on repeats."""
    stream: WeightedStream
    """The order; its weights are the target after the cap."""


@dataclass(frozen=True)
class Ledger:
    """What had been delivered when ``step`` steps were done."""

    step: int
    visits: np.ndarray
    """(n,) int64, by sample in the order of the plan."""
    shares: dict[tuple[str, ...], float]
    """Delivered share of every branch of the tree, by path."""
    worst_lag: float
    """max |visits - target| over samples, in visits."""


def plan(samples: Sequence[Sample], config: MixtureConfig, seed: int) -> MixturePlan:
    """Weights from the tree, capped, and the order in which they are delivered.

    Raises `FullcastError` when no sample gets weight or the cap leaves steps that nobody may fill.
    """
    resolved = resolve(samples, config.shares, config.uniform_over)
    weights = resolved.weights
    if config.max_repeats is not None:
        weights = capped(weights, config.max_repeats / (config.batch_size * config.num_steps))
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
    )
    return MixturePlan(tuple(samples), config, seed, resolved, stream)


def ledger(planned: MixturePlan, step: int | None = None) -> Ledger:
    """The ledger after ``step`` steps (None: at the end): a pure function of the plan, so a checkpoint needs the step
    and the stream's fingerprint only."""
    stream = planned.stream
    step = stream.num_steps if step is None else step
    visits = stream.counts(step)
    lag = np.abs(visits - step * stream.batch_size * stream.weights).max()
    return Ledger(step, visits, planned.resolved.branch_shares(visits), float(lag))


def shot_indices(samples: Sequence[Sample]) -> np.ndarray:
    """(n,) int64: samples of one shot have one number, and so have samples of one picture that has no shot."""
    number: dict[str, int] = {}
    return np.array([number.setdefault(s.shot_id or f"image {s.image_id}", len(number)) for s in samples])
