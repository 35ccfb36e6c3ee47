"""One step of training as plain functions: batch -> latents -> noise -> prediction -> loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from fullcast.diffusion.draws import noise, uniform
from fullcast.diffusion.schedule import add_noise, signal_to_noise, target
from fullcast.diffusion.weighting import biased_timesteps, min_snr_weights
from fullcast.models.stable_diffusion.family import StableDiffusion, latents_of
from fullcast.ports import Batch, CaptionSource
from fullcast.training.config import TrainingConfig
from fullcast.training.latents import LatentStore


@dataclass
class Prepared:
    """A batch ready for the network: latents and noise (B, C, h, w), timesteps (B,), captions, loss weights (B,)."""

    latents: torch.Tensor
    noise: torch.Tensor
    timesteps: torch.Tensor
    captions: list[str]
    loss_weights: torch.Tensor


def prepare(
    batch: Batch, store: LatentStore, captions: CaptionSource, config: TrainingConfig, num_timesteps: int
) -> Prepared:
    """Every draw is keyed by (seed, purpose, step, sample, visit): a pure function of its arguments, on the CPU."""
    items = [f"{batch.step}/{v.sample_id}/{v.visit}" for v in batch.visits]
    shape = store.model.latent_shape(batch.width, batch.height)
    moments = store.moments([v.sample_id for v in batch.visits], batch.width, batch.height)
    dropped = uniform(config.seed, "caption dropout", items) < config.caption_dropout_rate
    timesteps = biased_timesteps(
        uniform(config.seed, "timestep", items), num_timesteps, config.timestep_high_from, config.timestep_share_high
    )
    return Prepared(
        latents_of(moments, noise(config.seed, "posterior", items, shape)),
        noise(config.seed, "noise", items, shape),
        torch.from_numpy(timesteps),
        ["" if drop else captions.caption(v.sample_id, v.visit) for v, drop in zip(batch.visits, dropped, strict=True)],
        torch.tensor([v.loss_weight for v in batch.visits], dtype=torch.float32),
    )


class Network(nn.Module):
    """Text encoder and denoiser as one module with one forward, which is what data-parallel wrappers want."""

    def __init__(self, model: StableDiffusion, train_text: bool) -> None:
        super().__init__()
        self.model, self.train_text = model, train_text
        self.denoiser, self.text_encoder = model.module("denoiser"), model.module("text_encoder")

    def forward(self, noisy: torch.Tensor, timesteps: torch.Tensor, token_ids: torch.Tensor) -> torch.Tensor:
        """Noisy latents (B, C, h, w), timesteps (B,), token_ids (B, L) -> prediction (B, C, h, w)."""
        with torch.set_grad_enabled(self.train_text and torch.is_grad_enabled()):
            prompt_embeds = self.model.encode_tokens(token_ids)
        return self.model.predict(noisy, timesteps, prompt_embeds)


def loss_of(
    network: nn.Module, model: StableDiffusion, ready: Prepared, power_T: torch.Tensor, config: TrainingConfig
) -> torch.Tensor:
    """Mean over the batch of loss_weight * min-SNR weight * squared error, float32, with gradient.

    `network` is a `Network` of `model`, or a wrapper around one. Not divided by the sum of the loss weights: the
    mixture scales them to a mean of 1 over the plan, and dividing inside a batch would bias small batches.
    """
    device = model.device
    x, e, t = ready.latents.to(device), ready.noise.to(device), ready.timesteps.to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=config.mixed_precision == "bf16"):
        prediction = network(add_noise(x, e, t, power_T), t, model.token_ids(ready.captions))
    error = (prediction.float() - target(model.prediction_type, x, e, t, power_T)).square().mean((1, 2, 3))
    weights = ready.loss_weights.to(device)
    if config.min_snr_gamma is not None:
        snr = signal_to_noise(power_T)[t]
        weights = weights * min_snr_weights(snr, config.min_snr_gamma, model.prediction_type).float()
    return (weights * error).mean()
