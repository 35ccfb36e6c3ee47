"""Line 2: our step over the bare one, memory over the bare one's, latents over the bare encoder, host time, syncs.

Times are processor time of this process, so that what else runs on the machine counts little; pairs are interleaved.
"""

from __future__ import annotations

import copy
import os
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from checks.framework import Context, Figure, Goal
from checks.trainer import CHECK
from checks.trainer.kills import in_child
from checks.trainer.world import TINY, Captions, Pixels, Stream, base
from fullcast.models.stable_diffusion.config import PocketModelConfig
from fullcast.models.stable_diffusion.family import StableDiffusion, to_tensor
from fullcast.ports import silent
from fullcast.training import run as run_module
from fullcast.training.config import TrainingConfig
from fullcast.training.ema import EAGER
from fullcast.training.latents import LatentStore
from fullcast.training.loop import Beside, Training
from fullcast.training.ranks import Ranks
from fullcast.training.run import Run, Stepped, compiled

POCKET = PocketModelConfig(latent_channels=16, vae_block_out_channels=(16, 32, 64, 64))
"""The pocket base's shape: 7 million parameters, factor 8."""
BUCKETS = ((160, 96), (128, 128), (96, 160))
PAIRS = int(os.environ.get("PAIRS", "5"))
"""Turns of steps that are compared."""
PERIOD = TrainingConfig().ema_every
QUIET = TrainingConfig(
    text_encoder_learning_rate=0.0,
    checkpoint_every=10**6,
    background_saves=False,
    probe_every=0,
    sample_every=0,
    log_every=10,
    prefetch=0,
    device="cpu",
)


@CHECK.line(2, "our step over the bare step; memory; latents over the bare encoder; host time; copies; compilations")
def speed(context: Context) -> Iterable[Figure]:
    torch.set_num_threads(1)
    folder = context.work_dir / "trainer-2"
    shutil.rmtree(folder, ignore_errors=True)
    pocket, tiny = folder / "pocket", folder / "tiny"
    in_child(lambda: _make({pocket: POCKET, tiny: TINY}))
    yield from _memory(context, pocket, folder)  # first: memory that this process has freed would be used again
    for batch_size, goal in ((1, 1.10), (4, 1.03), (8, 1.03)):
        context.say(f"pairs at batch {batch_size}")
        yield from pairs_at(pocket, folder / f"batch-{batch_size}", batch_size, Goal("<=", goal))
    yield from pairs_at(pocket, folder / "live", 8, None, live_text=True)
    context.say("latents")
    yield _latents(pocket, folder)
    context.say("host time")
    yield from _host(tiny, folder)
    context.say("copies between log intervals")
    yield from _copies(tiny, folder)
    context.say("compilations")
    yield _compilations(tiny, folder)


def _make(models: dict[Path, PocketModelConfig]) -> None:
    for path, config in models.items():
        base(path, config)


def open_training(model: Path, folder: Path, stream: Stream, config: TrainingConfig) -> Training:
    opened = Run.open(model, stream, config, folder, Ranks())
    training = Training(opened, stream, Captions(), folder, silent, Beside())
    training.fill(Pixels(), folder / "latents", lambda: False)
    return training


# Our step over the bare one


