"""Line 2: do the intervals hold what they say, is chance called chance, and what can a number of pictures tell?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from checks.framework import Context, Figure, Goal
from checks.judge import CHECK
from fullcast.judging.bleeding import Labels, identity_leak
from fullcast.judging.comparison import compare
from fullcast.judging.contrast import Observation, contrast
from fullcast.judging.places import measure_places
from fullcast.judging.rows import Row
from fullcast.judging.statistics import clustered_share, pictures_needed, wilson
from fullcast.records import Found, Placement, Scene, Verdict
from fullcast.store.seeding import rng

REPEATS = 2000
COVERAGE = (0.93, 0.97)
HALF_WIDTHS = {200: 0.069, 400: 0.049}
NEEDED = {0.60: 387, 0.65: 169, 0.70: 93}
DESIGNS = ((100, 4, (1.0, 1.0)), (100, 4, (5.0, 0.5)), (40, 4, (0.5, 2.0)), (16, 4, (1.0, 1.0)), (200, 1, (1.0, 1.0)))
"""Prompts, pictures of each, and the beta distribution of how easy a prompt is."""
NAMES = tuple(f"c{i}" for i in range(8))


@CHECK.line(2, "coverage of 95 % intervals, shuffled labels, power")
def intervals(context: Context) -> Iterable[Figure]:
    for prompts, seeds, shape in DESIGNS:
        context.say(f"coverage: {prompts} prompts of {seeds} pictures")
        yield from _share_coverage(prompts, seeds, shape)
    context.say("coverage of differences")
    yield from _difference_coverage(100, 4)
    yield from _difference_coverage(100, 1)
    yield from _shuffled()
    yield from _power()


def _coverage(name: str, hits: int, note: str = "") -> Iterator[Figure]:
    low, high = wilson(hits, REPEATS)
    value = hits / REPEATS
    yield Figure(name, value, Goal(">=", COVERAGE[0]), REPEATS, low, high, note)
    yield Figure(f"{name}, at most", value, Goal("<=", COVERAGE[1]), REPEATS)


def _share_coverage(prompts: int, seeds: int, shape: tuple[float, float]) -> Iterator[Figure]:
    """Prompts are easy or hard (beta), pictures of one prompt fail together."""
    draw = rng(2, "coverage", (prompts, seeds, shape))
    truth = shape[0] / sum(shape)
    clusters = np.repeat(np.arange(prompts), seeds).tolist()
    hits = 0
    for _ in range(REPEATS):
        outcomes = (draw.random((prompts, seeds)) < draw.beta(*shape, prompts)[:, None]).ravel().tolist()
        e = clustered_share(outcomes, clusters)
        hits += e.low <= truth <= e.high
    yield from _coverage(f"S_N of {truth:.2f}, {prompts} prompts x {seeds}", hits)


def _difference_coverage(prompts: int, seeds: int) -> Iterator[Figure]:
    """B is better by 0.1 on every prompt; pairs share their prompt's difficulty."""
    draw = rng(2, "differences", (prompts, seeds))
    hits = wrong = 0
    for repeat in range(REPEATS):
        hard = draw.beta(1, 1, prompts)[:, None] * 0.9
        a, b = draw.random((prompts, seeds)) < hard, draw.random((prompts, seeds)) < hard + 0.1
        same = draw.random((prompts, seeds)) < hard
        [found] = compare(_rows("a", a), _rows("b", b), repeats=500, seed=repeat).by_count
        hits += found.difference.low <= 0.1 <= found.difference.high
        if repeat % 4 == 0:  # two equal series: how often is one called better?
            [null] = compare(_rows("a", a), _rows("b", same), repeats=500, seed=repeat).by_count
            wrong += null.p < 0.05
    yield from _coverage(f"difference of 0.10, {prompts} prompts x {seeds}", hits)
    low, high = wilson(wrong, REPEATS // 4)
    yield Figure(
        f"equal series called different, {prompts} prompts x {seeds}", wrong / (REPEATS // 4), Goal("<=", 0.07),
        REPEATS // 4, low, high,
    )  # fmt: skip


SCENES = tuple(Scene(f"s{i:03d}", "", (Placement("c0"),)) for i in range(200))
RIGHT, WRONG = (Verdict("", "", 1, 1, (), success=success) for success in (True, False))


def _rows(series: str, outcomes: np.ndarray) -> list[Row]:
    return [
        Row(SCENES[i], RIGHT if ok else WRONG, seed=k, series=series)
        for i, row in enumerate(outcomes)
        for k, ok in enumerate(row)
    ]


def _shuffled() -> Iterator[Figure]:
    """Labels dealt at random over all figures: no bleeding, no places."""
    draw = rng(2, "shuffled", "")
    identity, hair, places = [], [], []
    for repeat in range(20):
        read, seen, judged = [], [], []
        for i in range(120):
            n = 2 + i % 4
            asked = [str(name) for name in draw.choice(NAMES, n, replace=False)]
            labels = [str(name) for name in draw.choice(NAMES, n)]
            read.append(Labels(f"s{i}", n, frozenset(asked), tuple(_assigned(asked, labels, draw))))
            seen += [
                Observation(f"s{i}", n, bool(draw.random() < 0.4), bool(draw.random() < 0.2)) for _ in range(8 * n)
            ]
            judged.append(_placed(i, n, draw))
        leak, other, place = (
            identity_leak(read, NAMES, 200, repeat),
            contrast(seen, 200),
            measure_places(judged),
        )
        assert leak is not None and other is not None and place is not None
        identity.append(leak.difference.value)
        hair.append(other.difference.value)
        places.append(place.lift)
    for name, values in (("co-prompt lift", identity), ("attribute leakage", hair), ("lift of places", places)):
        mean, error = float(np.mean(values)), float(np.std(values) / np.sqrt(len(values)))
        yield Figure(f"shuffled labels: {name}, distance from 0", abs(mean), Goal("<=", 0.01), len(values) * 120,
                     note=f"{mean:+.4f}, standard error {error:.4f}")  # fmt: skip


def _assigned(asked: list[str], labels: list[str], draw: np.random.Generator) -> Iterator[tuple[str, str]]:
    """As the judge gives figures to people: everybody his own first."""
    left, found = list(labels), {}
    for name in asked:
        if name in left:
            left.remove(name)
            found[name] = name
    rest = [str(name) for name in draw.permutation(left)] if left else []
    for name in asked:
        yield name, found.get(name) or rest.pop()


def _placed(index: int, n: int, draw: np.random.Generator) -> tuple[Verdict, Scene]:
    """Everybody is there, somewhere near the middle, whatever place was asked for."""
    people = tuple(Placement(NAMES[i], cell=(int(draw.integers(5)), int(draw.integers(5)))) for i in range(n))
    figures = []
    for i in range(n):
        x, y = (float(v) for v in np.clip(draw.normal(50, 18, 2), 1, 99))
        box = (x - 5, y - 5, x + 5, y + 5)
        figures.append(Found(box, box, 0.9, NAMES[i], "", 0.9, 0.5, asked=i))
    scene = Scene(f"p{index}", "", people)
    return Verdict("", scene.id, n, n, tuple(figures), success=True, width=100, height=100), scene


def _power() -> Iterator[Figure]:
    for n, half in HALF_WIDTHS.items():
        low, high = wilson(n / 2, n)
        yield Figure(f"half-width at one half, n = {n}, off the table", abs((high - low) / 2 - half), Goal("<=", 5e-4))
    for q, needed in NEEDED.items():
        off = abs(pictures_needed(0.5, q) - needed)
        yield Figure(
            f"pictures an arm for 0.50 against {q:.2f}, off the table",
            off,
            Goal("<=", 1),
            note=f"{pictures_needed(0.5, q)}",
        )
    draw = rng(2, "power", "")
    hits = 0
    for _ in range(REPEATS):
        a, b = draw.random(NEEDED[0.60]) < 0.5, draw.random(NEEDED[0.60]) < 0.6
        gap, spread = b.mean() - a.mean(), np.sqrt((a.var() + b.var()) / len(a))
        hits += abs(gap / spread) > 1.96
    low, high = wilson(hits, REPEATS)
    yield Figure("power of 387 an arm for 0.50 against 0.60", hits / REPEATS, Goal(">=", 0.78), REPEATS, low, high)
