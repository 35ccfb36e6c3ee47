"""The two pocket embedders: one labels the data, the other serves the judge.

They differ in architecture, in the identities they were trained on (even and odd groups of the bank) and in seed.
Loss: CosFace (Wang et al. 2018, eq. 4) over the identities, with near twins among the classes, on head crops cut from
composed pictures, so that neighbours, light, compression and occlusion are what they are in a show.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image as PILImage
from torch import Tensor, nn
from torch.nn import functional as F

from fullcast.store.seeding import rng as keyed
from recipes.pocket.bank import Bank
from recipes.pocket.degrade import degrade, subtitle
from recipes.pocket.nets import CLIP_MEAN, CLIP_STD, MixEmbedder, ResEmbedder
from recipes.pocket.pictures import TrainingPicture, random_picture
from recipes.pocket.state import SHIPPED, Slice, ema_update
from recipes.pocket.vae import ThroughVae
from recipes.pocket.warm import from_onnx

SIZE = 64
CROP_SCALE = 1.5
BATCH = 96
COSFACE_SCALE, COSFACE_MARGIN = 24.0, 0.25


DRAWN = ((144, 64), (112, 80), (96, 96))
"""Sizes of pictures that the image model draws; half of them go through its VAE, as all that it draws has."""


@dataclass(frozen=True)
class Which:
    net: type[nn.Module]
    parity: int
    steps: int
    learning_rate: float
    file: str
    sizes: tuple[tuple[int, int], ...]
    """Of the pictures that crops are cut from: the labeller looks at frames, the judge at drawn pictures."""


WHICH = {
    "labeller": Which(
        ResEmbedder, 0, 700, 1.5e-3, "pocket-embedder.onnx", ((320, 192), (512, 288), (512, 288), (160, 96))
    ),
    "judge": Which(
        MixEmbedder, 1, 1300, 1.5e-3, "pocket-judge-embedder.onnx", (*DRAWN, *DRAWN, (144, 64), (160, 96), (320, 192))
    ),
}


def head_crop(rgb: np.ndarray, box: tuple[float, float, float, float], scale: float, size: int = SIZE) -> np.ndarray:
    """The head box grown about its centre and made square, padded with the edge, as (size, size, 3) uint8."""
    x0, y0, x1, y1 = box
    side = max(x1 - x0, y1 - y0) * scale
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    crop = _padded(rgb, (cx - side / 2, cy - side / 2, cx + side / 2, cy + side / 2))
    return np.asarray(PILImage.fromarray(crop).resize((size, size), PILImage.Resampling.BILINEAR))


def _padded(rgb: np.ndarray, area: tuple[float, float, float, float]) -> np.ndarray:
    height, width = rgb.shape[:2]
    x0, y0, x1, y1 = (round(v) for v in area)
    x1, y1 = max(x1, x0 + 2), max(y1, y0 + 2)
    inner = rgb[max(0, y0) : min(height, y1), max(0, x0) : min(width, x1)]
    pad = ((max(0, -y0), max(0, y1 - height)), (max(0, -x0), max(0, x1 - width)), (0, 0))
    return np.pad(inner, pad, mode="edge") if any(sum(p) for p in pad) else inner


def head_crops(
    made: TrainingPicture, rng: np.random.Generator, through: ThroughVae | None = None
) -> list[tuple[np.ndarray, int]]:
    """Crops of the heads of one picture with their identities; boxes are a little wrong, as a detector's are."""
    small = made.rgb.shape[1] < 160
    rgb = through(made.rgb, rng) if through is not None and small and rng.random() < 0.5 else made.rgb
    rgb = degrade(rgb, rng, 0.3 if small else 1.0)
    if not small and rng.random() < 0.15:
        rgb = subtitle(rgb, rng)
    out = []
    for person in made.people:
        x0, y0, x1, y1 = person.head
        if person.head_visible < 0.55 or min(x1 - x0, y1 - y0) < 8:
            continue
        w, h = x1 - x0, y1 - y0
        jitter = rng.normal(0, 0.05, 4) * (w, h, w, h)
        crop = head_crop(rgb, tuple(np.array([x0, y0, x1, y1]) + jitter), CROP_SCALE * rng.uniform(0.93, 1.07))
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        out.append((crop, person.row["identity"]))
    return out


