"""From words and seeds to pixels: one batched loop over diffusers' schedulers, for pictures and for inpainting.

Legend: B pictures, C h w latents, N regions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

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
    """The prompts of a batch, encoded as the family does, and how they are heard. Rows: B, or with guidance 2B, the
    negative prompts first."""

    everywhere: Any
    """Of each row the global prompt."""
    regional: Any
    """Of each row [global; c_1; ...; c_N] along the tokens."""
    masks: list[torch.Tensor]
    """(N, h, w) bool for each row."""
    guidance_scale: float
    """1 and less: no guidance."""
    guidance_rescale: float
    beta: float

    @classmethod
    def of(cls, model: StableDiffusion, recipes: Sequence[Recipe]) -> Words:
        first = recipes[0]
        _, h, w = model.latent_shape(first.width, first.height)
        heard = [("negative_prompt", model.encode_negatives)] if first.guidance_scale > 1 else []
        heard.append(("prompt", model.encode_prompts))
        contexts = [_contexts(model, encode, recipes, which) for which, encode in heard]
        everywhere, regional = (model.join(said) for said in zip(*contexts, strict=True))
        return cls(
            everywhere,
            regional,
            [_masks(r, h, w, which) for which, _ in heard for r in recipes],
            first.guidance_scale,
            first.guidance_rescale,
            first.region_global,
        )

    def predict(self, model: StableDiffusion, x: torch.Tensor, t: torch.Tensor, regional: bool) -> torch.Tensor:
        """The guided prediction (B, C, h, w); without `regional` only the global prompts are heard."""
        regional = regional and self.masks[0].shape[0] > 0
        words = self.regional if regional else self.everywhere
        x = x.to(model.dtype)
        with model.regions(self.masks, self.beta) if regional else nullcontext():
            if self.guidance_scale <= 1:
                return model.predict(x, t, words).float()
            without, towards = model.predict(torch.cat([x, x]), t, words).float().chunk(2)
        return guided(without, towards, self.guidance_scale, self.guidance_rescale)


def _contexts(
    model: StableDiffusion, encode: Callable[[Sequence[str]], Any], recipes: Sequence[Recipe], which: str
) -> tuple[Any, Any]:
    """What each of B recipes says as `prompt` or `negative_prompt`: the global words alone, and with those of its
    regions side by side."""
    texts = [[getattr(recipe, which), *(region[which] for region in recipe.regions)] for recipe in recipes]
    words = encode([text for row in texts for text in row])
    each = torch.arange(len(texts) * len(texts[0])).view(len(texts), -1)
    return model.side_by_side(words, each[:, :1]), model.side_by_side(words, each)


def _masks(recipe: Recipe, h: int, w: int, which: str) -> torch.Tensor:
    """(N, h, w) bool; a region without words of its own is silent, so that the global ones keep their full weight."""
    masks = box_masks([g["box"] for g in recipe.regions], h, w)
    for mask, region in zip(masks, recipe.regions, strict=True):
        if not region[which]:
            mask[:] = False
    return masks
