"""What is right and wrong in one picture: figures matched to those who were asked for.

Definitions: count, identity and whole-scene success after GenEval (Ghosh et al. 2023, arXiv 2310.11513: exact counts)
and MultiHuman-Testbench (Borse et al. 2025, arXiv 2506.20879: Hungarian matching), with extra people punished and the
similarity taken over the full cast, not only over those asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from fullcast.judging.config import JudgingConfig
from fullcast.recognition.scenes import check_scene
from fullcast.records import GRID, UNKNOWN, Box, Cast, Found, Placement, Scene, Verdict

Failure = Literal["too few", "too many", "duplicate", "intruder", "stranger", "wrong form", "mixed up", "place"]

FAILURES: dict[Failure, str] = {
    "too few": "fewer people than asked for",
    "too many": "more people than asked for",
    "duplicate": "somebody is there twice",
    "intruder": "a known character whom nobody asked for",
    "stranger": "somebody who is nobody of the cast, and was not asked for",
    "wrong form": "the right character in another look",
    "mixed up": "a figure between two of those asked for",
    "place": "all are there, not where they were asked to be",
}
"""What can go wrong with a picture, in words; a picture may have several."""

UNCALIBRATED = 0.03
"""Margin of hybrids where neither the settings nor references say one (`hybrids.settled`): few are found by it."""


def judge_picture(
    found: Sequence[Found],
    scene: Scene,
    cast: Cast,
    *,
    width: int,
    height: int,
    picture_id: str = "",
    config: JudgingConfig | None = None,
) -> Verdict:
    """The verdict on one picture of ``width`` x ``height`` pixels.

    ``found`` are the figures that a `Look` saw; those too faint, too small or seen twice are put aside first. A figure
    is matched when the best assignment (most similarity in total) gives it to somebody asked for, it is that
    character more than anybody else of the cast, and it wears the form that was asked for (no form asked: any). Who is
    asked for without a name is anybody who is nobody of the cast.

    ``success``: as many figures as asked, each matched, no duplicate, no intruder. A name in the scene that the cast
    does not hold raises FullcastError with the cast's names.
    """
    config = config or JudgingConfig()
    check_scene(scene, cast)
    figures = accept(found, width, height, config)
    pairs = pair(figures, scene.people, cast)
    matched = {j: i for i, j in pairs.items() if is_right(figures[j], scene.people[i])}
    figures = [replace(figure, asked=matched.get(j, -1)) for j, figure in enumerate(figures)]

    margin = UNCALIBRATED if config.hybrid_margin is None else config.hybrid_margin
    asked = Counter(placement.character for placement in scene.people if placement.is_named)
    seen = Counter(figure.character for figure in figures if figure.character != UNKNOWN)
    duplicates = tuple(sorted(name for name in asked if seen[name] > asked[name]))
    intruders = tuple(sorted(name for name in seen if name not in asked))
    missing = tuple(p.character or UNKNOWN for i, p in enumerate(scene.people) if i not in matched.values())
    success = len(figures) == scene.num_people and not (missing or duplicates or intruders)
    return Verdict(
        picture_id=picture_id,
        scene_id=scene.id,
        num_asked=scene.num_people,
        num_found=len(figures),
        found=tuple(figures),
        missing=missing,
        extra=len(figures) - len(matched),
        duplicates=duplicates,
        intruders=intruders,
        unknown=sum(figure.character == UNKNOWN and figure.asked < 0 for figure in figures),
        hybrids=sum(is_hybrid(figure, scene, cast, margin) for figure in figures),
        success=success,
        success_placed=success and in_place(figures, scene.people, width, config.place_tolerance),
        width=width,
        height=height,
    )


def accept(found: Sequence[Found], width: int, height: int, config: JudgingConfig) -> list[Found]:
    """The figures that count, left to right: sure enough, large enough, each once (the surest of an overlap stays).

    A small head inside a large one that is at least as sure is an ornament or an ear that was taken for a head: on true
    pictures through the pocket VAE 31 of 300 had one by an earlier detector, none of 290 by today's. A head far behind
    another one is hidden by it, or stands beside it. A large head that is less sure takes nobody away: it is the one
    that is doubtful.
    """
    smallest = config.min_area * width * height
    sure = [f for f in found if f.confidence >= config.min_confidence and _area(_head(f)) >= smallest]
    sure = [f for f in sure if not any(_is_ornament(f, other) for other in sure)]
    kept: list[Found] = []
    for figure in sorted(sure, key=lambda f: -f.confidence):
        if all(_overlap(figure, other) <= config.max_overlap for other in kept):
            kept.append(figure)
    return sorted(kept, key=lambda f: centre(f)[0])


def pair(figures: Sequence[Found], people: Sequence[Placement], cast: Cast) -> dict[int, int]:
    """Index in ``people`` -> index in ``figures`` of the assignment of most similarity in total (Hungarian).

    All are paired that can be, right or wrong: the caller decides which pairs hold. Costs are ``1 - s(f, c)``, exact
    when figures tell their similarity to the whole cast; else a figure resembles only whom it was taken for.
    """
    from scipy.optimize import linear_sum_assignment

    if not figures or not people:
        return {}
    cost = np.array([[1 - similarity(f, p, cast) for f in figures] for p in people])
    # One character may be asked for in two forms: a thousandth, far under any margin that matters, tells them apart.
    cost += [[1e-3 * bool(p.form and f.form != p.form) for f in figures] for p in people]
    return {int(i): int(j) for i, j in zip(*linear_sum_assignment(cost), strict=True)}


def similarity(figure: Found, placement: Placement, cast: Cast) -> float:
    """s(f, c): cosine to the character's nearest form; for who has no name 1 if the figure is nobody of the cast."""
    if not placement.is_named:
        return float(figure.character == UNKNOWN)
    if figure.scores:
        return figure.scores[cast.names.index(placement.character)]
    return figure.score if figure.character == placement.character else 0.0


