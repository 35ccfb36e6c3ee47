"""Where things are written: what cannot be is said before a model is loaded, not after everything is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from fullcast.store.atomic import TEMPORARY
from fullcast.store.errors import FullcastError


def file_to_write(out: Path, *, kept: Sequence[Path] = (), folder_beside: bool = False) -> Path:
    """`out` as the name of a PNG: ``.png`` is added where it has no suffix, and another suffix is refused.

    `kept`: files that it must not replace. `folder_beside`: a folder of its name without suffix is written too, so an
    earlier one may be there. FullcastError for a folder, for one of `kept`, and for what no file can stand in.
    """
    target = out if out.suffix or not out.name else out.with_name(f"{out.name}.png")
    if target.suffix.lower() not in ("", ".png"):
        raise FullcastError(f"--out {out}: pictures are written as PNG; give a name that ends in .png")
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
    """`folder`, there or not yet. FullcastError, naming `out`, where a file stands in its way, or where nothing can be
    made: an empty folder is, in what is there of its path, and removed."""
    nearest = folder
    try:
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        if nearest.is_dir():
            with TemporaryDirectory(prefix=TEMPORARY, dir=nearest):
                return folder
    except OSError as error:
        reason = f"{nearest}: {error.strerror or error}"
        raise FullcastError(
            f"{out or folder} cannot be written ({reason}); give a place that you may write to"
        ) from None
    raise FullcastError(f"{out or folder} cannot be written: {nearest} is a file; give another name")
