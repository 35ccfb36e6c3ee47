"""Devices of torch by name, and one sentence for those that this machine does not have."""

from __future__ import annotations

from functools import cache

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


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor on a device; to a GPU from pinned memory, without waiting for what the GPU has still to do."""
    if tensor.device.type == "cpu" and device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


@cache
def fast_bf16(device: torch.device) -> bool:
    """Whether products in bfloat16 are clearly faster there than in float32: on tensor cores from Ampere on, and on
    CPUs with AMX tiles. AVX512-BF16 alone gains nothing for small networks."""
    if device.type == "cuda":
        return torch.cuda.is_available() and torch.cuda.get_device_capability(device) >= (8, 0)
    has_tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return device.type == "cpu" and bool(has_tiles())


def drawing_dtype(given: str, device: torch.device | str) -> str:
    """float32, bfloat16 or float16, in which a model draws there. auto: half the bits on a GPU, float32 elsewhere."""
    kind = torch.device(device)
    if given != "auto":
        return given
    if kind.type != "cuda":
        return "float32"
    return "bfloat16" if fast_bf16(kind) else "float16"
