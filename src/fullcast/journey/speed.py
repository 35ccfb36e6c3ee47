"""How fast this machine trains this plan: known from earlier trainings here, or measured in a few steps."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.ports import Batch, BatchStream
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.journey.planning import Planned

STEPS = 4
"""The first is warm-up and does not count; the rest differ by a few per cent."""


@dataclass(frozen=True)
class Beginning:
    """The first steps of a stream."""

    stream: BatchStream
    num_steps: int

    @property
    def batch_size(self) -> int:
        return self.stream.batch_size

    def batch(self, step: int) -> Batch:
        return self.stream.batch(step)

    def fingerprint(self) -> str:
        return f"{self.stream.fingerprint()}/{self.num_steps}"


def images_per_s(journey: Journey, planned: Planned) -> float:
    """Training pictures per second, from the runs of this workspace or measured now; latents not counted."""
    return _known(journey.workspace) or _measure(journey, planned)


def _known(workspace: Workspace) -> float | None:
    files = sorted(workspace.runs_dir.glob("*/metrics.jsonl"))
    return _median(files[-1]) if files else None


def _median(metrics: Path) -> float | None:
    from fullcast.training.metrics import read_metrics

    speeds = [line["images_per_s"] for line in read_metrics(metrics) if "images_per_s" in line]
    return statistics.median(speeds[1:] or speeds) if speeds else None


def _measure(journey: Journey, planned: Planned) -> float:
    """A few real steps with the real base in a folder that is thrown away."""
    from fullcast.journey.doors import Doors
    from fullcast.journey.planning import training_config
    from fullcast.journey.wording import caption_source
    from fullcast.mixture.pixels import WorkspacePixels
    from fullcast.training.loop import train

    doors = Doors(journey.workspace, journey.recipe)
    doors.use_threads()
    quiet = {"log_every": 1, "probe_every": 0, "sample_every": 0, "checkpoint_every": 10**6}
    samples = planned.mixture.samples
    stream = planned.mixture.stream
    with tempfile.TemporaryDirectory(dir=journey.workspace.data_dir) as folder:
        train(
            doors.path("base"),
            Beginning(stream, min(STEPS, stream.num_steps)),
            WorkspacePixels(journey.workspace.root, samples),
            caption_source(journey, planned.prepared.cast, samples),
            training_config(journey.recipe).model_copy(update=quiet),
            Path(folder),
        )
        return _median(Path(folder) / "metrics.jsonl") or 0.0
