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
from fullcast.training.kept import (
    CHECKPOINTS,
    LOCK,
    TrainState,
    checkpoint_path,
    checkpoints,
    put_aside,
    read_state,
    resumable,
    state_path,
    step_of,
)

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


class NotTakenOver(FullcastError):
    """No state of a run can be gone on from as another one."""


def adopt(source_dir: Path, former: str, own: str, run_dir: Path) -> int:
    """Makes the run in `source_dir` (`former` is its fingerprint) over again in `run_dir` as the run `own`, up to its
    newest state that can be read, and says that step. Checkpoints are shared on disk where it can; all that lies beside
    them comes along. All of it or nothing: NotTakenOver where no state can be read, OSError for a full disk.

    Only for a run that would have come to the same state: see `journey.prolonging`.
    """
    why = "it has no state"
    for checkpoint in resumable(source_dir):
        try:
            state, _ = load_checkpoint(checkpoint, former)
        except (FullcastError, OSError, ValueError, SafetensorError) as error:
            why = f"{checkpoint.name} cannot be read ({' '.join(str(error).split())[:200]})"
            continue
        with replacing_dir(run_dir, lasting=True) as temporary:
            _again(source_dir, temporary, state.step)
            own_state = asdict(replace(state, fingerprint=own))
            write_json(state_path(checkpoint_path(temporary, state.step)), own_state, lasting=True)
        return state.step
    raise NotTakenOver(why)


def _again(source_dir: Path, to: Path, step: int) -> None:
    """All of a run but later checkpoints, states of older ones, latents and the lock."""
    for folder, inside, files in os.walk(source_dir):
        here = Path(folder).relative_to(source_dir)
        of_step = step_of(Path(here.parts[1])) if here.parts[:1] == (CHECKPOINTS,) and len(here.parts) > 1 else None
        left_out = {"latents"} if not here.parts else {"state"} if of_step not in (None, step) else set()
        if here.parts == (CHECKPOINTS,):
            steps = {path.name for path in checkpoints(source_dir) if step_of(path) <= step}
            left_out = set(inside) - steps
        inside[:] = [name for name in inside if name not in left_out]
        (to / here).mkdir(exist_ok=True)
        for name in files:
            if name != LOCK:
                # Nobody changes a file of a checkpoint in place; metrics and others are appended to.
                (shutil.copyfile if of_step is None else _linked)(source_dir / here / name, to / here / name)


def _linked(source: Path, to: Path) -> None:
    """A second name of the file; a copy where the disk has no such names."""
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
