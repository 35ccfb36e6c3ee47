"""Head crops of many people, drawn once into one file: what the embedders learn from.

Crops are cut from composed pictures, so that neighbours, light, compression and occlusion are what they are in a show;
half of the small pictures go through the base's VAE, as all that an image model draws has.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from PIL import Image as PILImage

from fullcast.store.seeding import rng as keyed
from recipes.pocket.bank import Bank
from recipes.pocket.degrade import degrade, subtitle
from recipes.pocket.pictures import TrainingPicture, random_picture
from recipes.pocket.state import state_dir
from recipes.pocket.vae import ThroughVae

SIZE = 64
CROP_SCALE = 1.5
PER_BLOCK = 500
"""Pictures that one task of a worker composes."""
TRAITS = ("hair", "hair_color_word", "skin", "accessory")


@dataclass(frozen=True)
class Crops:
    """Memory-mapped crops, which identity each shows and its traits as numbers."""

    pixels: np.ndarray
    """(N, SIZE, SIZE, 3) uint8."""
    identities: np.ndarray
    """(N,) 0 to num_identities - 1."""
    traits: np.ndarray
    """(num_identities, len(TRAITS)) numbers of words, 0 to num_words - 1 of each."""

    @property
    def num_words(self) -> tuple[int, ...]:
        return tuple(int(n) + 1 for n in self.traits.max(0))

    @staticmethod
    def load(name: str, parity: int, sizes: Sequence[tuple[int, int]], pictures: int, processes: int = 2) -> Crops:
        """Those of the groups of identities of one parity (twins stay together); drawn where they are not there yet.

        name: of the network whose sizes of pictures these are.
        """
        folder = state_dir(f"crops-{name}-{parity}-{pictures}")
        bank = Bank.load(many=True)
        mine = sorted({r["identity"] for r in bank.table if r["identity"] // 4 % 2 == parity})
        if not (folder / "identities.npy").exists():
            _draw(folder, parity, sizes, pictures, processes)
        words = [sorted({r[t] for r in bank.table}) for t in TRAITS]
        rows = {r["identity"]: r for r in bank.table}
        traits = np.array([[w.index(rows[i][t]) for t, w in zip(TRAITS, words, strict=True)] for i in mine])
        number = {identity: k for k, identity in enumerate(mine)}
        shown = np.array([number[int(i)] for i in np.load(folder / "identities.npy")])
        return Crops(np.load(folder / "pixels.npy", mmap_mode="r"), shown, traits)


def _draw(folder: Path, parity: int, sizes: Sequence[tuple[int, int]], pictures: int, processes: int) -> None:
    tasks = [(parity, tuple(sizes), start, min(start + PER_BLOCK, pictures)) for start in range(0, pictures, PER_BLOCK)]
    pixels, identities = [], []
    with get_context("spawn").Pool(processes, torch.set_num_threads, (1,)) as pool:
        for done, (block, shown) in enumerate(pool.imap(_block, tasks), 1):
            pixels.append(block)
            identities.append(shown)
            print(json.dumps({"blocks": done, "of": len(tasks)}), flush=True)
    np.save(folder / "pixels.npy", np.concatenate(pixels))
    np.save(folder / "identities.npy", np.concatenate(identities))


_drawn_by: dict[int, tuple[Bank, dict[str, np.ndarray], ThroughVae]] = {}


def _block(task: tuple[int, tuple[tuple[int, int], ...], int, int]) -> tuple[np.ndarray, np.ndarray]:
    parity, sizes, start, end = task
    if parity not in _drawn_by:
        bank = Bank.load(many=True)
        rows = {}
        for style in sorted({r["style"] for r in bank.table}):
            mine = (r["style"] == style and r["identity"] // 4 % 2 == parity for r in bank.table)
            rows[style] = np.flatnonzero(list(mine))
        _drawn_by[parity] = bank, rows, ThroughVae()
    bank, rows, through = _drawn_by[parity]
    crops: list[tuple[np.ndarray, int]] = []
    for index in range(start, end):
        rng = keyed(17, f"crops {parity}", index)
        width, height = sizes[int(rng.integers(len(sizes)))]
        count, drawn = int(rng.integers(2, 6)), width < 160
        crowd = not drawn and rng.random() < 0.4
        made = random_picture(
            bank, rng, width, height, count, None, 0.1 if drawn else 0.3, rows, crowd, 0.6 if drawn else 0.0
        )
        crops += head_crops(made, rng, through)
    return np.stack([c for c, _ in crops]), np.array([i for _, i in crops])


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
