"""What must survive a stop, saved atomically and without pickle.

    {run_dir}/checkpoints/step-000500/        a plain diffusers folder of the averaged weights, cast file beside it
    {run_dir}/checkpoints/step-000500/state/  live.safetensors, ema.safetensors, optimizer.safetensors, state.json

A folder gets its name when it is whole and on the disk, so whatever is there can be resumed from, after a power cut
too. Where a disk loses it nevertheless, the one before it is taken, if its state is still there (`keep_states`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from fullcast.store.atomic import replacing_dir, write_json
from fullcast.store.errors import FullcastError
from fullcast.training.kept import TrainState, checkpoint_path, put_aside, read_state, resumable, state_path
from fullcast.training.metrics import METRICS

Tensors = dict[str, torch.Tensor]


@dataclass
class SavedTensors:
    """Everything of a run that is tensors, by "component.parameter"."""

    live: Tensors
    ema: Tensors
    optimizer: Tensors
    """AdamW's moments: "component.parameter/exp_avg", ".../exp_avg_sq", ".../step"."""


def save_checkpoint(
    run_dir: Path,
    state: TrainState,
    tensors: SavedTensors,
    write_model: Callable[[Path], None],
    beside: Mapping[str, Path],
) -> Path:
    """`write_model(folder)` writes the model's own folder; `beside` are files copied in by name (the cast file)."""
    path = checkpoint_path(run_dir, state.step)
    with replacing_dir(path, lasting=True) as temporary:
        write_model(temporary)
        for name, source in beside.items():
            shutil.copyfile(source, temporary / name)
        folder = temporary / "state"
        folder.mkdir()
        for name in ("live", "ema", "optimizer"):
            contiguous = {k: v.detach().cpu().contiguous() for k, v in getattr(tensors, name).items()}
            save_file(contiguous, folder / f"{name}.safetensors")
        write_json(state_path(temporary), asdict(state))
    return path


def write_state(run_dir: Path, state: TrainState) -> None:
    """Into the checkpoint of its step, where that can be resumed: time that was counted after the save. A full disk
    costs that alone."""
    path = state_path(checkpoint_path(run_dir, state.step))
    if path.is_file():
        with suppress(OSError):
            write_json(path, asdict(state), lasting=True)


@dataclass
class Loaded:
    """What a run goes on from."""

    checkpoint: Path
    state: TrainState
    tensors: SavedTensors
    passed_over: tuple[str, ...] = ()
    """A sentence for each newer checkpoint that could not be read."""


def load_newest(run_dir: Path, fingerprint: str) -> Loaded | None:
    """The newest checkpoint whose state can be read; None where there is none at all. Newer ones are put aside.

    FullcastError when it is of another run (see `load_checkpoint`), and when there are states and none can be read.
    """
    unreadable: dict[Path, str] = {}
    for checkpoint in resumable(run_dir):
        try:
            state, tensors = load_checkpoint(checkpoint, fingerprint)
        except FullcastError:
            raise  # of another run: that it can say so is no damage
        except (OSError, ValueError, SafetensorError) as error:
            unreadable[checkpoint] = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            continue
        told = tuple(
            f"{path.name} cannot be read ({reason}) and is {put_aside(path).name} now; going on from step {state.step}"
            for path, reason in unreadable.items()
        )
        return Loaded(checkpoint, state, tensors, told)
    if unreadable:
        path, reason = next(iter(unreadable.items()))
        raise FullcastError(
            f"{path} cannot be read ({reason}), and there is no older state to go on from: put it back from a copy, or "
            f"move {path.parent} away to begin again at step 0"
        )
    return None


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


def adopt(checkpoint: Path, former: str, own: str, run_dir: Path) -> int:
    """Takes a checkpoint of the run `former` (a fingerprint) into `run_dir` as one of the run `own`, with the metrics
    so far, and says its step. Files are shared where the disk can. FullcastError when it is of another run.

    Only for a run that would have come to the same state: see `journey.prolonging`.
    """
    state, _ = load_checkpoint(checkpoint, former)
    with replacing_dir(checkpoint_path(run_dir, state.step), lasting=True) as temporary:
        shutil.copytree(checkpoint, temporary, copy_function=_linked, dirs_exist_ok=True)
        write_json(state_path(temporary), asdict(replace(state, fingerprint=own)), lasting=True)
    metrics = checkpoint.parents[1] / METRICS
    if metrics.is_file():
        shutil.copyfile(metrics, run_dir / METRICS)
    return state.step


def _linked(source: str, to: str) -> None:
    """A second name of a file, which nobody changes in place; a copy where the disk has no such names."""
    try:
        os.link(source, to)
    except OSError:
        shutil.copyfile(source, to)


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: Mapping[torch.Tensor, str]) -> Tensors:
    """An optimizer's state by parameter name. What is a Python number (bitsandbytes counts steps so) is a 0-d int64."""
    return {
        f"{names[p]}/{key}": value if isinstance(value, torch.Tensor) else torch.tensor(int(value))
        for p, entry in optimizer.state.items()
        for key, value in entry.items()
    }


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
        if kind == "step":  # fused optimizers count on the device
            counts = value.dtype == torch.int64
            optimizer.state[parameter][kind] = int(value) if counts else value.to(parameter.device)
        elif value.shape != parameter.shape:  # 8-bit moments: bytes and tables of their own shapes
            optimizer.state[parameter][kind] = value.to(parameter.device)
        else:
            moment = torch.empty_like(parameter, dtype=value.dtype, memory_format=torch.preserve_format)
            take(moment, value)
            optimizer.state[parameter][kind] = moment
