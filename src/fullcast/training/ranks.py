"""Several processes training one model, as torchrun starts them: who I am, my part of a batch, what all must agree on.

    torchrun --nproc-per-node 2 -m fullcast train -w workspace

One process is the case of one rank: nothing of torch.distributed is touched then.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from fullcast.ports import Batch
from fullcast.store.errors import FullcastError


@dataclass(frozen=True)
class Ranks:
    """This process's place among those that train together."""

    rank: int = 0
    count: int = 1

    @classmethod
    def from_environment(cls) -> Ranks:
        """What torchrun says (RANK, WORLD_SIZE); joins the process group: nccl with CUDA, gloo without."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count < 2:
            return cls()
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        return cls(torch.distributed.get_rank(), count)

    @property
    def is_main(self) -> bool:
        """The one that fills the latents, writes metrics, draws previews and saves."""
        return self.rank == 0

    def device(self, name: str) -> torch.device:
        """`auto`: this process's own GPU if there is one, else the CPU."""
        if name == "auto" and torch.cuda.is_available():
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        return torch.device("cpu" if name == "auto" else name)

    def share(self, batch: Batch) -> Batch:
        """Every count-th visit of a global batch, beginning with this rank's; FullcastError if it does not divide."""
        if len(batch.visits) % self.count:
            raise FullcastError(
                f"a batch of {len(batch.visits)} cannot be shared by {self.count} processes; make mixture.batch_size a "
                f"multiple of {self.count}"
            )
        return batch if self.count == 1 else replace(batch, visits=batch.visits[self.rank :: self.count])

    def replicate(self, network: nn.Module) -> nn.Module:
        """`network` whose backward averages gradients over all ranks."""
        if self.count == 1:
            return network
        return nn.parallel.DistributedDataParallel(network, broadcast_buffers=False, gradient_as_bucket_view=True)

    def wait(self) -> None:
        if self.count > 1:
            torch.distributed.barrier()

    def any(self, mine: bool, device: torch.device) -> bool:
        """True everywhere as soon as one rank says so."""
        if self.count == 1:
            return mine
        flag = torch.tensor([float(mine)], device=device)
        torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
        return bool(flag.item())

    def mean(self, value: torch.Tensor | float, device: torch.device) -> float:
        """Over all ranks."""
        if self.count == 1:
            return float(value)
        told = torch.as_tensor(value, dtype=torch.float32, device=device).clone()
        torch.distributed.all_reduce(told)
        return float(told) / self.count

    def told_by_main(self, value: Any) -> Any:
        """What the main rank says, everywhere."""
        if self.count == 1:
            return value
        box = [value]
        torch.distributed.broadcast_object_list(box, 0)
        return box[0]
