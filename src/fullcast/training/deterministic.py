"""The same bits from the same numbers on a GPU: libraries add up in a fixed order, where they would take any.

A CPU does so by itself. An operation that torch can only do in any order raises torch's own RuntimeError, which names
it: a training that was promised to the bit is not silently another one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
"""Environment variable that cuBLAS reads once, when it begins; :4096:8 are 24 MB of each GPU's memory."""


def before_cuda() -> None:
    """Call it before anything lies on a GPU; what somebody has set stays."""
    os.environ.setdefault(CUBLAS, ":4096:8")


@contextmanager
def repeatable(on_gpu: bool) -> Iterator[None]:
    """torch and cuDNN compute in a fixed order inside the block, and afterwards as they did before."""
    if not on_gpu:
        yield
        return
    cudnn = torch.backends.cudnn
    was = torch.get_deterministic_debug_mode(), cudnn.deterministic, cudnn.benchmark
    # Not only warned of: memory-efficient attention goes backward in a fixed order in this mode alone.
    torch.use_deterministic_algorithms(True)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(was[0])
        cudnn.deterministic, cudnn.benchmark = was[1:]
