"""Devices of torch by name, and one sentence for those that this machine does not have."""

from __future__ import annotations

import torch

from fullcast.store.errors import FullcastError


def torch_device(name: str) -> torch.device:
    """cpu, cuda, cuda:1, mps or another of torch's. FullcastError for what torch does not know or does not find."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise FullcastError(f"device = {name!r} is not known to torch; give auto, cpu, cuda, cuda:1 or mps") from None
    if not _is_there(device):
        raise FullcastError(
            f"device = {name!r}, and torch {torch.__version__} finds none "
            f"here (CUDA: {torch.cuda.device_count()}); give auto or cpu, or install a torch that fits this machine"
        )
    return device


def _is_there(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    if device.type == "mps":
        return torch.backends.mps.is_available()
    try:
        torch.empty(1, device=device).cpu()
    except (AssertionError, RuntimeError, ImportError):  # each kind of device says it in its own way
        return False
    return True
