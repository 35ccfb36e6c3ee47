"""Pictures as vectors: what fidelity, diversity and memorisation are measured in. No CLIP: nothing is downloaded.

Two kinds. **Features**: the judge's embedder over the whole picture, pressed into its square, and beside it how much
detail of which size there is where (`detail`). The embedder was trained on heads: it sees people, colours and line,
little of the setting, and nothing of blur, to which it was made deaf. **Thumbnails**: pixels at 64 px, for copies.
Figures in another network's features (Inception, CLIP, DINOv2) cannot be compared with these.
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
    key = hashlib.sha256(f"{embedder.name} + detail {size}".encode()).hexdigest()[:20]
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
        except UnreadableFile:
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


def features_of(images: Sequence[np.ndarray], embedder: Embedder) -> np.ndarray:
    """(N, dim + 24) float32 unit vectors: the embedder's and `detail`, each half of the length."""
    parts = embedder.embed(images), np.stack([detail(image) for image in images])
    return (np.concatenate(parts, axis=1) / np.sqrt(2)).astype(np.float32)


def detail(image: np.ndarray) -> np.ndarray:
    """(24,) unit vector of an (H, W, 3) uint8 picture: the square roots of the shares of its energy of detail, over
    four sizes (2, 4, 8 and 16 pixels, Haar wavelets of the luma) and six places (two rows of three)."""
    luma = image.astype(np.float64) @ (0.299, 0.587, 0.114)
    luma = luma[: luma.shape[0] // 16 * 16, : luma.shape[1] // 16 * 16]
    energies = []
    for _ in range(4):
        if min(luma.shape) < 2:
            energies += [0.0] * 6
            continue
        coarse = (luma[::2, ::2] + luma[1::2, ::2] + luma[::2, 1::2] + luma[1::2, 1::2]) / 4
        fine = (luma - coarse.repeat(2, axis=0).repeat(2, axis=1)) ** 2
        energies += [float(cell.sum()) for row in np.array_split(fine, 2) for cell in np.array_split(row, 3, axis=1)]
        luma = coarse
    shares = np.array(energies)
    total = shares.sum()
    # A flat picture has no detail: all shares alike.
    return np.sqrt(shares / total) if total > 0 else np.full(len(shares), len(shares) ** -0.5)


def _embed(batch: Mapping[str, np.ndarray], embedder: Embedder) -> dict[str, Seen]:
    if not batch:
        return {}
    features = features_of(list(batch.values()), embedder)
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
