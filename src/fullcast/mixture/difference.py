"""Two plans side by side: what the second changes, from their plan.json files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fullcast.store.errors import FullcastError

LEAST = 5e-4
"""Differences of shares below this (0.05 points) are not told."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs; numbers or words."""

    what: str
    before: float | str | None
    after: float | str | None
    """None: it is not there."""
    share: bool = False
    """Both are shares in [0, 1]."""


@dataclass(frozen=True)
class Difference:
    """Everything that differs, in the order of the report."""

    changes: tuple[Change, ...]
    same_order: bool
    """The fingerprints agree: the very same batches."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_plan(path: Path) -> dict[str, Any]:
    """plan.json, or the one in a folder: a workspace, or its data/plan."""
    places = [path] if path.is_file() else [path / "plan.json", path / "data" / "plan" / "plan.json"]
    for place in places:
        if place.is_file():
            try:
                plan: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
                if "fingerprint" in plan and "branches" in plan:
                    return plan
            except (ValueError, TypeError):
                pass
            raise FullcastError(f"{place} is no plan; give a plan.json that `fullcast plan` wrote")
    raise FullcastError(f"there is no plan in {path}; give a plan.json, or a workspace in which `fullcast plan` ran")


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference:
    """What the plan ``after`` changes against ``before``."""
    changes: list[Change] = []
    for name in ("num_steps", "batch_size", "num_visits", "num_samples", "num_originals", "pictures_never_seen"):
        changes += _numbers(name, before.get(name), after.get(name))
    changes += _numbers("effective_sample_size", *(_rounded(plan, "effective_sample_size") for plan in (before, after)))
    changes += _settings(before, after)
    changes += _shares(before, after)
    for by in ("character", "name", "num_people", "cell"):
        one, other = (_visits(plan, by) for plan in (before, after))
        for value in [*one, *(v for v in other if v not in one)]:
            changes += _numbers(f"visits, {by} {value}", one.get(value), other.get(value))
    cheap, dear = ({p["gpu"]: p for p in plan.get("prices") or ()} for plan in (before, after))
    for gpu in [*cheap, *(g for g in dear if g not in cheap)]:
        for what in ("hours", "dollars"):
            values = [round(priced[gpu][what][1], 1) if gpu in priced else None for priced in (cheap, dear)]
            changes += _numbers(f"{what} on {gpu}, likely", *values)
    return Difference(tuple(changes), before["fingerprint"] == after["fingerprint"])


def as_text(found: Difference, names: tuple[str, str] = ("before", "after")) -> str:
    """A table with the change in its last column."""
    if not found.changes:
        return "the plans have the same order\n" if found.same_order else "the plans differ in the order alone\n"
    rows = [("", *names, "change")]
    rows += [(c.what, _said(c.before, c.share), _said(c.after, c.share), _change(c)) for c in found.changes]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = (row[0].ljust(widths[0]) + "".join(f"  {c.rjust(w)}" for c, w in zip(row[1:], widths[1:])) for row in rows)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _rounded(plan: Mapping[str, Any], name: str) -> float | None:
    return round(plan[name]) if name in plan else None


def _numbers(what: str, before: Any, after: Any) -> list[Change]:
    return [] if before == after else [Change(what, before, after)]


def _settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Change]:
    """Of the stages, by their number: two plans may call them otherwise."""
    one, other = (plan.get("stages") or () for plan in (before, after))
    if len(one) != len(other):
        yield Change("stages", len(one), len(other))
    for number, (a, b) in enumerate(zip(one, other, strict=False), 1):
        for name in [*a["settings"], *(n for n in b["settings"] if n not in a["settings"])]:
            values = a["settings"].get(name), b["settings"].get(name)
            if values[0] != values[1]:
                old, new = (None if value is None else str(value) for value in values)
                yield Change(f"stage {number}, {name}", old, new)


def _shares(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Change]:
    one, other = ({tuple(row["path"]): row for row in plan["branches"]} for plan in (before, after))
    for path in [*one, *(p for p in other if p not in one)]:
        for column in ("planned", "delivered"):
            old, new = (plan[path][column] if path in plan else None for plan in (one, other))
            if old is None or new is None or abs(old - new) >= LEAST:
                yield Change(f"{column}, {' / '.join(path)}", old, new, share=True)


def _visits(plan: Mapping[str, Any], by: str) -> dict[str, int]:
    return {row["value"]: row["visits"] for row in plan["values"].get(by, ())}


def _said(value: float | str | None, share: bool) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:.2%}" if share else f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"


def _change(change: Change) -> str:
    a, b = change.before, change.after
    if isinstance(a, str) or isinstance(b, str) or a is None or b is None:
        return ""
    if change.share:
        return f"{100 * (b - a):+.2f} points"
    return f"{(b - a) / a:+.1%}" if a else f"{b - a:+g}"
