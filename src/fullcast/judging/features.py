"""Pictures as vectors: what fidelity, diversity and memorisation are measured in. No CLIP: nothing is downloaded.

Two kinds. **Features**: the judge's embedder over the whole picture, pressed into its square. It was trained on heads,
so it sees people, colours and line, and little of the setting. **Thumbnails**: pixels at 64 px, for copies. Figures in
another network's features (Inception, CLIP, DINOv2) cannot be compared with these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullcast.models.base import Embedder
from fullcast.ports import Progress, silent
from fullcast.store.errors import UnreadableFile
from fullcast.store.pictures import file_id, read_picture, resize
from fullcast.store.tables import read_records, write_records

THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT = 64, 36
BATCH = 32


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture's vectors."""

    sha256: str
    """First 20 hex digits."""
    features: np.ndarray
    """(D,) float32 of length 1."""
    pixels: bytes
    """36 * 64 * 3 bytes: the thumbnail, row by row, RGB."""


@dataclass(frozen=True, slots=True)
class Looks:
    """Vectors of many pictures."""

    paths: tuple[str, ...]
    """Those that could be read, in the order given."""
    features: np.ndarray
    """(N, D) float32 unit vectors."""
    pixels: np.ndarray
    """(N, 36, 64, 3) float32 in [0, 1]."""

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: Sequence[int]) -> Looks:
        chosen = list(indices)
        return Looks(tuple(self.paths[i] for i in chosen), self.features[chosen], self.pixels[chosen])


def look_at_pictures(
    pictures: Mapping[str, Path],
    embedder: Embedder,
    size: tuple[int, int],
    folder: Path | None = None,
    progress: Progress = silent,
) -> dict[str, Seen]:
    """Vectors by name; unreadable pictures are left out.

    ``size``: (width, height) to which the middle of every picture is cut and shrunk, so that true pictures are as sharp
    and as wide as made ones. ``folder`` keeps vectors: no picture is embedded twice.
    """
    key = hashlib.sha256(f"{embedder.name} {size}".encode()).hexdigest()[:20]
    table = folder / f"{key}.parquet" if folder is not None else None
    known = {seen.sha256: seen for seen in _read(table)}
    before = len(known)
    names: dict[str, str] = {}
    todo: dict[str, np.ndarray] = {}
    progress.start("embedding pictures", len(pictures))
    for name, path in pictures.items():
        progress.advance()
        try:
            sha = file_id(path)
            if sha not in known and sha not in todo:
                todo[sha] = cut_to(read_picture(path), size)
        except (OSError, UnreadableFile):
            continue
        names[name] = sha
        if len(todo) >= BATCH:
            known |= _embed(todo, embedder)
            todo = {}
    known |= _embed(todo, embedder)
    progress.done()
    if table is not None and len(known) > before:
        write_records(table, [known[sha] for sha in sorted(known)], Seen)
    return {name: known[sha] for name, sha in names.items()}


def looks_of(names: Iterable[str], seen: Sequence[Seen], dim: int) -> Looks:
    """``dim``: D, for the case that there is none."""
    features = np.stack([s.features for s in seen]) if seen else np.zeros((0, dim), np.float32)
    pixels = np.frombuffer(b"".join(s.pixels for s in seen), np.uint8).astype(np.float32) / 255
    return Looks(tuple(names), features, pixels.reshape(-1, THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH, 3))


def cut_to(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The largest middle part of an (H, W, 3) picture of the shape of ``size`` (width, height), at that size."""
    height, width = image.shape[:2]
    scale = min(width / size[0], height / size[1])
    w, h = size[0] * scale, size[1] * scale
    x, y = (width - w) / 2, (height - h) / 2
    return image if (width, height) == size else resize(image, size, box=(x, y, x + w, y + h))


def _embed(batch: Mapping[str, np.ndarray], embedder: Embedder) -> dict[str, Seen]:
    if not batch:
        return {}
    features = embedder.embed(list(batch.values()))
    thumbnails = [resize(image, (THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT)) for image in batch.values()]
    return {
        sha: Seen(sha, vector, np.ascontiguousarray(small).tobytes())
        for sha, vector, small in zip(batch, features, thumbnails, strict=True)
    }


def _read(table: Path | None) -> list[Seen]:
    try:
        return read_records(table, Seen) if table is not None else []
    except UnreadableFile:
        return []
