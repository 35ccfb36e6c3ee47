"""Which checkpoints a run has, how far they are, which of them stay. Imports no torch: pages and plans read it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fullcast.store.atomic import TEMPORARY

CHECKPOINTS = "checkpoints"
_NAME = re.compile(r"step-(\d+)")


@dataclass
class TrainState:
    """The part of a run that is neither weights nor optimizer."""

    fingerprint: str
    """Of stream, settings and base: only the same run may go on from here."""
    step: int = 0
    """Finished steps."""
    seconds: float = 0.0
    """Spent inside the loop over all slices."""
    ledger: dict[str, int] = field(default_factory=dict)
    """Visits delivered to each sample so far."""


def checkpoints(run_dir: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    folder = run_dir / CHECKPOINTS
    found = [p for p in folder.iterdir() if _NAME.fullmatch(p.name)] if folder.is_dir() else []
    return sorted(found, key=step_of)


def latest_resumable(run_dir: Path) -> Path | None:
    """The newest checkpoint that has its state."""
    return next((p for p in reversed(checkpoints(run_dir)) if (p / "state" / "state.json").is_file()), None)


def read_state(checkpoint: Path) -> TrainState:
    """How far a checkpoint is and what it has delivered."""
    return TrainState(**json.loads((checkpoint / "state" / "state.json").read_text()))


def tidy(run_dir: Path, keep_states: int, keep_checkpoints: int | None, best: int | None = None) -> None:
    """Removes the states of all but the newest `keep_states` checkpoints, and whole old checkpoints if asked; the model
    of the best step stays."""
    found = checkpoints(run_dir)
    steps = [step_of(path) for path in found]
    for path in found[:-keep_states]:
        shutil.rmtree(path / "state", ignore_errors=True)
    for path, step in zip(found, steps, strict=True):
        if step not in kept(steps, keep_checkpoints, best):
            shutil.rmtree(path, ignore_errors=True)


def kept(steps: Sequence[int], last: int | None, best: int | None) -> set[int]:
    """Which of the checkpoints at these steps (ascending) stay: the last ones (None: all), and the best."""
    newest = steps if last is None else steps[-last:]
    return {*newest, *([best] if best is not None else [])}


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step-"))


def sweep(run_dir: Path) -> None:
    """Removes what a kill inside a save left behind: folders that never got their name."""
    for left in (run_dir / CHECKPOINTS).glob(f"{TEMPORARY}*"):
        shutil.rmtree(left, ignore_errors=True)
