"""A clean stop on SIGTERM or Ctrl-C: spot machines give seconds of notice, people press once and wait."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Yields `asked() -> bool` for `train(stop=...)`; the former handlers come back afterwards.

    The first signal asks for a stop after the step in work, a second Ctrl-C interrupts as usual. Main thread only.
    """
    asked = False
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, former[signal.SIGINT])

    for number in former:
        signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
