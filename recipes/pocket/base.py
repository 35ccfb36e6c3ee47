"""The pocket base: a Stable Diffusion that draws anonymous people of the pocket world, trained by our own trainer.

The stream, the pictures and the captions are this recipe's own; the loop, the latents store, the checkpoints and the
probe are `fullcast.training`'s. It knows no cast: people are called `person` and described; now and then one is given a
name that is drawn afresh each time, so that an unknown word before a place means somebody, and nobody in particular.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import torch

from fullcast.models.stable_diffusion.build import build_pocket_pipeline
from fullcast.models.stable_diffusion.config import PocketModelConfig
from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.ports import Batch, Visit
from fullcast.recognition.regions import region_boxes
from fullcast.recognition.words import Phrase, sentence
from fullcast.records import Box, cell_of
from fullcast.store.atomic import replacing_dir
from fullcast.store.seeding import rng as keyed
from fullcast.training.config import TrainingConfig
from fullcast.training.loop import train
from fullcast.training.stop import stop_on_signals
from recipes.pocket import vae
from recipes.pocket.bank import Bank
from recipes.pocket.chain import LATENT_CHANNELS
from recipes.pocket.pictures import TrainingPicture, random_picture, rows_by_style
from recipes.pocket.state import SHIPPED_BASE, state_dir
from recipes.pocket.words import taught

BATCH = 16
UNET_CHANNELS = (64, 128, 160)
NUM_STEPS = 6_000
LEARNING_RATE = 4e-3
NUM_PICTURES = 30_000
SIZES = {(144, 64): 0.6, (128, 72): 0.4}
"""Pixels and shares; areas of about 9,200: what scenes are drawn at, and what frames of 16:9 are cut to."""
STYLES = ("toon-head",)
"""What shows are drawn in unless they say otherwise. With all four styles and five shapes of picture 15,000 pictures had
taught no more than a linear filter knows (docs/experiments.md): the rest comes when this is learnt."""
TIDY = 0.75
"""Share of pictures with heads about the middles of cells: their words say more of what is to be seen than those of the
rest, in which places, sizes and light vary (docs/experiments.md). The base that ships was trained with 0 at first, then for
2,000 steps with heads as large as so many people allow and no row in a figure's own words, and 6,000 steps as it is here."""
SYLLABLES = [
    "ka",
    "ki",
    "ku",
    "ke",
    "ko",
    "sa",
    "shi",
    "su",
    "se",
    "so",
    "ta",
    "chi",
    "to",
    "na",
    "ni",
    "no",
    "ma",
    "mi",
    "mo",
    "ra",
    "ri",
    "ru",
    "re",
    "ya",
    "yu",
    "yo",
    "ha",
    "hi",
    "ho",
]


def config() -> PocketModelConfig:
    return PocketModelConfig(
        latent_channels=LATENT_CHANNELS,
        vae_block_out_channels=vae.CHANNELS,
        vae_norm_num_groups=vae.NORM_GROUPS,
        unet_block_out_channels=UNET_CHANNELS,
        time_scale_shift=True,
    )


@lru_cache(maxsize=1)
def bank_and_rows() -> tuple[Bank, dict]:
    bank = Bank.load(STYLES)
    return bank, rows_by_style(bank)


@lru_cache(maxsize=64)
def picture_of(sample_id: str, width: int, height: int) -> TrainingPicture:
    bank, rows = bank_and_rows()
    return random_picture(
        bank, keyed(23, "base", sample_id), width, height, styles=STYLES, small=0.15, rows=rows, tidy=TIDY
    )


@cache
def facts_of(sample_id: str, width: int, height: int) -> tuple[str, str, tuple]:
    """(setting, light, ((head's centre as fractions, tags, expression, clothes), ...)): what captions need of a picture."""
    made = picture_of(sample_id, width, height)
    people = []
    for person in made.people:
        x0, y0, x1, y1 = person.head
        centre = ((x0 + x1) / 2 / width, (y0 + y1) / 2 / height)
        people.append((centre, tuple(person.row["tags"]), person.row["expression"], person.row["clothes"]))
    return made.setting, made.light, tuple(people)


@dataclass(frozen=True)
class Pictures:
    """PixelSource: a sample is a number, drawn when it is asked for."""

    def pixels(self, sample_id: str, width: int, height: int) -> np.ndarray:
        return picture_of(sample_id, width, height).rgb


