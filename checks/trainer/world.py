"""A world of four colours for the trainer: a real pipeline of a few thousand numbers, two sizes, two stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from fullcast.models.stable_diffusion.build import build_pocket_pipeline
from fullcast.models.stable_diffusion.config import PocketModelConfig
from fullcast.models.stable_diffusion.folder import save_pipeline
from fullcast.ports import Batch, Visit
from fullcast.store.seeding import rng
from fullcast.training.config import Change, TrainingConfig

TINY = PocketModelConfig(
    width=48,
    height=32,
    latent_channels=4,
    vae_block_out_channels=(8, 8, 8),
    vae_norm_num_groups=4,
    unet_block_out_channels=(8, 16),
    attention_levels=(0, 1),
    unet_norm_num_groups=4,
    attention_head_width=4,
    text_hidden_size=16,
    text_num_layers=1,
    text_num_heads=2,
    vocabulary_size=800,
)
COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220), "green": (30, 200, 30), "white": (250, 250, 250)}
SIZES = ((48, 32), (32, 48), (32, 32))
STAGE_AT = 12
"""First step of the second stage."""
CONFIG = TrainingConfig(
    learning_rate=2e-3,
    text_encoder_learning_rate=2e-3,
    warmup_steps=2,
    checkpoint_every=4,
    log_every=2,
    probe_every=0,
    sample_every=0,
    device="cpu",
    changes=(
        Change(from_step=0, settings={"text_encoder_learning_rate": 0.0}),
        Change(from_step=STAGE_AT, settings={"learning_rate": 1e-3, "caption_dropout_rate": 0.5}),
    ),
)


@dataclass(frozen=True)
class Stream:
    """`ports.BatchStream`: sizes in turn, samples drawn by step."""

    batch_size: int = 4
    num_steps: int = 24
    sizes: tuple[tuple[int, int], ...] = SIZES[:2]

    def batch(self, step: int) -> Batch:
        names = [str(rng(0, "order", f"{step}/{i}").choice(sorted(COLOURS))) for i in range(self.batch_size)]
        width, height = self.sizes[step % len(self.sizes)]
        return Batch(step, width, height, tuple(Visit(name, step) for name in names))

    def fingerprint(self) -> str:
        return f"colours, {self.batch_size} x {self.num_steps}, {self.sizes}"


class Pixels:
    """`ports.PixelSource`: one colour each."""

    def pixels(self, sample_id: str, width: int, height: int) -> np.ndarray:
        return np.full((height, width, 3), COLOURS[sample_id], dtype=np.uint8)


class Captions:
    """`ports.CaptionSource`: other words at each visit."""

    def caption(self, sample_id: str, visit: int) -> str:
        return f"{sample_id} wall" if visit % 2 else f"a {sample_id} wall"


def base(folder: Path, config: PocketModelConfig = TINY) -> Path:
    """The untrained model; made once."""
    if not (folder / "model_index.json").exists():
        save_pipeline(build_pocket_pipeline(config), folder)
    return folder


def hashes(checkpoint: Path) -> dict[str, str]:
    """sha256 of every file of weights and state in a checkpoint."""
    files = sorted(checkpoint.rglob("*.safetensors"))
    return {str(p.relative_to(checkpoint)): sha256(p.read_bytes()).hexdigest() for p in files}


def differing(a: dict[str, Any], b: dict[str, Any]) -> Sequence[str]:
    """Names whose values are not the same in both."""
    return sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k))
