"""One step of training as plain functions: batch -> latents -> noise -> prediction -> loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch

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


def loss_of(model: StableDiffusion, ready: Prepared, power_T: torch.Tensor, config: TrainingConfig) -> torch.Tensor:
    """Mean over the batch of loss_weight * min-SNR weight * squared error, float32, with gradient.

    Not divided by the sum of the loss weights: the mixture scales them to a mean of 1 over the plan, and dividing
    inside a batch would bias small batches.
    """
    device = model.device
    x, e, t = ready.latents.to(device), ready.noise.to(device), ready.timesteps.to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=config.mixed_precision == "bf16"):
        prompt_embeds = prompt_embeds_of(model, ready.captions, config)
        prediction = model.predict(add_noise(x, e, t, power_T), t, prompt_embeds)
    error = (prediction.float() - target(model.prediction_type, x, e, t, power_T)).square().mean((1, 2, 3))
    weights = ready.loss_weights.to(device)
    if config.min_snr_gamma is not None:
        snr = signal_to_noise(power_T)[t]
        weights = weights * min_snr_weights(snr, config.min_snr_gamma, model.prediction_type).float()
    return (weights * error).mean()


def prompt_embeds_of(model: StableDiffusion, captions: list[str], config: TrainingConfig) -> torch.Tensor:
    """(B, L, D), with gradient when the text encoder is trained."""
    with torch.set_grad_enabled(config.text_encoder_learning_rate > 0):
        return model.encode_prompts(captions)
