"""Verdicts as exhibits: what the report and the card show of judged pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from fullcast.judging.report_data import Badge, FailureGroup, Gallery, Label, Point, Series, Shown
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


def series(
    name: str,
    summary: Summary,
    kind: Literal["main", "placed", "base", "ceiling"] = "main",
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
    return f"{placement.character} {placement.form}".strip()


def _label(figure: Found) -> str:
    return f"{figure.character} {figure.form}".strip() if figure.character != UNKNOWN else "?"


def _tone(figure: Found) -> Literal["good", "bad", "unknown"]:
    if figure.character == UNKNOWN:
        return "unknown"
    return "good" if figure.asked >= 0 else "bad"
