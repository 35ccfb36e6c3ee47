"""Exponential moving average of the trained weights: what is saved and shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

Named = Mapping[str, torch.Tensor]


class Ema:
    """shadow <- decay * shadow + (1 - decay) * live, on the device of the weights.

    The decay rises as (1 + n) / (10 + n) (as in TensorFlow's ExponentialMovingAverage), so that a young average is not
    made of the initial weights.
    """

    def __init__(self, live: Named, decay: float) -> None:
        self.decay = decay
        self.shadow = {name: tensor.detach().clone() for name, tensor in live.items()}

    @torch.no_grad()
    def update(self, live: Named, step: int) -> None:
        """`step` counts finished steps, 1 after the first."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.shadow.values()), [live[name].detach() for name in self.shadow], 1 - decay)

    @contextmanager
    def shown(self, live: Named) -> Iterator[None]:
        """The averaged weights stand in the live modules inside the block; afterwards every bit is as it was."""
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
