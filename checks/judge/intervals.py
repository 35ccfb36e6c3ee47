"""Line 2: do the intervals hold what they say, is chance called chance, and what can a number of pictures tell?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from checks.framework import Context, Figure, Goal
from checks.judge import CHECK
from fullcast.judging.bleeding import Labels, identity_leak, measure_leakage
from fullcast.judging.comparison import compare
from fullcast.judging.places import measure_places
from fullcast.judging.rows import Row
from fullcast.judging.statistics import Estimate, clustered_share, pictures_needed, wilson
from fullcast.records import Found, Placement, Scene, Verdict
from fullcast.store.seeding import rng

REPEATS = 2000
FEWER = 500
"""Of those whose every repetition counts a whole series and resamples it."""
COVERAGE = (0.93, 0.97)
HALF_WIDTHS = {200: 0.069, 400: 0.049}
NEEDED = {0.60: 387, 0.65: 169, 0.70: 93}
DESIGNS = ((100, 4, (1.0, 1.0)), (100, 4, (5.0, 0.5)), (40, 4, (0.5, 2.0)), (16, 4, (1.0, 1.0)), (200, 1, (1.0, 1.0)))
"""Prompts, pictures of each, and the beta distribution of how easy a prompt is."""
PEOPLE = ((100, 4, 3), (200, 1, 5), (16, 1, 5))
"""Prompts, pictures of each, people in each: people of one prompt are there together or not."""
PAIRS = ((100, 4, 0.9), (100, 1, 0.9), (16, 4, 0.9), (16, 1, 0.9), (40, 1, 0.2))
"""Prompts, pairs of each, and the success of the first series on the easiest prompt."""
NAMES = tuple(f"c{i}" for i in range(8))
BROWN, PINK, BLUE, GREEN = (35.0, 15.0, 25.0), (70.0, 40.0, 0.0), (40.0, 10.0, -50.0), (60.0, -50.0, 40.0)
COLORS = dict(zip(NAMES, (BROWN, BROWN, BROWN, BROWN, PINK, PINK, BLUE, GREEN), strict=True))
"""Hair: half of the cast has one colour."""


@CHECK.line(2, "coverage of 95 % intervals, shuffled labels, power")
def intervals(context: Context) -> Iterable[Figure]:
    for prompts, seeds, shape in DESIGNS:
        context.say(f"coverage: {prompts} prompts of {seeds} pictures")
        yield from _share_coverage(prompts, seeds, shape)
    for prompts, seeds, people in PEOPLE:
        yield from _people_coverage(prompts, seeds, people)
    context.say("coverage of differences")
    for prompts, seeds, easiest in PAIRS:
        yield from _difference_coverage(prompts, seeds, easiest)
    context.say("coverage of leaking and of places")
    yield from _lift_coverage()
    yield from _hair_coverage()
    yield from _places_coverage()
    yield from _shuffled()
    yield from _power()


def _coverage(name: str, hits: int, repeats: int = REPEATS, note: str = "") -> Iterator[Figure]:
    low, high = wilson(hits, repeats)
    value = hits / repeats
    yield Figure(name, value, Goal(">=", COVERAGE[0]), repeats, low, high, note)
    yield Figure(f"{name}, at most", value, Goal("<=", COVERAGE[1]), repeats)


def _holds(told: Estimate, truth: float) -> bool:
    return told.low <= truth <= told.high


def _share_coverage(prompts: int, seeds: int, shape: tuple[float, float]) -> Iterator[Figure]:
    """Prompts are easy or hard (beta), pictures of one prompt fail together."""
    draw = rng(2, "coverage", (prompts, seeds, shape))
    truth = shape[0] / sum(shape)
    clusters = np.repeat(np.arange(prompts), seeds).tolist()
    hits = 0
    for _ in range(REPEATS):
        outcomes = (draw.random((prompts, seeds)) < draw.beta(*shape, prompts)[:, None]).ravel().tolist()
        hits += _holds(clustered_share(outcomes, clusters), truth)
    yield from _coverage(f"S_N of {truth:.2f}, {prompts} prompts x {seeds}", hits)


def _people_coverage(prompts: int, seeds: int, people: int) -> Iterator[Figure]:
    """Recall, precision, hybrids, hair read right, exact cells: outcomes of people, who share their prompt."""
    draw = rng(2, "people", (prompts, seeds, people))
    clusters = np.repeat(np.arange(prompts), seeds * people).tolist()
    hits = 0
    for _ in range(REPEATS):
        there = draw.random((prompts, seeds * people)) < draw.beta(1, 1, prompts)[:, None]
        hits += _holds(clustered_share(there.ravel().tolist(), clusters), 0.5)
    yield from _coverage(f"recall of 0.50, {prompts} prompts x {seeds}, {people} people", hits)


def _difference_coverage(prompts: int, seeds: int, easiest: float) -> Iterator[Figure]:
    """B is better by 0.1 on every prompt; pairs share their prompt's difficulty."""
    draw = rng(2, "differences", (prompts, seeds, easiest))
    name = f"{prompts} prompts x {seeds}, first at most {easiest:g}"
    hits = wrong = 0
    for repeat in range(REPEATS):
        hard = draw.beta(1, 1, prompts)[:, None] * easiest
        a, b = draw.random((prompts, seeds)) < hard, draw.random((prompts, seeds)) < hard + 0.1
        same = draw.random((prompts, seeds)) < hard
        [found] = compare(_rows("a", a), _rows("b", b), repeats=100, seed=repeat).by_count
        hits += _holds(found.difference, 0.1)
        if repeat % 4 == 0:  # two equal series: how often is one called better?
            [null] = compare(_rows("a", a), _rows("b", same), repeats=500, seed=repeat).by_count
            wrong += null.p < 0.05
    yield from _coverage(f"difference of 0.10, {name}", hits)
    low, high = wilson(wrong, REPEATS // 4)
    yield Figure(
        f"equal series called different, {name}", wrong / (REPEATS // 4), Goal("<=", 0.07), REPEATS // 4, low, high
    )


SCENES = tuple(Scene(f"s{i:03d}", "", (Placement("c0"),)) for i in range(200))
RIGHT, WRONG = (Verdict("", "", 1, 1, (), success=success) for success in (True, False))


def _rows(series: str, outcomes: np.ndarray) -> list[Row]:
    return [
        Row(SCENES[i], RIGHT if ok else WRONG, seed=k, series=series)
        for i, row in enumerate(outcomes)
        for k, ok in enumerate(row)
    ]


def _lift_coverage() -> Iterator[Figure]:
    """Three in ten figures are somebody else, whoever is asked for: anybody, or always the same one. Nothing leaks."""
    for title, attractor in (("anybody", False), ("always the same", True)):
        draw = rng(2, "lift", title)
        hits = 0
        for repeat in range(FEWER):
            read = []
            for i in range(120):
                asked = _asked(draw, i)
                mistaken = draw.random(len(asked)) < 0.3
                others = NAMES[:1] * len(asked) if attractor else draw.choice(NAMES, len(asked))
                labels = [str(o) if m else a for a, m, o in zip(asked, mistaken, others, strict=True)]
                read.append(Labels(f"s{i}", len(asked), frozenset(asked), tuple(_assigned(asked, labels, draw))))
            leak = identity_leak(read, NAMES, 200, repeat)
            assert leak is not None
            hits += _holds(leak.difference, 0)
        yield from _coverage(f"co-prompt lift of 0, taken for {title}, 120 prompts x 1", hits, FEWER)


def _hair_coverage() -> Iterator[Figure]:
    """Three in ten readings are the hair of anybody of the cast, whoever is asked for: nothing leaks."""
    for prompts, seeds in ((64, 1), (16, 4)):
        draw = rng(2, "hair", (prompts, seeds))
        hits = 0
        for repeat in range(FEWER):
            found = measure_leakage(_hair_rows(draw, prompts, seeds, 0.3), COLORS, 200, repeat)
            assert found is not None and found.leak is not None
            hits += _holds(found.leak.difference, 0)
        yield from _coverage(f"hair leakage of 0, {prompts} prompts x {seeds}", hits, FEWER)


def _hair_rows(draw: np.random.Generator, prompts: int, seeds: int, misread: float) -> list[Row]:
    """Two to five people are asked for and are there."""
    rows = []
    for i in range(prompts):
        asked = _asked(draw, i)
        verdict, scene = _placed(i, asked, draw, 0.0)
        for _ in range(seeds):
            read = [str(draw.choice(NAMES)) if draw.random() < misread else name for name in asked]
            rows.append(Row(scene, verdict, hair=tuple(COLORS[name] for name in read)))
    return rows


def _places_coverage() -> Iterator[Figure]:
    """People stand in their cell more or less often by prompt; then: in the middle, whatever was asked for."""
    draw = rng(2, "places", "")
    exact = lift = order = 0
    for _ in range(FEWER):
        obedience = draw.beta(1, 1, 60)
        obeyed = [_placed(i, _asked(draw, i), draw, float(obedience[i])) for i in range(60)]
        middle = [_placed(i, _asked(draw, i), draw, None) for i in range(60)]
        seen, ignored = measure_places(obeyed), measure_places(middle)
        assert seen is not None and ignored is not None
        exact += _holds(seen.exact_cell, 0.5 + 0.5 / 25)
        lift += _holds(ignored.lift, 0)
        order += _holds(ignored.pair_order, 0.5)
    yield from _coverage("exact cell of 0.52, 60 prompts x 1", exact, FEWER)
    yield from _coverage("lift of places of 0, 60 prompts x 1", lift, FEWER)
    yield from _coverage("left-right order of 0.50, 60 prompts x 1", order, FEWER)


def _asked(draw: np.random.Generator, index: int) -> list[str]:
    return [str(name) for name in draw.choice(NAMES, 2 + index % 4, replace=False)]


def _shuffled() -> Iterator[Figure]:
    """Labels, hair and places dealt at random over all figures: no bleeding, no places."""
    draw = rng(2, "shuffled", "")
    identity, hair, places = [], [], []
    for repeat in range(20):
        read, judged = [], []
        for i in range(120):
            asked = _asked(draw, i)
            labels = [str(name) for name in draw.choice(NAMES, len(asked))]
            read.append(Labels(f"s{i}", len(asked), frozenset(asked), tuple(_assigned(asked, labels, draw))))
            judged.append(_placed(i, asked, draw, None))
        leak, place = identity_leak(read, NAMES, 200, repeat), measure_places(judged)
        other = measure_leakage(_hair_rows(draw, 400, 1, 1.0), COLORS, 200, repeat)
        assert leak is not None and place is not None and other is not None and other.leak is not None
        identity.append(leak.difference.value)
        hair.append(other.leak.difference.value)
        places.append(place.lift.value)
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


def _placed(index: int, asked: list[str], draw: np.random.Generator, obedience: float | None) -> tuple[Verdict, Scene]:
    """Everybody is there, each in a cell of the 25 that is asked for: that often there, else anywhere; None: somewhere
    near the middle, whatever place was asked for."""
    people, figures = [], []
    for i, name in enumerate(asked):
        cell = int(draw.integers(5)), int(draw.integers(5))
        people.append(Placement(name, cell=cell))
        if obedience is None:
            x, y = (float(v) for v in np.clip(draw.normal(50, 18, 2), 1, 99))
        else:
            there = cell if draw.random() < obedience else draw.integers(5, size=2)
            x, y = (20 * float(c) + 10 + float(draw.uniform(-5, 5)) for c in there)
        box = (x - 5, y - 5, x + 5, y + 5)
        figures.append(Found(box, box, 0.9, name, "", 0.9, 0.5, asked=i))
    scene, n = Scene(f"p{index}", "", tuple(people)), len(asked)
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
