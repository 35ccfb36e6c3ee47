"""The trainer's overhead with CUDA, where there is a card: `make check-gpu`. Never run: none was at hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

import torch

from checks.framework import Check, Context, Figure, Goal, short
from checks.trainer.speed import POCKET, pairs_at
from checks.trainer.world import base

CHECK = Check("gpu")


@CHECK.line(1, "our step over the bare step, wall time with CUDA")
def on_cuda(context: Context) -> Iterable[Figure]:
    if not torch.cuda.is_available():
        yield short("our step / bare step with CUDA", "torch finds no CUDA device here")
        return
    folder = context.work_dir / "gpu"
    shutil.rmtree(folder, ignore_errors=True)
    model = base(folder / "pocket", POCKET)
    for batch_size, goal in ((1, 1.10), (4, 1.03), (8, 1.03)):
        yield from pairs_at(model, folder / f"batch-{batch_size}", batch_size, Goal("<=", goal), device="cuda")
    yield Figure("memory that the card has given, GB", torch.cuda.max_memory_allocated() / 1e9)
