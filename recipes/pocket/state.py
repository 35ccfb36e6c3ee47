"""Where unfinished training lives, and how a slice of it is bounded."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import torch


def state_dir(name: str) -> Path:
    root = Path(os.environ.get("FULLCAST_STATE", Path.home() / ".cache" / "fullcast-study"))
    path = root / "pocket" / name
    path.mkdir(parents=True, exist_ok=True)
    return path


class Slice:
    """A training that stops by the clock and goes on later: weights, optimizer and step in one safetensors pair."""

    def __init__(self, name: str, modules: dict[str, torch.nn.Module], optimizer: torch.optim.Optimizer, seconds: float):
        self.dir = state_dir(name)
        self.modules = modules
        self.optimizer = optimizer
        self.deadline = time.monotonic() + seconds
        self.step = 0
        self.log = (self.dir / "log.jsonl").open("a")
        path = self.dir / "state.pt"
        if path.exists():
            state = torch.load(path, weights_only=True)
            for key, module in modules.items():
                module.load_state_dict(state[key])
            optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]

    def over(self) -> bool:
        return time.monotonic() > self.deadline

    def save(self) -> None:
        state = {key: module.state_dict() for key, module in self.modules.items()}
        state |= {"optimizer": self.optimizer.state_dict(), "step": self.step}
        temporary = self.dir / "state.tmp"
        torch.save(state, temporary)
        os.replace(temporary, self.dir / "state.pt")

    def note(self, **values: float) -> None:
        line = json.dumps({"step": self.step, "time": round(time.time(), 1), **values})
        self.log.write(line + "\n")
        self.log.flush()
        print(line, flush=True)


def ema_update(target: torch.nn.Module, source: torch.nn.Module, decay: float) -> None:
    with torch.no_grad():
        for a, b in zip(target.state_dict().values(), source.state_dict().values(), strict=True):
            if a.dtype.is_floating_point:
                a.lerp_(b, 1 - decay)
            else:
                a.copy_(b)