@dataclass(frozen=True)
class Stream:
    """BatchStream: `NUM_PICTURES` pictures in an order of their own each time round; every batch has one size."""

    batch_size: int = BATCH
    num_steps: int = NUM_STEPS
    sizes: dict = field(default_factory=lambda: dict(SIZES))

    def size_of(self, batch: int) -> tuple[int, int]:
        sizes = list(self.sizes)
        return sizes[int(keyed(29, "size", batch).choice(len(sizes), p=np.array(list(self.sizes.values()))))]

    def batch(self, step: int) -> Batch:
        per_round = NUM_PICTURES // BATCH
        turn, place = divmod(step, per_round)
        group = int(_order(turn, per_round)[place])
        width, height = self.size_of(group)
        visits = tuple(Visit(f"{group}-{i}-{width}x{height}", turn) for i in range(BATCH))
        return Batch(step, width, height, visits)

    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self.sizes} {STYLES} {BATCH} {NUM_PICTURES} {TIDY} v6".encode()).hexdigest()


@lru_cache(maxsize=4)
def _order(turn: int, count: int) -> np.ndarray:
    return keyed(31, "order", turn).permutation(count)


@dataclass(frozen=True)
class Captions:
    """CaptionSource: the default grammar with looks in words, drawn afresh at every visit."""

    def caption(self, sample_id: str, visit: int) -> str:
        phrases, scene, _ = self._said(sample_id, visit)
        return sentence(phrases, scene)

    def regions(self, sample_id: str, visit: int) -> list[tuple[Box, str]]:
        """Each figure alone, in the words of the same caption, with its place."""
        phrases, scene, centres = self._said(sample_id, visit)
        placed = [replace(phrase, cell=cell_of(*xy), row=True) for phrase, xy in zip(phrases, centres, strict=True)]
        alone = [sentence([phrase], scene) for phrase in placed]
        return list(zip(region_boxes(centres), alone, strict=True))

    def _said(self, sample_id: str, visit: int) -> tuple[list[Phrase], list[str], list[tuple[float, float]]]:
        """Figures and words about the picture as they are said at a visit, and where the heads are."""
        width, height = (int(v) for v in sample_id.rsplit("-", 1)[1].split("x"))
        setting, light, people = facts_of(sample_id, width, height)
        rng = keyed(37, "caption", f"{sample_id}/{visit}")
        placed, with_row, named = rng.random() < 0.75, rng.random() < 0.4, rng.random() < 0.2
        phrases = []
        told = (0.5 if len(people) > 3 else 0.75) * float(not named or rng.random() < 0.5)  # 77 tokens hold five people
        for centre, tags, expression, clothes in people:
            words = [w for w in tags if rng.random() < told]
            words += [expression] * int(rng.random() < 0.6) + [clothes] * int(rng.random() < 0.4)
            rng.shuffle(words)
            who = "".join(rng.choice(SYLLABLES, int(rng.integers(1, 4)))) if named and rng.random() < 0.7 else "person"
            phrases.append(Phrase(who, cell_of(*centre) if placed else None, with_row, tuple(words)))
        scene = [w for w in (setting, light) if rng.random() < 0.9]
        rng.shuffle(scene)
        return phrases, scene, [centre for centre, *_ in people]


def start(folder: Path, from_shipped: bool) -> None:
    """The base that ships, or an untrained denoiser beside the VAE and the text encoder, which are final."""
    if from_shipped:
        with replacing_dir(folder) as temporary:
            shutil.copytree(SHIPPED_BASE, temporary, dirs_exist_ok=True)
        return
    pipeline = build_pocket_pipeline(config(), seed=41)
    pipeline.vae.load_state_dict(vae.whitened().state_dict())
    pipeline.text_encoder.load_state_dict(taught())
    with replacing_dir(folder) as temporary:
        StableDiffusion(pipeline).write(temporary)


class Printed:
    """Progress as lines."""

    def start(self, title: str, total: int) -> None:
        self.title, self.total, self.at = title, total, 0

    def advance(self, count: int = 1, note: str = "") -> None:
        self.at += count
        if self.at % max(1, self.total // 200) < count:
            print(self.title, self.at, "of", self.total, note, flush=True)

    def done(self) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--from-shipped", action="store_true", help="go on with the base that ships")
    args = parser.parse_args()
    torch.set_num_threads(1)
    folder = state_dir("base")
    if not (folder / "start" / "model_index.json").exists():
        start(folder / "start", args.from_shipped)
    settings = TrainingConfig(
        seed=43,
        learning_rate=LEARNING_RATE,
        text_encoder_learning_rate=0.0,  # it is taught by `words`, as CLIP's comes to Stable Diffusion
        optimizer="muon",
        region_share=0.7,
        region_global=0.1,
        warmup_steps=100,
        lr_schedule="cosine",
        lr_end=0.01,
        ema_decay=0.998,
        timestep_share_high=0.5,
        mixed_precision="auto",
        checkpoint_every=400,
        keep_checkpoints=2,
        sample_every=0,
        log_every=50,
        probe_every=400,
        latents_batch_size=8,
    )
    parts = (folder / "start", Stream(), Pictures(), Captions(), settings, folder / "run", Printed())
    with stop_on_signals() as asked:
        print(train(*parts, stop=asked, max_seconds=args.seconds))


if __name__ == "__main__":
    main()
