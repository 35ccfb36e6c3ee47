"""Latents of mean 0 and variance 1 per channel, by folding the statistics into the VAE's own 1x1 convolutions."""

from __future__ import annotations

from typing import Any

import torch


@torch.no_grad()
def normalise_latents(vae: Any, mean_C: torch.Tensor, std_C: torch.Tensor) -> None:
    """Makes an AutoencoderKL's latents z into (z - mean) / std, in place; what it decodes stays the same.

    `mean_C`, `std_C`: (C,) of unscaled latents over typical pictures. The plain pipeline knows one scaling factor for
    all channels and no shift, and the noise schedule assumes unit variance: with this both are right, the factor is 1,
    and the folder stays one that any diffusers opens. Needs a VAE with quant_conv and post_quant_conv.
    """
    channels = vae.config.latent_channels
    to_latents, from_latents = vae.quant_conv, vae.post_quant_conv
    mean, std = mean_C.to(to_latents.weight), std_C.to(to_latents.weight)
    to_latents.weight[:channels] /= std.view(-1, 1, 1, 1)
    to_latents.bias[:channels] = (to_latents.bias[:channels] - mean) / std
    to_latents.bias[channels:] -= 2 * std.log()  # the other half is the logarithm of the variance
    from_latents.bias += from_latents.weight[:, :, 0, 0] @ mean
    from_latents.weight *= std.view(1, -1, 1, 1)
    vae.register_to_config(scaling_factor=1.0)


@torch.no_grad()
def latent_statistics(vae: Any, pixels: torch.Tensor, batch_size: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """(mean (C,), std (C,)) of the unscaled latents of pictures (N, 3, H, W) in [-1, 1]; std counts both."""
    means, seconds = [], []
    for batch in pixels.split(batch_size):
        posterior = vae.encode(batch).latent_dist
        means.append(posterior.mean.mean((2, 3)))
        seconds.append((posterior.mean.square() + posterior.var).mean((2, 3)))
    mean = torch.cat(means).mean(0)
    return mean, (torch.cat(seconds).mean(0) - mean.square()).sqrt()
