"""The trainer: a stream of batches and a base model in, checkpoints out; stop it anywhere, go on exactly there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from fullcast.ports import (
    Batch,
    BatchStream,
    CaptionSource,
    Hints,
    PixelSource,
    Preview,
    Progress,
    StepJudge,
    Watcher,
    silent,
)
from fullcast.store.locks import locked
from fullcast.training.ahead import ahead
from fullcast.training.checkpoint import save_checkpoint, write_state
from fullcast.training.config import TrainingConfig
from fullcast.training.deterministic import before_cuda, repeatable
from fullcast.training.kept import LOCK, TrainState, latest_resumable, step_of, tidy
from fullcast.training.latents import LatentStore
from fullcast.training.metrics import METRICS, Metrics, NoMetrics, read_metrics
from fullcast.training.probe import Probe
from fullcast.training.ranks import Ranks
from fullcast.training.run import Run
from fullcast.training.saver import Saver
from fullcast.training.step import Prepared, prepare
from fullcast.training.stop import StoppedEncoding
from fullcast.training.validation import same_number, validation_loss
from fullcast.training.watching import TensorBoard, Window, best_step, set_aside

SET_ASIDE = "set-aside.jsonl"


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


@dataclass(frozen=True)
class Beside:
    """What a training may have beside stream, pixels and captions; each part may be left out."""

    preview: Preview | None = None
    judge: StepJudge | None = None
    hints: Hints | None = None
    held_out: Sequence[Batch] = ()
    """Batches of pictures that the stream never shows, to measure the loss on."""
    same: Mapping[str, str] = field(default_factory=dict)
    """Samples that show the pixels of another one, and which: they are encoded once."""
    watchers: Sequence[Watcher] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    """Copied into every checkpoint by name (the cast file)."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What the file of a LoRA says of itself: title, resolution, licence, trigger_phrase (see `write_adapter`)."""
    tell: Callable[[TrainState], str] = lambda state: ""
    """What the live line says beside the loss: cost so far, delivered shares."""


def train(
    base_dir: Path,
    stream: BatchStream,
    pixels: PixelSource,
    captions: CaptionSource,
    config: TrainingConfig,
    run_dir: Path,
    progress: Progress = silent,
    stop: Callable[[], bool] = lambda: False,
    max_seconds: float | None = None,
    latents_dir: Path | None = None,
    beside: Beside | None = None,
) -> Trained:
    """Fine-tunes the model in `base_dir` over `stream`, or goes on from the newest checkpoint in `run_dir`.

    A stop (`stop()` true, or `max_seconds` of this call used up) ends after a whole step with a checkpoint. On a CPU,
    and on a GPU with `deterministic`, the weights after any number of stops and kills are those of an uninterrupted
    run, bit for bit. Under torchrun every
    batch is shared by all processes; the ledger counts whole batches, so it is that of one process. A batch whose
    gradient is no number changes nothing and is written into set-aside.jsonl. Raises FullcastError when `run_dir`
    belongs to another plan or is trained by another process, when the loss stays no number, or when the last checkpoint
    cannot be written; StoppedEncoding when the stop came while pictures were encoded: what was encoded is kept.
    """
    began = time.monotonic()
    ends = began + (float("inf") if max_seconds is None else max_seconds)

    def asked() -> bool:
        return stop() or time.monotonic() > ends

    if config.deterministic:
        before_cuda()
    ranks = Ranks.from_environment()
    busy = f"{run_dir} is being trained by another process; wait for it or end it"
    on_gpu = config.deterministic and ranks.device(config.device).type == "cuda"
    with repeatable(on_gpu), locked(run_dir / LOCK, busy) if ranks.is_main else nullcontext():
        run = Run.open(base_dir, stream, config, run_dir, ranks)
        shown = progress if ranks.is_main else silent
        training = Training(run, stream, captions, run_dir, shown, beside or Beside(), began)
        training.fill(pixels, latents_dir or run_dir / "latents", asked)
        training.go(asked)
        newest = ranks.told_by_main(latest_resumable(run_dir))
        ranks.wait()  # nobody leaves while another still listens
    return Trained(newest, run.state.step, stream.num_steps, run.state.seconds)


def wanted(stream: BatchStream, from_step: int, held_out: Sequence[Batch] = ()) -> set[tuple[str, int, int]]:
    """(sample, width, height) of every visit still to come, of the first steps, from which the probe is made, of what
    is held out and of what it is compared with."""
    steps = {*range(min(stream.num_steps, 50)), *range(from_step, stream.num_steps)}
    batches = [*(stream.batch(step) for step in steps), *held_out, *same_number(stream, held_out)]
    return {(v.sample_id, b.width, b.height) for b in batches for v in b.visits}