def is_right(figure: Found, placement: Placement) -> bool:
    """The figure is the one asked for, in the form asked for; no form asked: any form is right. Nobody of the cast is
    right for who has no name."""
    if not placement.is_named:
        return figure.character == UNKNOWN
    return figure.character == placement.character and placement.form in ("", figure.form)


def is_hybrid(figure: Found, scene: Scene, cast: Cast, margin: float) -> bool:
    """The two nearest characters are both asked for, and nearer to each other than ``margin`` in similarity."""
    if len(figure.scores) < 2:
        return False
    first, second = np.argsort(figure.scores)[::-1][:2]
    asked = {placement.character for placement in scene.people}
    both = {cast.names[first], cast.names[second]} <= asked
    return both and figure.scores[first] - figure.scores[second] < margin


def calibrate_hybrid_margin(scores: np.ndarray) -> float:
    """The fifth percentile of (first - second) over figures of true pictures; ``scores`` is (num_figures, num_cast)."""
    top = np.sort(scores, axis=1)
    return float(np.percentile(top[:, -1] - top[:, -2], 5))


def in_place(figures: Sequence[Found], people: Sequence[Placement], width: int, tolerance: int = 1) -> bool:
    """Each matched figure whose place was asked for stands at most ``tolerance`` columns beside it, and all of them
    in the asked order from left to right (who shares a column may stand in any order). Nobody placed: True."""
    matched = [(column(people[f.asked]), centre(f)[0]) for f in figures if f.asked >= 0]
    placed = [(asked, x) for asked, x in matched if asked is not None]
    near = all(abs(min(GRID - 1, max(0, int(GRID * x / width))) - asked) <= tolerance for asked, x in placed)
    ordered = all(x_a < x_b for a, x_a in placed for b, x_b in placed if a < b)
    return near and ordered


def column(placement: Placement) -> int | None:
    """The column, 0 to 4, in which the head is asked to be: the cell's, or that of the box's middle."""
    if placement.cell is not None:
        return placement.cell[0]
    if placement.box is not None:
        return min(GRID - 1, max(0, int(GRID * (placement.box[0] + placement.box[2]) / 2)))
    return None


def failures(verdict: Verdict, scene: Scene) -> list[Failure]:
    """What went wrong, worst first; empty: nothing did. ``place`` only where all else is right and
    the scene asks for places (a verdict may have been given on the same scene with them)."""
    forms = {(p.character, p.form) for p in scene.people if p.is_named and p.form}
    strays = [f for f in verdict.found if f.asked < 0 and f.character not in verdict.duplicates]
    right_but_form = any(f.character == name and f.form != form for f in strays for name, form in forms)
    placed = any(column(p) is not None for p in scene.people)
    kinds: dict[Failure, bool] = {
        "too few": verdict.num_found < verdict.num_asked,
        "too many": verdict.num_found > verdict.num_asked,
        "duplicate": bool(verdict.duplicates),
        "intruder": bool(verdict.intruders),
        "stranger": verdict.unknown > 0,
        "wrong form": right_but_form,
        "mixed up": verdict.hybrids > 0 and not verdict.success,
        "place": placed and verdict.success and not verdict.success_placed,
    }
    return [kind for kind, holds in kinds.items() if holds]


def centre(figure: Found) -> tuple[float, float]:
    """(x, y) in pixels of the head's centre, or of the upper fifth of the figure: the rule of `Person.place_xy`."""
    x0, y0, x1, y1 = _head(figure)
    return (x0 + x1) / 2, (y0 + y1) / 2 if figure.head_xyxy else y0 + (y1 - y0) / 5


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two xyxy boxes, in [0, 1]."""
    common = _area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
    return common / (_area(a) + _area(b) - common) if common > 0 else 0.0


def _head(figure: Found) -> Box:
    return figure.head_xyxy or figure.xyxy


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _is_ornament(figure: Found, other: Found) -> bool:
    if figure.head_xyxy is None or other.head_xyxy is None or figure.confidence > other.confidence:
        return False
    return _is_part(figure.head_xyxy, other.head_xyxy)


def _is_part(small: Box, large: Box) -> bool:
    """Less than a quarter of the area, and seven tenths of it inside."""
    w = min(small[2], large[2]) - max(small[0], large[0])
    h = min(small[3], large[3]) - max(small[1], large[1])
    return _area(small) < _area(large) / 4 and w > 0 and h > 0 and w * h >= 0.7 * _area(small)


def _overlap(a: Found, b: Found) -> float:
    """Heads are compared where both have one: bodies of a crowd overlap honestly."""
    if a.head_xyxy and b.head_xyxy:
        return iou(a.head_xyxy, b.head_xyxy)
    return iou(a.xyxy, b.xyxy)
