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
    """What a frozen text encoder says to each caption, encoded alone: the same whatever it stands beside in a batch."""

    def __init__(self, model: StableDiffusion, capacity: int = 4096) -> None:
        """capacity: captions kept, the least recently used go first; 236 kB each for SD 1.x."""
        self.model, self.capacity = model, capacity
        self._said: OrderedDict[str, Any] = OrderedDict()

    @torch.no_grad()
    def words(self, captions: Sequence[str]) -> Any:
        """What `StableDiffusion.encode_prompts` gives, up to rounding."""
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
        else:
            self._said[caption] = self.model.encode_prompts([caption])
            if len(self._said) > self.capacity:
                self._said.popitem(last=False)
        return self._said[caption]
