"""The pocket person and head detector: anchor-free, trained on drawn pictures at 512x288."""

from __future__ import annotations

import argparse

import numpy as np
import torch
from PIL import Image as PILImage
from torch import Tensor
from torch.nn import functional as F

from fullcast.store.seeding import rng as keyed
from recipes.pocket.bank import Bank
from recipes.pocket.degrade import degrade, subtitle
from recipes.pocket.nets import Detector
from recipes.pocket.pictures import random_picture, rows_by_style
from recipes.pocket.state import SHIPPED, Slice, ema_update
from recipes.pocket.vae import ThroughVae
from recipes.pocket.warm import from_onnx, scalars

WIDTH, HEIGHT = 512, 288
BATCH = 8
TOTAL_STEPS = 500
LEARNING_RATE = 1e-3
LEVEL_LIMITS = (22.0, 56.0, 1e9)
"""A head of up to 22 px (longer side) is answered at stride 8, up to 56 at 16, larger at 32."""


DRAWN = ((144, 64), (112, 80), (96, 96), (80, 112))
"""Sizes of pictures that the image model draws."""


def picture(bank: Bank, rows: dict, rng: np.random.Generator, through: ThroughVae) -> tuple[np.ndarray, np.ndarray]:
    """((H, W, 3) uint8, (K, 8) head xyxy and person xyxy). Four in ten are as small as the image model draws."""
    drawn = rng.random() < 0.4
    width, height = DRAWN[int(rng.integers(len(DRAWN)))] if drawn else (WIDTH, HEIGHT)
    count = int(rng.choice(7, p=(0.05, 0.17, 0.2, 0.2, 0.18, 0.15, 0.05)))
    crowd = bool(rng.random() < 0.8) and not drawn
    made = random_picture(bank, rng, width, height, count, None, 0.2 if drawn else 0.35, rows, any_size=crowd)
    boxes = np.array([[*p.head, *p.xyxy] for p in made.people], np.float32).reshape(-1, 8)
    rgb = made.rgb
    if drawn:
        rgb = through(rgb, rng) if rng.random() < 0.6 else rgb
        rgb, boxes = letterboxed(rgb, boxes)
    elif rng.random() < 0.3:
        rgb = subtitle(rgb, rng)
    if rng.random() < 0.5:
        rgb = rgb[:, ::-1]
        boxes[:, [0, 2, 4, 6]] = WIDTH - boxes[:, [2, 0, 6, 4]]
    return np.ascontiguousarray(degrade(np.ascontiguousarray(rgb), rng, 0.3 if drawn else 0.7)), boxes


