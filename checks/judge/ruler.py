"""Line 1 (E0): how often the judge is right on pictures whose truth is known."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from checks.framework import Context, Figure, Goal, passed
from checks.judge import CHECK
from checks.judge.drawings import COUNTS, HYBRIDS, KINDS, Vae, write_all
from checks.judge.eyes import judges_of
from fullcast.judging.rows import Row
from fullcast.judging.statistics import rogan_gladen, share
from fullcast.judging.verdict import calibrate_hybrid_margin
from fullcast.pocket.looks import UNSEEN_STYLE

SMALL = bool(os.environ.get("FULLCAST_CHECKS_SMALL"))
PER_COUNT = 12 if SMALL else 60
"""True pictures of each number of people on each cast."""
HYBRID_PICTURES, OTHER_PICTURES = (16, 8) if SMALL else (60, 40)
"""Wrong pictures of each kind on each cast."""
CASTS = 3
STYLE = "toon-head"
RIGHT = {1: 0.97, 2: 0.97, 3: 0.97, 4: 0.95, 5: 0.95}
"""Least sensitivity and specificity by number of people."""
FLAGGED, COUNTED = 0.90, 0.97

Told = dict[str, list[Row]]
"""Kind of picture -> rows."""


@CHECK.line(1, "E0: true pictures, hybrids, wrong counts, swapped places; the unseen style; colour histograms")
def ruler(context: Context) -> Iterable[Figure]:
    vae = Vae()
    ours: Told = defaultdict(list)
    colors: Told = defaultdict(list)
    margins: list[float] = []
    for seed in context.seeds("judge-1", CASTS):
        mine, plain = _judged(context, seed, STYLE, vae)
        for told, more in ((ours, mine), (colors, plain)):
            for kind, rows in more.items():
                told[kind] += rows
        margins.append(_margin(mine["true, as drawn"]))
    yield from _table("", ours, goals=True)
    yield from _corrected(ours)
    yield Figure("fifth percentile of the margin on true pictures (hybrid_margin)", float(np.mean(margins)), n=CASTS)
    yield from _against(ours, colors)
    (seed,) = context.seeds("judge-1-unseen", 1)
    unseen, _ = _judged(context, seed, UNSEEN_STYLE, vae)
    yield from _table(f"{UNSEEN_STYLE}, never seen: ", unseen, goals=False)


def _judged(context: Context, seed: int, style: str, vae: Vae) -> tuple[Told, Told]:
    """Rows of both judges by kind of picture. All but one kind went through the base's VAE."""
    folder, world, judge, plain = judges_of(context, seed, style, PER_COUNT)
    ours, colors = {}, {}
    context.say(f"seed {seed}, {style}: {len(world.scenes)} true pictures, then wrong ones")
    true = list(world.true())
    sets = {"true, as drawn": write_all(true, folder / "true-as-drawn")}
    sets["true"] = write_all(true, folder / "true", vae)
    for kind in KINDS:
        count = HYBRID_PICTURES if kind in HYBRIDS else OTHER_PICTURES
        # Every number of people takes part: scenes are dealt one of each number in turn.
        turns = type(world)(world.seed, world.cast, _in_turns(world.scenes))
        sets[kind] = write_all(list(turns.wrong(kind, count)), folder / kind.replace(" ", "-"), vae)
    for kind, pictures in sets.items():
        ours[kind] = judge.rows(pictures)
        if kind == "true" or kind in KINDS:
            colors[kind] = plain.rows(pictures)
    return ours, colors


def _in_turns(scenes: Sequence) -> tuple:
    by_number = defaultdict(list)
    for scene in scenes:
        by_number[scene.num_people].append(scene)
    most = max(map(len, by_number.values()))
    return tuple(rows[i] for i in range(most) for rows in by_number.values() if i < len(rows))


