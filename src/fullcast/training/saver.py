"""Checkpoints written by a thread while the training goes on; a full disk costs the save and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from safetensors import SafetensorError

from fullcast.store.errors import FullcastError

Write = Callable[[], Path]


class Saver:
    """One write at a time, in order. Failures of the disk are kept until they are asked for; others are raised."""

    def __init__(self, background: bool, saved: Callable[[Path], None] = lambda path: None) -> None:
        """saved: told of each whole checkpoint, in the thread that wrote it."""
        self.saved = saved
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="save") if background else None
        self._begun: Future[None] | None = None
        self._failures: list[str] = []

    def save(self, write: Write) -> None:
        """Begins to write; waits first for the write before, so that at most one copy of the weights is held."""
        self.wait()
        if self._pool is None:
            self._do(write)
        else:
            self._begun = self._pool.submit(self._do, write)

    def _do(self, write: Write) -> None:
        try:
            path = write()
        except (OSError, SafetensorError) as error:
            self._failures.append(" ".join(str(error).split())[:200])
            return
        self.saved(path)

    def wait(self) -> None:
        """Until nothing is being written."""
        if self._begun is not None:
            begun, self._begun = self._begun, None
            begun.result()

    def failures(self) -> list[str]:
        """What went wrong since the last call."""
        told, self._failures = self._failures, []
        return told

    def close(self) -> None:
        """Waits. FullcastError when the last save failed: what was trained since the one before is lost."""
        self.wait()
        if self._pool is not None:
            self._pool.shutdown()
        if failures := self.failures():
            raise FullcastError(
                f"the checkpoint could not be written ({failures[-1]}); make room and run it again: it goes on from "
                "the last one that is whole"
            )
