"""Attention of the U-Net, by diffusers' own processor interface: under a region bias (see `diffusion.regions`), and in
bfloat16 on a CPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from fullcast.diffusion.regions import halved, key_bias
from fullcast.models.torch_device import sent

if TYPE_CHECKING:
    from diffusers.models.attention_processor import Attention


def levels_that_hear(unet: Any) -> list[bool]:
    """For each resolution of a U-Net, the finest first, whether it has cross-attention; the middle has the coarsest."""
    kinds = zip(unet.config.down_block_types, reversed(unet.config.up_block_types), strict=True)
    levels = ["CrossAttn" in down or "CrossAttn" in up for down, up in kinds]
    return [*levels[:-1], levels[-1] or unet.mid_block is not None]


def bias_tables(masks: torch.Tensor, num_tokens: int, beta: float, levels: Sequence[bool]) -> dict[int, torch.Tensor]:
    """Number of queries -> bias (queries, keys) at each wanted resolution of a U-Net over latents of the masks' size,
    the finest first. SDXL's finest has no words: at 1024 px its table would be the largest, 5 MB for each text."""
    tables = {}
    for wanted in levels:
        if wanted:
            tables[masks.shape[1] * masks.shape[2]] = key_bias(masks, num_tokens, beta)
        masks = halved(masks)
    return tables


MOST_SCORES = 1 << 25
"""Scores that `attend` keeps at once on a CPU: 64 MB in bfloat16."""


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """scaled_dot_product_attention of q (B, H, Q, D), k and v (B, H, K, D), bias (B, 1, Q, K) or None.

    In bfloat16 on a CPU by plain products where the scores are few: the backward pass of torch's own kernel (2.13) took
    five times as long there as all products together.
    """
    scores = q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2]
    if q.device.type != "cpu" or q.dtype is not torch.bfloat16 or scores > MOST_SCORES:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    said = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    return (said if bias is None else said + bias).softmax(-1) @ v


class RegionAttention:
    """An attention processor that adds `tables[queries]`, (B, 1, queries, keys) or None, to the scores."""

    def __init__(self, tables: Mapping[int, torch.Tensor | None]) -> None:
        self.tables = tables

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """hidden_states (B, Q, C) attend to encoder_hidden_states (B, K, D), or to themselves; as diffusers'
        AttnProcessor2_0."""
        batch, queries, _ = hidden_states.shape
        if encoder_hidden_states is None:
            encoder_hidden_states = hidden_states
        q, k, v = (
            layer(states).view(batch, states.shape[1], attn.heads, -1).transpose(1, 2)
            for layer, states in (
                (attn.to_q, hidden_states),
                (attn.to_k, encoder_hidden_states),
                (attn.to_v, encoder_hidden_states),
            )
        )
        bias = self.tables.get(queries)
        if bias is not None and bias.shape[-1] != encoder_hidden_states.shape[1]:
            bias = None  # plain words, heard everywhere: those of a teacher beside a batch that is bound
        heard = attend(q, k, v, None if bias is None else bias.to(q.dtype))
        heard = heard.transpose(1, 2).reshape(batch, queries, -1).to(q.dtype)
        out = attn.to_out[1](attn.to_out[0](heard))
        if attn.residual_connection:
            out = out + hidden_states
        return out / attn.rescale_output_factor


@contextmanager
def region_attention(unet: Any, tables: Mapping[int, torch.Tensor]) -> Iterator[None]:
    """Inside the block every cross-attention uses the tables; afterwards the former processors are back.

    A table of zeros is passed as no mask, so that the kernel, and every bit of the output, is that of plain attention.
    Tables come on the CPU: looked at on a GPU, each would wait for all that the GPU has still to do.
    """
    device = next(unet.parameters()).device
    exact = {queries: sent(table, device) if bool(table.any()) else None for queries, table in tables.items()}
    former = unet.attn_processors
    ours = RegionAttention(exact)
    unet.set_attn_processor({name: ours if ".attn2." in name else p for name, p in former.items()})
    try:
        yield
    finally:
        unet.set_attn_processor(former)