def letterboxed(rgb: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture enlarged to fit and set in grey, as it is when the network is used; boxes (K, 8) moved along."""
    height, width = rgb.shape[:2]
    scale = min(WIDTH / width, HEIGHT / height)
    size = (round(width * scale), round(height * scale))
    left, top = (WIDTH - size[0]) // 2, (HEIGHT - size[1]) // 2
    canvas = np.full((HEIGHT, WIDTH, 3), 114, np.uint8)
    canvas[top : top + size[1], left : left + size[0]] = PILImage.fromarray(rgb).resize(
        size, PILImage.Resampling.BILINEAR
    )
    return canvas, boxes * np.float32(scale) + np.tile(np.array([left, top], np.float32), 4)


def levels_of(size: float) -> list[int]:
    """Strides that answer a head of that size: two near a limit, or nobody would be sure of it."""
    lower = (0.0, *LEVEL_LIMITS[:-1])
    return [i for i, (lo, hi) in enumerate(zip(lower, LEVEL_LIMITS, strict=True)) if 0.8 * lo <= size < 1.25 * hi]


def targets(boxes: np.ndarray, shapes: list[tuple[int, int]]) -> list[np.ndarray]:
    """Per stride (9, h, w): 1 where a head is answered, then ltrb of head and person; -1 where nobody should say."""
    out = [np.zeros((9, *s), np.float32) for s in shapes]
    order = np.argsort(-(boxes[:, 2] - boxes[:, 0])) if len(boxes) else []
    for i in order:
        head, person = boxes[i, :4], boxes[i, 4:]
        for level in levels_of(max(head[2] - head[0], head[3] - head[1])):
            stride = Detector.strides[level]
            _answer(out[level], head / stride, person / stride)
    return out


def _answer(level: np.ndarray, head: np.ndarray, person: np.ndarray) -> None:
    """Marks the cells around a head's centre; boxes in units of the stride."""
    cx, cy = (head[0] + head[2]) / 2, (head[1] + head[3]) / 2
    h, w = level.shape[1:]
    for gy in range(max(0, int(cy - 1)), min(h, int(cy + 1) + 1)):
        for gx in range(max(0, int(cx - 1)), min(w, int(cx + 1) + 1)):
            x, y = gx + 0.5, gy + 0.5
            near = max(abs(x - cx), abs(y - cy))
            if near > 1.0:
                continue
            cell = level[:, gy, gx]
            if near > 0.62:
                if cell[0] == 0:
                    cell[0] = -1
                continue
            cell[0] = 1
            for k, b in ((1, head), (5, person)):
                cell[k : k + 4] = np.maximum((x - b[0], y - b[1], b[2] - x, b[3] - y), 0.01)


def iou_loss(p: Tensor, t: Tensor) -> Tensor:
    """1 - IoU of boxes given as ltrb around one point, (K, 4) each (UnitBox, Yu et al. 2016, eq. 3, linear form)."""
    inner = torch.minimum(p, t)
    inter = (inner[:, 0] + inner[:, 2]) * (inner[:, 1] + inner[:, 3])
    area = lambda b: (b[:, 0] + b[:, 2]) * (b[:, 1] + b[:, 3])  # noqa: E731
    return 1 - inter / (area(p) + area(t) - inter + 1e-6)


def loss_of(outputs: list[Tensor], wanted: list[Tensor]) -> tuple[Tensor, dict[str, float]]:
    focal, boxes, positives = 0.0, [], 0
    for y, t in zip(outputs, wanted, strict=True):
        logit, label = y[:, 0], t[:, 0]
        use = label >= 0
        p = logit.sigmoid()
        bce = F.binary_cross_entropy_with_logits(logit, label.clamp(min=0), reduction="none")
        weight = torch.where(label > 0.5, 0.5 * (1 - p) ** 2 + 0.25, 0.75 * p**2)
        focal = focal + (bce * weight * use).sum()
        hit = (label > 0.5).nonzero(as_tuple=True)
        positives += len(hit[0])
        a, b = y[hit[0], 1:, hit[1], hit[2]], t[hit[0], 1:, hit[1], hit[2]]
        l1 = (a.log() - b.clamp(min=0.05).log()).abs().mean(1)
        boxes.append(iou_loss(a[:, :4], b[:, :4]) + iou_loss(a[:, 4:], b[:, 4:]) + 0.1 * l1)
    box = torch.cat(boxes).mean() if positives else torch.zeros(())
    focal = focal / max(1, positives)
    return focal + box, {"focal": float(focal.detach()), "box": float(box.detach())}


@torch.no_grad()
def go_on_from_shipped(model: Detector, pictures: list[np.ndarray]) -> None:
    path = SHIPPED / "pocket-detector.onnx"
    from_onnx(model, path, torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255)
    model.scale.copy_(torch.tensor(scalars(path)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--from-shipped", action="store_true", help="begin at the weights that ship, not at chance")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, ema = Detector().to(memory_format=torch.channels_last), Detector()
    ema.load_state_dict(model.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    run = Slice("detector", {"model": model, "ema": ema}, optimizer, args.seconds)
    bank = Bank.load()
    rows, through = rows_by_style(bank), ThroughVae()
    if args.from_shipped and run.step == 0:
        go_on_from_shipped(model, [picture(bank, rows, keyed(13, "norms", i), through)[0] for i in range(24)])
        ema.load_state_dict(model.state_dict())
    shapes = [(HEIGHT // s, WIDTH // s) for s in Detector.strides]
    seen: list[dict] = []
    while run.step < TOTAL_STEPS and not run.over():
        progress = run.step / TOTAL_STEPS
        rate = LEARNING_RATE * min(1.0, (run.step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * progress)))
        optimizer.param_groups[0]["lr"] = rate
        items = [picture(bank, rows, keyed(13, "detector", f"{run.step}/{i}"), through) for i in range(BATCH)]
        x = torch.from_numpy(np.stack([i[0] for i in items])).permute(0, 3, 1, 2).float() / 255
        per_level = zip(*(targets(i[1], shapes) for i in items), strict=True)
        wanted = [torch.from_numpy(np.stack(level)) for level in per_level]
        outputs = model(x.contiguous(memory_format=torch.channels_last))
        loss, parts = loss_of([y.float() for y in outputs], wanted)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.step += 1
        ema_update(ema, model, min(0.998, run.step / (run.step + 10)))
        seen.append(parts)
        if run.step % 50 == 0:
            run.note(**{k: round(float(np.mean([s[k] for s in seen])), 4) for k in parts})
            seen.clear()
        if run.step % 200 == 0:
            run.save()
    run.save()


if __name__ == "__main__":
    main()
