"""The loss on shots that are never trained on, beside that on as many that are: is it learning, or learning by heart?

Fixed timesteps, fixed noise, the posterior's mean and the first caption, so that two measurements differ by the weights
alone. Split by shot: the frame beside a training frame would tell nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from fullcast.diffusion.draws import noise
from fullcast.diffusion.schedule import add_noise, target
from fullcast.models.stable_diffusion.family import StableDiffusion, latents_of
from fullcast.ports import Batch, BatchStream, CaptionSource, Visit
from fullcast.training.latents import LatentStore

TIMESTEPS = (100, 300, 500, 700, 900)
"""Even over all of them: the loss at one timestep says nothing of another."""


def same_number(stream: BatchStream, held_out: Sequence[Batch]) -> list[Batch]:
    """Batches of pictures that are trained on, as many as are held out, at their first caption."""
    steps = range(0, stream.num_steps, max(1, stream.num_steps // max(1, len(held_out))))
    chosen = [stream.batch(step) for step in steps][: len(held_out)]
    return [replace(b, visits=tuple(Visit(v.sample_id, 0) for v in b.visits)) for b in chosen]


@torch.no_grad()
def validation_loss(
    model: StableDiffusion,
    batches: Sequence[Batch],
    store: LatentStore,
    captions: CaptionSource,
    seed: int,
    power_T: torch.Tensor,
    at_once: int,
) -> float:
    """Mean squared error over pictures and `TIMESTEPS`, without weights of any kind.

    at_once: pictures that go through the network together, as many as in a step.
    """
    total, count = torch.zeros((), device=model.device), 0
    parts = (
        replace(batch, visits=batch.visits[begin : begin + at_once])
        for batch in batches
        for begin in range(0, len(batch.visits), at_once)
    )
    for batch in parts:
        ids = [v.sample_id for v in batch.visits]
        x = latents_of(store.moments(ids, batch.width, batch.height)).to(model.device)
        texts = [captions.caption(v.sample_id, v.visit) for v in batch.visits]
        words = model.encode_captions(model.token_ids(texts))
        for timestep in TIMESTEPS:
            shape = store.model.latent_shape(batch.width, batch.height)
            e = noise(seed, f"validation/{timestep}", ids, shape).to(model.device)
            t = torch.full((len(ids),), timestep, device=model.device)
            said = model.predict(add_noise(x, e, t, power_T), t, words)
            total += (said.float() - target(model.prediction_type, x, e, t, power_T)).square().mean((1, 2, 3)).sum()
        count += len(ids) * len(TIMESTEPS)
    return float(total) / max(1, count)
