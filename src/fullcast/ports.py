"""Protocols by which rooms serve each other without importing one another. `journey.py` plugs them together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fullcast.records import Box, Found


@dataclass(frozen=True, slots=True)
class Visit:
    """One sample taking its turn in a batch."""

    sample_id: str
    visit: int
    """How often the sample had been seen before this, over the whole plan: keys its caption and its crop."""
    loss_weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Batch:
    """The visits of one step; all of one size."""

    step: int
    width: int
    """Pixels."""
    height: int
    visits: tuple[Visit, ...]


class BatchStream(Protocol):
    """The order of training: a pure function of (plan, seed, step). Picklable under spawn."""

    @property
    def batch_size(self) -> int: ...

    @property
    def num_steps(self) -> int: ...

    def batch(self, step: int) -> Batch:
        """The batch of a step in [0, num_steps). Same answer always, in any process."""
        ...

    def fingerprint(self) -> str:
        """Hash over samples, weights, buckets and seed: a checkpoint may resume only on the same stream."""
        ...


class PixelSource(Protocol):
    """Reads a visited sample's pixels."""

    def pixels(self, sample_id: str, width: int, height: int) -> np.ndarray:
        """(height, width, 3) uint8 RGB, cropped and resized as the plan says."""
        ...


class CaptionSource(Protocol):
    """Words for a visit, drawn afresh each time from a seed: a pure function of (sample, visit)."""

    def caption(self, sample_id: str, visit: int) -> str: ...

    def regions(self, sample_id: str, visit: int) -> Sequence[tuple[Box, str]]:
        """For each figure that the caption speaks of its part of the picture (xyxy as fractions) and its own words."""
        ...


class Hints(Protocol):
    """What the trainer may be told of a sample beyond its pixels and words."""

    def mask(self, sample_id: str, width: int, height: int) -> np.ndarray | None:
        """(height, width) float32 in [0, 1], 1 where people are; None for a sample without any."""
        ...

    def is_prior(self, sample_id: str) -> bool:
        """Whether it is there to keep what the base knows (a regularization picture)."""
        ...


class StepJudge(Protocol):
    """Measures a model while it is trained; gets the live pipeline, must not change it."""

    def __call__(self, pipeline: Any, step: int) -> dict[str, float]:
        """Success in [0, 1] by character, and under "" that of all together."""
        ...


class Watcher(Protocol):
    """Is told of a training as it goes; what it raises ends the training."""

    def logged(self, step: int, values: dict[str, Any]) -> None:
        """A line of metrics after `step` finished steps."""
        ...

    def saved(self, step: int, checkpoint: Path) -> None:
        """A checkpoint is whole. Called from the thread that wrote it."""
        ...

    def ended(self, step: int) -> None: ...


class Look(Protocol):
    """Who is in a picture and where: detection and identification over the full cast."""

    name: str

    def look(self, images: Sequence[np.ndarray]) -> list[list[Found]]:
        """For each (H, W, 3) uint8 RGB picture its figures, left to right."""
        ...


class Preview(Protocol):
    """Draws sample pictures while training runs; gets the live modules, must not change them."""

    def __call__(self, pipeline: Any, step: int, out_dir: Path) -> None: ...


class Progress(Protocol):
    """Where long work says how far it is: the CLI draws a bar with an ETA, tests and libraries pass `silent`."""

    def start(self, title: str, total: int) -> None: ...

    def advance(self, count: int = 1, note: str = "") -> None: ...

    def done(self) -> None: ...


class _Silent:
    def start(self, title: str, total: int) -> None: ...

    def advance(self, count: int = 1, note: str = "") -> None: ...

    def done(self) -> None: ...


silent: Progress = _Silent()

Say = Callable[[str], None]
"""One line for the user; the CLI prints it."""
