"""Line 1: at every prefix of an order each sample's visits are within 1 + B q of their target; time and memory."""

from __future__ import annotations

import math
import multiprocessing
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from checks.framework import Context, Figure, Goal
from checks.mixture import CHECK
from fullcast.mixture.buckets import Bucket
from fullcast.mixture.config import MixtureConfig, Shares
from fullcast.mixture.lag import bounds_of, worst_lag
from fullcast.mixture.peers import ed1_order, ed2_order, iid_order
from fullcast.mixture.plan import plan
from fullcast.mixture.stream import make_stream
from fullcast.records import Person, Sample
from fullcast.store.errors import FullcastError

BATCH = 8
NUM_SAMPLES = 1_000_000
NUM_STEPS = 500_000
"""4 million visits."""
BUCKETS = tuple(Bucket(64 * width, 512) for width in range(2, 42))
PLAN_S, PLAN_GB = 20.0, 1.5
SIZES = (10_000, 100_000, 1_000_000)
LINEAR = 1.5
"""Time for ten times as many samples, over ten: n log n alone gives 1.2 from 10^5 to 10^6."""


@dataclass(frozen=True)
class Case:
    """What is to be ordered."""

    weights: np.ndarray
    bucket_of: np.ndarray
    shots: np.ndarray
    num_steps: int


