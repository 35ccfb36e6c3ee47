"""What lies below a folder that somebody filled: its files, and what is there by name and cannot be had.

`Path.rglob` passes over a folder that may not be entered and over a link to another folder, and `is_file()` is False
for a link whose target is away: a whole season could be missing and nobody told.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from fullcast.store.errors import UnreadableFile

BESIDE = frozenset(
    {".txt", ".tags", ".caption", ".json", ".toml", ".srt", ".ass", ".ssa", ".vtt", ".nfo", ".md", ".csv"}
)
"""Files that may lie beside videos and pictures and are neither."""


def files_below(folder: Path) -> tuple[list[Path], list[UnreadableFile]]:
    """Plain files at any depth, links to files included; and the rest, for the caller to count. Both sorted by path.

    Reasons of the rest: ``missing`` (a link whose target is away), ``unreadable``, ``linked-folder`` (not entered, for
    links can run in circles), ``no-file`` (a socket, a device), ``bad-name`` (no UTF-8: no table can hold it; a folder
    of such a name is not entered). Nothing for a folder that is not there.
    """
    files: list[Path] = []
    lost: list[UnreadableFile] = []

    def closed(error: OSError) -> None:
        lost.append(_unreadable(Path(error.filename), error))

    if not folder.is_dir():
        return [], [_missing(folder)] if folder.is_symlink() else []
    for parent, folders, names in os.walk(folder, onerror=closed):
        lost += [_bad_name(parent, name) for name in (*folders, *names) if not is_utf8(name)]
        folders[:], names = filter(is_utf8, folders), [name for name in names if is_utf8(name)]
        for name in folders:
            path = Path(parent, name)
            if path.is_symlink():
                lost.append(UnreadableFile(path, "linked-folder", "a link to a folder is not entered; link its files"))
        for path in (Path(parent, name) for name in names):
            error = _why_not(path)
            if error is None:
                files.append(path)
            else:
                lost.append(error)
    return sorted(files), sorted(lost, key=lambda error: Path(error.path))


def is_utf8(name: str) -> bool:
    """Whether a file's name can be written down: Linux takes any bytes for one."""
    return printable(name) == name


def printable(name: str) -> str:
    """The name with a \\x.. for each byte that is no UTF-8; others stay as they are."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def composed(name: str) -> str:
    """The name as it is typed (NFC): a Mac writes its folders in pieces (NFD), which look alike and are not equal."""
    return unicodedata.normalize("NFC", name)


def _bad_name(parent: str, name: str) -> UnreadableFile:
    return UnreadableFile(Path(parent, printable(name)), "bad-name", "its name is no UTF-8; rename it")


def _why_not(path: Path) -> UnreadableFile | None:
    """What keeps a file from being one; None: nothing."""
    try:
        if path.is_file():
            return None
        return UnreadableFile(path, "no-file", "neither a file nor a folder") if path.exists() else _missing(path)
    except OSError as error:
        return _unreadable(path, error)


def _missing(path: Path) -> UnreadableFile:
    whither = f"a link to {printable(str(path.readlink()))}, which" if path.is_symlink() else "it"
    return UnreadableFile(path, "missing", f"{whither} is not there")


def _unreadable(path: Path, error: OSError) -> UnreadableFile:
    return UnreadableFile(path, "unreadable", f"cannot be read ({error.strerror or error})")
