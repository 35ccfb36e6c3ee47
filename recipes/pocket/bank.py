"""Thousands of figures and backgrounds drawn once, so that composing a training picture takes a millisecond."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from fullcast.pocket.backgrounds import SETTINGS, draw_background
from fullcast.pocket.bodies import POSES, random_outfit
from fullcast.pocket.heads import EXPRESSIONS
from fullcast.pocket.looks import ACCESSORIES, HAIR, HAIR_COLORS, SKINS, TRAINING_STYLES, Look, jitter, random_look
from fullcast.pocket.sprites import draw_figure
from fullcast.store.seeding import rng as keyed
from recipes.pocket.state import state_dir

SKULL_PX = 80
IDENTITIES = {"toon-head": 900, "adventurer": 420, "big-smile": 160, "personas": 160}
RENDERS = 5
MANY = {"toon-head": 2400, "adventurer": 640, "big-smile": 240, "personas": 240}
MANY_RENDERS = 3
"""What embedders learn from: who tells people apart must have seen many people, and few drawings of each."""
BACKGROUNDS = 60
"""Per setting."""


def near_twin(rng: np.random.Generator, look: Look) -> Look:
    """The look with exactly one trait changed, on the training side of the split."""
    while True:
        match rng.integers(4):
            case 0:
                twin = replace(look, hair=str(rng.choice(list(HAIR[look.style]))))
            case 1:
                word = str(rng.choice(list(HAIR_COLORS)))
                twin = replace(look, hair_color_word=word, hair_color=jitter(rng, HAIR_COLORS[word]))
            case 2:
                twin = replace(look, accessory=str(rng.choice(ACCESSORIES)))
            case _:
                twin = replace(look, skin=str(rng.choice(list(SKINS.values()))))
        if twin.traits != look.traits and not twin.for_shows:
            return twin


def identities(style: str, count: int) -> list[Look]:
    """Training looks; each third and fourth of four is a near twin of the first."""
    looks: list[Look] = []
    for index in range(count):
        rng = keyed(7, f"bank {style}", index)
        twin_of = index - index % 4
        looks.append(near_twin(rng, looks[twin_of]) if index % 4 >= 2 else random_look(rng, style, for_shows=False))
    return looks


@dataclass(frozen=True)
class Bank:
    """Memory-mapped sprites. Row i of `table`: identity, style, tags, expression, clothes, pose, offset, shape, chin, head."""

    table: list[dict]
    pixels: np.ndarray
    backgrounds: np.ndarray
    """(settings, BACKGROUNDS, 216, 384, 3) uint8."""

    def sprite(self, index: int) -> np.ndarray:
        """(H, W, 4) uint8."""
        row = self.table[index]
        h, w = row["shape"]
        return self.pixels[row["offset"] : row["offset"] + h * w * 4].reshape(h, w, 4)

    @staticmethod
    def load(styles: tuple[str, ...] = TRAINING_STYLES, many: bool = False) -> Bank:
        """What is drawn in the first few of `TRAINING_STYLES`, or all: drawn where it is not there yet."""
        name = "bank-many" if many else "bank"
        folder = state_dir(name if styles == TRAINING_STYLES else "-".join((name, *styles)))
        if not (folder / "table.json").exists():
            build(folder, styles, *((MANY, MANY_RENDERS) if many else (IDENTITIES, RENDERS)))
        table = json.loads((folder / "table.json").read_text())
        return Bank(
            table, np.load(folder / "pixels.npy", mmap_mode="r"), np.load(folder / "backgrounds.npy", mmap_mode="r")
        )


def build(folder: Path, styles: tuple[str, ...], counts: dict[str, int], renders: int) -> None:
    if styles != TRAINING_STYLES[: len(styles)]:
        raise ValueError(f"{styles} are not the first of {TRAINING_STYLES}: figures would differ from bank to bank")
    backgrounds = np.stack(
        [np.stack([draw_background(s, 10_000 + i, 384, 216) for i in range(BACKGROUNDS)]) for s in SETTINGS]
    )
    np.save(folder / "backgrounds.npy", backgrounds)
    table, chunks, offset, identity = [], [], 0, 0
    for style in styles:
        for look in identities(style, counts[style]):
            for render in range(renders):
                rng = keyed(7, "render", f"{identity}/{render}")
                outfit = random_outfit(rng)
                expression, pose = str(rng.choice(EXPRESSIONS)), str(rng.choice(POSES))
                sprite = draw_figure(
                    look, outfit, expression, pose, SKULL_PX, bool(rng.random() < 0.25), int(rng.choice((-6, 0, 0, 6)))
                )
                rgba, (x0, y0) = trim(sprite.rgba)
                row = asdict(look) | {
                    "identity": identity,
                    "tags": look.tags,
                    "expression": expression,
                    "clothes": outfit.kind,
                    "pose": pose,
                    "offset": offset,
                    "shape": rgba.shape[:2],
                    "chin": (sprite.chin[0] - x0, sprite.chin[1] - y0),
                    "head": [sprite.head[0] - x0, sprite.head[1] - y0, sprite.head[2] - x0, sprite.head[3] - y0],
                }
                table.append(row)
                chunks.append(rgba.reshape(-1))
                offset += rgba.size
            identity += 1
        print(style, len(table), file=sys.stderr, flush=True)
    np.save(folder / "pixels.npy", np.concatenate(chunks))
    (folder / "table.json").write_text(json.dumps(table))


def trim(rgba: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """Without empty rows and columns, and where its corner was."""
    ys, xs = np.nonzero(rgba[..., 3].any(1))[0], np.nonzero(rgba[..., 3].any(0))[0]
    return np.ascontiguousarray(rgba[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]), (int(xs[0]), int(ys[0]))


if __name__ == "__main__":
    bank = Bank.load()
    print(len(bank.table), "sprites,", bank.pixels.nbytes / 1e6, "MB")
