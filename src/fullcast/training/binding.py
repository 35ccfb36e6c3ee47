"""Each figure's words bound to its part of the picture while training ("train as you sample").

A row hears [global caption; figure 1; ...; figure N] under the additive mask of `diffusion.regions`, as generation does
with places (multi-character.md 2.4). No parameter is added: the checkpoint is a plain one.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch

from fullcast.diffusion.draws import uniform
from fullcast.diffusion.regions import box_masks
from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.ports import Batch, CaptionSource
from fullcast.records import Box
from fullcast.training.config import TrainingConfig

if TYPE_CHECKING:
    from fullcast.training.step import Prepared

Told = Sequence[tuple[Box, str]]
"""For each figure its region, xyxy as fractions, and what is heard there."""


def told_of(
    batch: Batch, items: Sequence[str], silent: Sequence[bool], captions: CaptionSource, config: TrainingConfig
) -> list[Told]:
    """For each visit its figures' regions and words; [] for those that the draw leaves plain and for `silent` ones."""
    if not config.region_share:
        return []
    bound = uniform(config.seed, "regions", items) < config.region_share
    return [
        list(captions.regions(v.sample_id, v.visit)) if bind and not mute else []
        for v, bind, mute in zip(batch.visits, bound, silent, strict=True)
    ]


def region_tensors(
    told: Sequence[Told], model: StableDiffusion, shape: tuple[int, int, int]
) -> tuple[torch.Tensor | None, torch.Tensor | None, list[list[str]]]:
    """Token ids (B, N, ..., L), masks (B, N, h, w) bool and words (B lists of N) for N = most figures of any row.

    Rows with fewer figures are filled up with the empty caption, which is heard nowhere. (None, None, []) for N = 0.
    """
    most = max((len(figures) for figures in told), default=0)
    if not most:
        return None, None, []
    said = [[words for _, words in figures] + [""] * (most - len(figures)) for figures in told]
    ids = model.token_ids([words for row in said for words in row])
    masks = torch.zeros(len(told), most, *shape[1:], dtype=torch.bool)
    for row, figures in zip(masks, told, strict=True):
        row[: len(figures)] = box_masks([box for box, _ in figures], *shape[1:])
    return ids.reshape(len(told), most, *ids.shape[1:]), masks, said


def distinct(token_ids: torch.Tensor, region_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """((U, ..., L) every text once, (B, N+1) which of them a row hears): a cast has few names, each often said."""
    together = torch.cat([token_ids[:, None], region_ids], 1)
    flat = together.flatten(0, 1)
    once, which = torch.unique(flat, dim=0, return_inverse=True)
    return once, which.reshape(together.shape[:2])


def bound(model: StableDiffusion, ready: Prepared, config: TrainingConfig) -> AbstractContextManager[Any]:
    """Inside the block the batch's regions hold; it spans the backward pass, where checkpointing predicts again."""
    if ready.region_masks is None:
        return nullcontext()
    return model.regions(list(ready.region_masks), config.region_global)