@dataclass
class Bare:
    """The same U-Net forward, backward and optimizer step on ready tensors, nothing else."""

    unet: torch.nn.Module
    optimizer: torch.optim.Optimizer

    @classmethod
    def of(cls, model: StableDiffusion) -> Bare:
        unet = copy.deepcopy(model.module("denoiser"))
        return cls(unet, torch.optim.AdamW(unet.parameters(), lr=1e-6, fused=True))

    def step(self, x: torch.Tensor, t: torch.Tensor, words: torch.Tensor) -> None:
        said = self.unet(x, t, encoder_hidden_states=words, return_dict=False)[0]
        (said - x).square().mean().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def clock(device: str) -> float:
    """Seconds of processor time; on a GPU of wall time, once everything that was asked of it is done."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def pairs_at(
    model: Path, folder: Path, batch_size: int, goal: Goal | None, live_text: bool = False, device: str = "cpu"
) -> Iterator[Figure]:
    """After each of our steps one bare step of the same shape, timed apart; a ratio is that of a turn, `PERIOD` steps
    of one shape, since not every step is averaged. The bare one hears ready words, so ours has them from its cache;
    with `live_text` the frozen encoder runs in every step of ours."""
    steps = EAGER + len(BUCKETS) * PERIOD * PAIRS
    config = QUIET.model_copy(update={"cache_text": not live_text, "device": device})
    training = open_training(model, folder, Stream(batch_size, steps, BUCKETS), config)
    bare = Bare.of(training.run.model)
    pairs: dict[tuple[int, int], list[tuple[float, float]]] = {size: [] for size in BUCKETS}
    ours = [clock(device)]

    def beside() -> bool:
        taken, step = clock(device) - ours[0], training.run.state.step
        size = BUCKETS[(step - 1) % len(BUCKETS)]
        if step > EAGER - len(BUCKETS):  # the last of these warm the bare network up
            ready = _ready(training.run.model, size, batch_size)
            began = clock(device)
            bare.step(*ready)
            pairs[size].append((taken, clock(device) - began))
        ours[0] = clock(device)
        return False

    training.go(beside)
    for (width, height), found in pairs.items():
        turns = np.array(found[1:]).reshape(PAIRS, PERIOD, 2).sum(1)
        counted = sorted((turns[:, 0] / turns[:, 1]).tolist())
        yield Figure(
            f"our step / bare step, batch {batch_size}, {width}x{height}{', words encoded live' if live_text else ''}",
            statistics.median(counted),
            goal,
            n=len(counted),
            note=f"{counted[0]:.3f} to {counted[-1]:.3f}",
        )


def _ready(model: StableDiffusion, size: tuple[int, int], batch_size: int) -> tuple[torch.Tensor, ...]:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(batch_size, *model.latent_shape(*size), generator=draw)
    words = torch.randn(batch_size, 77, model.pipeline.text_encoder.config.hidden_size, generator=draw)
    t = torch.randint(0, 1000, (batch_size,), generator=draw)
    return tuple(tensor.to(model.device) for tensor in (x, t, words))


# Memory


def _memory(context: Context, model: Path, folder: Path) -> Iterator[Figure]:
    """Peak of resident memory above what was there before, each in a forked process of its own."""
    for name, average in (("without an average", 0.0), ("with one (4 bytes a parameter more)", 0.999)):
        context.say(f"memory {name}")
        config = QUIET.model_copy(update={"ema_decay": average})
        ours = _growth(folder / "ours.txt", lambda c=config: _our_steps(model, folder / f"memory-{c.ema_decay}", c))
        bare = _growth(folder / "bare.txt", lambda: _bare_steps(model))
        yield Figure(
            f"peak memory / the bare step's, batch 8, {name}",
            ours / bare,
            None if average else Goal("<=", 1.05),
            n=8,
            note=f"{ours / 1e6:.0f} and {bare / 1e6:.0f} MB above an empty process",
        )


def _our_steps(model: Path, folder: Path, config: TrainingConfig) -> None:
    open_training(model, folder, Stream(8, 8, BUCKETS[:1]), config).go(lambda: False)


def _bare_steps(model: Path) -> None:
    loaded = StableDiffusion.load(model)
    loaded.for_training(torch.device("cpu"), False)
    bare = Bare(loaded.module("denoiser"), torch.optim.AdamW(loaded.module("denoiser").parameters(), fused=True))
    for _ in range(8):
        bare.step(*_ready(loaded, BUCKETS[0], 8))


def _growth(answer: Path, work: Callable[[], None]) -> float:
    """Bytes by which a forked process's peak lies over where it began."""

    def measured() -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = _resident("VmRSS")
        work()
        answer.write_text(str(_resident("VmHWM") - before))

    status = in_child(measured)
    if status:
        raise RuntimeError(f"a process that measures memory ended with code {status}")
    return float(answer.read_text())