class Crops:
    def __init__(self, bank: Bank, parity: int, sizes: tuple[tuple[int, int], ...]) -> None:
        self.bank, self.sizes, self.through = bank, sizes, ThroughVae()
        groups = sorted({r["identity"] // 4 for r in bank.table})
        mine = {g for g in groups if g % 2 == parity}
        identities = sorted({r["identity"] for r in bank.table if r["identity"] // 4 in mine})
        self.class_of = {identity: k for k, identity in enumerate(identities)}
        styles = sorted({r["style"] for r in bank.table})
        self.rows = {
            s: np.array([i for i, r in enumerate(bank.table) if r["style"] == s and r["identity"] in self.class_of])
            for s in styles
        }

    def batch(self, purpose: str, step: int) -> tuple[Tensor, Tensor]:
        """((BATCH, 3, SIZE, SIZE) normalised, (BATCH,) class)."""
        rng = keyed(17, purpose, step)
        crops: list[tuple[np.ndarray, int]] = []
        while len(crops) < BATCH:
            width, height = self.sizes[int(rng.integers(len(self.sizes)))]
            count, drawn = int(rng.integers(2, 6)), width < 160
            crowd = not drawn and rng.random() < 0.4
            made = random_picture(
                self.bank, rng, width, height, count, None, 0.1 if drawn else 0.3, self.rows, any_size=crowd
            )
            crops += head_crops(made, rng, self.through)
        x = torch.from_numpy(np.stack([c for c, _ in crops[:BATCH]])).permute(0, 3, 1, 2).float() / 255
        labels = torch.tensor([self.class_of[i] for _, i in crops[:BATCH]])
        return (x - torch.tensor(CLIP_MEAN).view(3, 1, 1)) / torch.tensor(CLIP_STD).view(3, 1, 1), labels


def cosface(embeddings: Tensor, prototypes: Tensor, labels: Tensor) -> Tensor:
    cosine = embeddings @ F.normalize(prototypes, dim=1).T
    margin = F.one_hot(labels, prototypes.shape[0]) * COSFACE_MARGIN
    return F.cross_entropy(COSFACE_SCALE * (cosine - margin), labels)


@torch.no_grad()
def go_on_from_shipped(model: nn.Module, prototypes: Tensor, crops: Crops, which: Which, batches: int = 40) -> None:
    """Weights of the file that ships; each identity's prototype is the mean of some crops of it."""
    example = torch.cat([crops.batch("norms", i)[0] for i in range(4)])
    from_onnx(model, SHIPPED / which.file, example)
    sums = torch.zeros_like(prototypes)
    model.eval()
    for step in range(batches):
        x, labels = crops.batch("prototypes", step)
        sums.index_add_(0, labels, model(x))
    model.train()
    seen = sums.norm(dim=1) > 0
    prototypes[seen] = F.normalize(sums[seen], dim=1) * prototypes[seen].norm(dim=1, keepdim=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--which", choices=sorted(WHICH), required=True)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--from-shipped", action="store_true", help="begin at the weights that ship, not at chance")
    args = parser.parse_args()
    which = WHICH[args.which]
    torch.set_num_threads(1)
    torch.manual_seed(which.parity + 1)
    crops = Crops(Bank.load(), which.parity, which.sizes)
    model, ema = which.net(), which.net()
    prototypes = nn.ParameterDict({"w": nn.Parameter(torch.randn(len(crops.class_of), 128))})
    if args.from_shipped:
        go_on_from_shipped(model, prototypes["w"], crops, which)
    ema.load_state_dict(model.state_dict())
    optimizer = torch.optim.AdamW(
        [*model.parameters(), *prototypes.parameters()], which.learning_rate, weight_decay=1e-4
    )
    run = Slice(
        f"embedder-{args.which}", {"model": model, "ema": ema, "prototypes": prototypes}, optimizer, args.seconds
    )
    losses, rights = [], []
    while run.step < which.steps and not run.over():
        progress = run.step / which.steps
        rate = (
            which.learning_rate * min(1.0, (run.step + 1) / 200) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * progress)))
        )
        optimizer.param_groups[0]["lr"] = rate
        x, labels = crops.batch(args.which, run.step)
        embeddings = model(x.contiguous(memory_format=torch.channels_last)).float()
        loss = cosface(embeddings, prototypes["w"], labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.step += 1
        ema_update(ema, model, min(0.998, run.step / (run.step + 10)))
        with torch.no_grad():
            nearest = (embeddings @ F.normalize(prototypes["w"], dim=1).T).argmax(1)
        losses.append(float(loss.detach()))
        rights.append(float((nearest == labels).float().mean()))
        if run.step % 50 == 0:
            run.note(loss=round(float(np.mean(losses)), 3), rank1=round(float(np.mean(rights)), 4))
            losses.clear(), rights.clear()
        if run.step % 200 == 0:
            run.save()
    run.save()


if __name__ == "__main__":
    main()
