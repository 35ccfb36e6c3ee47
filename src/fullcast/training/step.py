"""One step of training as plain functions: batch -> latents -> noise -> prediction -> loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from fullcast.diffusion.draws import noise, uniform
from fullcast.diffusion.losses import (
    huber_scale,
    masked_mean,
    offset_noise,
    pseudo_huber,
    squared_error,
    to_latent_size,
)
from fullcast.diffusion.schedule import (
    add_noise,
    equally_noisy,
    predicted_sample,
    prediction_of,
    signal_to_noise,
    target,
)
from fullcast.diffusion.weighting import biased_timesteps, min_snr_weights, velocity_weights
from fullcast.models.stable_diffusion.family import StableDiffusion, latents_of
from fullcast.models.torch_device import fast_bf16
from fullcast.ports import Batch, CaptionSource, Hints
from fullcast.store.errors import FullcastError
from fullcast.training.binding import distinct, region_tensors, told_of
from fullcast.training.config import TrainingConfig
from fullcast.training.latents import LatentStore
from fullcast.training.words import varied

Says = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(noisy, timesteps, token_ids) -> what the base predicts, without gradient."""


@dataclass(frozen=True)
class Teacher:
    """The base as it is before training: asked in its own terms, heard in those of the run."""

    says: Says
    prediction_type: str
    """Of the base."""
    power_T: torch.Tensor
    """(T,) float64, the base's own signal power, on the model's device."""
    own_T: torch.Tensor | None
    """(T,) the base's timestep of the same noise for each of the run's; None where the schedule is the base's."""

    @classmethod
    def of(cls, says: Says, prediction_type: str, own_power_T: torch.Tensor, power_T: torch.Tensor) -> Teacher:
        """FullcastError where the base's own answer says nothing of the picture."""
        if prediction_type == "epsilon" and not own_power_T[-1]:
            raise FullcastError(
                "the base predicts noise under zero terminal SNR, so its answer to pure noise is no picture that "
                "prior_preservation could hold to: leave it out, or take a base of v_prediction"
            )
        changed = not torch.equal(own_power_T, power_T)
        own_T = equally_noisy(power_T, own_power_T) if changed else None
        return cls(says, prediction_type, own_power_T, own_T)

    def target(
        self,
        prediction_type: str,
        x: torch.Tensor,
        e: torch.Tensor,
        timesteps: torch.Tensor,
        power_T: torch.Tensor,
        token_ids: torch.Tensor,
    ) -> torch.Tensor:
        """What a network of `prediction_type` under `power_T` should say of x_0 and noise (B, C, h, w) to see the same
        picture in it as the base, which sees x_0 under its own schedule with as much of the same noise."""
        own = timesteps if self.own_T is None else self.own_T[timesteps]
        noisy = add_noise(x, e, own, self.power_T)
        said = self.says(noisy, own, token_ids).to(x.dtype)
        if self.own_T is None and prediction_type == self.prediction_type:
            return said
        seen = predicted_sample(self.prediction_type, said, noisy, own, self.power_T)
        return prediction_of(prediction_type, seen, add_noise(x, e, timesteps, power_T), timesteps, power_T)


