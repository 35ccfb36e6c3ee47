"""The architectures of the pocket detector, embedders and tagger: plain convolutions, a few hundred thousand weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def conv(cin: int, cout: int, stride: int = 1, kernel: int = 3, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(cout), nn.SiLU()
    )


class Residual(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.a, self.b = conv(c, c), nn.Sequential(nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c))

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x + self.b(self.a(x)))


class Detector(nn.Module):
    """Finds heads, and from each head the whole figure. Strides 8, 16, 32; a cell that holds a head's centre answers.

    `forward`: (B, 3, H, W) in [0, 1] -> per stride (B, 9, h, w): logit, head ltrb, person ltrb in units of the stride.
    `decode`: the YOLO form (B, 4 + 2, N): cx cy w h in input pixels, then the probabilities of person and head.
    """

    strides = (8, 16, 32)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 16, 2), conv(16, 24, 2), Residual(24))
        self.c3 = nn.Sequential(conv(24, 48, 2), Residual(48), Residual(48))
        self.c4 = nn.Sequential(conv(48, 96, 2), Residual(96), Residual(96))
        self.c5 = nn.Sequential(conv(96, 128, 2), Residual(128), Residual(128))
        self.l3, self.l4, self.l5 = (nn.Conv2d(c, 64, 1) for c in (48, 96, 128))
        self.head = nn.Sequential(conv(64, 64), conv(64, 64))
        self.out = nn.Conv2d(64, 9, 1)
        self.scale = nn.Parameter(torch.ones(3))
        nn.init.constant_(self.out.bias[0], -5.0)

    def forward(self, x: Tensor) -> list[Tensor]:
        c3 = self.c3(self.stem(x))
        c4 = self.c4(c3)
        c5 = self.c5(c4)
        p5 = self.l5(c5)
        p4 = self.l4(c4) + F.interpolate(p5, size=c4.shape[2:])
        p3 = self.l3(c3) + F.interpolate(p4, size=c3.shape[2:])
        return [self._answer(p, i) for i, p in enumerate((p3, p4, p5))]

    def _answer(self, p: Tensor, level: int) -> Tensor:
        y = self.out(self.head(p))
        return torch.cat([y[:, :1], F.softplus(y[:, 1:] * self.scale[level] + 0.5)], 1)

    def decode(self, x: Tensor) -> Tensor:
        heads, people = [], []
        for stride, y in zip(self.strides, self(x), strict=True):
            h, w = y.shape[2:]
            gx = (torch.arange(w, device=y.device) + 0.5).view(1, 1, 1, w).expand(1, 1, h, w)
            gy = (torch.arange(h, device=y.device) + 0.5).view(1, 1, h, 1).expand(1, 1, h, w)
            prob = y[:, :1].sigmoid()
            zero = torch.zeros_like(prob)
            for start, out, probs in ((1, heads, (zero, prob)), (5, people, (prob, zero))):
                l, t, r, b = y[:, start : start + 4].split(1, 1)
                box = [gx + (r - l) / 2, gy + (b - t) / 2, l + r, t + b]
                out.append(torch.cat([v * stride for v in box] + list(probs), 1).flatten(2))
        return torch.cat(people + heads, 2)


class ResEmbedder(nn.Module):
    """(B, 3, 64, 64) CLIP-normalised -> (B, 128) unit vectors. Residual network with global average pooling."""

    def __init__(self, dim: int = 128) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(3, 32, 2), Residual(32), conv(32, 64, 2), Residual(64), conv(64, 128, 2), Residual(128),
            conv(128, 192, 2), Residual(192),
        )  # fmt: skip
        self.out = nn.Linear(192 * 4, dim)

    def pooled(self, x: Tensor) -> Tensor:
        """(B, 768)."""
        return F.avg_pool2d(self.body(x), 2).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.out(self.pooled(x)), dim=1)


class Mixing(nn.Module):
    """Depthwise 7x7, then an inverted bottleneck: the ConvNeXt block with batch norm."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.depth = nn.Sequential(nn.Conv2d(c, c, 5, padding=2, groups=c, bias=False), nn.BatchNorm2d(c))
        self.point = nn.Sequential(nn.Conv2d(c, 2 * c, 1), nn.GELU(), nn.Conv2d(2 * c, c, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.point(self.depth(x))


class MixEmbedder(nn.Module):
    """(B, 3, 64, 64) CLIP-normalised -> (B, 128) unit vectors. Depthwise mixing, pooled by learned attention."""

    def __init__(self, dim: int = 128) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(3, 32, 2), Residual(32), nn.Conv2d(32, 96, 2, 2), nn.BatchNorm2d(96), Mixing(96), Mixing(96),
            nn.Conv2d(96, 192, 2, 2), nn.BatchNorm2d(192), Mixing(192), Mixing(192), Mixing(192),
        )  # fmt: skip
        self.score = nn.Conv2d(192, 8, 1)
        self.out = nn.Linear(192 * 8, dim)

    def pooled(self, x: Tensor) -> Tensor:
        """(B, 1536)."""
        y = self.body(x)
        attention = self.score(y).flatten(2).softmax(2)
        return torch.bmm(attention, y.flatten(2).transpose(1, 2)).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.out(self.pooled(x)), dim=1)


class TaggerNet(nn.Module):
    """(B, 96, 96, 3) BGR in 0..255 -> (B, T) probabilities: the WD14 signature."""

    def __init__(self, num_tags: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(3, 24, 2), Residual(24), conv(24, 48, 2), Residual(48), conv(48, 96, 2), Residual(96),
            conv(96, 160, 2), Residual(160),
        )  # fmt: skip
        self.out = nn.Linear(160 * 9, num_tags)

    def logits(self, x: Tensor) -> Tensor:
        y = self.body(x.permute(0, 3, 1, 2) / 127.5 - 1)
        return self.out(F.avg_pool2d(y, 2).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(x).sigmoid()
