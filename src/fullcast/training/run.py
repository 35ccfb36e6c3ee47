"""The live model, its optimizer, its average and its state: one step of them, saved and brought back."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from fullcast.models.stable_diffusion.adapter import add_adapter, merged, without_adapter, write_adapter
from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.ports import BatchStream
from fullcast.store.atomic import write_json
from fullcast.store.errors import FullcastError
from fullcast.training.binding import bound
from fullcast.training.checkpoint import (
    Loaded,
    SavedTensors,
    load_checkpoint,
    load_newest,
    optimizer_tensors,
    restore_optimizer,
)
from fullcast.training.config import TrainingConfig
from fullcast.training.ema import Ema
from fullcast.training.kept import TrainState, sweep
from fullcast.training.muon import is_matrix
from fullcast.training.optimizers import RoundingAdamW, clip, make_optimizer, step_unless
from fullcast.training.ranks import Ranks, whole
from fullcast.training.step import Network, Prepared, Says, Teacher, in_bf16, loss_of
from fullcast.training.words import TextCache

ONE = Ranks()
RATES = {"denoiser": "learning_rate", "text_encoder": "text_encoder_learning_rate"}
"""Setting of each component's rate; SDXL's second text encoder has that of the first."""


@dataclass(frozen=True)
class Snapshot:
    """What a checkpoint is written from, while the training goes on."""

    state: TrainState
    tensors: SavedTensors
    write_model: Callable[[Path], None]


@dataclass(frozen=True)
class Stepped:
    """What a step leaves on the device: loss and the gradient's L2 norm before it was scaled down, both 0-d."""

    loss: torch.Tensor
    norm: torch.Tensor


