"""Hours, money, memory and disk of a plan: from the work in it and what a card is said to do, always as an interval.

hours = sum over visits of [(f + c + p) U + v V + T] / (P eta) + checkpoints + samples + encoding + setup,

U, V, T: operations of the denoiser's forward pass, of encoding, of the text encoder, at the visit's own size; f: 3, or
2 of a LoRA, which needs no gradients of the model's weights; c: 1 with gradient checkpointing; p: the share of visits
where prior preservation asks the base too; v: 1 where latents are not cached; P: the card's peak; eta: the share of it
that is reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from fullcast.mixture.cost_config import CostConfig, Offer
from fullcast.mixture.stages import StagePlan


class Work(Protocol):
    """Arithmetic and memory of a family of models; sizes in pixels of the picture."""

    def train(
        self, pixels: float, *, checkpointing: bool, text_encoder: bool, lora: bool = False, taught: float = 0.0
    ) -> float: ...
    def vae(self, pixels: float) -> float: ...
    def memory_gb(
        self, pixels: float, batch: int, *, checkpointing: bool, text_encoder: bool, ema: bool, lora: bool = False
    ) -> float: ...
    def model_gb(self, bytes_per_parameter: int = 4) -> float: ...
    def state_gb(self, *, text_encoder: bool) -> float: ...

    @property
    def latent_bytes_per_px(self) -> float: ...


@dataclass(frozen=True, slots=True)
class StageWork:
    """What a stage asks of a card, whatever the card."""

    pixels: tuple[tuple[int, int, int], ...]
    """(pixels, visits, different samples) of each size."""
    batch_size: int
    checkpointing: bool
    text_encoder: bool
    ema: bool
    checkpoints: int
    """Written during the stage."""
    sample_rounds: int
    lora: bool = False
    """Its own weights alone are trained: gradients, Adam and average of the model are not there."""
    merged: bool = True
    """A LoRA's checkpoints hold the whole model too."""
    taught: float = 0.0
    """Share of the visits of which the base is asked too: regularization pictures under prior preservation."""

    def at_side(self, side_px: int) -> StageWork:
        """The same with every picture of side x side pixels in area; 0: as it is."""
        if not side_px:
            return self
        sized = tuple((side_px * side_px, visits, samples) for _, visits, samples in self.pixels)
        return replace(self, pixels=sized)


@dataclass(frozen=True, slots=True)
class Price:
    """One row of the table; triples are (low, likely, high)."""

    gpu: str
    side_px: int
    """0: as the plan says."""
    hours: tuple[float, float, float]
    dollars: tuple[float, float, float]
    stage_hours: tuple[float, ...]
    """Likely ones of each stage, without what is done once."""
    images_per_s: float
    """Likely, while training."""
    memory_gb: float
    fits: bool


@dataclass(frozen=True, slots=True)
class Disk:
    """10^9 bytes."""

    latents_gb: float
    checkpoints_gb: float
    states_gb: float

    @property
    def total_gb(self) -> float:
        return self.latents_gb + self.checkpoints_gb + self.states_gb


def sizes_of(stage: StagePlan) -> tuple[tuple[int, int, int], ...]:
    """(pixels, visits, different samples that are visited) of each bucket in use."""
    stream = stage.mixture.stream
    visits = np.bincount(stream.bucket_at, minlength=len(stream.buckets)) * stream.batch_size
    visited = np.bincount(stream.bucket_of[stream.counts() > 0], minlength=len(stream.buckets))
    return tuple(
        (bucket.area_px, int(visits[i]), int(visited[i])) for i, bucket in enumerate(stream.buckets) if visits[i]
    )


def prices(stages: Sequence[StageWork], work: Work, config: CostConfig, disk_gb: float) -> tuple[Price, ...]:
    """A row for every offer, in their order."""
    offers = config.offers or tuple(Offer(gpu=name) for name in config.gpus)
    return tuple(_price(stages, work, config, offer, disk_gb) for offer in offers)


def _price(stages: Sequence[StageWork], work: Work, config: CostConfig, offer: Offer, disk_gb: float) -> Price:
    gpu = config.gpus[offer.gpu]
    stages = [stage.at_side(offer.side_px) for stage in stages]
    training = [_operations(stage, work, config) for stage in stages]
    encoding = sum(samples * work.vae(pixels) for stage in stages for pixels, _, samples in stage.pixels)
    once = config.setup_s + sum(s.checkpoints * config.save_s + s.sample_rounds * config.sample_s for s in stages)
    slow, likely, fast = (gpu.peak_tflops * 1e12 * share for share in gpu.efficiency)

    def hours(speed: float) -> float:
        return ((sum(training) + encoding * config.cached_latents) / speed + once) / 3600

    low, middle, high = hours(fast), hours(likely), hours(slow)
    cheap, dear = gpu.price
    storage = disk_gb * config.storage_price
    memory = max(
        work.memory_gb(
            *(max(pixels for pixels, *_ in stage.pixels), stage.batch_size),
            checkpointing=stage.checkpointing,
            text_encoder=stage.text_encoder,
            ema=stage.ema,
            lora=stage.lora,
        )
        for stage in stages
    )
    visits = sum(visits for stage in stages for _, visits, _ in stage.pixels)
    return Price(
        *(offer.gpu, offer.side_px, (low, middle, high)),
        dollars=(low * cheap + storage, middle * (cheap + dear) / 2 + storage, high * dear + storage),
        stage_hours=tuple(operations / likely / 3600 for operations in training),
        images_per_s=visits * likely / sum(training),
        memory_gb=memory,
        fits=memory <= gpu.memory_gb,
    )


def _operations(stage: StageWork, work: Work, config: CostConfig) -> float:
    def of_visit(pixels: int) -> float:
        step = work.train(
            pixels,
            checkpointing=stage.checkpointing,
            text_encoder=stage.text_encoder,
            lora=stage.lora,
            taught=stage.taught,
        )
        return step + (0.0 if config.cached_latents else work.vae(pixels))

    return sum(visits * of_visit(pixels) for pixels, visits, _ in stage.pixels)


def disk(stages: Sequence[StageWork], work: Work, half: bool, kept: int | None, states: int) -> Disk:
    """half: checkpoints in float16. kept, states: how many checkpoints, and how many states, stay; None: all. A
    LoRA's own file, and the state of its training, are 10^7 to 10^8 bytes and are not counted."""
    latents = sum(samples * pixels for stage in stages for pixels, _, samples in stage.pixels)
    count = sum(stage.checkpoints for stage in stages)
    written = count if kept is None else min(kept, count)
    lora = any(stage.lora for stage in stages)
    whole = not lora or any(stage.merged for stage in stages)
    return Disk(
        latents * work.latent_bytes_per_px / 1e9,
        written * work.model_gb(2 if half else 4) if whole else 0.0,
        0.0 if lora else min(states, count) * work.state_gb(text_encoder=any(stage.text_encoder for stage in stages)),
    )
