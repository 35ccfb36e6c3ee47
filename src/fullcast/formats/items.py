"""What an exported picture is, whatever the format, the folder that it goes to, and what the export says of itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from fullcast.records import Box, Sample
from fullcast.store.atomic import replacing_dir, write_json
from fullcast.store.errors import FullcastError

MARK = "fullcast-export.json"
"""In every folder that an export wrote, with its report: only such a folder, or an empty one, is written over."""

MAX_NAME_BYTES = 120
"""Of one part of a path: file systems take 255 bytes, and repeats, suffixes and temporary names come on top."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
"""What Windows refuses in names; an export is made on one machine and read on another."""


@dataclass(frozen=True)
class Item:
    """One picture on its way out: pixels, words, people, and how often it should be seen."""

    sample: Sample
    pixels: np.ndarray
    """(H, W, 3) uint8 RGB: the sample's crop at the size in which it is exported."""
    caption: str
    """'' for no caption at all."""
    weight: float = 1.0
    """Target share of visits, any scale; 0: never."""
    folder: str = ""
    """POSIX path for formats that sort into folders."""

    @property
    def name(self) -> str:
        """File name without suffix."""
        return self.sample.id

    def scaled(self, box: Box) -> list[float]:
        """A box of the sample in pixels of ``pixels``, to a tenth of a pixel."""
        height, width = self.pixels.shape[:2]
        x, y = width / self.sample.width, height / self.sample.height
        return [round(float(v * scale), 1) for v, scale in zip(box, (x, y, x, y), strict=True)]

    def described(self) -> dict[str, Any]:
        """Everything about the picture but its pixels, JSON-ready; people as parallel lists."""
        sample = self.sample
        height, width = self.pixels.shape[:2]
        people = sample.people
        return {
            "text": self.caption,
            "width": width,
            "height": height,
            "weight": self.weight,
            "source": sample.source,
            "kind": sample.kind,
            "rating": sample.rating,
            "num_people": sample.num_people,
            "image_id": sample.image_id,
            "shot_id": sample.shot_id,
            "crop_xyxy": [round(float(v), 2) for v in sample.crop],
            "tags": list(sample.tags),
            "objects": {
                "character": [p.character for p in people],
                "form": [p.form for p in people],
                "xyxy": [self.scaled(p.xyxy) for p in people],
                # A person without a head has an empty list: null would give the column another type in some files.
                "head_xyxy": [self.scaled(p.head_xyxy) if p.head_xyxy else [] for p in people],
                "tags": [", ".join(p.tags) for p in people],
            },
        }


@dataclass(frozen=True)
class Exported:
    """What was written, and what the format's own reader makes of it."""

    format: str
    num_images: int
    num_skipped: int
    """Weight zero: not written, where the format would show them."""
    num_folders: int
    epoch_size: float
    """Visits in one epoch of the reader."""
    share_error: float
    """Half the sum of |share delivered - share asked|: the part of all visits that the format moves, in [0, 1]."""
    visits: dict[str, float] = field(repr=False)
    """Visits in one epoch, by picture: what the reader's documented rules come to."""
    notes: tuple[str, ...] = ()
    """What differs from what was planned, one sentence each."""

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"{self.num_images} pictures in {self.num_folders} folders, {self.epoch_size:,.0f} visits in an epoch; "
            f"{self.share_error:.2%} of the visits go to other pictures than planned",
            *(f"  {note}" for note in self.notes),
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without the visits of every single picture: they stand in the export's own report."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self).items()
            if name != "visits"
        }


@contextmanager
def export_dir(out_dir: Path) -> Iterator[Path]:
    """A fresh folder that becomes ``out_dir`` when the block succeeds; `leave_report` belongs into the block.

    Raises `FullcastError` rather than delete what no export wrote.
    """
    if out_dir.exists() and (not out_dir.is_dir() or (any(out_dir.iterdir()) and not (out_dir / MARK).is_file())):
        raise FullcastError(f"{out_dir} holds something that no export wrote; give a new or empty folder")
    with replacing_dir(out_dir) as temporary:
        yield temporary


def leave_report(folder: Path, exported: Exported) -> Exported:
    """The export's own report, in the export."""
    write_json(folder / MARK, {**exported.to_dict(), "visits": exported.visits})
    return exported


def share_error(visits: Sequence[float] | np.ndarray, weights: np.ndarray) -> float:
    """Total variation between what is delivered and what was asked, both of any scale, in [0, 1]."""
    given = np.asarray(visits, dtype=np.float64)
    if given.sum() == 0:
        return 1.0
    return float(np.abs(given / given.sum() - weights / weights.sum()).sum() / 2)


def checked_weights(weights: np.ndarray | Sequence[float]) -> np.ndarray:
    """(n,) float64, or `FullcastError` when nothing has any."""
    given = np.asarray(weights, dtype=np.float64)
    if not len(given) or given.sum() <= 0:
        raise FullcastError("there is nothing to export: no sample has any weight")
    if given.min() < 0:
        raise FullcastError(f"a weight is 0 or more; got {given.min():g}")
    return given


class Names:
    """Sees to it that no two pictures have one name: EveryDream, kohya and the seed find captions by it."""

    def __init__(self) -> None:
        self._seen: dict[str, None] = {}

    def take(self, name: str) -> str:
        if name in self._seen:
            raise FullcastError(f"two samples are called {name!r}; an export needs different names")
        self._seen[name] = None
        return name

    def __iter__(self) -> Iterator[str]:
        return iter(self._seen)


def safe_part(name: str) -> str:
    """One part of a path that every system takes, and that no trainer passes over as hidden; commas, spaces and
    letters of every script stay. Long ones are cut, with a hash so that they stay different."""
    part = _FORBIDDEN.sub("_", name).rstrip(". ").lstrip(".").strip() or "_"
    encoded = part.encode()
    if len(encoded) <= MAX_NAME_BYTES:
        return part
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    return encoded[: MAX_NAME_BYTES - 9].decode(errors="ignore").rstrip(". ") + "-" + digest


def safe_folder(folder: str) -> PurePosixPath:
    """The folder inside the export; nothing leads outside."""
    parts = [part for part in PurePosixPath(folder or "all").parts if part not in ("/", "..", ".")]
    return PurePosixPath(*[safe_part(part) for part in parts] or ["all"])


def percent_of(visits: Iterable[float], total: float) -> str:
    return f"{sum(visits) / total:.2%}" if total else "0 %"
