"""Several processes training one model, as torchrun starts them: who I am, my part of a batch, what all must agree on.

    torchrun --nproc-per-node 2 -m fullcast train -w workspace

One process is the case of one rank: nothing of torch.distributed is touched then.
"""

from __future__ import annotations

import atexit
import gc
import os
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor

from fullcast.models.torch_device import torch_device
from fullcast.ports import Batch
from fullcast.store.errors import FullcastError


def local(tensor: torch.Tensor) -> torch.Tensor:
    """The part that this process holds; all of it where nothing is sharded."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def part_of(tensor: torch.Tensor) -> str:
    """Names the part that this process holds, for draws of its own ("/1"); "" where nothing is sharded."""
    return f"/{tensor.device_mesh.get_local_rank()}" if isinstance(tensor, DTensor) else ""


def whole(tensor: torch.Tensor, like: torch.Tensor | None = None) -> torch.Tensor:
    """A sharded tensor put together again on every rank; `like` says how a local part of it is spread."""
    if isinstance(like, DTensor) and not isinstance(tensor, DTensor):
        tensor = DTensor.from_local(
            tensor, like.device_mesh, like.placements, run_check=False, shape=like.shape, stride=like.stride()
        )
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


PATIENCE = timedelta(days=7)
"""How long processes wait for each other: the first encodes all latents alone, and judges. torchrun ends them all when
one dies."""


def _leave() -> None:
    """Closes the group while the interpreter still stands. What holds it goes first (DDP's reducer lies in a cycle): a
    thread of gloo that drops a tensor after the interpreter's end finds no GIL, and the process ends by SIGABRT."""
    if torch.distributed.is_initialized():
        gc.collect()
        torch.distributed.destroy_process_group()


@dataclass(frozen=True)
class Ranks:
    """This process's place among those that train together."""

    rank: int = 0
    count: int = 1

    @classmethod
    def from_environment(cls) -> Ranks:
        """What torchrun says (RANK, WORLD_SIZE); joins the process group: nccl for tensors on CUDA, gloo for others."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count < 2:
            return cls()
        if not torch.distributed.is_initialized():
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            torch.distributed.init_process_group(backend, timeout=PATIENCE)
            atexit.register(_leave)
        return cls(torch.distributed.get_rank(), count)

    @property
    def is_main(self) -> bool:
        """The one that fills the latents, writes metrics, draws previews and saves."""
        return self.rank == 0

    def device(self, name: str) -> torch.device:
        """`auto`: this process's own GPU if there is one, else the CPU; `cuda` among several: its own too.

        FullcastError when there are fewer GPUs than processes, there is no such device, or it cannot train.
        """
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        if name.startswith("mps"):
            raise FullcastError(
                f"device = {name!r}: nothing is trained on mps, which has no float64 for the noise schedule; set "
                "training.device to auto, cpu or cuda (pictures can be drawn on mps)"
            )
        if name != "cuda":
            return torch_device(name)
        place, found = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if place >= max(1, found):
            raise FullcastError(
                f"{self.count} processes train, and torch finds {found} GPU(s): set training.processes to {found}"
            )
        torch_device(name)
        if self.count > 1:
            torch.cuda.set_device(place)
        return torch.device("cuda", place)

    def require_divides(self, batch_size: int) -> None:
        """FullcastError for a batch that the processes cannot share equally."""
        if batch_size % self.count:
            raise FullcastError(
                f"a batch of {batch_size} cannot be shared by {self.count} processes; make mixture.batch_size a "
                f"multiple of {self.count}"
            )

    def share(self, batch: Batch) -> Batch:
        """Every count-th visit of a global batch, beginning with this rank's; FullcastError if it does not divide."""
        self.require_divides(len(batch.visits))
        return batch if self.count == 1 else replace(batch, visits=batch.visits[self.rank :: self.count])

    def replicate(self, network: nn.Module) -> nn.Module:
        """`network` whose backward averages gradients over all ranks."""
        if self.count == 1:
            return network
        return nn.parallel.DistributedDataParallel(network, broadcast_buffers=False, gradient_as_bucket_view=True)

    def shard(self, network: nn.Module) -> nn.Module:
        """`network` with its trained parameters spread over the ranks (FSDP2), block by block; frozen ones stay whole
        in each, so that the main one can write them."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # FSDP2 knows no channels_last
        device = next(network.parameters()).device.type
        mesh = init_device_mesh(device, (self.count,))
        frozen = {p for p in network.parameters() if not p.requires_grad}
        given: dict[str, Any] = {"mesh": mesh, **({"ignored_params": frozen} if frozen else {})}
        unet = network.denoiser
        for block in (*unet.down_blocks, unet.mid_block, *unet.up_blocks):  # type: ignore[union-attr, misc]
            fully_shard(block, **given)
        return fully_shard(network, **given)  # type: ignore[return-value]

    def take(self, into: torch.Tensor, saved: torch.Tensor, like: torch.Tensor | None = None) -> None:
        """Copies a whole saved tensor, or this rank's part of it where `into` (or `like`) is sharded."""
        sharded = into if isinstance(into, DTensor) else like
        if not isinstance(sharded, DTensor):
            into.copy_(saved)
            return
        own = distribute_tensor(saved.to(sharded.device), sharded.device_mesh, sharded.placements).to_local()
        local(into).copy_(own)

    def wait(self) -> None:
        if self.count > 1:
            torch.distributed.all_reduce(torch.zeros(1))

    def any(self, mine: bool, device: torch.device) -> bool:
        """True everywhere as soon as one rank says so."""
        if self.count == 1:
            return mine
        flag = torch.tensor([float(mine)], device=device)
        torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX)
        return bool(flag.item())

    def average(self, values: torch.Tensor) -> torch.Tensor:
        """(...) float32, element by element over all ranks."""
        if self.count > 1:
            torch.distributed.all_reduce(values)
            values = values / self.count
        return values

    def told_by_main(self, value: Any) -> Any:
        """What the main rank says, everywhere."""
        if self.count == 1:
            return value
        box = [value]
        torch.distributed.broadcast_object_list(box, 0)
        return box[0]
