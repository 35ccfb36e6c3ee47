"""Exponential moving average of the trained weights: what is saved and shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from fullcast.training.ranks import local

Named = Mapping[str, torch.Tensor]
EAGER = 40
"""Steps at the beginning each of which is averaged: until then the average reaches over fewer than six."""


class Ema:
    """shadow <- decay * shadow + (1 - decay) * live, on the device of the weights.

    The decay rises as (1 + n) / (10 + n) (as in TensorFlow's ExponentialMovingAverage), so that a young average is not
    made of the initial weights. After `EAGER` steps only the weights of every so many are averaged, with the decay of
    as many steps: neighbours differ little, and reading all weights once more is 3 ms of a step of 79 (batch 1, CPU).
    """

    def __init__(self, live: Named, decay: float, every: int = 1) -> None:
        """A decay of 0 keeps no copy: the average is the live weights. float32 also where the weights are bfloat16: an
        average of them would stand still. Of sharded weights each process averages its own part."""
        self.decay, self.every = decay, every
        self.shadow = {name: local(tensor.detach()) for name, tensor in live.items()}
        if decay:
            self.shadow = {name: tensor.to(torch.float32, copy=True) for name, tensor in self.shadow.items()}
        self._shadows = list(self.shadow.values())
        self._plain: list[torch.Tensor] | None = None
        """The live weights themselves, once it is known that they are whole and float32; [] where they are not."""

    @torch.no_grad()
    def update(self, live: Named, step: int) -> None:
        """`step` counts finished steps, 1 after the first."""
        eager = step <= EAGER
        if not self.decay or (step % self.every and not eager):
            return
        decay = min(self.decay, (1 + step) / (10 + step)) ** (1 if eager else self.every)
        if self._plain is None:
            every = [live[name] for name in self.shadow]
            self._plain = every if all(type(t.data) is torch.Tensor and t.dtype == torch.float32 for t in every) else []
        now = self._plain or [local(live[name].detach()).float() for name in self.shadow]
        torch._foreach_lerp_(self._shadows, now, 1 - decay)

    @contextmanager
    def shown(self, live: Named) -> Iterator[None]:
        """The averaged weights stand in the live modules inside the block; afterwards every bit is as it was."""
        if not self.decay:
            yield
            return
        kept = {name: live[name].detach().clone() for name in self.shadow}
        _copy(self.shadow, live)
        try:
            yield
        finally:
            _copy(kept, live)


@torch.no_grad()
def _copy(source: Named, to: Named) -> None:
    for name, tensor in source.items():
        to[name].copy_(tensor)
