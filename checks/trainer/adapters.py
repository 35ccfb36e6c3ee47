"""Line 7: a LoRA trained here draws the same in plain diffusers, from kohya's layout and from PEFT's."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors import safe_open

from checks.framework import ROOT, Context, Figure, Goal, passed
from checks.trainer import CHECK
from checks.trainer.world import CONFIG, Captions, Pixels, Stream, base
from fullcast.models.stable_diffusion.folder import KOHYA_FILE, PEFT_FILE
from fullcast.training.loop import train

PAGE = ROOT / "docs" / "training.md"
VERBS = ("new", "prepare", "plan", "train", "export", "pack", "unpack")


@CHECK.line(7, "a LoRA in plain diffusers, in kohya's layout and PEFT's; the page that leads to a checkpoint")
def adapters(context: Context) -> Iterable[Figure]:
    torch.set_num_threads(1)
    folder = context.work_dir / "trainer-7"
    shutil.rmtree(folder, ignore_errors=True)
    model = base(folder / "base")
    config = CONFIG.model_copy(update={"changes": (), "lora_rank": 4, "lora_alpha": 6.0, "learning_rate": 2e-2})
    done = train(model, Stream(num_steps=8), Pixels(), Captions(), config, folder / "run")
    plain = picture(model)
    trained = picture(done.checkpoint)
    change = float((trained - plain).abs().max())
    yield Figure("the LoRA changes the picture by", change, Goal(">=", 1e-2), n=plain.numel())
    for name, file in (("kohya's layout", KOHYA_FILE), ("PEFT's layout", PEFT_FILE)):
        drawn = picture(model, done.checkpoint / file)
        worst = float((drawn - trained).abs().max())
        yield Figure(f"diffusers with {name} against our merged model", worst, Goal("<=", 1e-4), n=drawn.numel())
    with safe_open(done.checkpoint / KOHYA_FILE, "pt") as file:
        names = sorted(file.keys())
        told = file.metadata() or {}
    shape = re.compile(r"^lora_(unet|te)_[a-z0-9_]+\.(lora_down\.weight|lora_up\.weight|alpha)$")
    yield Figure("names that are not kohya's", sum(not shape.match(n) for n in names), Goal("=", 0), n=len(names))
    names_of_packages = ", ".join(f"{name} {version(name)}" for name in ("diffusers", "transformers", "peft"))
    yield Figure("packages that loaded it", 3, note=names_of_packages)
    yield passed("modelspec says LoRA", told.get("modelspec.architecture", "").endswith("/lora"))
    yield from _page()


@torch.no_grad()
def picture(model: Path, lora: Path | None = None) -> torch.Tensor:
    """Latents of a prompt after four steps of plain diffusers, guidance off: (1, C, h, w)."""
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(
        model, local_files_only=True, safety_checker=None, torch_dtype=torch.float32
    )
    pipeline.set_progress_bar_config(disable=True)
    if lora is not None:
        pipeline.load_lora_weights(lora.parent, weight_name=lora.name)
    draw = torch.Generator().manual_seed(1)
    asked = {"num_inference_steps": 4, "guidance_scale": 1.0, "height": 32, "width": 48, "output_type": "latent"}
    return pipeline("a red wall", generator=draw, **asked).images


def _page() -> Iterable[Figure]:
    text = PAGE.read_text(encoding="utf-8")
    for verb in VERBS:
        yield passed(f"docs/training.md shows fullcast {verb}", f"fullcast {verb}" in text)
    yield passed("docs/training.md has the two stages of the seed", text.count("[[stages]]") >= 2)
