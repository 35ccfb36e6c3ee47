"""What an exported picture is, whatever the format, and the folder that it goes to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullcast.records import Box, Sample
from fullcast.store.atomic import replacing_dir, write_json
from fullcast.store.errors import FullcastError

MARK = "fullcast-export.json"
"""In every folder that an export wrote: only such a folder, or an empty one, is written over."""


@dataclass(frozen=True)
class Item:
    """One picture on its way out: pixels, words, people, and how often it should be seen."""

    sample: Sample
    pixels: np.ndarray
    """(H, W, 3) uint8 RGB: the sample's crop at the size in which it is exported."""
    caption: str
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


@contextmanager
def export_dir(out_dir: Path, format_name: str) -> Iterator[Path]:
    """A fresh folder that becomes ``out_dir`` when the block succeeds. Raises `FullcastError` rather than delete what
    no export wrote."""
    if out_dir.exists() and (not out_dir.is_dir() or (any(out_dir.iterdir()) and not (out_dir / MARK).is_file())):
        raise FullcastError(f"{out_dir} holds something that no export wrote; give a new or empty folder")
    with replacing_dir(out_dir) as temporary:
        yield temporary
        write_json(temporary / MARK, {"format": format_name})
