"""Reads a stream's steps in order, in this process or ahead of it in spawned ones: workers change speed, nothing else.

What a step holds is a pure function of (stream, step), so a worker needs no state and no generator of its own, and a
restart begins at any step. For trainings whose latents are not cached, and for checks.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from fullcast.ports import Batch, BatchStream, CaptionSource, PixelSource
from fullcast.store.errors import FullcastError

AHEAD = 3
"""Steps in work for each worker: one being read, one waiting, one on its way."""


@dataclass(frozen=True)
class Loaded:
    """One step as a trainer takes it."""

    batch: Batch
    pixels: np.ndarray
    """(B, height, width, 3) uint8 RGB."""
    captions: tuple[str, ...]

    @classmethod
    def joined(cls, parts: Sequence[Loaded]) -> Loaded:
        """The step of one rank from the parts of several, in the order of ranks."""
        taken = [(part, k) for k in range(len(parts[0].captions)) for part in parts]
        return cls(
            replace(parts[0].batch, visits=tuple(part.batch.visits[k] for part, k in taken)),
            np.stack([part.pixels[k] for part, k in taken]),
            tuple(part.captions[k] for part, k in taken),
        )


def of_rank(batch: Batch, rank: int, ranks: int) -> Batch:
    """The part of a batch that one of several ranks trains on: every ``ranks``-th visit, the same number for each."""
    if not 0 <= rank < ranks:
        raise FullcastError(f"rank {rank} of {ranks} does not exist; ranks count from 0")
    if len(batch.visits) % ranks:
        raise FullcastError(
            f"a batch of {len(batch.visits)} cannot be shared alike by {ranks} ranks; set mixture.batch_size to a "
            f"multiple of {ranks} (it counts over all ranks)"
        )
    return replace(batch, visits=batch.visits[rank::ranks])


def load(
    stream: BatchStream,
    pixels: PixelSource,
    captions: CaptionSource,
    *,
    start: int = 0,
    workers: int = 0,
    rank: int = 0,
    ranks: int = 1,
) -> Iterator[Loaded]:
    """The steps from ``start`` to the end, in order.

    workers: processes that read ahead, started with ``spawn`` (all three sources must be picklable); 0: none.
    """
    reader = _Reader(stream, pixels, captions, rank, ranks)
    steps = range(start, stream.num_steps)
    if not workers:
        yield from map(reader, steps)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(reader,)) as pool:
        waiting: deque[Future[Loaded]] = deque()
        try:
            for step in steps:
                waiting.append(pool.submit(_read, step))
                if len(waiting) >= AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@dataclass(frozen=True)
class _Reader:
    stream: BatchStream
    pixels: PixelSource
    captions: CaptionSource
    rank: int
    ranks: int

    def __call__(self, step: int) -> Loaded:
        batch = of_rank(self.stream.batch(step), self.rank, self.ranks)
        return Loaded(
            batch,
            np.stack([self.pixels.pixels(v.sample_id, batch.width, batch.height) for v in batch.visits]),
            tuple(self.captions.caption(v.sample_id, v.visit) for v in batch.visits),
        )


_reader: _Reader | None = None
"""Of a worker process: sent once when it starts, not with every step."""


def _begin(reader: _Reader) -> None:
    global _reader
    _reader = reader


def _read(step: int) -> Loaded:
    assert _reader is not None, "a worker reads only after it was begun"
    return _reader(step)
