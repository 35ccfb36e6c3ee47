"""The trainer: a stream of batches and a base model in, checkpoints out; stop it anywhere, go on exactly there."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.ports import BatchStream, CaptionSource, PixelSource, Preview, Progress, silent
from fullcast.store.atomic import write_json
from fullcast.store.errors import FullcastError
from fullcast.training.checkpoint import (
    SavedTensors,
    TrainState,
    latest_resumable,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
    sweep,
    tidy,
)
from fullcast.training.config import TrainingConfig
from fullcast.training.ema import Ema
from fullcast.training.latents import LatentStore
from fullcast.training.metrics import Metrics, Probe
from fullcast.training.step import Prepared, loss_of, prepare


@dataclass(frozen=True)
class Trained:
    """How a call of `train` ended."""

    checkpoint: Path
    """The newest checkpoint: a diffusers folder."""
    step: int
    num_steps: int
    seconds: float
    """Inside the loop, over all slices of this run."""

    @property
    def finished(self) -> bool:
        return self.step >= self.num_steps


def train(
    base_dir: Path,
    stream: BatchStream,
    pixels: PixelSource,
    captions: CaptionSource,
    config: TrainingConfig,
    run_dir: Path,
    progress: Progress = silent,
    preview: Preview | None = None,
    stop: Callable[[], bool] = lambda: False,
    max_seconds: float | None = None,
    beside: Mapping[str, Path] | None = None,
    latents_dir: Path | None = None,
) -> Trained:
    """Fine-tunes the model in `base_dir` over `stream`, or goes on from the newest checkpoint in `run_dir`.

    A stop (`stop()` true, or `max_seconds` of this call used up) ends after a whole step with a checkpoint. On a CPU
    the weights after any number of stops and kills are those of an uninterrupted run, bit for bit. `beside` are files
    copied into every checkpoint by name. Raises FullcastError when `run_dir` belongs to another plan, or when the loss
    is no longer a number.
    """
    began = time.monotonic()
    run = Run.open(base_dir, stream, config, run_dir)
    store = LatentStore(latents_dir or run_dir / "latents", run.model)
    store.fill(wanted(stream, run.state.step), pixels, config.latents_batch_size, progress)
    probe = Probe.of(stream, captions, store, config.seed, config.probe_samples) if config.probe_every else None
    metrics = Metrics(run_dir / "metrics.jsonl", run.state.step)
    state, window = run.state, Window(began=time.monotonic())
    progress.start("train", stream.num_steps - state.step)
    if probe and state.step == 0:
        metrics.write(0, **probe.losses(run.model, run.power_T))

    while state.step < stream.num_steps:
        batch = stream.batch(state.step)
        ready = prepare(batch, store, captions, config, len(run.power_T))
        window.add(run.step(ready, stream.num_steps), len(batch.visits))
        for visit in batch.visits:
            state.ledger[visit.sample_id] = state.ledger.get(visit.sample_id, 0) + 1

        last = state.step == stream.num_steps
        stopping = stop() or (max_seconds is not None and time.monotonic() - began > max_seconds)
        saving = state.step % config.checkpoint_every == 0 or last or stopping
        if state.step % config.log_every == 0 or saving:  # before a save always: it finds a loss that is no number
            state.seconds += window.seconds()
            metrics.write(state.step, **window.close(state, run.rates(stream.num_steps)))
            progress.advance(window.num_steps, f"loss {window.loss:.3f}")
            window = Window(began=time.monotonic())
        if probe and (state.step % config.probe_every == 0 or last):
            metrics.write(state.step, **probe.losses(run.model, run.power_T))
        if preview and config.sample_every and (state.step % config.sample_every == 0 or last):
            with run.ema.shown(run.live):
                preview(run.model.pipeline, state.step, run_dir / "samples" / f"step-{state.step:06d}")
        if saving:
            run.save(run_dir, beside or {})
        if stopping:
            break
    progress.done()
    return Trained(
        latest_resumable(run_dir) or run.save(run_dir, beside or {}), state.step, stream.num_steps, state.seconds
    )


def wanted(stream: BatchStream, from_step: int) -> set[tuple[str, int, int]]:
    """(sample, width, height) of every visit still to come, and of the first steps, from which the probe is made."""
    steps = {*range(min(stream.num_steps, 50)), *range(from_step, stream.num_steps)}
    batches = (stream.batch(step) for step in steps)
    return {(v.sample_id, b.width, b.height) for b in batches for v in b.visits}


@dataclass
class Window:
    """Losses since the last line of metrics, left on the device until then: no copy to the host in between."""

    began: float
    total: torch.Tensor | float = 0.0
    num_steps: int = 0
    num_images: int = 0
    loss: float = 0.0

    def add(self, loss: torch.Tensor, num_images: int) -> None:
        self.total = self.total + loss
        self.num_steps += 1
        self.num_images += num_images

    def seconds(self) -> float:
        return time.monotonic() - self.began

    def close(self, state: TrainState, rates: dict[str, float]) -> dict[str, float]:
        self.loss = float(self.total) / self.num_steps
        if not self.loss == self.loss or abs(self.loss) == float("inf"):
            raise FullcastError(
                f"the loss is no longer a number (steps {state.step - self.num_steps} to {state.step}); go on from the "
                "last checkpoint with a lower learning rate"
            )
        per_second = self.num_images / max(1e-9, self.seconds())
        return {
            "loss": round(self.loss, 6),
            "seconds": round(state.seconds, 2),
            "images_per_s": round(per_second, 2),
            **rates,
        }


@dataclass
class Run:
    """The live model, its optimizer, its average and its state."""

    model: StableDiffusion
    config: TrainingConfig
    state: TrainState
    live: dict[str, torch.nn.Parameter]
    """Trained parameters by "component.parameter"."""
    optimizer: torch.optim.Optimizer
    ema: Ema
    power_T: torch.Tensor

    @classmethod
    def open(cls, base_dir: Path, stream: BatchStream, config: TrainingConfig, run_dir: Path) -> Run:
        """From the base, or from the newest checkpoint of the same run."""
        model = StableDiffusion.load(base_dir)
        fingerprint = fingerprint_of(stream, config, model)
        model.for_training(
            pick_device(config.device), config.text_encoder_learning_rate > 0, config.gradient_checkpointing
        )
        live = {f"{part}.{name}": p for part in _parts(config) for name, p in model.parameters(part)}
        optimizer = torch.optim.AdamW(
            [
                {"params": [p for name, p in live.items() if name.startswith(part + ".")], "lr": rate, "base_lr": rate}
                for part, rate in _parts(config).items()
            ],
            betas=(0.9, config.adam_beta2),
            weight_decay=config.weight_decay,
            fused=True,
        )
        run = cls(
            model, config, TrainState(fingerprint), live, optimizer, Ema(live, config.ema_decay), model.alphas_cumprod()
        )
        sweep(run_dir)
        if (checkpoint := latest_resumable(run_dir)) is not None:
            run.restore(checkpoint)
        write_json(run_dir / "training.json", {"fingerprint": fingerprint, "config": config.model_dump(mode="json")})
        return run

    def step(self, ready: Prepared, num_steps: int) -> torch.Tensor:
        """Forward, backward, update, average; returns the loss, still on the device."""
        factor = self.config.rate_at(self.state.step, num_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        loss = loss_of(self.model, ready, self.power_T, self.config)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.live.values(), self.config.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.state.step += 1
        self.ema.update(self.live, self.state.step)
        return loss.detach()

    def rates(self, num_steps: int) -> dict[str, float]:
        return {"learning_rate": self.config.learning_rate * self.config.rate_at(self.state.step - 1, num_steps)}

    def save(self, run_dir: Path, beside: Mapping[str, Path]) -> Path:
        names: dict[torch.Tensor, str] = {p: name for name, p in self.live.items()}
        tensors = SavedTensors(dict(self.live), dict(self.ema.shadow), optimizer_tensors(self.optimizer, names))
        averaged: dict[str, dict[str, torch.Tensor]] = {}
        for name, tensor in self.ema.shadow.items():
            part, key = name.split(".", 1)
            averaged.setdefault(part, {})[key] = tensor
        dtype = torch.float16 if self.config.checkpoint_dtype == "float16" else None
        state = replace(self.state, ledger=dict(sorted(self.state.ledger.items())))
        path = save_checkpoint(
            run_dir, state, tensors, lambda folder: self.model.write(folder, dtype, averaged), beside
        )
        tidy(run_dir, self.config.keep_states, self.config.keep_checkpoints)
        return path

    @torch.no_grad()
    def restore(self, checkpoint: Path) -> None:
        self.state, tensors = load_checkpoint(checkpoint, self.state.fingerprint)
        for name, parameter in self.live.items():
            parameter.copy_(tensors.live[name])
            self.ema.shadow[name].copy_(tensors.ema[name])
        restore_optimizer(self.optimizer, self.live, tensors.optimizer)


def _parts(config: TrainingConfig) -> dict[str, float]:
    """Trained components and their rates."""
    parts = {"denoiser": config.learning_rate}
    if config.text_encoder_learning_rate > 0:
        parts["text_encoder"] = config.text_encoder_learning_rate
    return parts


def fingerprint_of(stream: BatchStream, config: TrainingConfig, model: StableDiffusion) -> str:
    """sha256 over what the weights depend on: the plan, the settings and the base."""
    told = json.dumps([stream.fingerprint(), config.about_weights(), model.sha256()], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def pick_device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)
