"""Where unfinished training lives, and how a slice of it is bounded."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import fullcast.pocket

SHIPPED = Path(fullcast.pocket.__file__).parent / "weights"
SHIPPED_BASE = SHIPPED / "pocket-base"


def state_dir(name: str) -> Path:
    root = Path(os.environ.get("FULLCAST_STATE", Path.home() / ".cache" / "fullcast-study"))
    path = root / "pocket" / name
    path.mkdir(parents=True, exist_ok=True)
    return path


class Slice:
    """A training that stops by the clock and goes on later: weights, optimizer and step in one safetensors file."""

    def __init__(
        self, name: str, modules: dict[str, torch.nn.Module], optimizer: torch.optim.Optimizer, seconds: float
    ):
        self.dir = state_dir(name)
        self.modules = modules
        self.optimizer = optimizer
        self.deadline = time.monotonic() + seconds
        self.step = 0
        self.log = (self.dir / "log.jsonl").open("a")
        if (self.dir / "state.safetensors").exists():
            self._restore()

    def _restore(self) -> None:
        tensors = load_file(self.dir / "state.safetensors")
        for key, module in self.modules.items():
            module.load_state_dict(part(tensors, key))
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in part(tensors, "optimizer").items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = tensor
        self.optimizer.load_state_dict({"state": state, "param_groups": self.optimizer.state_dict()["param_groups"]})
        self.step = int(tensors["step"])

    def over(self) -> bool:
        return time.monotonic() > self.deadline

    def save(self) -> None:
        tensors = {"step": torch.tensor(self.step)}
        for key, module in self.modules.items():
            tensors |= {f"{key}/{n}": t.contiguous().clone() for n, t in module.state_dict().items()}
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}.{n}": t.contiguous() for n, t in values.items()}
        save_file(tensors, self.dir / "state.tmp")
        os.replace(self.dir / "state.tmp", self.dir / "state.safetensors")

    def note(self, **values: float) -> None:
        line = json.dumps({"step": self.step, "time": round(time.time(), 1), **values})
        self.log.write(line + "\n")
        self.log.flush()
        print(line, flush=True)


def part(tensors: dict[str, torch.Tensor], key: str) -> dict[str, torch.Tensor]:
    """The state dict that was saved under `key`."""
    return {name[len(key) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(key + "/")}


def weights_of(name: str, key: str = "ema") -> dict[str, torch.Tensor]:
    """The averaged weights of a training in its present state."""
    return part(load_file(state_dir(name) / "state.safetensors"), key)


def ema_update(target: torch.nn.Module, source: torch.nn.Module, decay: float) -> None:
    with torch.no_grad():
        for a, b in zip(target.state_dict().values(), source.state_dict().values(), strict=True):
            if a.dtype.is_floating_point:
                a.lerp_(b, 1 - decay)
            else:
                a.copy_(b)
