"""Bench: how fast this machine trains this plan, size by size, in real steps that are thrown away.

Told as pictures per second, and where the base's arithmetic is known (Stable Diffusion 1.x) as operations per second
and as a share of a card's stated peak: what `cost.gpus` calls efficiency, measured instead of assumed.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.journey.answers import Answer
from fullcast.ports import Batch, BatchStream
from fullcast.store.atomic import write_json
from fullcast.store.errors import FullcastError
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.journey.planning import Planned
    from fullcast.mixture.cost_config import Gpu

STEPS = 20
WARM_UP = 0.2
"""Of the steps of a size, the first ones, that do not count: kernels are chosen and memory is taken in them."""

SPEED = (
    *("device", "mixed_precision", "weights_dtype", "optimizer", "lora_rank", "compile", "cache_text", "ema_decay"),
    *("gradient_checkpointing", "gradient_accumulation", "prior_preservation", "masked_loss", "region_share"),
)
"""Settings of training that make a step faster or slower; of the text encoder's rate only whether there is one."""

Size = tuple[int, int]
"""(width, height) in pixels."""


@dataclass(frozen=True)
class Blocks:
    """`ports.BatchStream`: the first batches of each size of a plan, size after size."""

    stream: BatchStream
    steps: tuple[int, ...]
    """Of the plan's stream, in the order in which they are run."""

    @property
    def num_steps(self) -> int:
        return len(self.steps)

    @property
    def batch_size(self) -> int:
        return self.stream.batch_size

    def batch(self, step: int) -> Batch:
        return replace(self.stream.batch(self.steps[step]), step=step)

    def fingerprint(self) -> str:
        return f"{self.stream.fingerprint()}/{self.steps}"


@dataclass(frozen=True, slots=True)
class Measured:
    """One size of training pictures."""

    width: int
    height: int
    steps: int
    """That counted."""
    images_per_s: float
    """Median."""
    slowest: float
    """Pictures per second in the slowest of the steps; 20 steps are no estimate of a tail."""
    share: float
    """Of the plan's visits."""
    operations_per_s: float | None = None
    """None: nobody knows this base's arithmetic."""


def bench(journey: Journey, steps: int = STEPS, gpu: str = "") -> Answer:
    """A few steps of each size of the plan; the answer lies in data/bench.json and `plan` reckons with it.

    gpu: a name of `cost.gpus`, whose peak the speed is compared with. Raises `FullcastError` for an unknown one, and
    where nothing is prepared.
    """
    from fullcast.journey.planning import make_plan

    card = _card(journey, gpu)
    if steps < 2:
        raise FullcastError(f"a bench needs 2 steps of each size or more, the first warms up; got {steps}")
    planned = make_plan(journey)
    sizes = sizes_of(planned.stream)
    chosen = Blocks(planned.stream, tuple(step for size in sizes for step in sizes[size][:steps]))
    speeds = run_steps(journey, planned, chosen)
    rows = _rows(journey, sizes, steps, speeds)
    mean = overall(rows)
    data = {"images_per_s": mean, "of": measured_of(journey, planned), "sizes": [asdict(row) for row in rows]}
    write_json(_path(journey.workspace), data)
    return Answer("\n".join(_lines(rows, mean, gpu, card)), data | _efficiency(rows, card))


