"""The order of training: full batches of one size each, in which every sample has the share that it should have.

Chairman assignment twice (`mixture.chairman`): over the buckets, a turn being a batch; and inside each bucket, a turn
being a slot of its batches. After t steps a bucket with share Q has had n batches, |n - t Q| < 1, and inside it a
sample with share q of the bucket has had v visits, |v - B n q| < 1. So |v - B t Q q| < 1 + B q, at every step and in
between.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fullcast.mixture.buckets import Bucket
from fullcast.mixture.chairman import arrange
from fullcast.mixture.lag import bounds_of
from fullcast.mixture.spacing import spread
from fullcast.ports import Batch, Visit
from fullcast.store.errors import FullcastError
from fullcast.store.seeding import rng

VERSION = 1
"""Raised when the same plan and seed give another order."""


@dataclass(frozen=True)
class WeightedStream:
    """`ports.BatchStream`: everything about the order, laid out once. 8 bytes a visit; plain arrays, picklable."""

    sample_ids: tuple[str, ...]
    buckets: tuple[Bucket, ...]
    batch_size: int
    num_steps: int
    weights: np.ndarray
    """(n,) float64, sum 1: the target. Samples of weight zero are there and never come."""
    bucket_of: np.ndarray
    """(n,) int32: index into ``buckets`` of each sample."""
    bucket_at: np.ndarray
    """(num_steps,) int32: index into ``buckets`` of each step."""
    order: np.ndarray
    """(num_steps, batch_size) int32: indices of the samples in each step."""
    visit: np.ndarray
    """(num_steps, batch_size) int32: how often each of them was seen before."""
    digest: str
    loss_weights: np.ndarray | None = None
    """(n,) float64, mean 1 over all visits that are planned; None: 1 for everybody."""
    shots_given_way: int = 0
    """Slots whose shot is in their batch already: how often the second wish gave way."""

    def batch(self, step: int) -> Batch:
        """The batch of a step in [0, num_steps)."""
        if not 0 <= step < self.num_steps:
            raise FullcastError(f"the stream has steps 0 to {self.num_steps - 1}; step {step} was asked for")
        bucket = self.buckets[self.bucket_at[step]]
        weights = self.loss_weights
        visits = tuple(
            Visit(self.sample_ids[i], int(v), 1.0 if weights is None else float(weights[i]))
            for i, v in zip(self.order[step], self.visit[step], strict=True)
        )
        return Batch(step, bucket.width, bucket.height, visits)

    def fingerprint(self) -> str:
        """Sha256 (hex) over samples, weights, buckets, batch size, length, and the order itself."""
        return self.digest

    def counts(self, step: int | None = None) -> np.ndarray:
        """(n,) int64: the ledger, visits of every sample in the steps before ``step`` (None: in all of them)."""
        step = self.num_steps if step is None else step
        if not 0 <= step <= self.num_steps:
            raise FullcastError(f"the stream has {self.num_steps} steps; a ledger at step {step} was asked for")
        return np.bincount(self.order[:step].ravel(), minlength=len(self.sample_ids))

    def bounds(self) -> np.ndarray:
        """(n,) float64: 1 + B q, what each sample's visits may differ from their target, at any time."""
        return bounds_of(self.weights, self.bucket_of, self.batch_size)


def make_stream(
    sample_ids: Sequence[str],
    weights: np.ndarray,
    buckets: Sequence[Bucket],
    bucket_of: np.ndarray,
    *,
    batch_size: int,
    num_steps: int,
    seed: int,
    strata: np.ndarray | None = None,
    shots: np.ndarray | None = None,
    pictures: np.ndarray | None = None,
    loss_weights: np.ndarray | None = None,
) -> WeightedStream:
    """Lays the order out: a pure function of its arguments.

    weights: (n,) >= 0, any scale; 0 is never drawn. bucket_of: (n,) int, index into ``buckets``. strata: (n,) int,
    samples of one kind (leaves of the mixture), whose visits are evenly spread in time together. shots: (n,) int,
    samples that should not meet in a batch; None: no such wish. pictures: (n,) int, samples that should be near their
    target together too; None: no such wish. loss_weights: (n,) > 0 where weights are, told with every visit.
    """
    weights = _checked(sample_ids, weights, batch_size, num_steps)
    bucket_of = np.asarray(bucket_of, dtype=np.int32)
    in_bucket = np.bincount(bucket_of, weights=weights, minlength=len(buckets))
    live = np.flatnonzero(in_bucket > 0)
    outer = arrange(in_bucket[live], num_steps, rng(seed, "order of buckets"))
    bucket_at = live[outer.items].astype(np.int32)
    order = np.empty((num_steps, batch_size), dtype=np.int32)
    visit = np.empty((num_steps, batch_size), dtype=np.int32)
    given_way = 0
    members = np.argsort(bucket_of, kind="stable")
    members = members[weights[members] > 0]
    edges = np.searchsorted(bucket_of[members], [live, live + 1])
    for bucket, begin, end in zip(live, *edges, strict=True):
        steps = np.flatnonzero(bucket_at == bucket)
        if not len(steps):
            continue
        items = members[begin:end]
        kinds, groups = (None if given is None else np.asarray(given)[items] for given in (strata, pictures))
        draw = rng(seed, "order in bucket", buckets[bucket])
        inner = arrange(weights[items], len(steps) * batch_size, draw, kinds, groups)
        taken = inner.taken
        if shots is not None:
            shot = np.unique(np.asarray(shots)[items], return_inverse=True)[1].ravel()
            taken, gave = spread(inner, shot, batch_size)
            given_way += gave
        order[steps] = items[inner.turns.item[taken]].reshape(-1, batch_size)
        visit[steps] = inner.turns.visit[taken].reshape(-1, batch_size)
    digest = _digest(sample_ids, weights, buckets, bucket_of, bucket_at, order, loss_weights)
    return WeightedStream(
        *(tuple(sample_ids), tuple(buckets), batch_size, num_steps, weights, bucket_of, bucket_at, order, visit),
        digest=digest,
        loss_weights=loss_weights,
        shots_given_way=given_way,
    )


def _checked(sample_ids: Sequence[str], weights: np.ndarray, batch_size: int, num_steps: int) -> np.ndarray:
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (len(sample_ids),):
        raise FullcastError(f"{len(sample_ids)} samples need as many weights; got {weights.shape}")
    if not np.all(np.isfinite(weights)) or np.any(weights < 0) or not np.any(weights > 0):
        raise FullcastError("weights must be finite and 0 or more, and at least one above 0")
    if batch_size < 1 or num_steps < 1:
        raise FullcastError(f"a stream needs batch_size and num_steps of at least 1; got {batch_size} and {num_steps}")
    return weights / weights.sum()


def _digest(
    sample_ids: Sequence[str],
    weights: np.ndarray,
    buckets: Sequence[Bucket],
    bucket_of: np.ndarray,
    bucket_at: np.ndarray,
    order: np.ndarray,
    loss_weights: np.ndarray | None,
) -> str:
    digest = hashlib.sha256(f"stream {VERSION} {order.shape} {[str(b) for b in buckets]}\n".encode())
    digest.update("\n".join(sample_ids).encode())
    for array, kind in ((weights, "<f8"), (bucket_of, "<i4"), (bucket_at, "<i4"), (order, "<i4")):
        digest.update(np.ascontiguousarray(array, dtype=kind).tobytes())
    if loss_weights is not None:
        digest.update(np.ascontiguousarray(loss_weights, dtype="<f8").tobytes())
    return digest.hexdigest()
