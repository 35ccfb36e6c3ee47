"""Line 2: what prepare made of three pocket shows, against the truth that it never saw."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from checks.framework import Context, Figure, Goal, estimated
from checks.journey import CHECK
from checks.shows import fullcast, must, prepared

AUDIT_GOALS: dict[str, Goal] = {
    "person recall": Goal(">=", 0.93),
    "person precision": Goal(">=", 0.93),
    "identity, macro over characters and forms": Goal(">=", 0.93),
    "recall of unknown": Goal(">=", 0.85),
    "people counted right": Goal(">=", 0.85),
    "story shots with a kept frame": Goal(">=", 1.0),
    "distinct drawings kept": Goal(">=", 0.8),
    "junk among kept": Goal("<=", 0.0),
    "true duplicates among kept": Goal("<=", 0.02),
}

HARDNESS: dict[str, Goal] = {
    "identity by colour histogram of the true box": Goal("<=", 0.60),
    "identity by the true head at 16x16": Goal("<=", 0.85),
    "pHash: duplicate pairs, F1 at its best threshold": Goal("<=", 0.90),
}
"""What simple baselines may reach at most, or the show is too easy."""

BESIDE_HARDNESS: dict[str, Goal] = {"person recall": Goal("<=", 0.80), "people counted right": Goal("<=", 0.40)}

ERROR_SHARE = 1 / 3
"""Our error against the best baseline's, at most."""


@CHECK.line(2, "three pocket shows: what prepare made, against the truth (prepared without it); worst of the three")
def three_shows(context: Context) -> Iterator[Figure]:
    tables: list[dict[str, Any]] = []
    for seed in context.seeds("journey-2", 3):
        files = prepared(context, seed)
        answer = must(fullcast("audit", files.truth, "-w", files.workspace, "--json"), "audit").data
        tables.append({row["name"]: _numbers(row) for row in answer["measures"]})
        context.say(f"seed {seed}: " + ", ".join(f"{n} {r['ours']['value']:.3f}" for n, r in tables[-1].items()))
    for name, goal in AUDIT_GOALS.items():
        yield _worst(name, [table[name] for table in tables], goal)
    for name, goal in HARDNESS.items():
        yield _worst(f"baseline: {name}", [table[name] for table in tables], goal)
    for name, goal in BESIDE_HARDNESS.items():
        rows = [table[name] for table in tables]
        worst = max(rows, key=lambda row: row["baseline_value"]["value"])
        yield estimated(f"baseline: {worst['baseline']}", worst["baseline_value"], goal)
    for name in ("person recall", "identity, macro over characters and forms", "people counted right"):
        yield _error_share(name, [table[name] for table in tables])


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the audit with nan for what has no value, where JSON says null."""

    def told(estimate: dict[str, Any] | None) -> dict[str, Any] | None:
        return estimate and {**estimate, "value": math.nan if estimate["value"] is None else estimate["value"]}

    return {**row, "ours": told(row["ours"]), "baseline_value": told(row["baseline_value"])}


def _worst(name: str, rows: list[dict[str, Any]], goal: Goal) -> Figure:
    """The show in which the goal is farthest; every show's value stands in the note."""
    sign = 1 if goal.relation == ">=" else -1
    worst = min(rows, key=lambda row: sign * row["ours"]["value"])
    each = ", ".join(f"{row['ours']['value']:.3f}" for row in rows)
    return estimated(name, worst["ours"], goal, f"shows: {each}")


def _error_share(name: str, rows: list[dict[str, Any]]) -> Figure:
    """Errors summed over the shows, ours over the baseline's."""
    ours = sum((1 - row["ours"]["value"]) * row["ours"]["n"] for row in rows)
    theirs = sum((1 - row["baseline_value"]["value"]) * row["ours"]["n"] for row in rows)
    share = ours / theirs if theirs else float("nan")
    return Figure(f"our error over the baseline's: {name}", share, Goal("<=", ERROR_SHARE))