@dataclass
class Run:
    """One training as it stands after `state.step` steps."""

    model: StableDiffusion
    config: TrainingConfig
    state: TrainState
    live: dict[str, torch.nn.Parameter]
    """Trained parameters by "component.parameter"."""
    optimizer: torch.optim.Optimizer
    ema: Ema
    power_T: torch.Tensor
    """(T,) float64 on the model's device."""
    network: torch.nn.Module
    """What the loss is computed through: the trained parts, replicated or sharded over the ranks."""
    ranks: Ranks = ONE
    text: TextCache | None = None
    teacher: Teacher | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    """What the file of a LoRA says of itself, see `write_adapter`."""
    passed_over: tuple[str, ...] = ()
    """Newer checkpoints that could not be read, in sentences."""

    @classmethod
    def open(
        cls, base_dir: Path, stream: BatchStream, config: TrainingConfig, run_dir: Path, ranks: Ranks = ONE
    ) -> Run:
        """From the base, or from the newest checkpoint of the same run. FullcastError for settings that this base, or
        this number of processes, cannot have."""
        if is_sharded(config, ranks) and (told := config.unmeasured()):
            raise FullcastError(told)
        ranks.require_divides(stream.batch_size)
        model = StableDiffusion.load(base_dir)
        fingerprint = fingerprint_of(stream, config, model)
        of_base = (model.prediction_type, model.alphas_cumprod())
        model.use_schedule(config.prediction_type, config.zero_terminal_snr)
        model.use_clip_skip(config.clip_skip)
        rates = _rates(config, model)
        train_text = "text_encoder" in rates
        model.for_training(ranks.device(config.device), train_text, config.gradient_checkpointing)
        power_T = model.alphas_cumprod().to(model.device)
        says = _teacher(model, config)
        teacher = Teacher.of(says, of_base[0], of_base[1].to(model.device), power_T) if says else None
        if config.lora_rank:
            add_adapter(model, config.lora_rank, alpha_of(config), train_text, config.seed)
            model.pipeline.to(model.device)
        if config.weights_dtype == "bf16":
            for part in rates:
                model.module(part).to(torch.bfloat16)
        network: torch.nn.Module = Network(model, train_text)
        if is_sharded(config, ranks):
            network = ranks.shard(network)
        live = {f"{part}.{name}": p for part in rates for name, p in model.parameters(part)}
        optimizer = make_optimizer(_groups(live, rates, config), config)
        text = TextCache(model) if config.cache_text and not train_text else None
        ema = Ema(live, config.ema_decay, config.ema_every)
        run = cls(model, config, TrainState(fingerprint), live, optimizer, ema, power_T, network, ranks, text, teacher)
        run._begin(run_dir)
        return run

    @property
    def sharded(self) -> bool:
        return is_sharded(self.config, self.ranks)

    def _begin(self, run_dir: Path) -> None:
        """Brings back the newest checkpoint, then wraps the network: DDP sends out what rank 0 has."""
        if self.ranks.is_main:
            sweep(run_dir)
            about = {"fingerprint": self.state.fingerprint, "config": self.config.model_dump(mode="json")}
            write_json(run_dir / "training.json", about)
        self._bring_back(run_dir)
        if self.config.parallel == "ddp":
            self.network = self.ranks.replicate(self.network)
        if self.config.compile:
            self.network = compiled(self.network)

    def step(self, ready: Prepared, num_steps: int) -> Stepped:
        """Forward, backward, update, average. A step whose gradient is no number changes nothing."""
        config = self.config.at(self.state.step)
        loss = self._backward(ready, config)
        rates = {part: getattr(config, setting) for part, setting in RATES.items()}
        factor = config.rate_at(self.state.step, num_steps)
        for group in self.optimizer.param_groups:
            rate = rates[group["part"].removesuffix("_2")]
            group["lr"] = rate * factor
            if not rate:  # frozen in this stage: neither moved nor counted in the norm
                for parameter in group["params"]:
                    parameter.grad = None
        norm = clip(self.optimizer, list(self.live.values()), config.max_grad_norm)
        if isinstance(self.optimizer, RoundingAdamW):
            self.optimizer.at_step = self.state.step
        step_unless(self.optimizer, ~torch.isfinite(norm))
        self.optimizer.zero_grad()
        self.state.step += 1
        self.ema.update(self.live, self.state.step)
        return Stepped(loss, norm)

    def _backward(self, ready: Prepared, config: TrainingConfig) -> torch.Tensor:
        """Gradients of the batch's mean loss, part by part: each part's loss counts by its share of the batch."""
        total: torch.Tensor | None = None
        parts = ready.parts(self.config.gradient_accumulation)
        for part in parts:
            with self._unsynced() if part is not parts[-1] else nullcontext(), bound(self.model, part, config):
                words = self.text.words_of(part) if self.text else None
                loss = loss_of(self.network, self.model, part, self.power_T, config, words, self.teacher)
                if len(parts) > 1:
                    loss = loss * (len(part) / len(ready))
                loss.backward()
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None
        return total

    def _unsynced(self) -> AbstractContextManager[Any]:
        """Gradients are exchanged between processes once, with the last part."""
        return self.network.no_sync() if hasattr(self.network, "no_sync") else nullcontext()  # type: ignore[operator]

    def as_trained(self) -> AbstractContextManager[Any]:
        """In which weights of bfloat16 take float32 in, as they do in a step; nothing else."""
        bf16 = self.config.weights_dtype == "bf16"
        return torch.autocast(self.model.device.type, torch.bfloat16) if bf16 else nullcontext()

    def as_in_a_step(self) -> AbstractContextManager[Any]:
        """In which the networks compute in the numbers of a step."""
        device = self.model.device
        return torch.autocast(device.type, torch.bfloat16, enabled=in_bf16(self.config, device))

    def at_once(self, batch_size: int) -> int:
        """Pictures of a global batch that go through this process's network together: the largest part of its share."""
        return math.ceil(batch_size / self.ranks.count / self.config.gradient_accumulation)

    def rates(self, num_steps: int) -> dict[str, float]:
        config = self.config.at(self.state.step - 1)
        return {"learning_rate": config.learning_rate * config.rate_at(self.state.step - 1, num_steps)}

    # Saved and brought back

    def snapshot(self, copied: bool) -> Snapshot:
        """All that a checkpoint holds; `copied` into memory of its own, so that the next steps do not change it.

        With sharded weights every rank must call it.
        """
        names: dict[torch.Tensor, str] = {p: name for name, p in self.live.items()}
        ema = {name: whole(shadow, like=self.live[name]) for name, shadow in self.ema.shadow.items()}
        live = {name: whole(p.detach()) for name, p in self.live.items()}
        moments = {k: whole(v) for k, v in optimizer_tensors(self.optimizer, names).items()}
        if copied:
            live, ema, moments = (
                {k: v.detach().to("cpu", copy=True) for k, v in tensors.items()} for tensors in (live, ema, moments)
            )
        averaged: dict[str, dict[str, torch.Tensor]] = {}
        for name, tensor in ema.items():
            part, key = name.split(".", 1)
            averaged.setdefault(part, {})[key] = tensor
        state = replace(self.state, ledger=dict(sorted(self.state.ledger.items())))
        return Snapshot(state, SavedTensors(live, ema, moments), lambda folder: self._write(folder, averaged))

    def _write(self, folder: Path, averaged: dict[str, dict[str, torch.Tensor]]) -> None:
        dtype = torch.float16 if self.config.checkpoint_dtype == "float16" else torch.float32
        if not self.config.lora_rank:
            self.model.write(folder, dtype, averaged)
            return
        write_adapter(self.model, folder, averaged, alpha_of(self.config), dtype, self.about)
        if self.config.lora_merged:
            self.model.write(folder, dtype, merged(self.model, averaged, alpha_of(self.config)))

    def _bring_back(self, run_dir: Path) -> None:
        """The newest checkpoint that the main process can read, in every process."""
        loaded = load_newest(run_dir, self.state.fingerprint) if self.ranks.is_main else None
        checkpoint = self.ranks.told_by_main(loaded.checkpoint if loaded else None)
        if checkpoint is not None:
            self.restore(loaded or Loaded(checkpoint, *load_checkpoint(checkpoint, self.state.fingerprint)))

    @torch.no_grad()
    def restore(self, loaded: Loaded) -> None:
        self.state, tensors, self.passed_over = loaded.state, loaded.tensors, loaded.passed_over
        for name, parameter in self.live.items():
            self.ranks.take(parameter.data, tensors.live[name])
            self.ranks.take(self.ema.shadow[name], tensors.ema[name], like=parameter)
        restore_optimizer(self.optimizer, self.live, tensors.optimizer, self.ranks.take)