def big_case() -> Case:
    """One million samples over 40 buckets, weights log-uniform over four orders of magnitude, shots of twelve."""
    draw = np.random.default_rng(4)
    weights = 10 ** draw.uniform(0, 4, NUM_SAMPLES)
    return Case(weights, draw.integers(0, 40, NUM_SAMPLES), np.arange(NUM_SAMPLES) // 12, NUM_STEPS)


def hard_cases() -> Mapping[str, Case]:
    """Those in which a bound breaks first, over 20,000 steps."""
    draw = np.random.default_rng(7)
    wide = 10 ** draw.uniform(0, 4, 5000)
    spread = draw.integers(0, 38, 5000)
    made = {
        "a bucket of one picture": (np.r_[wide, 8000.0], np.r_[spread, 39]),
        "a bucket of 1 : 100 : 10,000": (np.r_[wide, 1.0, 100.0, 10_000.0], np.r_[spread, 39, 39, 39]),
        "a bucket from a single shot": (np.r_[wide, np.full(60, 500.0)], np.r_[spread, np.full(60, 39)]),
        "all weight on one sample": (np.r_[1.0, np.zeros(999)], np.zeros(1000, dtype=np.int64)),
        "a weight of zero": (np.r_[wide, np.zeros(500)], np.r_[spread, draw.integers(0, 38, 500)]),
        "39 empty buckets": (wide, np.full(5000, 17)),
    }
    cases = {}
    for name, (weights, bucket_of) in made.items():
        shots = np.arange(len(weights)) // 12
        if name == "a bucket from a single shot":
            shots = np.where(bucket_of == 39, -1, shots)
        cases[name] = Case(weights, bucket_of, shots, 20_000)
    return cases


@CHECK.line(1, "every prefix within 1 + B q; i.i.d., EveryDream1 and 2 beside it; time and memory")
def exact(context: Context) -> Iterable[Figure]:
    for name, case in {"a million samples": big_case(), **hard_cases()}.items():
        context.say(name)
        yield from _table(name, case)
    yield from _costs(context)


def _table(name: str, case: Case) -> Iterator[Figure]:
    """Worst |visits - target| / (1 + B q) of our order, which must be below 1, and of the others'."""
    bounds = bounds_of(case.weights, case.bucket_of, BATCH)
    count = case.num_steps * BATCH
    ours = _ours(case)
    lag = worst_lag(ours.ravel(), case.weights, bounds)
    yield Figure(f"{name}: ours, worst lag / bound", lag, Goal("<=", math.nextafter(1, 0)), n=count)
    zero = int(np.isin(ours, np.flatnonzero(case.weights == 0)).sum())
    if (case.weights == 0).any():
        yield Figure(f"{name}: ours, visits to samples of weight zero", zero, Goal("=", 0), n=count)
    # An epoch of as many entries as there are visits, so that the others may finish it.
    multiplies = case.weights / case.weights.sum() * count
    orders = {"i.i.d.": iid_order, "EveryDream1": ed1_order, "EveryDream2": ed2_order}
    for who, order in orders.items():
        given = case.weights if who == "i.i.d." else multiplies
        try:
            theirs = order(given, case.bucket_of, BATCH, case.num_steps, 555).ravel()
        except FullcastError as error:
            yield Figure(f"{name}: {who}", math.nan, note=str(error))
            continue
        worst = worst_lag(theirs, case.weights, bounds)
        missed = float(case.weights[np.bincount(theirs, minlength=len(case.weights)) == 0].sum() / case.weights.sum())
        yield Figure(f"{name}: {who}", worst, n=count, note=f"{missed:.1%} of the weight was never seen")


def _ours(case: Case) -> np.ndarray:
    ids = [str(i) for i in range(len(case.weights))]
    return make_stream(
        *(ids, case.weights, BUCKETS, case.bucket_of),
        batch_size=BATCH,
        num_steps=case.num_steps,
        seed=1,
        shots=case.shots,
    ).order


def _costs(context: Context) -> Iterator[Figure]:
    """Weights from a tree over samples with people, and the order; each size in a process of its own."""
    seconds: dict[int, float] = {}
    for size in SIZES:
        context.say(f"plan of {size:,} samples")
        # The small ones are over in no time and must be told from noise.
        runs = [_measured(size) for _ in range(3 if size < NUM_SAMPLES else 1)]
        wall, seconds[size], gigabytes = sorted(runs)[len(runs) // 2]
        goals = (Goal("<=", PLAN_S), Goal("<=", PLAN_GB)) if size == NUM_SAMPLES else (None, None)
        note = f"{seconds[size]:.2f} s of processor time"
        yield Figure(f"plan and order of {size:,} samples, s", wall, goals[0], n=4 * size, note=note)
        yield Figure(
            f"plan and order of {size:,} samples, GB at most", gigabytes, goals[1], note="interpreter included"
        )
    for small, large in ((SIZES[0], SIZES[1]), (SIZES[1], SIZES[2])):
        ratio = seconds[large] / seconds[small] / (large / small)
        yield Figure(f"time per sample, {large:,} over {small:,}", ratio, Goal("<=", LINEAR), note="processor time")


def _measured(size: int) -> tuple[float, float, float]:
    """(wall seconds, processor seconds, peak GB) in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(plan_of, (size,))


def plan_of(size: int) -> tuple[float, float, float]:
    """Samples are made before the clock runs; they count for the memory, as they would in a real plan."""
    samples = many_samples(size)
    tree = Shares(by="source", share={"screenshots": 0.3, "fanart": 0.2, "regularization": 0.5})
    by_name = Shares(by="character", share={f"c{i}": 10 ** (i / 4.5) for i in range(18)})
    shares = tree.model_copy(update={"children": {"screenshots": by_name, "fanart": by_name}})
    config = MixtureConfig(shares=shares, batch_size=BATCH, num_steps=size // 2, area_px=262144, bucket_step_px=64)
    wall, used = time.perf_counter(), time.process_time()
    planned = plan(samples, config, 1)
    passed_s = time.perf_counter() - wall, time.process_time() - used
    assert planned.stream.num_steps == size // 2
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return *passed_s, peak / (1e9 if sys.platform == "darwin" else 1e6 / 1.024)


def many_samples(size: int) -> list[Sample]:
    """27 % screenshots of one character each, 3 % fan art, the rest regularization; sides of many aspects."""
    draw = np.random.default_rng(size)
    widths = draw.choice([512, 576, 640, 704, 768, 832, 910], size).tolist()
    who = (18 * draw.random(size) ** 3).astype(int).tolist()
    people = [(Person(f"p{i}", "", (0.0, 0.0, 200.0, 500.0), 0.9, character=f"c{i}"),) for i in range(18)]
    kinds = draw.choice(3, size, p=[0.27, 0.03, 0.7]).tolist()
    sources = ("screenshots", "fanart", "regularization")
    return [
        Sample(
            *(f"{i:x}", f"{i:x}", "a.png", (0.0, 0.0, widths[i], 512.0), sources[kinds[i]]),  # type: ignore[arg-type]
            people=people[who[i]] if kinds[i] < 2 else (),
            shot_id=f"s{i // 12}" if kinds[i] == 0 else "",
        )
        for i in range(size)
    ]
