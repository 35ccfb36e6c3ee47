"""Write to a temporary name beside the target, rename last: a kill at any moment leaves the old file or the new one.

With `lasting` so does a power cut: all that is written is on the disk before the new name is, and the name before
anything old goes. That waits for the disk (some ms a file), so it is for what cannot be made again: checkpoints.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TEMPORARY = ".partial-"


@contextmanager
def replacing(path: Path, *, lasting: bool = False) -> Iterator[Path]:
    """Yields a temporary path (same suffix) to write to; renamed over `path` if the block succeeds, removed if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        yield temporary
        if lasting:
            to_disk(temporary)
        os.replace(temporary, path)
        if lasting:
            to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_dir(path: Path, *, lasting: bool = False) -> Iterator[Path]:
    """The same for a folder: an existing folder at `path` is put aside only once the new one is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    old = path.with_name(f"{TEMPORARY}{os.getpid()}-old-{path.name}")
    _clear_after_the_killed(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        if lasting:
            for folder, _, names in os.walk(temporary):
                for name in names:
                    to_disk(Path(folder, name))
                to_disk(Path(folder))
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
        if lasting:
            to_disk(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _clear_after_the_killed(path: Path) -> None:
    """Removes what processes that are no more began for `path`: half a video's frames would lie there for ever."""
    for left in path.parent.glob(f"{TEMPORARY}*-{path.name}"):
        number = left.name.removeprefix(TEMPORARY).split("-", 1)[0]
        if number.isdigit() and not _is_alive(int(number)):
            shutil.rmtree(left, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    if os.name != "posix":
        return True  # signal 0 would end a process of Windows
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def to_disk(path: Path) -> None:
    """Waits until a file, or the names in a folder, would outlast a power cut."""
    is_posix = os.name == "posix"
    if path.is_dir() and not is_posix:
        return  # Windows opens no folder
    number = os.open(path, os.O_RDONLY if is_posix else os.O_RDWR)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks know no such thing
            raise
    finally:
        os.close(number)


def write_bytes(path: Path, data: bytes, *, lasting: bool = False) -> None:
    with replacing(path, lasting=lasting) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str, *, lasting: bool = False) -> None:
    write_bytes(path, text.encode(), lasting=lasting)


def write_json(path: Path, value: Any, *, lasting: bool = False) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n", lasting=lasting)
