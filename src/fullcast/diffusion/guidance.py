"""Classifier-free guidance."""

from __future__ import annotations

import torch


def guided(without: torch.Tensor, towards: torch.Tensor, scale: float, rescale: float = 0.0) -> torch.Tensor:
    """Predictions (B, C, h, w) without and with the prompt -> the guided one.

    Ho and Salimans, "Classifier-Free Diffusion Guidance", 2022, arXiv:2207.12598: without + scale (towards - without).
    `rescale` in [0, 1] gives that share of the result the standard deviation of `towards` again: Lin et al., "Common
    Diffusion Noise Schedules and Sample Steps are Flawed", 2023, arXiv:2305.08891, equations 15 and 16.
    """
    pulled = without + scale * (towards - without)
    if rescale == 0:
        return pulled
    every = tuple(range(1, pulled.ndim))
    same_spread = pulled * (towards.std(every, keepdim=True) / pulled.std(every, keepdim=True))
    return rescale * same_spread + (1 - rescale) * pulled
