"""EveryDream 1 and 2 folders: pictures, captions beside them, and ``multiply.txt`` in each folder.

Rules as the two trainers document them (doc/DATA.md and doc/BALANCING.md of EveryDream2; README of EveryDream1):

* ``multiply.txt`` holds for its own folder, not for those below;
* EveryDream2 draws the fraction: 2.3 is two copies, and a third in 30 % of the epochs. It reads 0 as 1;
* EveryDream1 cuts the fraction off: 2.9 is two copies, and 0.5 drops the folder;
* the caption is ``<stem>.txt``, else ``<stem>.caption``, else the file name up to the first underscore.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from fullcast.formats.items import Item, export_dir
from fullcast.ports import Progress, silent
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.pictures import write_png

MULTIPLY = "multiply.txt"
DECIMALS = 3
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".jfif"})


@dataclass(frozen=True, slots=True)
class EveryDreamExport:
    """What was written and how near EveryDream2 comes to the weights."""

    num_images: int
    num_skipped: int
    """Weight zero: not written, because a multiply of 0 would count as 1."""
    num_folders: int
    epoch_size: float
    """Visits in one epoch: the sum of all multiplies."""
    share_error: float
    """Half the sum of |share by multiply - share asked|: the part of all visits that rounding moves, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class EveryDreamImage:
    """One picture as the trainer would see it."""

    path: Path
    caption: str
    multiply: float
    """Visits in one epoch; 0: never."""


def export_everydream(
    items: Iterable[Item], weights: np.ndarray, out_dir: Path, progress: Progress = silent
) -> EveryDreamExport:
    """Writes an EveryDream2 folder tree, atomically.

    weights: (n,) of all items in their order: multiplies are scaled to a mean of 1, which needs their sum beforehand.
    Pictures of one folder with different multiplies go into folders below it, named ``x0.250``.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if not len(weights) or weights.sum() <= 0:
        raise FullcastError("there is nothing to export: no sample has any weight")
    positive = weights > 0
    scaled = weights * positive.sum() / weights.sum()
    multiplies = np.where(positive, np.maximum(np.round(scaled, DECIMALS), 10.0**-DECIMALS), 0.0)
    written: dict[PurePosixPath, float] = {}
    names: set[str] = set()
    count = 0
    with export_dir(out_dir, "everydream2") as root:
        for item, multiply in zip(items, multiplies.tolist(), strict=True):
            progress.advance()
            if multiply == 0:
                continue
            if item.name in names:
                raise FullcastError(f"two samples are called {item.name!r}; an export needs different names")
            names.add(item.name)
            folder = _safe(item.folder) / f"x{multiply:.{DECIMALS}f}"
            if folder not in written:
                written[folder] = multiply
                (root / folder).mkdir(parents=True)
                (root / folder / MULTIPLY).write_text(f"{multiply:.{DECIMALS}f}\n", encoding="utf-8")
            write_png(root / folder / f"{item.name}.png", item.pixels)
            (root / folder / f"{item.name}.txt").write_text(item.caption, encoding="utf-8")
            count += 1
    share = multiplies / multiplies.sum()
    error = float(np.abs(share - weights / weights.sum()).sum() / 2)
    return EveryDreamExport(count, int((~positive).sum()), len(written), float(multiplies.sum()), error)


def read_everydream(root: Path, version: int = 2) -> list[EveryDreamImage]:
    """The pictures under ``root`` as EveryDream1 or 2 would see them, sorted by path; hidden folders passed over."""
    if version not in (1, 2):
        raise FullcastError(f"EveryDream has versions 1 and 2; got {version}")
    if not root.is_dir():
        raise FullcastError(f"{root} is no folder; give the data_root of an EveryDream training")
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in root.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts[:-1])
        if path.suffix.lower() in SUFFIXES and path.is_file() and not hidden:
            by_folder[path.parent].append(path)
    images = []
    for folder, paths in by_folder.items():
        multiply = _multiply(folder / MULTIPLY, version)
        images += [EveryDreamImage(path, _caption(path), multiply) for path in paths]
    return sorted(images, key=lambda image: image.path)


def _multiply(path: Path, version: int) -> float:
    if not path.is_file():
        return 1.0
    text = path.read_text(encoding="utf-8").strip()
    try:
        value = float(text)
    except ValueError:
        raise UnreadableFile(path, "unreadable", f"a multiply is one number; the file says {text[:40]!r}") from None
    if version == 1:
        return float(int(value))
    return value or 1.0


def _caption(path: Path) -> str:
    for suffix in (".txt", ".caption"):
        beside = path.with_suffix(suffix)
        if beside.is_file():
            return beside.read_text(encoding="utf-8").strip()
    return path.stem.split("_")[0]


def _safe(folder: str) -> PurePosixPath:
    """The folder inside the export; a part must not be hidden (EveryDream2 passes over it) nor lead outside."""
    parts = [part for part in PurePosixPath(folder or "all").parts if part not in ("/", "..", ".")]
    return PurePosixPath(*[part.lstrip(".") or "_" for part in parts] or ["all"])
