"""Latents on disk, memory-mapped: each picture of the plan goes through the VAE once.

    {folder}/{vae}/{width}x{height}.f16    rows of (2C, h, w) float16: mean and standard deviation of the posterior
    {folder}/{vae}/{width}x{height}.idx    one line per row: the sample's id, in the order of the rows

Rows are on the disk before their lines are written, so a kill or a power cut leaves at most rows without a line, which
the next writer cuts off. One process writes at a time (a lock); another one waits for it and finds its rows; readers
change nothing. Keyed by the VAE's hash, the sample (picture and crop) and the size; captions play no part, so dropout
and fresh captions go on working.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from fullcast.models.stable_diffusion.family import StableDiffusion, to_tensor
from fullcast.ports import PixelSource, Progress, silent
from fullcast.store.atomic import to_disk
from fullcast.store.locks import locked
from fullcast.training.stop import StoppedEncoding

Wanted = tuple[str, int, int]
"""(sample id, width, height)."""
NAMED_EVERY_S = 2.0
"""Between two waits for the disk, of some ms each: a kill costs what was encoded since the last one."""


class LatentStore:
    """Moments by sample and size. One writer at a time; readers map the files."""

    def __init__(self, folder: Path, model: StableDiffusion, same: Mapping[str, str] | None = None) -> None:
        """same: samples that show the pixels of another one, and which; they share its row."""
        self.folder = folder / model.vae_sha256()[:16]
        self.model, self.same = model, same or {}
        self._rows: dict[tuple[int, int], dict[str, int]] = {}
        self._maps: dict[tuple[int, int], np.ndarray] = {}
        self._unnamed: dict[tuple[int, int], list[str]] = {}
        """Whose rows are written and have no lines yet."""

    def moments(self, sample_ids: Sequence[str], width: int, height: int) -> torch.Tensor:
        """(B, 2C, h, w) float32 on the CPU; KeyError for a sample that `fill` was not asked for."""
        rows = self._index(width, height)
        data = self._map(width, height)
        found = [data[rows[self._named(s, width, height)]] for s in sample_ids]
        return torch.from_numpy(np.stack(found).astype(np.float32))

    def fill(
        self,
        wanted: Iterable[Wanted],
        pixels: PixelSource,
        batch_size: int = 1,
        progress: Progress = silent,
        stop: Callable[[], bool] = lambda: False,
    ) -> int:
        """Encodes what is missing, in a fixed order; returns how many that were.

        Raises StoppedEncoding when it was asked to stop before the last; what was encoded is kept.
        """
        with locked(self.folder / ".lock", f"{self.folder} is locked by another process", timeout_s=-1):
            self._rows.clear()  # somebody else may have written since
            self._maps.clear()
            self._unnamed.clear()
            return self._fill(set(wanted), pixels, batch_size, progress, stop)

    def _fill(
        self,
        wanted: Iterable[Wanted],
        pixels: PixelSource,
        batch_size: int,
        progress: Progress,
        stop: Callable[[], bool],
    ) -> int:
        for size in {w[1:] for w in wanted}:
            self._mend(*size)
        named = {(self._named(*w), *w[1:]) for w in wanted}
        missing = sorted(w for w in named if w[0] not in self._index(w[1], w[2]))
        if not missing:
            return 0
        progress.start("latents", len(missing))
        try:
            self._encode(missing, pixels, batch_size, progress, stop, len(named))
        finally:
            self._name()
            progress.done()
        return len(missing)

    def _encode(
        self,
        missing: Sequence[Wanted],
        pixels: PixelSource,
        batch_size: int,
        progress: Progress,
        stop: Callable[[], bool],
        num_wanted: int,
    ) -> None:
        done, named = 0, time.monotonic()
        for group in _batches(missing, batch_size):
            if stop():
                raise StoppedEncoding(num_wanted - len(missing) + done, num_wanted)
            _, width, height = group[0]
            images = np.stack([pixels.pixels(*w) for w in group])
            moments = self.model.encode_moments(to_tensor(images).to(self.model.device))
            self._append([w[0] for w in group], width, height, moments.half().cpu().numpy())
            done += len(group)
            progress.advance(len(group))
            if time.monotonic() - named > NAMED_EVERY_S:
                self._name()
                named = time.monotonic()

    def _named(self, sample_id: str, width: int, height: int) -> str:
        """Whose row a sample has: its own, as stores of older versions may hold, else that of the same pixels."""
        return sample_id if sample_id in self._index(width, height) else self.same.get(sample_id, sample_id)

    def _paths(self, width: int, height: int) -> tuple[Path, Path]:
        return self.folder / f"{width}x{height}.f16", self.folder / f"{width}x{height}.idx"

    def _row_shape(self, width: int, height: int) -> tuple[int, int, int]:
        channels, h, w = self.model.latent_shape(width, height)
        return 2 * channels, h, w

    def _index(self, width: int, height: int) -> dict[str, int]:
        size = (width, height)
        if size not in self._rows:
            self._rows[size] = {sample_id: row for row, sample_id in enumerate(self._whole_lines(width, height))}
        return self._rows[size]

    def _whole_lines(self, width: int, height: int) -> list[str]:
        """Ids whose line and row are whole: another process may be writing the next, or was killed while it did."""
        data, index = self._paths(width, height)
        text = index.read_text(encoding="utf-8") if index.exists() else ""
        text = text.partition("\0")[0]  # what a power cut may leave of the last lines
        lines = text[: text.rfind("\n") + 1].splitlines()
        return lines[: data.stat().st_size // self._row_bytes(width, height) if data.exists() else 0]

    def _row_bytes(self, width: int, height: int) -> int:
        return 2 * int(np.prod(self._row_shape(width, height)))

    def _mend(self, width: int, height: int) -> None:
        """Cuts off what a kill left half written. For the one that holds the lock alone: a row that seems to be too
        much may be one that another process is about to name."""
        (data, index), ids = self._paths(width, height), self._whole_lines(width, height)
        text = "".join(f"{i}\n" for i in ids)
        if index.exists() and index.read_text(encoding="utf-8") != text:
            index.write_text(text, encoding="utf-8")
        if data.exists() and data.stat().st_size != len(ids) * self._row_bytes(width, height):
            with data.open("r+b") as file:
                file.truncate(len(ids) * self._row_bytes(width, height))

    def _append(self, ids: Sequence[str], width: int, height: int, moments: np.ndarray) -> None:
        """Rows, which `_name` gives their lines."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._paths(width, height)[0].open("ab") as file:
            file.write(moments.tobytes())
        self._unnamed.setdefault((width, height), []).extend(ids)
        rows = self._index(width, height)
        for sample_id in ids:
            rows.setdefault(sample_id, len(rows))
        self._maps.pop((width, height), None)

    def _name(self) -> None:
        """Lines for the rows that have none, once those are on the disk: never a line whose row a power cut took."""
        for size, ids in self._unnamed.items():
            data, index = self._paths(*size)
            to_disk(data)
            with index.open("a", encoding="utf-8") as file:
                file.write("".join(f"{i}\n" for i in ids))
            to_disk(index)
        self._unnamed.clear()

    def _map(self, width: int, height: int) -> np.ndarray:
        size = (width, height)
        if size not in self._maps:
            shape = (len(self._index(width, height)), *self._row_shape(width, height))
            self._maps[size] = np.asarray(np.memmap(self._paths(width, height)[0], np.float16, "r", shape=shape))
        return self._maps[size]


def _batches(wanted: Sequence[Wanted], size: int) -> Iterable[list[Wanted]]:
    """Groups of one picture size, at most `size` long; smallest sizes first."""
    by_size: dict[tuple[int, int], list[Wanted]] = {}
    for w in wanted:
        by_size.setdefault((w[1], w[2]), []).append(w)
    for _, group in sorted(by_size.items()):
        for start in range(0, len(group), size):
            yield group[start : start + size]
