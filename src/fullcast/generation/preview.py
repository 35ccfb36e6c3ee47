"""Sample pictures while training runs: `ports.Preview` over fixed scenes and seeds, so that checkpoints compare."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fullcast.generation.config import GenerationConfig
from fullcast.records import Cast, Scene


@dataclass
class ScenePreview:
    """Draws the scenes with the live pipeline; picklable, imports torch only when it draws."""

    scenes: tuple[Scene, ...]
    cast: Cast
    config: GenerationConfig

    def __call__(self, pipeline: Any, step: int, out_dir: Path) -> None:
        from fullcast.generation.generate import generate
        from fullcast.models.stable_diffusion.family import StableDiffusion

        model, name = StableDiffusion.of(pipeline), f"step-{step:06d}"
        generate(model, self.scenes, self.cast, self.config, out_dir, checkpoint=name)
