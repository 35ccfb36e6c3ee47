"""Verdicts as exhibits: what the report and the card show of judged pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from fullcast.judging.best_of import faults
from fullcast.judging.report_data import (
    Badge,
    Curve,
    Exhibits,
    FailureGroup,
    Gallery,
    Label,
    Point,
    Series,
    SeriesKind,
    Shown,
)
from fullcast.judging.rows import Row, scenes_of, verdicts_of
from fullcast.judging.summary import Summary
from fullcast.judging.verdict import FAILURES, failures
from fullcast.records import UNKNOWN, Found, Placement, Scene, Verdict


def shown(path: str, verdict: Verdict, scene: Scene) -> Shown:
    """A judged picture: who was asked for, ticked where matched; boxes of what the judge saw; what is wrong."""
    matched = {figure.asked for figure in verdict.found}
    badges = [Badge(_name(p), "good" if i in matched else "bad") for i, p in enumerate(scene.people)]
    wrong = failures(verdict, scene)
    return Shown(
        path=path,
        caption=scene.prompt,
        labels=tuple(Label(f.head_xyxy or f.xyxy, _label(f), _tone(f)) for f in verdict.found),
        badges=tuple(badges),
        note=", ".join(FAILURES[kind] for kind in wrong),
    )


def galleries(
    verdicts: Sequence[Verdict], scenes: Sequence[Scene], paths: Mapping[str, str], per_count: int = 8
) -> tuple[Gallery, ...]:
    """The first ``per_count`` judged pictures of each number of people, in the order in which they were judged.

    Not the best: the seed's card shows failures too, and a reader can trust a gallery that nobody picked.
    ``paths``: picture id -> path for the page.
    """
    by_id = {scene.id: scene for scene in scenes}
    out = []
    for n in sorted({v.num_asked for v in verdicts}):
        first = [v for v in verdicts if v.num_asked == n and v.picture_id in paths][:per_count]
        out.append(Gallery(n, tuple(shown(paths[v.picture_id], v, by_id[v.scene_id]) for v in first)))
    return tuple(out)


def failure_groups(
    verdicts: Sequence[Verdict], scenes: Sequence[Scene], paths: Mapping[str, str], per_kind: int = 6
) -> tuple[FailureGroup, ...]:
    """Failed pictures by kind, the most frequent kind first; a picture may stand under several kinds."""
    by_id = {scene.id: scene for scene in scenes}
    groups = []
    for kind, text in FAILURES.items():
        failed = [v for v in verdicts if kind in failures(v, by_id[v.scene_id])]
        if failed:
            pictures = [v for v in failed if v.picture_id in paths][:per_kind]
            exhibits = tuple(shown(paths[v.picture_id], v, by_id[v.scene_id]) for v in pictures)
            groups.append(FailureGroup(text, len(failed), len(verdicts), exhibits))
    return tuple(sorted(groups, key=lambda group: -group.count))


def exhibits(name: str, rows: Sequence[Row], summary: Summary, per_kind: int = 3) -> Exhibits:
    """What the page shows of a series that is not its main one; fewer pictures, for there may be many of them."""
    paths = {row.verdict.picture_id: row.path for row in rows}
    failed = failure_groups(verdicts_of(rows), scenes_of(rows), paths, per_kind)
    return Exhibits(name, failed, count_table(summary), identity_table(summary))


def best_and_worst(
    rows: Sequence[Row], paths: Mapping[str, str], most: int = 6
) -> tuple[tuple[Shown, ...], tuple[Shown, ...]]:
    """Right pictures in which the least sure figure is surest, taking turns over the numbers of people, most first; and
    the pictures with most faults."""
    there = [row for row in rows if row.verdict.picture_id in paths]
    right = [row for row in there if row.verdict.success]
    numbers = sorted({row.num_people for row in right}, reverse=True)
    ranked = [sorted((r for r in right if r.num_people == n), key=lambda r: faults(r.verdict)) for n in numbers]
    best = [row[i] for i in range(most) for row in ranked if i < len(row)][:most]
    worst = sorted((r for r in there if not r.verdict.success), key=lambda r: faults(r.verdict), reverse=True)[:most]

    def exhibit(row: Row) -> Shown:
        return shown(paths[row.verdict.picture_id], row.verdict, row.scene)

    return tuple(map(exhibit, best)), tuple(map(exhibit, worst))


def progress(summaries: Mapping[int, Summary]) -> tuple[Curve, ...]:
    """S_N over the steps of one training, a curve for each number of people; ``summaries``: step -> what was judged
    there."""
    steps = sorted(summaries)
    by_step = {step: {c.num_people: c.success.value for c in summaries[step].by_count} for step in steps}
    numbers = sorted({n for row in by_step.values() for n in row})
    curves = []
    for n in numbers:
        known = [step for step in steps if n in by_step[step]]
        title = "1 person" if n == 1 else f"{n} people"
        curves.append(Curve(title, tuple(known), tuple(by_step[step][n] for step in known)))
    return tuple(curves)


def series(
    name: str,
    summary: Summary,
    kind: SeriesKind = "main",
    *,
    placed: bool = False,
) -> Series:
    """S_N of a summary as a curve; ``placed``: success with everybody in place."""
    points = []
    for count in summary.by_count:
        estimate = count.success_placed if placed else count.success
        points.append(Point(count.num_people, estimate.n, estimate.value, estimate.low, estimate.high))
    return Series(name, tuple(points), kind)


def count_table(summary: Summary) -> dict[str, dict[str, float]]:
    """asked -> found -> pictures, with text keys as `ReportData.count_confusion` wants them."""
    return {str(n): {str(m): float(c) for m, c in row.items()} for n, row in summary.count_confusion.items()}


def identity_table(summary: Summary) -> dict[str, dict[str, float]]:
    return {name: {other: float(c) for other, c in row.items()} for name, row in summary.identity_confusion.items()}


def _name(placement: Placement) -> str:
    return f"{placement.character or UNKNOWN} {placement.form}".strip()


def _label(figure: Found) -> str:
    return f"{figure.character} {figure.form}".strip() if figure.character != UNKNOWN else "?"


def _tone(figure: Found) -> Literal["good", "bad", "unknown"]:
    if figure.character == UNKNOWN:
        return "unknown"
    return "good" if figure.asked >= 0 else "bad"
