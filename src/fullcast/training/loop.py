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
from fullcast.training.metrics import Metrics, NoMetrics, Probe
from fullcast.training.ranks import Ranks
from fullcast.training.step import Network, Prepared, loss_of, prepare

ONE = Ranks()

RATES = {"denoiser": "learning_rate", "text_encoder": "text_encoder_learning_rate"}
"""Setting of each component's rate."""


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
    copied into every checkpoint by name. Under torchrun every batch is shared by all processes; the ledger counts whole
    batches, so it is that of one process. Raises FullcastError when `run_dir` belongs to another plan, or when the loss
    is no longer a number.
    """
    began = time.monotonic()
    ranks = Ranks.from_environment()
    progress = progress if ranks.is_main else silent
    run = Run.open(base_dir, stream, config, run_dir, ranks)
    if ranks.is_main:
        store = LatentStore(latents_dir or run_dir / "latents", run.model)
        store.fill(wanted(stream, run.state.step), pixels, config.latents_batch_size, progress)
    ranks.wait()
    store = LatentStore(latents_dir or run_dir / "latents", run.model)
    probe = (
        Probe.of(stream, captions, store, config.seed, config.probe_samples)
        if config.probe_every and ranks.is_main
        else None
    )
    metrics = Metrics(run_dir / "metrics.jsonl", run.state.step) if ranks.is_main else NoMetrics()
    state, window = run.state, Window(began=time.monotonic())
    progress.start("train", stream.num_steps - state.step)
    if probe and state.step == 0:
        metrics.write(0, **probe.losses(run.model, run.power_T))

    while state.step < stream.num_steps:
        batch = stream.batch(state.step)
        ready = prepare(ranks.share(batch), store, captions, config.at(state.step), len(run.power_T))
        window.add(run.step(ready, stream.num_steps), len(batch.visits))
        for visit in batch.visits:
            state.ledger[visit.sample_id] = state.ledger.get(visit.sample_id, 0) + 1

        last = state.step == stream.num_steps
        stopping = ranks.any(
            stop() or (max_seconds is not None and time.monotonic() - began > max_seconds), run.model.device
        )
        saving = state.step % config.checkpoint_every == 0 or last or stopping
        if state.step % config.log_every == 0 or saving:  # before a save always: it finds a loss that is no number
            state.seconds += window.seconds()
            metrics.write(state.step, **window.close(state, ranks, run.rates(stream.num_steps)))
            progress.advance(window.num_steps, f"loss {window.loss:.3f}")
            window = Window(began=time.monotonic())
        if probe and (state.step % config.probe_every == 0 or last):
            metrics.write(state.step, **probe.losses(run.model, run.power_T))
        if preview and ranks.is_main and config.sample_every and (state.step % config.sample_every == 0 or last):
            with run.ema.shown(run.live):
                preview(run.model.pipeline, state.step, run_dir / "samples" / f"step-{state.step:06d}")
        if saving and ranks.is_main:
            run.save(run_dir, beside or {})
        if stopping:
            break
    progress.done()
    if ranks.is_main and latest_resumable(run_dir) is None:
        run.save(run_dir, beside or {})
    ranks.wait()
    newest = latest_resumable(run_dir)
    assert newest is not None
    return Trained(newest, state.step, stream.num_steps, state.seconds)


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

    @property
    def device(self) -> torch.device:
        return self.total.device if isinstance(self.total, torch.Tensor) else torch.device("cpu")

    def seconds(self) -> float:
        return time.monotonic() - self.began

    def close(self, state: TrainState, ranks: Ranks, rates: dict[str, float]) -> dict[str, float]:
        self.loss = ranks.mean(self.total, self.device) / self.num_steps
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
    network: torch.nn.Module
    """What the loss is computed through: the model's two trained parts, replicated over the ranks."""

    @classmethod
    def open(
        cls, base_dir: Path, stream: BatchStream, config: TrainingConfig, run_dir: Path, ranks: Ranks = ONE
    ) -> Run:
        """From the base, or from the newest checkpoint of the same run."""
        model = StableDiffusion.load(base_dir)
        fingerprint = fingerprint_of(stream, config, model)
        model.for_training(ranks.device(config.device), "text_encoder" in _parts(config), config.gradient_checkpointing)
        live = {f"{part}.{name}": p for part in _parts(config) for name, p in model.parameters(part)}
        optimizer = torch.optim.AdamW(
            [
                {"params": [p for name, p in live.items() if name.startswith(part + ".")], "lr": rate, "part": part}
                for part, rate in _parts(config).items()
            ],
            betas=(0.9, config.adam_beta2),
            weight_decay=config.weight_decay,
            fused=True,
        )
        network = Network(model, "text_encoder" in _parts(config))
        ema = Ema(live, config.ema_decay)
        run = cls(model, config, TrainState(fingerprint), live, optimizer, ema, model.alphas_cumprod(), network)
        if ranks.is_main:
            sweep(run_dir)
            about = {"fingerprint": fingerprint, "config": config.model_dump(mode="json")}
            write_json(run_dir / "training.json", about)
        checkpoint = ranks.told_by_main(latest_resumable(run_dir))
        if checkpoint is not None:
            run.restore(checkpoint)
        run.network = ranks.replicate(network)
        return run

    def step(self, ready: Prepared, num_steps: int) -> torch.Tensor:
        """Forward, backward, update, average; returns the loss, still on the device."""
        config = self.config.at(self.state.step)
        rates = {part: getattr(config, setting) for part, setting in RATES.items()}
        factor = config.rate_at(self.state.step, num_steps)
        loss = loss_of(self.network, self.model, ready, self.power_T, config)
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = rates[group["part"]] * factor
            if not rates[group["part"]]:  # frozen in this stage: neither moved nor counted in the norm
                for parameter in group["params"]:
                    parameter.grad = None
        torch.nn.utils.clip_grad_norm_(self.live.values(), self.config.max_grad_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.state.step += 1
        self.ema.update(self.live, self.state.step)
        return loss.detach()

    def rates(self, num_steps: int) -> dict[str, float]:
        config = self.config.at(self.state.step - 1)
        return {"learning_rate": config.learning_rate * config.rate_at(self.state.step - 1, num_steps)}

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
    """Components that are trained in any stage, and their highest rates."""
    parts = {part: config.highest(setting) for part, setting in RATES.items()}
    return {part: rate for part, rate in parts.items() if rate > 0}


def fingerprint_of(stream: BatchStream, config: TrainingConfig, model: StableDiffusion) -> str:
    """sha256 over what the weights depend on: the plan, the settings and the base."""
    told = json.dumps([stream.fingerprint(), config.about_weights(), model.sha256()], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()
