"""Where pictures are written: what cannot be is said before a model is loaded, not after everything is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fullcast.store.errors import FullcastError


def file_to_write(out: Path, *, kept: Sequence[Path] = (), folder_beside: bool = False) -> Path:
    """`out` as the name of a PNG: ``.png`` is added where it has no suffix.

    `kept`: files that it must not replace. `folder_beside`: a folder of its name without suffix is written too, so an
    earlier one may be there. FullcastError for a folder, for one of `kept`, and for what no file can stand in.
    """
    target = out if out.suffix or not out.name else out.with_name(f"{out.name}.png")
    again = folder_beside and target.is_file()
    if target.is_dir() or (out.is_dir() and not again):
        raise FullcastError(f"--out {out} is a folder; give a file to write, such as {out / 'picture.png'}")
    for path in kept:
        if target.exists() and path.exists() and target.samefile(path):
            raise FullcastError(f"--out {out} would replace {path}, which is read here; give another name")
    folder_to_write(target.parent, out)
    if folder_beside:
        folder_to_write(target.with_suffix(""), out)
    return target


def folder_to_write(folder: Path, out: Path | None = None) -> Path:
    """`folder`, there or not yet. FullcastError, naming `out`, where a file stands in its way."""
    nearest = next((path for path in (folder, *folder.parents) if path.exists()), None)
    if nearest is not None and not nearest.is_dir():
        raise FullcastError(f"--out {out or folder} cannot be written: {nearest} is a file; give another name")
    return folder
