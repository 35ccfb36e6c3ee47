"""Words on their way to the text encoder: tags left out and shuffled, captions encoded once where that is exact."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.store.seeding import rng
from fullcast.training.config import TrainingConfig

if TYPE_CHECKING:
    from fullcast.training.step import Prepared

SEPARATOR = ", "
MOST_BYTES = 1 << 30
"""Of captions that are kept in the computer's memory: 4,500 of SD 1.x (236 kB each), 1,600 of SDXL (636 kB)."""


def varied(caption: str, item: str, config: TrainingConfig) -> str:
    """A caption with tags left out and in another order, as the settings say; a function of (seed, item) alone.

    The first `keep_tags` tags (parts between commas) stay where they are.
    """
    if not config.tag_dropout_rate and not config.shuffle_tags:
        return caption
    tags = [tag.strip() for tag in caption.split(",")]
    kept, rest = tags[: config.keep_tags], tags[config.keep_tags :]
    draw = rng(config.seed, "tags", item)
    rest = [tag for tag, u in zip(rest, draw.random(len(rest)), strict=True) if u >= config.tag_dropout_rate]
    if config.shuffle_tags:
        rest = [rest[i] for i in draw.permutation(len(rest))]
    return SEPARATOR.join(tag for tag in (*kept, *rest) if tag)


class TextCache:
    """What a frozen text encoder says to each caption, encoded alone: the same whatever it stands beside in a batch.
    Kept on the CPU: a GPU's memory is for the training."""

    def __init__(self, model: StableDiffusion, most_bytes: int = MOST_BYTES) -> None:
        """most_bytes: above it the least recently used captions go."""
        self.model, self.most_bytes = model, most_bytes
        self._said: OrderedDict[str, Any] = OrderedDict()
        self._bytes = 0

    @torch.no_grad()
    def words(self, captions: Sequence[str]) -> Any:
        """What `StableDiffusion.encode_captions` gives, up to rounding, on the model's device."""
        return self.model.join([self._one(caption) for caption in captions])

    def words_of(self, ready: Prepared) -> Any:
        """Of a batch's captions; where words are bound to regions each row's caption and then its regions' words."""
        if not ready.region_captions:
            return self.words(ready.captions)
        rows = zip(ready.captions, ready.region_captions, strict=True)
        return self.words([text for caption, bound in rows for text in (caption, *bound)])

    def _one(self, caption: str) -> Any:
        if caption in self._said:
            self._said.move_to_end(caption)
            return self._said[caption]
        said = self.model.encode_captions(self.model.token_ids([caption])).to(torch.device("cpu"))
        self._said[caption] = said
        self._bytes += said.nbytes
        while self._bytes > self.most_bytes:
            self._bytes -= self._said.popitem(last=False)[1].nbytes
        return said
