"""A clean stop on SIGTERM or Ctrl-C: spot machines give seconds of notice, people press once and wait."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fullcast.store.errors import FullcastError

STOP_FILE = "FULLCAST_STOP_FILE"
"""Environment variable: a path; as soon as a file is there a stop is asked for. Processes that torchrun starts cannot
be asked by a signal: torchrun, told to end, calls that a failure and kills what has not ended after half a minute."""


class StoppedEncoding(FullcastError):
    """A stop that came before the first step; what was encoded is kept, and the next call goes on there."""

    def __init__(self, encoded: int, of: int) -> None:
        super().__init__(
            f"stopped while pictures were encoded: {encoded} of {of} are done and kept; run it again to go on"
        )
        self.encoded, self.of = encoded, of
        """Pictures that the training wants: with latents, and all."""


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
