"""Noise schedules: betas, signal power, noising and targets. Pure tensor functions; names as in the papers.

x_t = alpha_t * x_0 + sigma_t * noise with alpha_t^2 = alphas_cumprod[t], sigma_t^2 = 1 - alphas_cumprod[t].
"""

from __future__ import annotations

import torch


def betas(num_timesteps: int, start: float, end: float, schedule: str) -> torch.Tensor:
    """(T,) float64. `scaled_linear` is linear in the square root, as in latent diffusion; `linear` as in DDPM."""
    if schedule == "scaled_linear":
        return torch.linspace(start**0.5, end**0.5, num_timesteps, dtype=torch.float64) ** 2
    if schedule == "linear":
        return torch.linspace(start, end, num_timesteps, dtype=torch.float64)
    raise ValueError(f"the noise schedule {schedule!r} is not known; known are scaled_linear and linear")


def rescale_zero_terminal_snr(betas_T: torch.Tensor) -> torch.Tensor:
    """Betas whose last step is pure noise, SNR(T) = 0.

    Lin, Liu, Li, Yang, "Common Diffusion Noise Schedules and Sample Steps are Flawed", 2023, arXiv:2305.08891,
    Algorithm 1: shift sqrt(alphas_cumprod) so that the last is 0, scale so that the first is unchanged.
    """
    root = (1 - betas_T).cumprod(0).sqrt()
    first, last = root[0].clone(), root[-1].clone()
    root = (root - last) * first / (first - last)
    power = root**2
    alphas = torch.cat([power[:1], power[1:] / power[:-1]])
    return 1 - alphas


def alphas_cumprod(
    num_timesteps: int, start: float, end: float, schedule: str, zero_terminal_snr: bool
) -> torch.Tensor:
    """(T,) float64 signal power at each timestep."""
    b = betas(num_timesteps, start, end, schedule)
    if zero_terminal_snr:
        b = rescale_zero_terminal_snr(b)
    return (1 - b).cumprod(0)


def signal_to_noise(alphas_cumprod_T: torch.Tensor) -> torch.Tensor:
    """SNR = alpha^2 / sigma^2, 0 at a zero-terminal last step."""
    return alphas_cumprod_T / (1 - alphas_cumprod_T)


def _at(alphas_cumprod_T: torch.Tensor, timesteps: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """alpha_t and sigma_t of each sample, (B, 1, 1, 1) in the dtype of `like`; roots taken in the table's float64."""
    power = alphas_cumprod_T.to(timesteps.device)[timesteps].view(-1, *[1] * (like.ndim - 1))
    return power.sqrt().to(like), (1 - power).sqrt().to(like)


def add_noise(
    latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor, alphas_cumprod_T: torch.Tensor
) -> torch.Tensor:
    """x_t (B, C, h, w) from x_0, noise and integer timesteps (B,)."""
    alpha, sigma = _at(alphas_cumprod_T, timesteps, latents)
    return alpha * latents + sigma * noise


def velocity(
    latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor, alphas_cumprod_T: torch.Tensor
) -> torch.Tensor:
    """v = alpha_t * noise - sigma_t * x_0. Salimans and Ho, "Progressive Distillation", 2022, arXiv:2202.00512."""
    alpha, sigma = _at(alphas_cumprod_T, timesteps, latents)
    return alpha * noise - sigma * latents


def target(
    prediction_type: str,
    latents: torch.Tensor,
    noise: torch.Tensor,
    timesteps: torch.Tensor,
    alphas_cumprod_T: torch.Tensor,
) -> torch.Tensor:
    """What a network of this prediction type should say: epsilon, v_prediction or sample."""
    if prediction_type == "epsilon":
        return noise
    if prediction_type == "v_prediction":
        return velocity(latents, noise, timesteps, alphas_cumprod_T)
    if prediction_type == "sample":
        return latents
    raise ValueError(f"prediction type {prediction_type!r} is not known; known: epsilon, v_prediction, sample")


def predicted_sample(
    prediction_type: str,
    prediction: torch.Tensor,
    noisy: torch.Tensor,
    timesteps: torch.Tensor,
    alphas_cumprod_T: torch.Tensor,
) -> torch.Tensor:
    """x_0 as the network sees it: v: alpha x_t - sigma v; epsilon: (x_t - sigma eps) / alpha."""
    alpha, sigma = _at(alphas_cumprod_T, timesteps, noisy)
    if prediction_type == "v_prediction":
        return alpha * noisy - sigma * prediction
    if prediction_type == "epsilon":
        return (noisy - sigma * prediction) / alpha
    return prediction


def prediction_of(
    prediction_type: str,
    sample: torch.Tensor,
    noisy: torch.Tensor,
    timesteps: torch.Tensor,
    alphas_cumprod_T: torch.Tensor,
) -> torch.Tensor:
    """What a network says that sees x_0 = `sample` in x_t = `noisy`; the other way round than `predicted_sample`.

    v: (alpha x_t - x_0) / sigma; epsilon: (x_t - alpha x_0) / sigma.
    """
    alpha, sigma = _at(alphas_cumprod_T, timesteps, noisy)
    if prediction_type == "v_prediction":
        return (alpha * noisy - sample) / sigma
    if prediction_type == "epsilon":
        return (noisy - alpha * sample) / sigma
    return sample


def equally_noisy(alphas_cumprod_T: torch.Tensor, other_T: torch.Tensor) -> torch.Tensor:
    """(T,) int64: for each timestep of a schedule that of another one whose share of noise, arccos(alpha), is nearest;
    the last one where the other never gets so noisy."""
    angle, other = (power.sqrt().arccos() for power in (alphas_cumprod_T, other_T))
    return (angle[:, None] - other).abs().argmin(1)
