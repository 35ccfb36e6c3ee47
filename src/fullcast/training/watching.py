"""What is told on the way: the window between two lines of metrics, batches set aside, TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from fullcast.ports import Batch
from fullcast.store.errors import FullcastError
from fullcast.training.ranks import Ranks
from fullcast.training.run import Stepped

BROKEN_AFTER = 3
"""Bad batches in a row, as the last of a window: not the batches are wrong then, the weights are."""


@dataclass
class Window:
    """Steps since the last line of metrics; what they left stays on the device until the window is closed."""

    began: float = field(default_factory=time.monotonic)
    steps: list[Stepped] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)

    def add(self, stepped: Stepped, batch: Batch) -> None:
        self.steps.append(stepped)
        self.batches.append(batch)

    def seconds(self) -> float:
        return time.monotonic() - self.began

    def close(self, ranks: Ranks, device: torch.device) -> Closed:
        """The one copy from the device: losses and norms of all steps of the window."""
        table = torch.stack([torch.stack([s.loss.float(), s.norm.float()]) for s in self.steps]).to(device)
        losses, norms = ranks.average(table).T.tolist()
        bad = [i for i, norm in enumerate(norms) if not abs(norm) < float("inf")]
        good = [losses[i] for i in range(len(losses)) if i not in bad]
        images = sum(len(batch.visits) for batch in self.batches)
        return Closed(
            sum(good) / len(good) if good else float("nan"),
            norms[-1],
            tuple(self.batches[i] for i in bad),
            next((n for n in range(len(norms)) if len(norms) - 1 - n not in bad), len(norms)),
            images / max(1e-9, self.seconds()),
        )


@dataclass(frozen=True)
class Closed:
    """A window's figures on the host."""

    loss: float
    """Mean over its good steps."""
    grad_norm: float
    """Of the last step, before it was scaled down."""
    bad: tuple[Batch, ...]
    """Batches whose gradient was no number; they changed nothing."""
    bad_at_end: int
    """How many of them stand in a row at the window's end."""
    images_per_s: float

    @property
    def told_speed(self) -> float:
        """For the line of metrics: digits, and not decimals, since a large model on a CPU takes minutes a picture."""
        return float(f"{self.images_per_s:.4g}")

    def figures(self) -> dict[str, float]:
        """For the line of metrics; no loss where no batch of the window was good."""
        told: dict[str, float] = {} if self.loss != self.loss else {"loss": round(self.loss, 6)}
        if abs(self.grad_norm) < float("inf"):
            told["grad_norm"] = round(self.grad_norm, 6)
        return told | ({"set_aside": len(self.bad)} if self.bad else {})

    def require_sound(self, step: int, bad_before: int) -> int:
        """How many bad batches stand in a row now, `bad_before` of them from before. FullcastError when too many."""
        in_a_row = self.bad_at_end + (bad_before if self.loss != self.loss else 0)
        if in_a_row >= BROKEN_AFTER:
            raise FullcastError(
                f"the loss is no longer a number (the last {in_a_row} batches up to step {step}); go on from the last "
                "checkpoint with a lower learning rate"
            )
        return in_a_row


def set_aside(batch: Batch) -> dict[str, Any]:
    """A line of set-aside.jsonl: all that is needed to look at a bad batch again."""
    visits = [{"sample": v.sample_id, "visit": v.visit, "loss_weight": v.loss_weight} for v in batch.visits]
    return {"batch": batch.step, "width": batch.width, "height": batch.height, "visits": visits}


class TensorBoard:
    """`ports.Watcher` that writes every number of the metrics as a scalar."""

    def __init__(self, folder: Path, step: int) -> None:
        """step: that the training goes on from; what is there of later ones a kill undid, and is shown no more."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError:
            raise FullcastError("training.tensorboard needs a package: pip install tensorboard") from None
        self.writer = SummaryWriter(str(folder), purge_step=step + 1)

    def logged(self, step: int, values: dict[str, Any]) -> None:
        for name, value in flat(values):
            self.writer.add_scalar(name, value, step)

    def saved(self, step: int, checkpoint: Path) -> None: ...

    def ended(self, step: int) -> None:
        self.writer.close()


def flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """Numbers of nested values by "outer/inner"."""
    rows: list[tuple[str, float]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            rows += flat(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            rows.append((f"{prefix}{name or 'all'}", float(value)))
    return rows


def best_step(lines: Sequence[dict[str, Any]]) -> int | None:
    """The step with the highest success in metrics lines; the later of two equal ones; None without judgements."""
    judged = [(line["success"][""], line["step"]) for line in lines if "" in line.get("success", {})]
    return max(judged)[1] if judged else None
