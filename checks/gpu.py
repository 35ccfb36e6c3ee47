"""The trainer with CUDA, where there is a card: `make check-gpu`. Never run with one: none was at hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import torch

from checks.framework import Check, Context, Figure, Goal, short
from checks.trainer.kills import same
from checks.trainer.speed import POCKET, pairs_at
from checks.trainer.world import CONFIG, Captions, Pixels, Stream, base
from fullcast.training.kept import checkpoints, read_state
from fullcast.training.loop import train

CHECK = Check("gpu")
STOPS = (3, 11, 13, 20)
"""Steps after which the run is stopped: inside both stages and at the change."""


NO_CARD = "torch finds no CUDA device here"


def folder_for(context: Context, name: str) -> Path | None:
    """An empty folder to work in; None where there is no card to work with."""
    if not torch.cuda.is_available():
        return None
    folder = context.work_dir / name
    shutil.rmtree(folder, ignore_errors=True)
    return folder


@CHECK.line(1, "our step over the bare step, wall time with CUDA")
def on_cuda(context: Context) -> Iterable[Figure]:
    if (folder := folder_for(context, "gpu")) is None:
        yield short("our step / bare step with CUDA", NO_CARD)
        return
    model = base(folder / "pocket", POCKET)
    for batch_size, goal in ((1, 1.10), (4, 1.03), (8, 1.03)):
        yield from pairs_at(model, folder / f"batch-{batch_size}", batch_size, Goal("<=", goal), device="cuda")
    yield Figure("memory that the card has given, GB", torch.cuda.max_memory_allocated() / 1e9)


@CHECK.line(2, "stopped and gone on with CUDA: the bits of an uninterrupted run")
def resumed(context: Context) -> Iterable[Figure]:
    if (folder := folder_for(context, "gpu-resumed")) is None:
        yield short("files that differ, stopped and gone on", NO_CARD)
        return
    torch.use_deterministic_algorithms(True, warn_only=True)  # what cuDNN may add up in any order is not ours to fix
    yield from whole_and_stopped(folder, "cuda")


def whole_and_stopped(folder: Path, device: str) -> Iterable[Figure]:
    """Two trainings of the four colours on `device`, one of them stopped at `STOPS`."""
    model, config = base(folder / "base"), CONFIG.model_copy(update={"device": device})

    def go(name: str, num_steps: int) -> int:
        """The step that it ends at, after `num_steps` more steps."""
        left = iter(range(num_steps - 1))
        given = (model, Stream(), Pixels(), Captions(), config, folder / name)
        train(*given, stop=lambda: next(left, None) is None, latents_dir=folder / "latents")
        return read_state(checkpoints(folder / name)[-1]).step

    go("whole", 1000)  # it encodes as well, which asks for a stop too
    at, ended = 0, []
    for end in (*STOPS, Stream().num_steps):
        at = go("stopped", end - at)
        ended.append(at)
    yield Figure(
        "stops at the steps that were asked for",
        sum(e == s for e, s in zip(ended, STOPS, strict=False)),
        Goal("=", len(STOPS)),
    )
    yield from same(folder / "whole", folder / "stopped", "stopped and gone on")
