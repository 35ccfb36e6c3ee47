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

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration: steepest at 0 among those that end near 1 (Jordan et al.)."""
ITERATIONS = 5
MOMENTUM = 0.95
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
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._move(parameter, group)

    def _move(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        """Nesterov momentum, made orthogonal, as a decoupled step; nothing where `found_inf` says so."""
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        gradient = parameter.grad
        assert gradient is not None
        rate, bad = group["lr"], self.found_inf
        good = 1.0 if bad is None else 1.0 - bad
        if bad is not None:
            gradient = gradient.nan_to_num(0.0, 0.0, 0.0)
        state["momentum"].lerp_(gradient, (1 - MOMENTUM) * good)
        ahead = gradient.lerp(state["momentum"], MOMENTUM)
        step = orthogonal(ahead.reshape(len(ahead), -1))
        size = 0.2 * max(step.shape) ** 0.5 * rate
        parameter.sub_(good * (size * step.reshape(parameter.shape) + rate * group["weight_decay"] * parameter))


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """(m, n) -> about U V^T of its singular value decomposition: singular values between 0.7 and 1.2.

    In bfloat16 on a GPU, as its authors do.
    """
    x = matrix.bfloat16() if matrix.is_cuda else matrix
    x = x / (x.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = _of_wide(x) if x.shape[1] >= 2 * x.shape[0] else _of_square(x)
    return (x.T if tall else x).to(matrix.dtype)


def _of_square(x: torch.Tensor) -> torch.Tensor:
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x


def _of_wide(x: torch.Tensor) -> torch.Tensor:
    """The same: the iteration is odd, so all of it is one polynomial of x x^T before x, on the small square. Of
    a 3x3 convolution that is about half of the time."""
    a, b, c = COEFFICIENTS
    square = x @ x.T
    product = eye = torch.eye(len(x), dtype=x.dtype, device=x.device)
    for _ in range(ITERATIONS):
        factor = a * eye + b * square + c * square @ square
        product, square = factor @ product, factor @ square @ factor
    return product @ x
