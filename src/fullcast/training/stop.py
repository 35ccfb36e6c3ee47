"""A clean stop on SIGTERM or Ctrl-C: spot machines give seconds of notice, people press once and wait."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

STOP_FILE = "FULLCAST_STOP_FILE"
"""Environment variable: a path; as soon as a file is there a stop is asked for. Processes that torchrun starts cannot
be asked by a signal: torchrun, told to end, calls that a failure and kills what has not ended after half a minute."""


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Yields `asked() -> bool` for `train(stop=...)`; the former handlers come back afterwards.

    The first signal asks for a stop after the step in work, a second Ctrl-C interrupts as usual. Main thread only.
    """
    asked = False
    file = os.environ.get(STOP_FILE)
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, former[signal.SIGINT])

    for number in former:
        signal.signal(number, ask)
    try:
        yield lambda: asked or (file is not None and Path(file).exists())
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
