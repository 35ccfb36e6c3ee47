"""SDXL: two text encoders, a pooled vector, and the picture's size told to the network.

Podell et al., "SDXL: Improving Latent Diffusion Models for High-Resolution Image Synthesis", 2023, arXiv:2307.01952:
both encoders are heard at the last layer but one, without the final norm; the second one's pooled, projected vector and
(original height, width, crop top, left, target height, width) go in beside the timestep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from fullcast.models.stable_diffusion.family import StableDiffusion, _layers, token_ids
from fullcast.models.torch_device import sent
from fullcast.store.errors import FullcastError


@dataclass
class Words:
    """What SDXL hears: embeds (B, L, D) of both encoders side by side, pooled (B, P) of the second."""

    embeds: torch.Tensor
    pooled: torch.Tensor

    def to(self, device: torch.device) -> Words:
        return Words(self.embeds.to(device), self.pooled.to(device))

    @property
    def nbytes(self) -> int:
        return self.embeds.nbytes + self.pooled.nbytes


class StableDiffusionXL(StableDiffusion):
    """The same operations with two text encoders."""

    text_components: ClassVar[tuple[str, ...]] = ("text_encoder", "text_encoder_2")

    @property
    def family(self) -> str:
        return "sdxl"

    def token_ids(self, prompts: Sequence[str]) -> torch.Tensor:
        """(B, 2, L) int64: the two tokenizers pad differently."""
        both = (self.pipeline.tokenizer, self.pipeline.tokenizer_2)
        return torch.stack([token_ids(tokenizer, prompts) for tokenizer in both], 1)

    def encode_tokens(self, token_ids: torch.Tensor) -> Words:  # type: ignore[override]
        """(B, 2, L) int64 -> `Words`; with gradient if the caller has it on."""
        ids = token_ids.to(self.device)
        one = self.pipeline.text_encoder(ids[:, 0], output_hidden_states=True)
        two = self.pipeline.text_encoder_2(ids[:, 1], output_hidden_states=True)
        return Words(torch.cat([one.hidden_states[-2], two.hidden_states[-2]], -1), two.text_embeds)

    def encode_captions(self, token_ids: torch.Tensor) -> Words:  # type: ignore[override]
        """Of "" zeros, where the model's folder says so, as diffusers does where no negative prompt is given."""
        words = self.encode_tokens(token_ids)
        if self.pipeline.config.force_zeros_for_empty_prompt:
            # Where the end comes next to the beginning there is no word.
            said = token_ids.to(self.device)[:, 0, 1] != self.pipeline.tokenizer.eos_token_id
            words = Words(words.embeds * said[:, None, None], words.pooled * said[:, None])
        return words

    def use_clip_skip(self, layer: int | None) -> None:
        if layer not in (None, 1):
            raise FullcastError("clip_skip is for SD 1.x and 2.x; SDXL hears the last layer but one: leave it out")

    def unheard(self) -> list[torch.nn.Module]:
        """Of the first encoder its last layer and final norm; the second one's lead to the pooled vector."""
        one = self.pipeline.text_encoder
        return [_layers(one)[-1], getattr(one, "text_model", one).final_layer_norm]

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, prompt_embeds: Words) -> torch.Tensor:  # type: ignore[override]
        """As for SD 1.x. The picture counts as whole: its original size is its size, cropped at (0, 0)."""
        height, width = (side * self.size_multiple for side in noisy.shape[-2:])
        size = torch.tensor([height, width, 0, 0, height, width], dtype=prompt_embeds.embeds.dtype, device=noisy.device)
        added = {"text_embeds": prompt_embeds.pooled, "time_ids": size.expand(len(noisy), -1)}
        return self.pipeline.unet(
            noisy,
            timesteps,
            encoder_hidden_states=prompt_embeds.embeds,
            added_cond_kwargs=added,
            return_dict=False,
        )[0]

    def side_by_side(self, words: Words, which: torch.Tensor) -> Words:  # type: ignore[override]
        """The pooled vector is that of the first: the whole caption."""
        return Words(words.embeds[which].flatten(1, 2), words.pooled[which[:, 0]])

    def join(self, said: Sequence[Words]) -> Words:  # type: ignore[override]
        """Several captions, encoded one by one, wherever they lie, as one batch on the model's device."""
        embeds, pooled = torch.cat([words.embeds for words in said]), torch.cat([words.pooled for words in said])
        return Words(sent(embeds, self.device), sent(pooled, self.device))
