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
LOCK = ".lock"
"""Held by who trains in a run's folder."""
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
    wall_seconds: float = 0.0
    """From the beginning to the end of every call, or to the last checkpoint of one that was killed: what a machine is
    paid for. Loading, latents, measuring and saving are in it."""
    ledger: dict[str, int] = field(default_factory=dict)
    """Visits delivered to each sample so far."""


def checkpoints(run_dir: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    folder = run_dir / CHECKPOINTS
    found = [p for p in folder.iterdir() if _NAME.fullmatch(p.name)] if folder.is_dir() else []
    return sorted(found, key=step_of)


def checkpoint_path(run_dir: Path, step: int) -> Path:
    return run_dir / CHECKPOINTS / f"step-{step:06d}"


def resumable(run_dir: Path) -> list[Path]:
    """Checkpoints that have a state, newest first, whether or not it can be read."""
    return [path for path in reversed(checkpoints(run_dir)) if state_path(path).is_file()]


def latest_resumable(run_dir: Path) -> Path | None:
    """The newest checkpoint that says how far it is; that of a half-written disk may not."""
    return next((path for path in resumable(run_dir) if _says_its_step(path)), None)


def _says_its_step(checkpoint: Path) -> bool:
    try:
        read_state(checkpoint)
    except (OSError, ValueError):
        return False
    return True


def state_path(checkpoint: Path) -> Path:
    return checkpoint / "state" / "state.json"


def read_state(checkpoint: Path) -> TrainState:
    """How far a checkpoint is and what it has delivered. ValueError or OSError for a file that cannot be read."""
    told = json.loads(state_path(checkpoint).read_text(encoding="utf-8"))
    return TrainState(**{"wall_seconds": told.get("seconds", 0.0), **told})  # not in states from before it was counted


def put_aside(checkpoint: Path) -> Path:
    """A checkpoint under a name by which nothing takes it for one; kept, since its model may be whole."""
    aside = checkpoint.with_name(f"{checkpoint.name}-unreadable")
    shutil.rmtree(aside, ignore_errors=True)
    return checkpoint.rename(aside)


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
