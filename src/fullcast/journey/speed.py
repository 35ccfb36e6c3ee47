"""How fast this machine trains this plan: known from a bench or its own run, or measured in a few steps."""

from __future__ import annotations

import statistics
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.journey.bench import Blocks, known_speed, run_steps

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.journey.planning import Planned

STEPS = 4
"""The first is warm-up and does not count; the rest differ by a few per cent. `bench` takes more, size by size."""


def images_per_s(journey: Journey, planned: Planned) -> float | None:
    """Training pictures per second from a bench of this plan, its own run, or measured now; latents not counted. None
    on a machine that cannot train, having no torch: there a plan is all that is wanted."""
    return known_speed(journey, planned) or _of_run(journey, planned) or _measure(journey, planned)


def _of_run(journey: Journey, planned: Planned) -> float | None:
    """Of the run that `train` would go on with; another one had another plan, other settings or another base."""
    from fullcast.journey.planning import run_dir_of

    if not any(journey.workspace.runs_dir.glob("*/metrics.jsonl")):
        return None  # the base need not be read for its hash
    metrics = run_dir_of(journey, planned) / "metrics.jsonl"
    return _of_metrics(metrics) if metrics.is_file() else None


def _of_metrics(metrics: Path) -> float | None:
    from fullcast.training.metrics import read_metrics

    return _median([line["images_per_s"] for line in read_metrics(metrics) if "images_per_s" in line])


def _measure(journey: Journey, planned: Planned) -> float | None:
    """A few real steps with the real base."""
    if find_spec("torch") is None:
        return None
    steps = tuple(range(min(STEPS, planned.stream.num_steps)))
    return _median(run_steps(journey, planned, Blocks(planned.stream, steps))) or 0.0


def _median(speeds: list[float]) -> float | None:
    return statistics.median(speeds[1:] or speeds) if speeds else None