def _table(title: str, told: Told, goals: bool) -> Iterator[Figure]:
    for kind in ("true, as drawn", "true"):
        words = "as drawn" if kind != "true" else "through the VAE"
        for n, goal in RIGHT.items():
            rows = [row for row in told[kind] if row.num_people == n]
            yield _share(
                f"{title}sensitivity, {n} people, {words}",
                [row.verdict.success for row in rows],
                Goal(">=", goal) if goals else None,
            )
    wrong = [row for kind in KINDS if kind not in ("swapped places", *HYBRIDS) for row in told[kind]]
    for n, goal in RIGHT.items():
        refused = [not row.verdict.success for row in wrong if row.num_people == n]
        yield _share(f"{title}specificity, {n} people", refused, Goal(">=", goal) if goals else None)
    hybrids = [row for kind in HYBRIDS for row in told[kind]]
    yield _share(f"{title}hybrids flagged", list(map(_flagged, hybrids)), Goal(">=", FLAGGED) if goals else None)
    for kind in HYBRIDS:
        yield _share(f"{title}{kind} flagged", list(map(_flagged, told[kind])))
        yield _share(f"{title}{kind} refused", [not row.verdict.success for row in told[kind]])
        yield _share(f"{title}{kind}: the word hybrid catches", [row.verdict.hybrids > 0 for row in told[kind]])
    yield _share(f"{title}true pictures with a hybrid called", [row.verdict.hybrids > 0 for row in told["true"]])
    counts = [row for kind in COUNTS for row in told[kind]]
    caught = [not row.verdict.success for row in counts]
    yield _share(f"{title}wrong counts caught", caught, Goal(">=", COUNTED) if goals else None)
    for kind in COUNTS:
        yield _share(f"{title}{kind}: number seen right", [_true_number(kind, row) for row in told[kind]])
    yield _share(f"{title}another one caught", [not row.verdict.success for row in told["another one"]])
    placed = [row.verdict.success_placed for row in told["swapped places"]]
    yield _share(f"{title}swapped places caught", [not p for p in placed], Goal(">=", COUNTED) if goals else None)


def _flagged(row: Row) -> bool:
    """Not called right, or called right with a hybrid in it."""
    return not row.verdict.success or row.verdict.hybrids > 0


def _true_number(kind: str, row: Row) -> bool:
    return row.verdict.num_found == row.num_people + (-1 if kind == "one missing" else 1)


def _corrected(told: Told) -> Iterator[Figure]:
    """Half of the pictures right: raw and corrected share by number of people; 0.5 is the truth. The errors are those
    of the other half of the very pictures, so that nothing corrects itself."""
    wrong = [row for kind in KINDS if kind not in ("swapped places", *HYBRIDS) for row in told[kind]]
    for n in RIGHT:
        right = [row.verdict.success for row in told["true"] if row.num_people == n]
        false = [row.verdict.success for row in wrong if row.num_people == n]
        raw = (np.mean(right[::2]) + np.mean(false[::2])) / 2
        fixed = rogan_gladen(float(raw), float(np.mean(right[1::2])), 1 - float(np.mean(false[1::2])))
        yield Figure(
            f"half of the pictures right, {n} people: corrected share (0.5 is true)",
            fixed,
            n=len(right[::2]) + len(false[::2]),
            note=f"raw {raw:.3f}",
        )


def _against(ours: Told, colors: Told) -> Iterator[Figure]:
    """Youden's J (sensitivity + specificity - 1) over all numbers of people."""
    wrong = [kind for kind in KINDS if kind != "swapped places"]
    values = {}
    for name, told in (("ours", ours), ("colour histograms", colors)):
        right = [row.verdict.success for row in told["true"]]
        refused = [not row.verdict.success for kind in wrong for row in told[kind]]
        values[name] = share(sum(right), len(right)), share(sum(refused), len(refused))
        sensitivity, specificity = values[name]
        yield Figure(
            f"{name}: sensitivity + specificity - 1",
            sensitivity.value + specificity.value - 1,
            n=len(right) + len(refused),
            note=f"{sensitivity.value:.3f} and {specificity.value:.3f}",
        )
    (a, b), (c, d) = values["ours"], values["colour histograms"]
    apart = a.low + b.low > c.high + d.high
    yield passed("colour histograms are clearly worse (intervals apart)", apart)


def _margin(rows: Sequence[Row]) -> float:
    scores = np.array([figure.scores for row in rows for figure in row.verdict.found if figure.asked >= 0])
    return calibrate_hybrid_margin(scores)


def _share(name: str, outcomes: Sequence[bool], goal: Goal | None = None) -> Figure:
    e = share(sum(outcomes), len(outcomes))
    return Figure(name, e.value, goal, e.n, e.low, e.high)
