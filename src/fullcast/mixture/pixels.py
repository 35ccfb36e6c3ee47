"""`ports.PixelSource` over a workspace: reads a sample's picture, cuts its crop, resizes it to the batch's size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fullcast.records import Sample
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import read_picture, resize


class WorkspacePixels:
    """Pixels of samples whose pictures lie under ``root``. Picklable; the cache stays behind."""

    def __init__(self, root: Path, samples: Iterable[Sample], cache_size: int = 8) -> None:
        """cache_size: decoded pictures kept, for the crops of one picture that follow one another (2.8 MB a frame)."""
        self.root = Path(root)
        self.cache_size = cache_size
        self._where = {sample.id: (sample.path, sample.crop) for sample in samples}
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()

    def pixels(self, sample_id: str, width: int, height: int) -> np.ndarray:
        """(height, width, 3) uint8 RGB. Raises `UnreadableFile` when the picture is gone or damaged."""
        if sample_id not in self._where:
            raise FullcastError(f"no sample is called {sample_id!r}; prepare and plan again")
        path, crop = self._where[sample_id]
        return resize(self._picture(path), (width, height), box=crop)

    def _picture(self, path: str) -> np.ndarray:
        if path in self._cache:
            self._cache.move_to_end(path)
            return self._cache[path]
        picture = read_picture(self.root / path)
        self._cache[path] = picture
        if len(self._cache) > self.cache_size:
            self._cache.popitem(last=False)
        return picture

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_cache": OrderedDict()}
