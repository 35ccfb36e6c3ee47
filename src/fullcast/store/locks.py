"""One writer at a time: locks between processes that the operating system lets go of when their holder dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fullcast.store.errors import FullcastError


@contextmanager
def locked(path: Path, busy: str, timeout_s: float = 0.0) -> Iterator[None]:
    """Holds the lock file `path`, whose folder is made; `timeout_s` -1 waits for ever.

    Raises FullcastError with `busy` when another process holds it for longer.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout_s)
    except Timeout:
        raise FullcastError(busy) from None
    try:
        yield
    finally:
        lock.release()
