"""The two pocket embedders: one labels the data, the other serves the judge.

They differ in architecture, in the identities they were trained on (even and odd groups of the bank) and in seed.
Loss: CosFace (Wang et al. 2018, eq. 4) over the identities, with near twins among the classes, and beside it the words
of the traits in which twins differ, read off the same features by heads that are thrown away.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fullcast.models.torch_device import fast_bf16
from fullcast.store.seeding import rng as keyed
from recipes.pocket.crops import SIZE, Crops
from recipes.pocket.nets import CLIP_MEAN, CLIP_STD, MixEmbedder, ResEmbedder
from recipes.pocket.state import Slice, ema_update

BATCH = 128
COSFACE_SCALE, COSFACE_MARGIN = 24.0, 0.25
TRAITS_WEIGHT = 0.5
DRAWN = ((144, 64), (112, 80), (96, 96))
"""Sizes of pictures that the image model draws."""


@dataclass(frozen=True)
class Which:
    net: type[MixEmbedder] | type[ResEmbedder]
    parity: int
    steps: int
    learning_rate: float
    file: str
    sizes: tuple[tuple[int, int], ...]
    """Of the pictures that crops are cut from: the labeller looks at frames, the judge at drawn pictures."""
    pictures: int

    def crops(self) -> Crops:
        return Crops.load(self.net.__name__, self.parity, self.sizes, self.pictures)

    def unseen(self, pictures: int) -> Crops:
        """Of people whom it was not trained on."""
        return Crops.load(self.net.__name__, 1 - self.parity, self.sizes, pictures)


WHICH = {
    "labeller": Which(
        ResEmbedder, 0, 4000, 1.5e-3, "pocket-embedder.onnx", ((320, 192), (512, 288), (512, 288), (160, 96)), 40_000
    ),
    "judge": Which(
        MixEmbedder,
        1,
        6000,
        1.5e-3,
        "pocket-judge-embedder.onnx",
        (*DRAWN, *DRAWN, (144, 64), (144, 64), (160, 96), (320, 192)),
        30_000,
    ),
}


class Learning(nn.Module):
    """The network with what it is trained by and what nobody needs afterwards."""

    def __init__(self, net: MixEmbedder | ResEmbedder, num_identities: int, num_words: tuple[int, ...]) -> None:
        super().__init__()
        self.net = net
        self.prototypes = nn.Parameter(torch.randn(num_identities, net.out.out_features))
        self.words = nn.ModuleList(nn.Linear(net.out.in_features, n) for n in num_words)

    def forward(self, x: Tensor, labels: Tensor, traits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(loss, share of crops nearest to their own prototype, share of words read right)."""
        pooled = self.net.pooled(x).float()
        embeddings = F.normalize(self.net.out(pooled).float(), dim=1)
        cosine = embeddings @ F.normalize(self.prototypes, dim=1).T
        margin = F.one_hot(labels, cosine.shape[1]) * COSFACE_MARGIN
        loss = F.cross_entropy(COSFACE_SCALE * (cosine - margin), labels)
        read = [word(pooled).float() for word in self.words]
        told = sum(F.cross_entropy(logits, traits[:, k]) for k, logits in enumerate(read))
        right = torch.stack([logits.argmax(1) == traits[:, k] for k, logits in enumerate(read)]).float().mean()
        return loss + TRAITS_WEIGHT * told, (cosine.argmax(1) == labels).float().mean(), right


@lru_cache(maxsize=2)
def _order(turn: int, count: int) -> np.ndarray:
    return keyed(19, "order", turn).permutation(count)


def batch(crops: Crops, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """((BATCH, 3, SIZE, SIZE) normalised, (BATCH,) identity, (BATCH, traits)): every crop once before any comes twice."""
    turn, place = divmod(step, len(crops.identities) // BATCH)
    chosen = np.sort(_order(turn, len(crops.identities))[place * BATCH : (place + 1) * BATCH])
    who = crops.identities[chosen]
    return as_input(crops.pixels[chosen]), torch.from_numpy(who), torch.from_numpy(crops.traits[who])


def as_input(pixels: np.ndarray) -> Tensor:
    """(N, SIZE, SIZE, 3) uint8 -> (N, 3, SIZE, SIZE) in CLIP's normalisation."""
    assert pixels.shape[1:] == (SIZE, SIZE, 3)
    x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
    return (x - torch.tensor(CLIP_MEAN).view(3, 1, 1)) / torch.tensor(CLIP_STD).view(3, 1, 1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--which", choices=sorted(WHICH), required=True)
    parser.add_argument("--seconds", type=float, default=1e9)
    args = parser.parse_args()
    which = WHICH[args.which]
    torch.set_num_threads(1)
    torch.manual_seed(which.parity + 1)
    crops = which.crops()
    learning, ema = Learning(which.net(), len(crops.traits), crops.num_words), which.net()
    ema.load_state_dict(learning.net.state_dict())
    learning.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(learning.parameters(), which.learning_rate, weight_decay=0.02)
    run = Slice(f"embedder-{args.which}", {"learning": learning, "ema": ema}, optimizer, args.seconds)
    fast = fast_bf16(torch.device("cpu"))
    told: list[tuple[float, float, float]] = []
    while run.step < which.steps and not run.over():
        progress = run.step / which.steps
        warm = min(1.0, (run.step + 1) / 200)
        optimizer.param_groups[0]["lr"] = (
            which.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * progress)))
        )
        x, labels, traits = batch(crops, run.step)
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            loss, nearest, read = learning(x.contiguous(memory_format=torch.channels_last), labels, traits)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.step += 1
        ema_update(ema, learning.net, min(0.998, run.step / (run.step + 10)))
        told.append((float(loss.detach()), float(nearest), float(read)))
        if run.step % 50 == 0:
            loss_mean, rank1, words = np.mean(told, axis=0)
            run.note(loss=round(loss_mean, 3), rank1=round(rank1, 4), words=round(words, 4))
            told.clear()
        if run.step % 200 == 0:
            run.save()
    run.save()


if __name__ == "__main__":
    main()
