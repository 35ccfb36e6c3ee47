"""Stages of one training under one step counter: each has its mixture, its sizes and its order; the steps count on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from fullcast.mixture.plan import MixturePlan
from fullcast.mixture.samples import Cut
from fullcast.mixture.stream import WeightedStream
from fullcast.ports import Batch
from fullcast.records import Sample
from fullcast.store.errors import FullcastError
from fullcast.store.seeding import key


@dataclass(frozen=True)
class StagePlan:
    """One stage: how its samples were cut, and what is seen how often."""

    name: str
    start: int
    """First step, counted over the whole training."""
    cut: Cut
    mixture: MixturePlan

    @property
    def num_steps(self) -> int:
        return self.mixture.stream.num_steps


@dataclass(frozen=True)
class StagedStream:
    """`ports.BatchStream` over all stages. Of one stage it is that stage's stream, fingerprint included."""

    streams: tuple[WeightedStream, ...]
    _before: tuple[np.ndarray, ...] = field(init=False, repr=False, compare=False)
    """For each stage, (n,) int64: visits of its samples in the stages before."""

    def __post_init__(self) -> None:
        sizes = sorted({stream.batch_size for stream in self.streams})
        if len(sizes) != 1:
            raise FullcastError(
                f"all stages of one training need one batch size; given are {', '.join(map(str, sizes))}: set "
                "mixture.batch_size once, above the stages"
            )
        seen: dict[str, int] = {}
        before = []
        for stream in self.streams:
            before.append(np.array([seen.get(sample_id, 0) for sample_id in stream.sample_ids], dtype=np.int64))
            for sample_id, count in zip(stream.sample_ids, stream.counts().tolist(), strict=True):
                seen[sample_id] = seen.get(sample_id, 0) + count
        object.__setattr__(self, "_before", tuple(before))

    @property
    def batch_size(self) -> int:
        return self.streams[0].batch_size

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First step of every stage, and one past the last step."""
        return tuple(np.cumsum([0, *(stream.num_steps for stream in self.streams)]).tolist())

    @property
    def num_steps(self) -> int:
        return self.starts[-1]

    def stage_at(self, step: int) -> int:
        """Number of the stage to which a step in [0, num_steps) belongs."""
        if not 0 <= step < self.num_steps:
            raise FullcastError(f"the stream has steps 0 to {self.num_steps - 1}; step {step} was asked for")
        return int(np.searchsorted(self.starts, step, side="right")) - 1

    def batch(self, step: int) -> Batch:
        """The batch of a step in [0, num_steps); visits count over all stages."""
        stage = self.stage_at(step)
        stream, local = self.streams[stage], step - self.starts[stage]
        batch = stream.batch(local)
        before = self._before[stage][stream.order[local]].tolist()
        visits = tuple(replace(v, visit=v.visit + b) for v, b in zip(batch.visits, before, strict=True))
        return replace(batch, step=step, visits=visits)

    def fingerprint(self) -> str:
        """The only stage's, or a hash over all of them in their order."""
        if len(self.streams) == 1:
            return self.streams[0].fingerprint()
        return hashlib.sha256("\n".join(stream.fingerprint() for stream in self.streams).encode()).hexdigest()


def stage_seed(seed: int, number: int) -> int:
    """Of the order of a stage: another one for each, or a second stage would leave out whom the first left out."""
    return seed if number == 0 else key(seed, "order of stage", number)


def renamed(cut: Cut, name: str) -> Cut:
    """The same samples with ids of their own, ``id@name``: they are cut or captioned otherwise than in other stages,
    and ledger, latents and captions go by the id."""
    samples: Sequence[Sample] = [replace(sample, id=f"{sample.id}@{name}") for sample in cut.samples]
    return replace(cut, samples=tuple(samples))
