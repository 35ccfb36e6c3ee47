"""Which words each place of the picture may listen to: an additive bias on cross-attention.

Contexts are concatenated along the keys, K = [global; c_1; ...; c_N]; a query inside region i hears the global words
and c_i, one outside all regions only the global words (the additive mask of InvokeAI's regional prompts and of Omost).
The global words are never silent, so no query is left without a key; inside a region their scores get log(beta).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from fullcast.records import Box

SILENT = -1e4
"""exp(-1e4) is 0 in float32, and -1e4 itself is still a float16."""


def box_masks(boxes: Sequence[Box], height: int, width: int) -> torch.Tensor:
    """(N, height, width) bool: cells whose centre lies in the box (fractions of the picture, xyxy); one at least."""
    masks = torch.zeros(len(boxes), height, width, dtype=torch.bool)
    ys, xs = (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask |= ((ys >= y0) & (ys < y1))[:, None] & ((xs >= x0) & (xs < x1))[None, :]
        cx, cy = min(max((x0 + x1) / 2, 0.0), 0.9999), min(max((y0 + y1) / 2, 0.0), 0.9999)
        mask[int(cy * height), int(cx * width)] = True
    return masks


def halved(masks: torch.Tensor) -> torch.Tensor:
    """(N, h, w) bool -> (N, ceil(h/2), ceil(w/2)): max pooling, so that no region is lost at a coarse level."""
    return F.max_pool2d(masks.float()[:, None], 2, ceil_mode=True)[:, 0].bool()


def key_bias(masks: torch.Tensor, num_tokens: int, beta: float) -> torch.Tensor:
    """(h*w, (N+1) * num_tokens) float32 bias for regions (N, h, w) bool; queries in row-major order.

    Inside a region the global words weigh `beta` in (0, 1] times; where no region lies they stand alone.
    """
    heard = masks.flatten(1).T  # (h*w, N)
    own = torch.where(heard, 0.0, SILENT)
    everybody = torch.where(heard.any(1, keepdim=True), torch.tensor(beta).log(), torch.tensor(0.0))
    return torch.cat([everybody, own], 1).repeat_interleave(num_tokens, dim=1)
