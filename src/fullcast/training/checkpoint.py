"""What must survive a stop, saved atomically and without pickle.

    {run_dir}/checkpoints/step-000500/        a plain diffusers folder of the averaged weights, cast file beside it
    {run_dir}/checkpoints/step-000500/state/  live.safetensors, ema.safetensors, optimizer.safetensors, state.json

A folder gets its name when it is whole, so whatever is there can be resumed from.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from fullcast.store.atomic import TEMPORARY, replacing_dir, write_json
from fullcast.store.errors import FullcastError

CHECKPOINTS = "checkpoints"
_NAME = re.compile(r"step-(\d+)")
Tensors = dict[str, torch.Tensor]


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


@dataclass
class SavedTensors:
    """Everything of a run that is tensors, by "component.parameter"."""

    live: Tensors
    ema: Tensors
    optimizer: Tensors
    """AdamW's moments: "component.parameter/exp_avg", ".../exp_avg_sq", ".../step"."""


def checkpoints(run_dir: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    folder = run_dir / CHECKPOINTS
    found = [p for p in folder.iterdir() if _NAME.fullmatch(p.name)] if folder.is_dir() else []
    return sorted(found, key=step_of)


def latest_resumable(run_dir: Path) -> Path | None:
    """The newest checkpoint that has its state."""
    return next((p for p in reversed(checkpoints(run_dir)) if (p / "state" / "state.json").is_file()), None)


def save_checkpoint(
    run_dir: Path,
    state: TrainState,
    tensors: SavedTensors,
    write_model: Callable[[Path], None],
    beside: Mapping[str, Path],
) -> Path:
    """`write_model(folder)` writes the model's own folder; `beside` are files copied in by name (the cast file)."""
    path = run_dir / CHECKPOINTS / f"step-{state.step:06d}"
    with replacing_dir(path) as temporary:
        write_model(temporary)
        for name, source in beside.items():
            shutil.copyfile(source, temporary / name)
        folder = temporary / "state"
        folder.mkdir()
        for name in ("live", "ema", "optimizer"):
            contiguous = {k: v.detach().cpu().contiguous() for k, v in getattr(tensors, name).items()}
            save_file(contiguous, folder / f"{name}.safetensors")
        write_json(folder / "state.json", asdict(state))
    return path


def read_state(checkpoint: Path) -> TrainState:
    """How far a checkpoint is and what it has delivered."""
    return TrainState(**json.loads((checkpoint / "state" / "state.json").read_text()))


def load_checkpoint(checkpoint: Path, fingerprint: str) -> tuple[TrainState, SavedTensors]:
    """FullcastError when the checkpoint is of another run: other plan, other settings or other base."""
    state = read_state(checkpoint)
    if state.fingerprint != fingerprint:
        raise FullcastError(
            f"{checkpoint} was trained with another plan, other settings or another base, so it cannot be resumed "
            "exactly; give the old ones, or start a new run with this checkpoint as its base"
        )
    folder = checkpoint / "state"
    return state, SavedTensors(*(load_file(folder / f"{n}.safetensors") for n in ("live", "ema", "optimizer")))


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


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: Mapping[torch.Tensor, str]) -> Tensors:
    """AdamW's state by parameter name."""
    return {f"{names[p]}/{key}": value for p, entry in optimizer.state.items() for key, value in entry.items()}


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, torch.nn.Parameter],
    saved: Tensors,
    take: Callable[[torch.Tensor, torch.Tensor], object] = torch.Tensor.copy_,
) -> None:
    """Puts saved moments back, each in the memory layout of its parameter. `take(into, saved)` copies one."""
    for key, value in saved.items():
        name, kind = key.rsplit("/", 1)
        parameter = parameters[name]
        if kind == "step":
            optimizer.state[parameter][kind] = value
        elif value.shape != parameter.shape:  # 8-bit moments: bytes and tables of their own shapes
            optimizer.state[parameter][kind] = value.to(parameter.device)
        else:
            moment = torch.empty_like(parameter, dtype=value.dtype, memory_format=torch.preserve_format)
            take(moment, value)
            optimizer.state[parameter][kind] = moment