@dataclass
class Training:
    """A run on its way through the stream: what is done at which step."""

    run: Run
    stream: BatchStream
    captions: CaptionSource
    run_dir: Path
    progress: Progress
    beside: Beside
    began: float = field(default_factory=time.monotonic)
    """When this call did, on time.monotonic's clock."""
    bad_in_a_row: int = 0
    saved_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        config, main = self.run.config, self.run.ranks.is_main
        self.paid_before = self.run.state.wall_seconds
        self.run.about = self.beside.about
        self.watchers = list(self.beside.watchers) if main else []
        if main and config.tensorboard:
            self.watchers.append(TensorBoard(self.run_dir / "tensorboard", self.run.state.step))
        self.metrics = Metrics(self.run_dir / METRICS, self.run.state.step) if main else NoMetrics()
        self.aside = Metrics(self.run_dir / SET_ASIDE, self.run.state.step) if main else NoMetrics()
        # FSDP2 moves its weights about in forward, so that no thread may look at them meanwhile.
        self.background = config.background_saves and not self.run.sharded
        self.saver = Saver(self.background, self._saved)
        self.looks = main and not self.run.sharded
        """Only the main process measures and draws; of sharded weights it holds a part and cannot."""

    def fill(self, pixels: PixelSource, folder: Path, stop: Callable[[], bool]) -> None:
        """Latents of everything that is still to come, by the main process; StoppedEncoding, in every process."""
        run, config = self.run, self.run.config
        stopped: tuple[int, int] | None = None
        if run.ranks.is_main:
            store = LatentStore(folder, run.model, self.beside.same)
            needed = wanted(self.stream, run.state.step, self.beside.held_out)
            try:
                store.fill(needed, pixels, config.latents_batch_size, self.progress, stop)
            except StoppedEncoding as stop_came:
                stopped = stop_came.encoded, stop_came.of
        if stopped := run.ranks.told_by_main(stopped):  # the others wait here
            raise StoppedEncoding(*stopped)
        self.store = LatentStore(folder, run.model, self.beside.same)
        self.probe = (
            Probe.of(self.stream, self.captions, self.store, config.seed, config.probe_samples)
            if config.probe_every and self.looks
            else None
        )

    def go(self, asked: Callable[[], bool]) -> None:
        """Steps until the end of the stream or until a stop is asked for; ends with a checkpoint."""
        run, state, config = self.run, self.run.state, self.run.config
        self.progress.start("train", self.stream.num_steps - state.step)
        for told in run.passed_over:
            self.log(state_unreadable=told)
            self.progress.advance(0, told)
        self._measure(state.step == self.stream.num_steps, first=state.step == 0, told=self._told())
        window, stopping = Window(), False
        for batch, ready in self._batches():
            window.add(run.step(ready, self.stream.num_steps), batch)
            for visit in batch.visits:
                state.ledger[visit.sample_id] = state.ledger.get(visit.sample_id, 0) + 1
            last = state.step == self.stream.num_steps
            stopping = stopping or asked()
            # A stop is looked for after every step, but on several GPUs, where each would wait for the others.
            on_gpus = run.ranks.count > 1 and run.model.device.type == "cuda"
            between = on_gpus and state.step % config.log_every and not last
            ending = last or (not between and run.ranks.any(stopping, run.model.device))
            saving = ending or self._due()
            if state.step % config.log_every == 0 or saving:  # before a save always: it finds a loss that is no number
                window = self._close(window)
            if saving:  # before anything that draws: it takes minutes, and a machine may go away
                self.save()
            if (last or not stopping) and self._measure(last) and not saving:
                self.save()
            if ending:
                break
        self._end()

    def _batches(self) -> Iterator[tuple[Batch, Prepared]]:
        """Each whole batch with this process's part of it, got ready ahead."""
        run = self.run
        pin = run.model.device.type == "cuda"

        def ready(step: int) -> tuple[Batch, Prepared]:
            batch = self.stream.batch(step)
            share, config = run.ranks.share(batch), run.config.at(step)
            made = prepare(share, self.store, self.captions, config, len(run.power_T), self.beside.hints)
            return batch, made.pinned() if pin else made

        return ahead(ready, range(run.state.step, self.stream.num_steps), run.config.prefetch)

    def _due(self) -> bool:
        """Whether a checkpoint is due by steps or by minutes."""
        config, minutes = self.run.config, (time.monotonic() - self.saved_at) / 60
        late = bool(config.checkpoint_every_minutes) and minutes > config.checkpoint_every_minutes
        if config.checkpoint_every_minutes and self.run.ranks.count > 1:  # clocks differ: all save, or none
            late = self.run.state.step % config.log_every == 0 and self.run.ranks.any(late, self.run.model.device)
        return self.run.state.step % config.checkpoint_every == 0 or late

    def _close(self, window: Window) -> Window:
        """Writes the line of metrics of a window, and begins the next."""
        run, state = self.run, self.run.state
        state.seconds += window.seconds()
        self._count_time()
        closed = window.close(run.ranks, run.model.device)
        for batch in closed.bad:
            self.aside.write(batch.step + 1, **set_aside(batch))
        self.bad_in_a_row = closed.require_sound(state.step, self.bad_in_a_row)
        self.log(
            **closed.figures(),
            seconds=round(state.seconds, 2),
            images_per_s=closed.told_speed,
            **run.rates(self.stream.num_steps),
        )
        said = f"loss {closed.loss:.3f}, {closed.images_per_s:.1f} img/s"
        extra = self.beside.tell(state) if run.ranks.is_main else ""
        self.progress.advance(len(window.steps), f"{said}, {extra}" if extra else said)
        return Window()

    def _count_time(self) -> None:
        self.run.state.wall_seconds = self.paid_before + time.monotonic() - self.began

    def log(self, **values: Any) -> None:
        """A line of metrics, told to everybody who watches."""
        self.metrics.write(self.run.state.step, **values)
        for watcher in self.watchers:
            watcher.logged(self.run.state.step, values)

    def _told(self) -> set[str]:
        """What of this step was measured before the training stopped: the names in its lines of metrics."""
        lines = read_metrics(self.run_dir / METRICS)
        return {name for line in lines if line["step"] == self.run.state.step for name in line}

    def _measure(self, last: bool = False, first: bool = False, told: Set[str] = frozenset()) -> bool:
        """Probe, loss on held-out shots, judgement and sample pictures where they are due and not `told` yet; whether
        the judge found the best so far, which is to be kept."""
        run, step, config, best = self.run, self.run.state.step, self.run.config, False
        if not self.looks:
            return False

        def due(every: int, *names: str) -> bool:
            return every > 0 and (step % every == 0 or last) and told.isdisjoint(names)

        if self.probe and due(config.probe_every, "probe_right", "probe_failed"):
            with self._may_fail("probe"), run.as_in_a_step():
                self.log(**self.probe.losses(run.model, run.power_T, run.at_once(self.stream.batch_size)))
        if self.beside.held_out and due(config.validate_every, "val_loss", "validation_failed"):
            with self._may_fail("validation"), run.ema.shown(run.live), run.as_in_a_step():
                self.log(**self._validation())
        if first:
            return False
        if self.beside.judge and due(config.judge_every, "success", "judge_failed"):
            with self._may_fail("judge"), run.as_trained(), run.ema.shown(run.live):
                self.log(success=self.beside.judge(run.model.pipeline, step))
            best = config.keep_best and self._best() == step
        if self.beside.preview and due(config.sample_every, "samples", "preview_failed"):
            with self._may_fail("preview"), run.as_trained(), run.ema.shown(run.live):
                folder = f"samples/step-{step:06d}"
                self.beside.preview(run.model.pipeline, step, self.run_dir / folder)
                self.log(samples=folder)  # the last of them is drawn: half a folder would tell nothing of that
        return best

    @contextmanager
    def _may_fail(self, name: str) -> Iterator[None]:
        """A look at the weights. One that fails costs itself and not the training, and that is told."""
        try:
            yield
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            self.log(**{f"{name}_failed": reason})
            self.progress.advance(0, f"{name} failed: {reason}")

    def _validation(self) -> dict[str, float]:
        """Loss on what is held out and on as much that is trained on, with the weights as they stand."""
        run, held = self.run, self.beside.held_out
        given = {"val_loss": held, "val_loss_train": same_number(self.stream, held)}
        known = (self.store, self.captions, run.config.seed, run.power_T, run.at_once(self.stream.batch_size))
        return {name: round(validation_loss(run.model, batches, *known), 6) for name, batches in given.items()}

    def _best(self) -> int | None:
        return best_step(read_metrics(self.run_dir / METRICS)) if self.run.config.keep_best else None

    def save(self) -> None:
        """Begins to write a checkpoint; what the last one could not write is told."""
        run, self.saved_at = self.run, time.monotonic()
        self._tell_failures()
        self._count_time()
        if not run.ranks.is_main and not run.sharded:
            return
        self.saver.wait()  # before the copy: two of them would be in memory at once
        snapshot = run.snapshot(self.background)
        if run.ranks.is_main:
            files = dict(self.beside.files)
            write = partial(
                save_checkpoint, self.run_dir, snapshot.state, snapshot.tensors, snapshot.write_model, files
            )
            self.saver.save(write)

    def _saved(self, path: Path) -> None:
        config = self.run.config
        tidy(self.run_dir, config.keep_states, config.keep_checkpoints, self._best())
        for watcher in self.watchers:
            watcher.saved(step_of(path), path)

    def _tell_failures(self) -> None:
        for failure in self.saver.failures():
            self.log(save_failed=failure)
            self.progress.advance(0, f"a checkpoint could not be written: {failure}")

    def _end(self) -> None:
        """The last checkpoint is whole, or it is said that it is not."""
        self.progress.done()
        self.saver.close()
        if self.run.ranks.is_main and latest_resumable(self.run_dir) is None:
            self.save()
            self.saver.close()
        if self.run.ranks.is_main:  # the judge has spoken since the last save
            tidy(self.run_dir, self.run.config.keep_states, self.run.config.keep_checkpoints, self._best())
            self._count_time()  # that save, and what was measured and drawn after it
            write_state(self.run_dir, self.run.state)
        for watcher in self.watchers:
            watcher.ended(self.run.state.step)
        self.run.ranks.wait()
