"""The plan as one picture: shares planned and delivered, and other trainers' orders beside them (SVG, no library)."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

import numpy as np

from fullcast.mixture.beside import TRAINERS, multiplies_of, top_of
from fullcast.mixture.preview import PlanReport
from fullcast.mixture.stages import StagePlan
from fullcast.store.errors import FullcastError

WIDTH, LEFT, RIGHT = 960, 150, 30
ROW, GAP, POINTS = 24, 34, 120
COLOURS = ("#2a6f97", "#c8553d", "#588157", "#8d6a9f", "#b08968", "#6c757d")
INK, FAINT = "#222222", "#d9d9d9"


def draw(report: PlanReport, stages: Sequence[StagePlan]) -> str:
    """Above: what share of visits each outermost branch gets, by trainer; below: the share so far, step by step."""
    names = [row.path[0] for row in report.branches if len(row.path) == 1]
    bars, height = _bars(report, names)
    curves, height = _curves(names, stages, height + GAP)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="13">'
    )
    return (
        "\n".join([head, f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>', *bars, *curves, "</svg>"]) + "\n"
    )


def _bars(report: PlanReport, names: Sequence[str]) -> tuple[list[str], float]:
    """For each branch a line at its plan, our dot, and the others' range of 90 % of their orders with its median."""
    parts = [
        text_at(LEFT, 24, "Share of visits: the line is the plan, the dot what comes (bar: 90 % of orders)", bold=True)
    ]
    ours = {row.path[0]: row for row in report.branches if len(row.path) == 1}
    y = 44.0
    for number, name in enumerate(names):
        colour, row = COLOURS[number % len(COLOURS)], ours[name]
        rows = [("Fullcast", row.delivered, row.delivered, row.delivered)]
        for peers in report.beside:
            found = next(r for r in peers.ranges if r.branch == name)
            rows.append((peers.trainer, found.low, found.median, found.high))
        parts.append(text_at(10, y + 14, name.partition("=")[2] or name, bold=True, colour=colour))
        top = y
        for who, low, median, high in rows:
            parts.append(text_at(LEFT + 6, y + 14, who, anchor="start", size=12))
            parts.append(line_between(_x(low), y + 10, _x(high), y + 10, colour, 7, 0.35))
            parts.append(f'<circle cx="{_x(median):.1f}" cy="{y + 10:.1f}" r="5" fill="{colour}"/>')
            parts.append(text_at(WIDTH - 4, y + 14, f"{median:.1%}", anchor="end", size=12))
            y += ROW
        parts.append(line_between(_x(row.planned), top, _x(row.planned), y - 4, INK, 2))
        y += 10
    for tick in range(0, 101, 20):
        parts.append(text_at(_x(tick / 100), y + 12, f"{tick} %", anchor="middle", size=11))
    return parts, y + 14


def _x(share: float) -> float:
    return LEFT + 100 + share * (WIDTH - LEFT - 100 - RIGHT - 50)


def _curves(names: Sequence[str], stages: Sequence[StagePlan], top: float) -> tuple[list[str], float]:
    """Share so far at each of POINTS steps: ours thick, one order of EveryDream1 and one of 2 thin."""
    parts = [
        text_at(LEFT, top + 10, "Share so far, by step: thick ours, dashed EveryDream1, thin EveryDream2", bold=True)
    ]
    low, high = top + 210, top + 30

    def at(share: float) -> float:
        return low - share * (low - high)

    total = sum(stage.num_steps for stage in stages)
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(line_between(LEFT, at(tick), WIDTH - RIGHT, at(tick), FAINT, 1))
        parts.append(text_at(LEFT - 6, at(tick) + 4, f"{tick:.0%}", anchor="end", size=11))
        x = LEFT + tick * (WIDTH - LEFT - RIGHT)
        parts.append(text_at(x, low + 16, f"{tick * total:,.0f}", anchor="middle", size=11))
    parts.append(text_at(WIDTH - RIGHT, low + 32, "steps", anchor="end", size=11))
    for who, style in (("EveryDream1", (2, "6 4")), ("EveryDream2", (1, "")), ("", (3, ""))):
        shares = _so_far(names, stages, who)
        if shares is None:
            continue
        for number in range(len(names)):
            points = " ".join(
                f"{LEFT + (i + 1) / POINTS * (WIDTH - LEFT - RIGHT):.1f},{at(float(value)):.1f}"
                for i, value in enumerate(shares[:, number])
            )
            colour, (width, dash) = COLOURS[number % len(COLOURS)], style
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"'
                + (f' stroke-dasharray="{dash}"' if dash else "")
                + "/>"
            )
    return parts, low + 44


def _so_far(names: Sequence[str], stages: Sequence[StagePlan], trainer: str) -> np.ndarray | None:
    """(POINTS, branches) shares of all visits up to evenly spaced steps; "" is our own order."""
    shown = []
    for number, stage in enumerate(stages):
        branches, of_sample, _ = top_of(stage)
        stream = stage.mixture.stream
        order = stream.order
        if trainer:
            try:
                given = multiplies_of(stage)
                order = TRAINERS[trainer](given, stream.bucket_of, stream.batch_size, stream.num_steps, 555 + number)
            except FullcastError:
                return None
        place = np.array([names.index(branch) for branch in branches])
        shown.append(place[of_sample[order]])
    visits = np.concatenate(shown)  # (steps, batch) branch of each
    edges = np.maximum(1, np.arange(1, POINTS + 1) * len(visits) // POINTS)
    parts = np.split(visits, edges[:-1])
    chosen = np.cumsum([np.bincount(part.ravel(), minlength=len(names)) for part in parts], axis=0)
    return chosen / chosen.sum(1, keepdims=True)


def text_at(
    x: float, y: float, words: str, *, anchor: str = "start", size: int = 13, bold: bool = False, colour: str = INK
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}"{weight}>'
        f"{escape(words)}</text>"
    )


def line_between(x0: float, y0: float, x1: float, y1: float, colour: str, width: float, opacity: float = 1.0) -> str:
    return (
        f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{colour}" stroke-width="{width}" '
        f'stroke-opacity="{opacity}"/>'
    )