@dataclass
class Prepared:
    """A batch ready for the network: latents and noise (B, C, h, w), timesteps (B,), loss weights (B,) and words."""

    latents: torch.Tensor
    noise: torch.Tensor
    timesteps: torch.Tensor
    captions: list[str]
    loss_weights: torch.Tensor
    token_ids: torch.Tensor
    mask: torch.Tensor | None = None
    """(B, 1, h, w) in [0, 1], where the loss is masked."""
    priors: tuple[bool, ...] = ()
    """Whose target is the base's own prediction; () for nobody's."""
    region_ids: torch.Tensor | None = None
    """(B, N, L) tokens of what each figure's region hears, where words are bound to regions."""
    region_masks: torch.Tensor | None = None
    """(B, N, h, w) bool, where it is heard."""
    region_captions: list[list[str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.captions)

    def parts(self, count: int) -> list[Prepared]:
        """In as many parts as asked for, as equal as they can be; at most one for each picture."""
        edges = [round(i * len(self) / min(count, len(self))) for i in range(min(count, len(self)) + 1)]
        if len(edges) == 2:
            return [self]
        cuts = [slice(a, b) for a, b in zip(edges, edges[1:], strict=False)]
        own: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        parts: list[dict[str, Any]] = [{k: v if v is None else v[cut] for k, v in own.items()} for cut in cuts]
        return [Prepared(**part) for part in parts]

    def pinned(self) -> Prepared:
        """In memory from which a GPU takes it without waiting."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        pinned: dict[str, Any] = {k: v.pin_memory() for k, v in own.items() if isinstance(v, torch.Tensor)}
        return replace(self, **pinned)


def prepare(
    batch: Batch,
    store: LatentStore,
    captions: CaptionSource,
    config: TrainingConfig,
    num_timesteps: int,
    hints: Hints | None = None,
) -> Prepared:
    """Every draw is keyed by (seed, purpose, step, sample, visit): a pure function of its arguments, on the CPU."""
    items = [f"{batch.step}/{v.sample_id}/{v.visit}" for v in batch.visits]
    ids = [v.sample_id for v in batch.visits]
    shape = store.model.latent_shape(batch.width, batch.height)
    moments = store.moments(ids, batch.width, batch.height)
    dropped = uniform(config.seed, "caption dropout", items) < config.caption_dropout_rate
    timesteps = biased_timesteps(
        uniform(config.seed, "timestep", items), num_timesteps, config.timestep_high_from, config.timestep_share_high
    )
    e = noise(config.seed, "noise", items, shape)
    if config.noise_offset:
        e = offset_noise(e, noise(config.seed, "noise offset", items, shape[:1]), config.noise_offset)
    said = [
        "" if drop else varied(captions.caption(v.sample_id, v.visit), item, config)
        for v, drop, item in zip(batch.visits, dropped, items, strict=True)
    ]
    priors = tuple(hints.is_prior(i) for i in ids) if hints and config.prior_preservation else ()
    silent = [bool(drop) or prior for drop, prior in zip(dropped, priors or [False] * len(ids), strict=True)]
    told = told_of(batch, items, silent, captions, config)
    return Prepared(
        latents_of(moments, noise(config.seed, "posterior", items, shape)),
        e,
        torch.from_numpy(timesteps),
        said,
        torch.tensor([v.loss_weight for v in batch.visits], dtype=torch.float32),
        store.model.token_ids(said),
        _masks(hints, ids, batch, shape) if hints and config.masked_loss else None,
        priors,
        *region_tensors(told, store.model, shape),
    )


def _masks(hints: Hints, ids: list[str], batch: Batch, shape: tuple[int, int, int]) -> torch.Tensor:
    """(B, 1, h, w); all 1 for a sample without people."""
    found = [hints.mask(i, batch.width, batch.height) for i in ids]
    whole = np.ones((batch.height, batch.width), dtype=np.float32)
    masks = torch.from_numpy(np.stack([whole if mask is None else mask for mask in found]))[:, None]
    return to_latent_size(masks, *shape[1:])


class Network(nn.Module):
    """Text encoders and denoiser as one module with one forward, which is what data-parallel wrappers want."""

    def __init__(self, model: StableDiffusion, train_text: bool) -> None:
        super().__init__()
        self.model, self.train_text = model, train_text
        self.denoiser = model.module("denoiser")
        for name in model.text_components:
            self.add_module(name, model.module(name))

    def forward(
        self,
        noisy: torch.Tensor,
        timesteps: torch.Tensor,
        token_ids: torch.Tensor,
        words: Any = None,
        which: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Noisy latents (B, C, h, w), timesteps (B,), token_ids (B, L) -> prediction (B, C, h, w).

        `words` is what the text encoder says to them, where that is known already. With `which` (B, N+1) the tokens are
        (U, L) texts of which each row hears those: its caption and its N regions' words.
        """
        if words is None:
            with torch.set_grad_enabled(self.train_text and torch.is_grad_enabled()):
                words = self.model.encode_captions(token_ids)
        if which is not None:
            words = self.model.side_by_side(words, which)
        return self.model.predict(noisy, timesteps, words)


def loss_of(
    network: nn.Module,
    model: StableDiffusion,
    ready: Prepared,
    power_T: torch.Tensor,
    config: TrainingConfig,
    words: Any = None,
    teacher: Teacher | None = None,
) -> torch.Tensor:
    """Mean over the batch of loss_weight * min-SNR weight * error, float32, with gradient. Call it, and go backward,
    inside `binding.bound`.

    `network` is a `Network` of `model`, or a wrapper around one. Not divided by the sum of the loss weights: the
    mixture scales them to a mean of 1 over the plan, and dividing inside a batch would bias small batches.
    """
    device = model.device
    x, e, t, ids, weights = (
        tensor.to(device, non_blocking=True)
        for tensor in (ready.latents, ready.noise, ready.timesteps, ready.token_ids, ready.loss_weights)
    )
    noisy = add_noise(x, e, t, power_T)
    wanted = target(model.prediction_type, x, e, t, power_T)
    heard: tuple[Any, ...] = (ids,) if words is None else (ids, words)
    if ready.region_ids is not None and words is None:
        once, which = distinct(ready.token_ids, ready.region_ids)
        heard = (once.to(model.device), None, which.to(model.device))
    elif ready.region_ids is not None:  # one text after another, as `TextCache.words_of` gives them
        texts = ready.region_ids.shape[1] + 1
        heard = (ids, words, torch.arange(len(ready) * texts, device=model.device).reshape(-1, texts))
    with torch.autocast(x.device.type, torch.bfloat16, enabled=in_bf16(config, x.device)):
        prediction = network(noisy, t, *heard)
        rows = [row for row, prior in enumerate(ready.priors) if prior]
        if rows and teacher is not None:
            at = torch.tensor(rows, device=device)
            said = teacher.target(model.prediction_type, x[at], e[at], t[at], power_T, ids[at])
            wanted = wanted.index_copy(0, at, said)
    if config.loss == "huber":
        c = huber_scale(t, len(power_T), config.huber_c, config.huber_schedule)
        error = pseudo_huber(prediction, wanted, c)
    else:
        error = squared_error(prediction, wanted)
    mask = None if ready.mask is None else ready.mask.to(x.device, non_blocking=True)
    if config.min_snr_gamma is not None:
        snr = signal_to_noise(power_T)[t]
        weights = weights * min_snr_weights(snr, config.min_snr_gamma, model.prediction_type).float()
    elif model.prediction_type == "sample":
        weights = weights * velocity_weights(signal_to_noise(power_T)[t], config.sample_weight_max).float()
    return (weights * masked_mean(error, mask, config.mask_outside)).mean()


def in_bf16(config: TrainingConfig, device: torch.device) -> bool:
    """Whether a step on that device is computed in bfloat16."""
    if config.mixed_precision == "auto" and fast_bf16(device):
        return True
    return config.mixed_precision == "bf16" or config.weights_dtype == "bf16"
