"""Muon for the weights that are matrices, AdamW for all others: one optimizer, one learning rate.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024 (kellerjordan.github.io/posts/muon): the
momentum of a matrix is replaced by the nearest matrix whose singular values are all alike, so that what few pictures
show (a name) moves the weights as far as what all of them show. torch.optim.Muon takes matrices only, and most of a
U-Net is convolutions; here a kernel (out, in, h, w) is the matrix (out, in * h * w).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from fullcast.models.torch_device import fast_bf16

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration: steepest at 0 among those that end near 1 (Jordan et al.)."""
ITERATIONS = 5
MOMENTUM = 0.95
MOST_TOGETHER = 1 << 22
"""Numbers in a stack of matrices that are moved together: 16 MB in float32."""
SMALLEST = 8
"""Matrices with fewer rows or columns are AdamW's: there is little to make alike."""


def is_matrix(name: str, parameter: torch.Tensor) -> bool:
    """Whether Muon moves it: weights of linear layers and convolutions, not tables that are looked up by row."""
    if parameter.ndim < 2 or name.endswith("embedding.weight"):
        return False
    rows = parameter.shape[0]
    return min(rows, parameter.numel() // rows) >= SMALLEST


class MuonAdamW(torch.optim.AdamW):
    """Groups with ``muon`` true are matrices. Their step has the root mean square of an AdamW step, 0.2 * lr (Liu et
    al., "Muon is scalable for LLM training", 2025, arXiv:2502.16982), so both kinds share learning rate and decay."""

    found_inf: torch.Tensor | None = None

    def __init__(self, groups: Iterable[dict[str, Any]], **given: Any) -> None:
        """groups: "params", "lr" and optionally "muon"; `given` as for torch.optim.AdamW."""
        super().__init__([{"muon": False, **group} for group in groups], **given)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        groups = self.param_groups
        self.param_groups = [group for group in groups if not group["muon"]]
        try:
            super().step()
        finally:
            self.param_groups = groups
        for group in groups:
            if group["muon"]:
                for alike in _by_shape([p for p in group["params"] if p.grad is not None]):
                    self._move(alike, group)

    def _move(self, alike: list[torch.Tensor], group: dict[str, Any]) -> None:
        """Nesterov momentum, made orthogonal, as a decoupled step; nothing where `found_inf` says so. `alike`:
        parameters that are matrices of one shape, moved together because one small product after another is slow."""
        rate, bad = group["lr"], self.found_inf
        good = 1.0 if bad is None else 1.0 - bad
        ahead = []
        for parameter in alike:
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            gradient = parameter.grad
            assert gradient is not None
            if bad is not None:
                gradient = gradient.nan_to_num(0.0, 0.0, 0.0)
            state["momentum"].lerp_(gradient, (1 - MOMENTUM) * good)
            ahead.append(gradient.lerp(state["momentum"], MOMENTUM).reshape(len(parameter), -1))
        steps = orthogonal(torch.stack(ahead))
        size = 0.2 * max(steps.shape[1:]) ** 0.5 * rate
        for parameter, step in zip(alike, steps, strict=True):
            parameter.mul_(1 - good * rate * group["weight_decay"])
            parameter.sub_(step.reshape(parameter.shape) * (good * size))


def _by_shape(parameters: Iterable[torch.Tensor]) -> list[list[torch.Tensor]]:
    """Parameters that are matrices of one shape, no more together than `MOST_TOGETHER` numbers."""
    found: dict[tuple[int, int], list[list[torch.Tensor]]] = {}
    for parameter in parameters:
        rows = parameter.shape[0]
        stacks = found.setdefault((rows, parameter.numel() // rows), [[]])
        if stacks[-1] and (len(stacks[-1]) + 1) * parameter.numel() > MOST_TOGETHER:
            stacks.append([])
        stacks[-1].append(parameter)
    return [stack for stacks in found.values() for stack in stacks]


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """(N, m, n) -> about U V^T of each one's singular value decomposition: singular values between 0.7 and 1.2.

    In bfloat16 where that is fast, as its authors do.
    """
    x = matrices.bfloat16() if fast_bf16(matrices.device) else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    tall = x.shape[1] > x.shape[2]
    x = x.mT.contiguous() if tall else x
    wide = x.shape[2] >= 2 * x.shape[1] and x.dtype is torch.float32
    x = _by_polynomial(x) if wide else _by_iteration(x)
    return (x.mT if tall else x).to(matrices.dtype)


def _by_iteration(x: torch.Tensor) -> torch.Tensor:
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x


def _by_polynomial(x: torch.Tensor) -> torch.Tensor:
    """The same: the iteration is odd, so all of it is one polynomial of x x^T before x, on the small square. Of
    a 3x3 convolution that is a third of the time in float32. Not in bfloat16, where rounding leaves the square with
    eigenvalues below 0, which the polynomial drives to infinity."""
    a, b, c = COEFFICIENTS
    square = x @ x.mT
    product = torch.eye(x.shape[1], dtype=x.dtype, device=x.device).expand_as(square)
    for _ in range(ITERATIONS):
        factor = torch.baddbmm(square, square, square, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        product, square = factor @ product, factor @ square @ factor
    return product @ x