def known_speed(journey: Journey, planned: Planned) -> float | None:
    """Pictures per second of a bench of this very plan, base and way of training; None: there was none."""
    try:
        data = json.loads(_path(journey.workspace).read_text(encoding="utf-8"))
        return float(data["images_per_s"]) if data["of"] == measured_of(journey, planned) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def measured_of(journey: Journey, planned: Planned) -> str:
    """What a speed is the speed of: the plan, the base by its name, and the settings that make a step faster."""
    from fullcast.journey.planning import training_config

    training = training_config(journey.recipe)
    ways = {name: getattr(training, name) for name in SPEED}
    ways["text encoder"] = training.text_encoder_learning_rate > 0
    asked = json.dumps([planned.stream.fingerprint(), journey.recipe.models.base, ways], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()


def sizes_of(stream: BatchStream) -> dict[Size, list[int]]:
    """The steps of each size, the most frequent size first."""
    found: dict[Size, list[int]] = {}
    for step in range(stream.num_steps):
        batch = stream.batch(step)
        found.setdefault((batch.width, batch.height), []).append(step)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def overall(rows: Sequence[Measured]) -> float:
    """Pictures per second over the plan: visits are shared by size as the plan has them, times add up."""
    return 1 / sum(row.share / row.images_per_s for row in rows)


def run_steps(journey: Journey, planned: Planned, stream: BatchStream) -> list[float]:
    """Pictures per second of every step of a stream, trained with the real base in a folder that is thrown away.

    Latents are encoded beforehand and not counted; nothing is saved, probed or drawn on the way.
    """
    from fullcast.journey.captioning import staged_captions
    from fullcast.journey.doors import Doors
    from fullcast.journey.planning import training_config
    from fullcast.mixture.pixels import WorkspacePixels
    from fullcast.training.loop import train
    from fullcast.training.metrics import read_metrics

    doors = Doors(journey.workspace, journey.recipe)
    doors.use_threads()
    quiet = {"log_every": 1, "probe_every": 0, "sample_every": 0, "checkpoint_every": 10**6}
    with tempfile.TemporaryDirectory(dir=journey.workspace.data_dir) as folder:
        train(
            doors.path("base"),
            stream,
            WorkspacePixels(journey.workspace.root, planned.samples),
            staged_captions(journey, planned),
            training_config(journey.recipe).model_copy(update=quiet),
            Path(folder),
        )
        return [float(line["images_per_s"]) for line in read_metrics(Path(folder) / "metrics.jsonl")]


def _card(journey: Journey, gpu: str) -> Gpu | None:
    cards = journey.recipe.cost.gpus
    if gpu and gpu not in cards:
        raise FullcastError(f"no card is called {gpu!r}; cost.gpus has {', '.join(cards)}")
    return cards[gpu] if gpu else None


def _rows(journey: Journey, sizes: dict[Size, list[int]], steps: int, speeds: list[float]) -> list[Measured]:
    from fullcast.journey.pricing import work_of_base

    work, training = work_of_base(journey), journey.recipe.training
    total = sum(map(len, sizes.values()))
    rows, begin = [], 0
    for (width, height), found in sizes.items():
        taken = speeds[begin : begin + min(steps, len(found))]
        begin += len(taken)
        counted = taken[min(len(taken) - 1, max(1, round(WARM_UP * len(taken)))) :]
        speed = statistics.median(counted)
        done = None
        if work is not None:
            done = speed * work.train(
                width * height,
                checkpointing=training.gradient_checkpointing,
                text_encoder=training.text_encoder_learning_rate > 0,
            )
        share = len(found) / total
        rows.append(Measured(width, height, len(counted), speed, min(counted), share, operations_per_s=done))
    return rows


def _efficiency(rows: Sequence[Measured], card: Gpu | None) -> dict[str, list[float]]:
    """Least, likely (weighted by visits) and greatest share of the card's peak, over sizes."""
    shares = [(row.operations_per_s or 0.0, row.share) for row in rows]
    if card is None or not all(operations for operations, _ in shares):
        return {}
    peak = card.peak_tflops * 1e12
    values = [operations / peak for operations, _ in shares]
    likely = sum(operations / peak * share for operations, share in shares)
    return {"efficiency": [min(values), likely, max(values)]}


def _lines(rows: Sequence[Measured], mean: float, gpu: str, card: Gpu | None) -> list[str]:
    lines = ["size         steps  pictures/s  slowest step  of the visits"]
    for row in rows:
        size = f"{row.width}x{row.height}"
        told = (
            f"{size:<11}  {row.steps:>5}  {_told(row.images_per_s):>10}  {_told(row.slowest):>12}  {row.share:>13.1%}"
        )
        done = row.operations_per_s
        lines.append(told + (f"  {done / 1e12:.2f} TFLOP/s" if done else ""))
    lines.append(f"over the plan: {_told(mean)} pictures a second; latents and checkpoints are not counted")
    if found := _efficiency(rows, card).get("efficiency"):
        told = ", ".join(f"{value:.3f}" for value in found)
        lines.append(f'share of the stated peak; to price with it: [cost.gpus."{gpu}"] efficiency = [{told}]')
    elif gpu:
        lines.append("this base's arithmetic is not known, so no share of a peak can be told")
    return lines


def _told(speed: float) -> str:
    """A large model on a CPU trains a picture in minutes: digits where there are some."""
    return f"{speed:.2f}" if speed >= 0.1 else f"{speed:.2g}"


def _path(workspace: Workspace) -> Path:
    return workspace.data_dir / "bench.json"
