"""How far a prediction is from its target: squared and pseudo-Huber errors, masks, offset noise. Pure functions."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def squared_error(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """(prediction - target)^2, element by element, (B, C, h, w) float32."""
    return (prediction.float() - target).square()


def pseudo_huber(prediction: torch.Tensor, target: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """2c (sqrt(e^2 + c^2) - c), element by element; c (B,) > 0.

    Charbonnier et al., "Deterministic Edge-Preserving Regularization in Computed Imaging", 1997, scaled as in Khrapov
    et al., "Improving Diffusion Models's Data-Corruption Resistance using Scheduled Pseudo-Huber Loss", 2024,
    arXiv:2403.16728: e^2 for |e| << c, 2c|e| for |e| >> c, so that a wrong picture pulls with a bounded gradient.
    """
    c = c.view(-1, *[1] * (target.ndim - 1)).to(target)
    e = squared_error(prediction, target)
    return 2 * c * e / ((e + c.square()).sqrt() + c)  # the same, without taking c from a number next to it


def huber_scale(
    timesteps: torch.Tensor, num_timesteps: int, smallest: float, schedule: str = "exponential"
) -> torch.Tensor:
    """c of each timestep (B,) int64 -> (B,) float32, "constant" or "exponential".

    Exponential: c(t) = smallest^(t / T), 1 at t = 0 (details count squared) down to `smallest` at high noise; Khrapov
    et al. 2024, arXiv:2403.16728, section 3.
    """
    if schedule == "constant":
        return torch.full(timesteps.shape, smallest, device=timesteps.device)
    if schedule == "exponential":
        return (timesteps.double() / num_timesteps * torch.tensor(smallest, dtype=torch.float64).log()).exp().float()
    raise ValueError(f"the Huber schedule {schedule!r} is not known; known are constant and exponential")


def masked_mean(error: torch.Tensor, mask: torch.Tensor | None, outside: float = 0.0) -> torch.Tensor:
    """Mean of an error (B, C, h, w) over each picture, (B,); weighted where there is a mask (B, 1, h, w) in [0, 1].

    A place weighs outside + (1 - outside) * mask. Divided by the sum of the weights, so that a small face weighs what
    a large one does; a picture whose weights are all 0 counts as without a mask.
    """
    if mask is None:
        return error.mean((1, 2, 3))
    weight = outside + (1 - outside) * mask.to(error)
    empty = weight.sum((1, 2, 3), keepdim=True) == 0
    weight = torch.where(empty, torch.ones_like(weight), weight)
    return (error * weight).sum((1, 2, 3)) / (weight.sum((1, 2, 3)) * error.shape[1])


def to_latent_size(mask: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Masks (B, 1, H, W) in [0, 1] -> (B, 1, height, width): each latent's share of covered pixels."""
    return F.interpolate(mask.float(), size=(height, width), mode="area")


def offset_noise(noise: torch.Tensor, per_channel: torch.Tensor, offset: float) -> torch.Tensor:
    """noise (B, C, h, w) + offset * per_channel (B, C), both standard normal.

    Guttenberg, "Diffusion with Offset Noise", crosslabs.org, 2023: without it the mean brightness of a picture hardly
    changes under noise, and the network learns to keep it.
    """
    return noise + offset * per_channel[:, :, None, None]