def is_sharded(config: TrainingConfig, ranks: Ranks) -> bool:
    """Whether each process holds a part of the trained weights."""
    return ranks.count > 1 and config.parallel == "fsdp2"


def alpha_of(config: TrainingConfig) -> float:
    """The LoRA's alpha: its rank unless given."""
    return config.lora_rank if config.lora_alpha is None else config.lora_alpha


def compiled(network: torch.nn.Module, backend: Any = "inductor") -> Any:
    """Compiled anew for each size of picture: fixed shapes are what makes it fast, and there are few of them."""
    torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)
    return torch.compile(network, dynamic=False, backend=backend)


def _teacher(model: StableDiffusion, config: TrainingConfig) -> Says | None:
    """The base as it is before training: the networks without their LoRA, or a frozen copy of them."""
    if not any(c.prior_preservation for c in (config, *(config.at(change.from_step) for change in config.changes))):
        return None
    if config.lora_rank:

        def of_base(noisy: torch.Tensor, timesteps: torch.Tensor, token_ids: torch.Tensor) -> torch.Tensor:
            with torch.no_grad(), without_adapter(model):
                return model.predict(noisy, timesteps, model.encode_captions(token_ids))

        return of_base
    frozen = copy.copy(model)
    frozen.pipeline = copy.copy(model.pipeline)
    for part in ("unet", *model.text_components):
        network = copy.deepcopy(getattr(model.pipeline, part)).requires_grad_(False).eval()
        setattr(frozen.pipeline, part, network.bfloat16() if config.weights_dtype == "bf16" else network)

    def of_copy(noisy: torch.Tensor, timesteps: torch.Tensor, token_ids: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return frozen.predict(noisy, timesteps, frozen.encode_captions(token_ids))

    return of_copy


def _rates(config: TrainingConfig, model: StableDiffusion) -> dict[str, float]:
    """Components that are trained in any stage, and their highest rates."""
    rates = {"denoiser": config.highest("learning_rate")}
    rates |= dict.fromkeys(model.text_components, config.highest("text_encoder_learning_rate"))
    return {part: rate for part, rate in rates.items() if rate > 0}


def _groups(
    live: dict[str, torch.nn.Parameter], rates: dict[str, float], config: TrainingConfig
) -> list[dict[str, Any]]:
    """The parameters of each part, matrices apart where the optimizer moves them otherwise."""
    groups = []
    for part, rate in rates.items():
        own = {name: p for name, p in live.items() if name.startswith(part + ".")}
        matrices = [name for name, p in own.items() if config.optimizer == "muon" and is_matrix(name, p)]
        rest = [p for name, p in own.items() if name not in set(matrices)]
        groups += [{"params": rest, "lr": rate, "part": part}] if rest else []
        groups += [{"params": [own[n] for n in matrices], "lr": rate, "part": part, "muon": True}] if matrices else []
    return groups


def fingerprint_of(stream: BatchStream, config: TrainingConfig, model: StableDiffusion) -> str:
    """sha256 over what the weights depend on: the plan, the settings and the base, as it came."""
    told = json.dumps([stream.fingerprint(), config.about_weights(model.clip_skip), model.sha256()], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()
