"""From words and seeds to pixels: one batched loop over diffusers' schedulers, for pictures and for inpainting.

Legend: B pictures, C h w latents, L text positions, D width of prompt_embeds, N regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from fullcast.diffusion.guidance import guided
from fullcast.diffusion.regions import box_masks
from fullcast.generation.metadata import Recipe
from fullcast.models.stable_diffusion.family import StableDiffusion, to_images


@dataclass
class Kept:
    """What inpainting must not change: latents (B, C, h, w) of the picture, and open (B, 1, h, w), 1 where it may."""

    latents: torch.Tensor
    open: torch.Tensor
    strength: float
    """Share of the steps that are run: 1 begins at pure noise, less keeps more of what was there."""


def sample(model: StableDiffusion, recipes: Sequence[Recipe], kept: Kept | None = None) -> np.ndarray:
    """(B, height, width, 3) uint8 RGB. The recipes share size, steps, guidance, scheduler and number of regions."""
    return to_images(model.decode(denoise(model, recipes, kept)))


@torch.no_grad()
def denoise(model: StableDiffusion, recipes: Sequence[Recipe], kept: Kept | None = None) -> torch.Tensor:
    """The latents (B, C, h, w) of the same pictures.

    Each picture's noise comes from its own seed by torch's CPU generator, as diffusers users expect it, so that no
    picture depends on its neighbours.
    """
    first = recipes[0]
    shape = model.latent_shape(first.width, first.height)
    noise = torch.cat([seeded_noise(r.seed, shape) for r in recipes]).to(model.device)
    words = Words.of(model, recipes)
    scheduler = model.scheduler(first.scheduler)
    scheduler.set_timesteps(first.num_inference_steps, device=model.device)
    steps = scheduler.timesteps
    if kept is not None:
        steps = steps[len(steps) - max(1, round(kept.strength * len(steps))) :]
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(len(scheduler.timesteps) - len(steps))
    x = noise * scheduler.init_noise_sigma
    if kept is not None and len(steps) < len(scheduler.timesteps):
        x = scheduler.add_noise(kept.latents, noise, steps[:1])

    for i, t in enumerate(steps):
        regional = i < first.region_steps * len(steps)
        prediction = words.predict(model, scheduler.scale_model_input(x, t), t, regional)
        x = scheduler.step(prediction, t, x, return_dict=False)[0]
        if kept is not None:  # outside the mask the picture itself, as noisy as the next step expects it
            then = (
                scheduler.add_noise(kept.latents, noise, steps[i + 1 : i + 2]) if i + 1 < len(steps) else kept.latents
            )
            x = kept.open * x + (1 - kept.open) * then
    return x


def seeded_noise(seed: int, shape: Sequence[int]) -> torch.Tensor:
    """(1, *shape) float32 standard normal."""
    return torch.randn((1, *shape), generator=torch.Generator("cpu").manual_seed(seed))


@dataclass
class Words:
    """The prompts of a batch, encoded, and how they are heard."""

    positive: torch.Tensor
    """(B, (N+1) * L, D): [global; c_1; ...; c_N]."""
    negative: torch.Tensor | None
    """The same for the negative prompts; None when guidance is off."""
    masks: list[torch.Tensor]
    """(N, h, w) bool for each row that goes through the network."""
    num_tokens: int
    guidance_scale: float
    guidance_rescale: float
    beta: float

    @classmethod
    def of(cls, model: StableDiffusion, recipes: Sequence[Recipe]) -> Words:
        first = recipes[0]
        _, h, w = model.latent_shape(first.width, first.height)
        positive = _contexts(model, [[r.prompt, *(g["prompt"] for g in r.regions)] for r in recipes])
        negative, masks = None, []
        if first.guidance_scale > 1:
            texts = [[r.negative_prompt, *(g["negative_prompt"] for g in r.regions)] for r in recipes]
            negative = _contexts(model, texts)
            masks += [_masks(r, h, w, "negative_prompt") for r in recipes]
        masks += [_masks(r, h, w, "prompt") for r in recipes]
        num_tokens = positive.shape[1] // (1 + len(first.regions))
        return cls(
            positive, negative, masks, num_tokens, first.guidance_scale, first.guidance_rescale, first.region_global
        )

    def predict(self, model: StableDiffusion, x: torch.Tensor, t: torch.Tensor, regional: bool) -> torch.Tensor:
        """The guided prediction (B, C, h, w); without `regional` only the global prompts are heard."""
        embeds = self.positive if self.negative is None else torch.cat([self.negative, self.positive])
        regional = regional and self.masks[0].shape[0] > 0
        if not regional:
            embeds = embeds[:, : self.num_tokens]
        with model.regions(self.masks, self.beta) if regional else nullcontext():
            if self.negative is None:
                return model.predict(x, t, embeds)
            without, towards = model.predict(torch.cat([x, x]), t, embeds).chunk(2)
        return guided(without, towards, self.guidance_scale, self.guidance_rescale)


def _contexts(model: StableDiffusion, texts: Sequence[Sequence[str]]) -> torch.Tensor:
    """B lists of N+1 texts -> (B, (N+1) * L, D)."""
    flat = [text for row in texts for text in row]
    embeds = model.encode_prompts(flat)
    return embeds.reshape(len(texts), -1, embeds.shape[-1])


def _masks(recipe: Recipe, h: int, w: int, which: str) -> torch.Tensor:
    """(N, h, w) bool; a region without words of its own is silent, so that the global ones keep their full weight."""
    masks = box_masks([g["box"] for g in recipe.regions], h, w)
    for mask, region in zip(masks, recipe.regions, strict=True):
        if not region[which]:
            mask[:] = False
    return masks
