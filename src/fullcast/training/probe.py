"""The probe: is the model listening to the captions?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fullcast.diffusion.draws import noise
from fullcast.diffusion.schedule import add_noise, target
from fullcast.models.stable_diffusion.family import StableDiffusion, latents_of
from fullcast.ports import BatchStream, CaptionSource
from fullcast.training.latents import LatentStore

PROBE_TIMESTEP = 900
"""Noise at which layout and identity are still open: the caption is most of what can be known."""


@dataclass
class Probe:
    """A fixed set of samples of one size, their noise, and three captions for each."""

    moments: torch.Tensor
    noise: torch.Tensor
    right: list[str]
    wrong: list[str]

    @classmethod
    def of(
        cls, stream: BatchStream, captions: CaptionSource, store: LatentStore, seed: int, num_samples: int
    ) -> Probe | None:
        """The first samples of the stream that have the size of its first batch; None when all captions are alike."""
        first = stream.batch(0)
        chosen: dict[str, None] = {}
        for step in range(min(stream.num_steps, 50)):
            batch = stream.batch(step)
            if (batch.width, batch.height) == (first.width, first.height):
                chosen.update(dict.fromkeys(v.sample_id for v in batch.visits))
            if len(chosen) >= num_samples:
                break
        ids = list(chosen)[:num_samples]
        right = [captions.caption(i, 0) for i in ids]
        if len(set(right)) < 2:
            return None
        moments = store.moments(ids, first.width, first.height)
        shape = store.model.latent_shape(first.width, first.height)
        return cls(moments, noise(seed, "probe", ids, shape), right, wrong_captions(right))

    @torch.no_grad()
    def losses(self, model: StableDiffusion, power_T: torch.Tensor, at_once: int) -> dict[str, float]:
        """Mean squared error at t = 900 with the right, the empty and a wrong caption: wrong should be highest.

        at_once: pictures that go through the network together, as many as in a step.
        """
        said = {"right": self.right, "empty": [""] * len(self.right), "wrong": self.wrong}
        totals = dict.fromkeys(said, 0.0)
        for begin in range(0, len(self.right), at_once):
            part = slice(begin, begin + at_once)
            latents, e = latents_of(self.moments[part]).to(model.device), self.noise[part].to(model.device)
            t = torch.full((len(latents),), PROBE_TIMESTEP, device=model.device)
            noisy = add_noise(latents, e, t, power_T)
            wanted = target(model.prediction_type, latents, e, t, power_T)
            for name, texts in said.items():
                heard = model.predict(noisy, t, model.encode_captions(model.token_ids(texts[part])))
                totals[name] += float((heard.float() - wanted).square().mean((1, 2, 3)).sum())
        return {f"probe_{name}": round(total / len(self.right), 6) for name, total in totals.items()}


def wrong_captions(right: Sequence[str]) -> list[str]:
    """For each caption the next one in the list that differs from it."""
    n = len(right)
    return [next(right[(i + k) % n] for k in range(1, n) if right[(i + k) % n] != right[i]) for i in range(n)]
