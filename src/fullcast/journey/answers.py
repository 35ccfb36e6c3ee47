"""What a verb answers, and how its time and its drops are told."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fullcast.records import Drop
from fullcast.store.atomic import write_json
from fullcast.store.workspace import Workspace


@dataclass(frozen=True)
class Answer:
    """The outcome of a verb: `text` for people, `data` (JSON-ready) for machines."""

    text: str
    data: dict[str, Any] = field(default_factory=dict)


def counted(drops: Sequence[Drop]) -> list[tuple[str, str, int]]:
    """(stage, reason, how many), the most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    for drop in drops:
        counts[drop.stage, drop.reason] += _frames(drop)
    return [(stage, reason, count) for (stage, reason), count in sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))]


def _frames(drop: Drop) -> int:
    """A shot's frames are dropped together and stand in one record: "22 frames"."""
    number, _, word = drop.detail.partition(" ")
    return int(number) if word == "frames" and number.isdigit() else 1


def drop_lines(drops: Sequence[Drop]) -> list[str]:
    """One line per stage: "frames: 812 held-drawing, 31 black"."""
    stages: dict[str, list[str]] = {}
    for stage, reason, count in counted(drops):
        stages.setdefault(stage, []).append(f"{count} {reason}")
    return [f"  not used by {stage}: {', '.join(reasons)}" for stage, reasons in stages.items()]


@contextmanager
def timed(workspace: Workspace, stage: str) -> Iterator[None]:
    """Adds the seconds of a stage to data/times.json, over all its runs: the report tells what the journey took."""
    began = time.monotonic()
    try:
        yield
    finally:
        times = read_times(workspace)
        times[stage] = round(times.get(stage, 0.0) + time.monotonic() - began, 2)
        write_json(_times_path(workspace), times)


def read_times(workspace: Workspace) -> dict[str, float]:
    """Seconds by stage."""
    try:
        return dict(json.loads(_times_path(workspace).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _times_path(workspace: Workspace) -> Path:
    return workspace.data_dir / "times.json"
