"""Success by how large people are drawn: an embedder reads a head of 12 pixels worse than one of 60."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fullcast.judging.counterfactual import prompt_of
from fullcast.judging.rows import Row
from fullcast.judging.statistics import Estimate, clustered_share

EDGES_PX = (0.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0)
"""Head height in pixels of the judged picture: identity depends on pixels, not on the share of the picture."""


@dataclass(frozen=True, slots=True)
class SizeBin:
    low_px: float
    high_px: float
    """inf: no upper end."""
    named: Estimate
    """Figures with a head of this height who are somebody who was asked for."""
    scenes: Estimate
    """Pictures whose smallest head has this height that are right."""


def by_head_size(rows: Sequence[Row], edges: Sequence[float] = EDGES_PX) -> tuple[SizeBin, ...]:
    """Bins that hold anything. Figures without a head are in none, pictures without one neither."""
    bins = []
    for low, high in zip(edges, [*edges[1:], float("inf")], strict=True):
        figures = [
            (figure.asked >= 0, prompt_of(row.scene.id))
            for row in rows
            for figure in row.verdict.found
            if figure.head_xyxy and low <= _height(figure.head_xyxy) < high
        ]
        scenes = [(row.verdict.success, prompt_of(row.scene.id)) for row in rows if low <= _smallest(row) < high]
        if figures:
            bins.append(SizeBin(low, high, _share(figures), _share(scenes)))
    return tuple(bins)


def _share(outcomes: Sequence[tuple[bool, str]]) -> Estimate:
    if not outcomes:
        return Estimate(float("nan"), 0.0, 1.0, 0)
    return clustered_share([o for o, _ in outcomes], [scene for _, scene in outcomes])


def _height(box: Sequence[float]) -> float:
    return box[3] - box[1]


def _smallest(row: Row) -> float:
    return min((_height(f.head_xyxy) for f in row.verdict.found if f.head_xyxy), default=-1.0)