def _resident(name: str) -> int:
    """Bytes, from /proc."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


# Latents


def _latents(model: Path, folder: Path) -> Figure:
    """The store's filling beside bare encoding of tensors that are there, in turns."""
    loaded, count = StableDiffusion.load(model), 64
    pictures = np.random.default_rng(0).integers(0, 256, (count, 96, 160, 3), dtype=np.uint8)
    ready = to_tensor(pictures).split(8)
    ratios = []

    class Drawn:
        def pixels(self, sample_id: str, width: int, height: int) -> np.ndarray:
            return pictures[int(sample_id)]

    for turn in range(PAIRS + 1):
        began = time.process_time()
        LatentStore(folder / f"latents-{turn}", loaded).fill([(f"{i}", 160, 96) for i in range(count)], Drawn(), 8)
        ours = time.process_time() - began
        began = time.process_time()
        for batch in ready:
            loaded.encode_moments(batch)
        ratios.append((time.process_time() - began) / ours)
    counted = sorted(ratios[1:])
    spread = f"{counted[0]:.3f} to {counted[-1]:.3f}; naming the VAE by its hash included"
    return Figure(
        "latents stored / encoded barely, a second", statistics.median(counted), Goal(">=", 0.95), 64, note=spread
    )


# The loop's own cost


class Nothing:
    """A network that does nothing: in place of text encoder and U-Net."""

    def __init__(self, model: StableDiffusion) -> None:
        self.weight = next(p for p in model.module("denoiser").parameters())
        model.encode_tokens = lambda ids: ids  # type: ignore[method-assign]
        model.predict = lambda noisy, t, words: noisy * self.weight.flatten()[0]  # type: ignore[method-assign]


def _host(tiny: Path, folder: Path) -> Iterator[Figure]:
    steps = 2000
    config = QUIET.model_copy(update={"text_encoder_learning_rate": 1e-4, "prefetch": 1})
    training = open_training(tiny, folder / "host", Stream(8, steps), config)
    Nothing(training.run.model)
    times: list[float] = []
    memory: dict[int, int] = {}

    def mark() -> bool:
        times.append(time.process_time())
        if len(times) in (500, steps - 1):
            memory[len(times)] = _resident("VmRSS")
        return False

    training.go(mark)
    each = np.diff(times[100:]) * 1e3
    yield Figure(
        "host time of a step, batch 8, ms", float(np.median(each)), Goal("<=", 3), n=len(each),
        note=f"mean {each.mean():.2f}, 95th percentile {np.percentile(each, 95):.2f}; processor time of all threads",
    )  # fmt: skip
    grown = (memory[steps - 1] - memory[500]) / 1e6
    yield Figure("growth of memory from step 500 to 2,000, MB", grown, Goal("<=", 1), n=steps)


@dataclass
class Syncs(TorchDispatchMode):
    """Counts what makes the host wait for the device: reading a number, searching, copying to the host."""

    seen: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in ("_local_scalar_dense", "nonzero", "equal", "is_nonzero"):
            self.seen[name] += 1
        if name == "_to_copy" and (kwargs or {}).get("device") is not None and args[0].device != kwargs["device"]:
            self.seen[name] += str(kwargs["device"]) == "cpu"
        return func(*args, **(kwargs or {}))


@contextmanager
def counting(syncs: Syncs) -> Iterator[None]:
    """Inside the block `Run.step` runs under the counter."""
    own = run_module.Run.step

    def counted(self: Run, *given: Any) -> Stepped:
        with syncs:
            return own(self, *given)

    run_module.Run.step = counted  # type: ignore[method-assign]
    try:
        yield
    finally:
        run_module.Run.step = own  # type: ignore[method-assign]


def _copies(tiny: Path, folder: Path) -> Iterator[Figure]:
    config = QUIET.model_copy(update={"text_encoder_learning_rate": 1e-4, "min_snr_gamma": 5.0})
    training = open_training(tiny, folder / "copies", Stream(4, 9), config)
    syncs = Syncs()
    with counting(syncs):
        training.go(lambda: False)
    note = ", ".join(f"{name} {count}" for name, count in syncs.seen.items())
    yield Figure(
        "copies to the host in the steps between log lines", sum(syncs.seen.values()), Goal("=", 0), 9, note=note
    )


def _compilations(tiny: Path, folder: Path) -> Figure:
    from torch._dynamo.testing import CompileCounter

    training = open_training(tiny, folder / "compiled", Stream(2, 9, ((48, 32), (32, 48), (32, 32))), QUIET)
    counter = CompileCounter()
    training.run.network = compiled(training.run.network, counter)
    training.go(lambda: False)
    note = "graphs of the whole network; the counter takes the compiler's place"
    return Figure("compilations for 3 sizes in 9 steps", counter.frame_count, Goal("=", 3), n=9, note=note)
