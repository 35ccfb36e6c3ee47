"""metrics.jsonl. Imports no torch: pages and plans read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fullcast.store.atomic import write_text

METRICS = "metrics.jsonl"
"""Of a run, in its folder."""


class Metrics:
    """Appends one JSON object per line; lines after the step resumed from are cut off, as if never written."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self._torn = False
        if not path.exists():
            return
        kept = [line for line in read_metrics(path) if line["step"] <= step]
        write_text(path, "".join(json.dumps(line) + "\n" for line in kept))

    def write(self, step: int, **values: Any) -> None:
        """A full disk costs the line: the training goes on."""
        line = json.dumps({"step": step, **values}) + "\n"
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"\n{line}" if self._torn else line)
            self._torn = False
        except OSError:
            self._torn = True  # half a line may stand there


class NoMetrics:
    """What the other ranks write: nothing."""

    def write(self, step: int, **values: Any) -> None: ...


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Every whole line of a metrics file; [] when there is none yet."""
    if not path.exists():
        return []
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:  # the line that a kill cut in two
            continue
    return lines
