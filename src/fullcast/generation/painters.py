"""Several processes that draw with one model: on a CPU a small network gains from them, and nothing from threads."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from fullcast.generation.metadata import Recipe
from fullcast.models.stable_diffusion.family import StableDiffusion

Batch = tuple[Sequence[Recipe], Sequence[Path]]
"""Pictures that are sampled together, and where each goes."""

FEWEST = 24
"""Pictures from which another process is worth its start (about 6 s for torch and diffusers)."""


@dataclass(frozen=True)
class Painters:
    """`count` processes, each with its own copy of the model in `folder` on the CPU and `threads` threads."""

    folder: Path
    count: int
    threads: int = 1
    dtype: str = "float32"

    def paint(self, batches: Iterable[Batch], done: Callable[[int], None]) -> None:
        """Draws and writes every batch; `done` gets the size of each as it is finished, in any order.

        A batch is sampled whole by one process, so pictures have the bytes that one process alone would give them.
        """
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self.count, context, _open, (self.folder, self.threads, self.dtype)) as pool:
            waiting = {pool.submit(_paint, batch): len(batch[0]) for batch in batches}
            try:
                for future in as_completed(waiting):
                    future.result()
                    done(waiting[future])
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


_model: StableDiffusion | None = None


def _open(folder: Path, threads: int, dtype: str) -> None:
    global _model
    import torch

    torch.set_num_threads(threads)
    _model = StableDiffusion.load(folder)
    _model.for_drawing("cpu", dtype)


def _paint(batch: Batch) -> None:
    from fullcast.generation.generate import write_batch

    assert _model is not None
    write_batch(_model, *batch)
