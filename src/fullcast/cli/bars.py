"""Bars with an ETA for everything that takes over two seconds."""

from __future__ import annotations

import time
from typing import Any


class Bars:
    """Progress as bars with an ETA on stderr; what ends within two seconds shows none."""

    patience_s = 2.0

    def __init__(self) -> None:
        self.title, self.total, self.count, self.note, self.since = "", 0, 0, "", 0.0
        self.bar: Any = None

    def start(self, title: str, total: int) -> None:
        self.done()
        self.title, self.total, self.count, self.since = title, total, 0, time.monotonic()

    def advance(self, count: int = 1, note: str = "") -> None:
        self.count, self.note = self.count + count, note
        if self.bar is None and time.monotonic() - self.since > self.patience_s:
            self._show()
        if self.bar is not None:
            self.bar.update(self.task, completed=self.count, note=note)

    def done(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as Eta

        columns = ("[progress.description]{task.description}", BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn())
        self.bar = Progress(*columns, Eta(), TextColumn("{task.fields[note]}"), console=Console(stderr=True))
        self.bar.start()
        self.task = self.bar.add_task(self.title, total=self.total or None, completed=self.count, note=self.note)
