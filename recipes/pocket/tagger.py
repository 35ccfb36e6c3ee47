"""The pocket tagger: one network for crops of single people and for whole pictures, with the WD14 signature."""

from __future__ import annotations

import argparse

import numpy as np
import torch
from PIL import Image as PILImage
from torch import Tensor
from torch.nn import functional as F

from fullcast.pocket.backgrounds import LIGHTS, SETTINGS
from fullcast.pocket.bodies import CLOTHES
from fullcast.pocket.heads import EXPRESSIONS
from fullcast.pocket.looks import ACCESSORIES, HAIR, HAIR_COLORS, SKINS, TRAINING_STYLES, split_hair_words
from fullcast.store.seeding import rng as keyed
from recipes.pocket.bank import Bank
from recipes.pocket.degrade import degrade
from recipes.pocket.nets import TaggerNet
from recipes.pocket.pictures import TrainingPicture, random_picture, rows_by_style
from recipes.pocket.state import Slice, ema_update

SIZE = 96
BATCH = 64
TOTAL_STEPS = 1100
LEARNING_RATE = 2e-3
PERSON_CROP = (1.7, 0.35, 1.25)
"""Width, room above and room below in head heights around the head: face and chest, what a person crop shows."""

HAIR_STYLES = sorted({word for s in TRAINING_STYLES for words in HAIR[s].values() for word in split_hair_words(words)})
COUNTS = ("no people", "1 person", *(f"{n} people" for n in range(2, 7)))
PERSON_TAGS = (*HAIR_COLORS, *HAIR_STYLES, *filter(None, ACCESSORIES), *SKINS, *EXPRESSIONS, *CLOTHES)
SCENE_TAGS = (*SETTINGS, *LIGHTS, *COUNTS)
TAGS = (*PERSON_TAGS, *SCENE_TAGS)


def square(rgb: np.ndarray) -> np.ndarray:
    """Centred on white, as WD14 wants it, (SIZE, SIZE, 3) uint8 RGB."""
    height, width = rgb.shape[:2]
    side = max(height, width)
    canvas = PILImage.new("RGB", (side, side), "white")
    canvas.paste(PILImage.fromarray(rgb), ((side - width) // 2, (side - height) // 2))
    return np.asarray(canvas.resize((SIZE, SIZE), PILImage.Resampling.BICUBIC))


def person_area(person_box: tuple, head: tuple) -> tuple[int, int, int, int]:
    """Where to cut a person's crop: the head and what is near it, never beyond the person's own box by more than a margin."""
    x0, y0, x1, y1 = head
    h, cx = y1 - y0, (x0 + x1) / 2
    half = max(x1 - x0, h * PERSON_CROP[0]) / 2
    return round(cx - half), round(y0 - h * PERSON_CROP[1]), round(cx + half), round(y1 + h * PERSON_CROP[2])


def examples(made: TrainingPicture, rng: np.random.Generator) -> list[tuple[np.ndarray, set[str], bool]]:
    """(picture, tags, whether it is a person crop) of the whole picture and of its people."""
    rgb = degrade(made.rgb, rng)
    out = [(square(rgb), {made.setting, made.light, COUNTS[min(len(made.people), 6)]}, False)]
    height, width = rgb.shape[:2]
    for person in made.people:
        if person.head_visible < 0.6:
            continue
        area = np.array(person_area(person.xyxy, person.head)) + rng.normal(0, 0.04, 4) * (
            person.head[3] - person.head[1]
        )
        x0, y0, x1, y1 = (int(v) for v in area.round())
        crop = rgb[max(0, y0) : min(height, y1), max(0, x0) : min(width, x1)]
        if min(crop.shape[:2]) < 6:
            continue
        row = person.row
        tags = {*row["tags"], row["expression"], row["clothes"]}
        out.append((square(crop[:, ::-1] if rng.random() < 0.5 else crop), tags, True))
    return out


class Examples:
    def __init__(self, bank: Bank) -> None:
        self.bank, self.rows = bank, rows_by_style(bank)

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """((B, S, S, 3) BGR 0..255, (B, T) targets, (B, T) which targets count)."""
        rng = keyed(19, "tagger", step)
        items: list = []
        while len(items) < BATCH:
            width, height = ((320, 192), (160, 96), (512, 288))[int(rng.integers(3))]
            items += examples(random_picture(self.bank, rng, width, height, small=0.3, rows=self.rows), rng)
        items = items[:BATCH]
        x = torch.from_numpy(np.stack([i[0] for i in items])[..., ::-1].copy()).float()
        y = torch.tensor([[float(t in i[1]) for t in TAGS] for i in items])
        person = torch.tensor([[float((k < len(PERSON_TAGS)) == i[2]) for k in range(len(TAGS))] for i in items])
        return x, y, person


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1e9)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(3)
    model, ema = TaggerNet(len(TAGS)), TaggerNet(len(TAGS))
    ema.load_state_dict(model.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    run = Slice("tagger", {"model": model, "ema": ema}, optimizer, args.seconds)
    data = Examples(Bank.load())
    losses, f1 = [], []
    while run.step < TOTAL_STEPS and not run.over():
        progress = run.step / TOTAL_STEPS
        rate = LEARNING_RATE * min(1.0, (run.step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * progress)))
        optimizer.param_groups[0]["lr"] = rate
        x, y, use = data.batch(run.step)
        logits = model.logits(x).float()
        loss = (F.binary_cross_entropy_with_logits(logits, y, reduction="none") * use).sum() / BATCH
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.step += 1
        ema_update(ema, model, min(0.998, run.step / (run.step + 10)))
        guess = ((logits.detach() > 0).float() * use).bool()
        f1.append(float(2 * (guess & y.bool()).sum() / (guess.sum() + (y * use).sum())))
        losses.append(float(loss.detach()))
        if run.step % 50 == 0:
            run.note(loss=round(float(np.mean(losses)), 3), f1=round(float(np.mean(f1)), 4))
            losses.clear(), f1.clear()
        if run.step % 200 == 0:
            run.save()
    run.save()


if __name__ == "__main__":
    main()
