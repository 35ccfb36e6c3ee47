"""Optimizers: torch's fused AdamW, Muon, 8-bit moments where the device has them, and AdamW in bfloat16.

All but the 8-bit one can be told on the device, by `found_inf`, that a step must not happen: a batch whose gradient is
no number is passed over without a question to the device.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from fullcast.store.errors import FullcastError
from fullcast.store.seeding import key
from fullcast.training.config import TrainingConfig
from fullcast.training.muon import MuonAdamW
from fullcast.training.ranks import local, part_of, whole


def make_optimizer(groups: Iterable[dict[str, Any]], config: TrainingConfig) -> torch.optim.Optimizer:
    """Over parameter groups with "params", "lr", a name "part", and "muon" where they are matrices (see `muon`)."""
    given: dict[str, Any] = {"betas": (0.9, config.adam_beta2), "weight_decay": config.weight_decay}
    if config.weights_dtype == "bf16":
        return RoundingAdamW(groups, seed=config.seed, **given)
    if config.optimizer == "adamw8bit":
        return _eight_bit(list(groups), given)
    if config.optimizer == "muon":
        return MuonAdamW(groups, fused=True, **given)
    return torch.optim.AdamW(groups, fused=True, **given)


def _eight_bit(groups: list[dict[str, Any]], given: dict[str, Any]) -> torch.optim.Optimizer:
    if not torch.cuda.is_available():
        raise FullcastError("training.optimizer = adamw8bit needs a CUDA device; take adamw, or weights_dtype = bf16")
    try:
        from bitsandbytes.optim import AdamW8bit
    except ModuleNotFoundError:
        raise FullcastError("training.optimizer = adamw8bit needs a package: pip install bitsandbytes") from None
    return AdamW8bit(groups, **given)


def clip(optimizer: torch.optim.Optimizer, parameters: Sequence[torch.Tensor], max_norm: float) -> torch.Tensor:
    """Scales gradients down to the L2 norm `max_norm`; returns the norm that they had, 0-d on the device.

    torch's fused AdamW divides them itself, in the pass over memory that it makes anyway.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    total = torch.nn.utils.get_total_norm(gradients)
    norm = whole(total)
    if type(optimizer) is torch.optim.AdamW and norm is total:
        optimizer.grad_scale = ((norm + 1e-6) / max_norm).clamp(min=1.0)  # type: ignore[attr-defined]
    else:
        torch.nn.utils.clip_grads_with_norm_(parameters, max_norm, total)
    return norm


def step_unless(optimizer: torch.optim.Optimizer, bad: torch.Tensor) -> None:
    """One step, which changes nothing where `bad` (a 0-d bool on the device) is true.

    bitsandbytes knows no `found_inf`: there the device is asked, and waited for, once a step.
    """
    if isinstance(optimizer, torch.optim.AdamW | RoundingAdamW):
        optimizer.found_inf = bad.float()  # type: ignore[union-attr]
    elif bad:
        return
    optimizer.step()


class RoundingAdamW(torch.optim.Optimizer):
    """AdamW whose weights and moments are bfloat16, computed in float32 and rounded stochastically.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2017, arXiv:1711.05101; rounding after Gupta et al.,
    "Deep Learning with Limited Numerical Precision", 2015, arXiv:1502.02551: up or down with the probability that makes
    the mean right, so that changes below half a unit in the last place are not lost. Its random bits follow from the
    seed, the step and the parameter's place, so a run can be resumed. Of a sharded parameter each process moves its
    own part.
    """

    found_inf: torch.Tensor | None = None
    at_step: int = 0
    """Steps of the training before this one; set by the trainer."""

    def __init__(
        self,
        params: Any,
        *,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        seed: int = 0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        self.seed = seed

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        place = 0
        for group in self.param_groups:
            for parameter in group["params"]:
                place += 1
                if parameter.grad is not None:
                    self._update(parameter, group, place)

    def _update(self, parameter: torch.Tensor, group: dict[str, Any], place: int) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        good = 1.0 if self.found_inf is None else 1.0 - self.found_inf
        state["step"] += good
        beta1, beta2 = group["betas"]
        weight, average, square = (local(t) for t in (parameter.detach(), state["exp_avg"], state["exp_avg_sq"]))
        gradient = local(parameter.grad).float().nan_to_num(0.0, 0.0, 0.0)  # type: ignore[arg-type]
        first = average.float().lerp(gradient, 1 - beta1)
        second = square.float().lerp(gradient.square(), 1 - beta2)
        count = state["step"].clamp(min=1)
        size = (second / (1 - beta2**count)).sqrt() + group["eps"]
        change = group["lr"] * (first / (1 - beta1**count) / size + group["weight_decay"] * weight.float())
        draw = torch.Generator(weight.device)
        draw.manual_seed(key(self.seed, f"rounding/{self.at_step}/{place}{part_of(parameter)}"))
        for into, exact in ((weight, weight.float() - change), (average, first), (square, second)):
            bits = torch.randint(0, 1 << 16, exact.shape, dtype=torch.int32, device=exact.device, generator=draw)
            rounded = rounded_bf16(exact, bits)
            into.copy_(rounded if self.found_inf is None else torch.where(self.found_inf > 0, into, rounded))


def rounded_bf16(exact: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
    """float32 -> bfloat16: `bits` in [0, 2^16) are added below the last kept place, and the rest is cut off."""
    whole = exact.contiguous().view(torch.int32) + bits.contiguous()
    return (whole & -65536).view(torch.float32).to(torch.bfloat16)
