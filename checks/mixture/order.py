"""Line 2: the same bytes for any number of loader workers, any number of ranks, and after any restart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from checks.framework import Context, Figure, Goal
from checks.mixture import CHECK
from fullcast.mixture.buckets import Bucket
from fullcast.mixture.loader import Loaded, load, of_rank
from fullcast.mixture.stream import WeightedStream, make_stream
from fullcast.store.seeding import rng

NUM_STEPS = 400
BATCH = 8
RESTARTS = 50
BUCKETS = tuple(Bucket(16 * width, 16) for width in range(1, 9))


@dataclass(frozen=True)
class DrawnPixels:
    """`ports.PixelSource` whose pictures are drawn from the sample's name: module-level, so that spawn finds it."""

    seed: int

    def pixels(self, sample_id: str, width: int, height: int) -> np.ndarray:
        return rng(self.seed, "pixels", sample_id).integers(0, 256, (height, width, 3), dtype=np.uint8)


@dataclass(frozen=True)
class DrawnCaptions:
    """`ports.CaptionSource`: another caption at each visit."""

    seed: int

    def caption(self, sample_id: str, visit: int) -> str:
        return f"{sample_id} {rng(self.seed, 'caption', f'{sample_id}/{visit}').integers(1 << 30)}"


PIXELS, CAPTIONS = DrawnPixels(3), DrawnCaptions(3)


@CHECK.line(2, "byte-identical for 0, 1 and 4 spawn workers, 1 and 2 ranks, 50 restarts")
def order(context: Context) -> Iterable[Figure]:
    stream = some_stream()
    plain = [fingerprint(loaded) for loaded in load(stream, PIXELS, CAPTIONS)]
    yield Figure("steps that were read in this process", len(plain), Goal("=", NUM_STEPS))
    yield Figure(
        "different ones among them", len(set(plain)), Goal("=", NUM_STEPS), note="all alike would prove nothing"
    )
    for workers in (1, 4):
        context.say(f"{workers} spawn workers")
        read = [fingerprint(loaded) for loaded in load(stream, PIXELS, CAPTIONS, workers=workers)]
        yield Figure(f"steps that differ with {workers} spawn workers", _differ(plain, read), Goal("=", 0), n=len(read))
    yield from _ranks(plain, stream)
    yield from _restarts(context, plain)
    again = some_stream()
    same = float(again.order.tobytes() == stream.order.tobytes() and again.fingerprint() == stream.fingerprint())
    yield Figure("laid out a second time, byte-identical", same, Goal("=", 1), n=stream.order.nbytes)


def some_stream() -> WeightedStream:
    draw = np.random.default_rng(11)
    weights = 10 ** draw.uniform(0, 3, 900)
    ids = [f"sample-{i}" for i in range(900)]
    shots = np.arange(900) // 12
    buckets = draw.integers(0, len(BUCKETS), 900)
    return make_stream(ids, weights, BUCKETS, buckets, batch_size=BATCH, num_steps=NUM_STEPS, seed=2, shots=shots)


def fingerprint(loaded: Loaded) -> str:
    """Of everything that the trainer is given in one step."""
    digest = hashlib.sha256(repr((loaded.batch, loaded.captions)).encode())
    digest.update(np.ascontiguousarray(loaded.pixels).tobytes())
    return digest.hexdigest()


def _differ(one: list[str], other: list[str]) -> int:
    return sum(a != b for a, b in zip(one, other, strict=False)) + abs(len(one) - len(other))


def _ranks(plain: list[str], stream: WeightedStream) -> Iterator[Figure]:
    """Two ranks, each with its own loader; their parts put together are the batches of one."""
    parts = [list(load(stream, PIXELS, CAPTIONS, rank=rank, ranks=2)) for rank in range(2)]
    together = [fingerprint(Loaded.joined(pair)) for pair in zip(*parts, strict=True)]
    yield Figure("steps that differ between 1 and 2 ranks", _differ(plain, together), Goal("=", 0), n=len(together))
    sizes = {len(of_rank(stream.batch(step), rank, 2).visits) for step in range(NUM_STEPS) for rank in range(2)}
    yield Figure("sizes of a rank's part of a batch", len(sizes), Goal("=", 1), note=f"{sorted(sizes)} of {BATCH}")


def _restarts(context: Context, plain: list[str]) -> Iterator[Figure]:
    """At each of 50 steps everything is laid out anew from the plan, as after a kill, and read on from there."""
    context.say(f"{RESTARTS} restarts")
    wrong = 0
    for step in rng(context.seeds("restarts", 1)[0], "restarts").integers(1, NUM_STEPS, RESTARTS).tolist():
        rest = [fingerprint(loaded) for loaded in load(some_stream(), PIXELS, CAPTIONS, start=step)]
        wrong += rest != plain[step:]
    yield Figure("restarts after which anything differs", wrong, Goal("=", 0), n=RESTARTS)
