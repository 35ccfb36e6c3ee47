"""Line 3: SD 1.5 at its full size: one training step, the single file written, opened by diffusers, read back.

Random weights; about 15 GB of memory for a few minutes. 64 x 64 pixels, so that the step is one of memory and not of
patience: the network is whole, the picture small.
"""

from __future__ import annotations

import gzip
import json
import resource
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from checks.framework import ROOT, Context, Figure, Goal, passed, short
from checks.trainer import CHECK
from checks.trainer.kills import in_child
from checks.trainer.world import Stream
from fullcast.models.stable_diffusion.folder import read_components, save_pipeline
from fullcast.models.stable_diffusion.layout import FAMILIES, entries, shipped_configs
from fullcast.models.stable_diffusion.single_file import SingleFile, folder_to_single, read_single_file
from fullcast.models.stable_diffusion.single_pipeline import build, empty_network
from fullcast.training.config import TrainingConfig

KEYS = ROOT / "tests" / "models" / "checkpoint_keys"
PARAMETERS = 859_520_964
NEEDED = 17e9
"""Bytes of memory that must be free: weights, gradients and two moments in float32 are 13.8 GB."""


@CHECK.line(3, "SD 1.5 at full size: a step with checkpointing, the single file, the published names of three families")
def full_size(context: Context) -> Iterable[Figure]:
    for family in FAMILIES:
        published = json.loads(gzip.decompress((KEYS / f"{family}.json.gz").read_bytes()))["single_file"]
        ours = {entry.single for entry in entries(family, shipped_configs(family))}
        different = len(ours ^ set(published))
        yield Figure(f"names that differ from the published ones, {family}", different, Goal("=", 0), n=len(ours))
    folder = context.work_dir / "trainer-3"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if (free := available()) < NEEDED:
        yield short("a step at full size", f"{free / 1e9:.1f} GB of memory are free and {NEEDED / 1e9:.0f} are needed")
        return
    for name, work in (("make", make), ("files", compare_files), ("step", one_step)):
        context.say(name)  # each in a process of its own: its memory is given back
        status = in_child(lambda work=work: work(folder))
        if status:
            yield short(name, f"its process ended with code {status}")
            return
    yield from _told(json.loads((folder / "files.json").read_text()), json.loads((folder / "step.json").read_text()))
    shutil.rmtree(folder)


def available() -> float:
    """Bytes of memory that a new process may take."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))


def _told(files: Mapping[str, Any], step: Mapping[str, Any]) -> Iterator[Figure]:
    yield Figure("parameters of the U-Net", step["parameters"], Goal("=", PARAMETERS))
    yield passed("the loss of the step is a number", bool(np.isfinite(step["loss"])), f"{step['loss']:.4f}")
    count = step["tensors"]
    yield Figure("tensors of the U-Net that the step moved", step["moved"], Goal("=", count), n=count)
    yield Figure("processor time of the step, s", step["seconds"])
    yield Figure("peak memory, GB", step["peak_gb"], Goal("<=", 16.5))
    yield Figure("size of the single file, GB", files["gb"])
    yield Figure("tensors that differ, read back by us", files["differ_ours"], Goal("=", 0), n=files["tensors"])
    other = files["differ_theirs"]
    yield Figure("tensors that differ, opened by plain diffusers", other, Goal("=", 0), n=files["theirs"])


def make(folder: Path) -> None:
    """The model as a diffusers folder in float16: numbers from one random block, norms about 1."""
    block = torch.randn(1 << 22, generator=torch.Generator().manual_seed(0)).mul_(0.02).half()
    configs, place = shipped_configs("sd1"), 0
    components: dict[str, dict[str, torch.Tensor]] = {}
    for name in ("unet", "vae", "text_encoder"):
        components[name] = {}
        for key, empty in empty_network(name, configs[name]).state_dict().items():
            count = empty.numel()
            numbers = block.roll(place).repeat(-(-count // len(block)))[:count].view(empty.shape)
            components[name][key] = numbers + 1 if "norm" in key and key.endswith("weight") else numbers
            place += 7919
    save_pipeline(build(SingleFile("sd1", components, "epsilon"), configs), folder / "model", torch.float16)


def compare_files(folder: Path) -> None:
    """Writes the single file; counts the tensors that come back otherwise."""
    from diffusers import StableDiffusionPipeline

    path = folder_to_single(folder / "model", folder / "model.safetensors")
    held, again = read_components(folder / "model").weights, read_single_file(path).components
    names = [(part, key) for part, tensors in held.items() for key in tensors]
    differ = sum(not torch.equal(held[part][key], again[part][key]) for part, key in names)
    del again
    theirs = StableDiffusionPipeline.from_single_file(
        str(path), config=str(folder / "model"), local_files_only=True, torch_dtype=torch.float16
    )
    other, count = 0, 0
    for part in ("unet", "vae", "text_encoder"):
        for key, tensor in getattr(theirs, part).state_dict().items():
            own = held[part].get(key, held[part].get(f"text_model.{key}"))
            if own is not None:
                count += 1
                other += not torch.equal(own, tensor)
    told = {"gb": path.stat().st_size / 1e9, "tensors": len(names), "differ_ours": differ}
    (folder / "files.json").write_text(json.dumps({**told, "differ_theirs": other, "theirs": count}))


def one_step(folder: Path) -> None:
    """A step of the trainer, checkpointing on, text encoder frozen, no average."""
    from checks.trainer.speed import open_training

    config = TrainingConfig(
        learning_rate=1e-5,
        text_encoder_learning_rate=0.0,
        ema_decay=0.0,
        gradient_checkpointing=True,
        warmup_steps=0,
        probe_every=0,
        sample_every=0,
        prefetch=0,
        background_saves=False,
        device="cpu",
    )
    training = open_training(folder / "model", folder / "run", Stream(1, 1, ((64, 64),)), config)
    run = training.run
    before = {name: p.detach().flatten()[:64].clone() for name, p in run.live.items()}
    ((_, ready),) = list(training._batches())
    began = time.process_time()
    stepped = run.step(ready, 1)
    told = {
        "seconds": time.process_time() - began,
        "loss": float(stepped.loss),
        "parameters": sum(p.numel() for p in run.model.module("denoiser").parameters()),
        "tensors": len(run.live),
        "moved": sum(not torch.equal(before[name], p.detach().flatten()[:64]) for name, p in run.live.items()),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }
    (folder / "step.json").write_text(json.dumps(told))
