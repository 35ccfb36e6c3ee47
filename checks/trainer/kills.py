"""Line 1: kill -9 at twenty moments, resume each time: the weights of the uninterrupted run. And a full disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from checks.framework import Context, Figure, Goal, passed, short
from checks.trainer import CHECK
from checks.trainer.world import CONFIG, STAGE_AT, Captions, Pixels, Stream, base, differing, hashes
from fullcast.store.seeding import rng
from fullcast.training import checkpoint, run
from fullcast.training.kept import checkpoints, latest_resumable, read_state
from fullcast.training.loop import train
from fullcast.training.metrics import read_metrics

KILLS = 20
FULL_FROM, FULL_TO = 9, 15
"""The disk is full from after the first of these steps until after the second: saves at 12 are lost."""


@CHECK.line(1, "kill -9 at twenty moments, another number of workers, a full disk: the bits of an uninterrupted run")
def kills(context: Context) -> Iterable[Figure]:
    torch.set_num_threads(1)
    folder = context.work_dir / "trainer-1"
    shutil.rmtree(folder, ignore_errors=True)
    model = base(folder / "base")
    began = time.monotonic()
    status = in_child(lambda: go(model, folder / "whole"))
    seconds = time.monotonic() - began
    yield Figure("uninterrupted run ends with code", status, Goal("=", 0))
    plan = list(moments(context.seeds("kills", 1)[0], seconds))
    killed = 0
    for n, (what, prepare) in enumerate(plan):
        context.say(f"kill {n + 1} of {len(plan)}: {what}")

        def attempt(prepare: Callable[[], None] = prepare, workers: int = (0, 1, 3)[n % 3]) -> None:
            prepare()
            go(model, folder / "killed", workers)

        killed += in_child(attempt) == -signal.SIGKILL
        if (newest := latest_resumable(folder / "killed")) and read_state(newest).step == Stream().num_steps:
            shutil.rmtree(folder / "killed")  # it came to its end: the next kills need a run to kill
    yield Figure("of the runs were ended by the kill", killed, Goal(">=", KILLS), n=len(plan))
    yield Figure("and the run after them with code", in_child(lambda: go(model, folder / "killed")), Goal("=", 0))
    yield from same(folder / "whole", folder / "killed", "killed and resumed")
    yield from full_disk(context, model, folder)


def go(model: Path, run_dir: Path, workers: int = 1) -> None:
    config = CONFIG.model_copy(update={"prefetch": workers})
    train(model, Stream(), Pixels(), Captions(), config, run_dir)


def in_child(work: Callable[[], None]) -> int:
    """Runs in a forked process (torch is loaded already); its exit code, or minus the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException as error:
            print(f"    child: {type(error).__name__}: {error}", flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def moments(seed: int, seconds: float) -> Iterable[tuple[str, Callable[[], None]]]:
    """Twenty and some ways to be killed: eleven after a random time, six inside a save, four about the stage change.

    One more than is asked for of each kind: a run may come to its end first.
    """
    draw = rng(seed, "kills")
    for _ in range(8):
        after = float(draw.uniform(0.1, 0.7)) * seconds
        yield f"after {after:.2f} s", lambda after=after: kill_after(after)
    for step in (STAGE_AT - 1, STAGE_AT, STAGE_AT + 1):
        yield f"after step {step}, where the stages change", lambda step=step: kill_after_step(step)
    for file in range(6):
        yield f"inside a save, at file {file}", lambda file=file: kill_in_save(file)
    for _ in range(7):
        after = float(draw.uniform(0.05, 0.6)) * seconds
        yield f"after {after:.2f} s", lambda after=after: kill_after(after)


def kill_after(seconds: float) -> None:
    timer = threading.Timer(seconds, lambda: os.kill(os.getpid(), signal.SIGKILL))
    timer.daemon = True
    timer.start()


def kill_after_step(step: int) -> None:
    """After exactly so many finished steps; or after the next one, where the run is further already."""
    own = run.Run.step

    def killing(self: run.Run, *given: object) -> run.Stepped:
        stepped = own(self, *given)  # type: ignore[arg-type]
        if self.state.step >= step:
            os.kill(os.getpid(), signal.SIGKILL)
        return stepped

    run.Run.step = killing  # type: ignore[method-assign]


def kill_in_save(file: int) -> None:
    """Half of a file of the state is written, then the end."""
    own, seen = checkpoint.save_file, iter(range(1000))

    def killing(tensors: dict[str, torch.Tensor], path: Path) -> None:
        own(tensors, path)
        if next(seen) == file % 3:
            os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoint.save_file = killing


def same(expected: Path, found: Path, name: str) -> Iterable[Figure]:
    """Weights, optimizer, average and ledger of the last checkpoints of two runs."""
    a, b = checkpoints(expected)[-1], checkpoints(found)[-1]
    different = differing(hashes(a), hashes(b))
    yield Figure(
        f"files that differ, {name}", len(different), Goal("=", 0), n=len(hashes(a)), note=", ".join(different)
    )
    yield passed(f"the ledger is the same, {name}", read_state(a).ledger == read_state(b).ledger)


def full_disk(context: Context, model: Path, folder: Path) -> Iterable[Figure]:
    """The run lies on a disk of its own, which is filled up while it trains."""
    disk = folder / "disk"
    disk.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "fullcast", str(disk)], capture_output=True)
    if mounted.returncode:
        yield short("a full disk", "a small disk could not be mounted here (that takes root's rights)")
        return
    try:
        status = in_child(lambda: fill_while_training(model, disk))
        yield Figure("a run whose disk was full for a while ends with code", status, Goal("=", 0))
        yield from same(folder / "whole", disk / "run", "full disk")
        lost = [line for line in read_metrics(disk / "run" / "metrics.jsonl") if "save_failed" in line]
        yield Figure("saves that were lost, and told", len(lost), Goal(">=", 1), note=lost[0]["save_failed"][:60])
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def fill_while_training(model: Path, disk: Path) -> None:
    own, filler = run.Run.step, disk / "filler"

    def filling(self: run.Run, *given: object) -> run.Stepped:
        stepped = own(self, *given)  # type: ignore[arg-type]
        if self.state.step == FULL_FROM:
            fill(filler)
        if self.state.step == FULL_TO:
            filler.unlink()
        return stepped

    run.Run.step = filling  # type: ignore[method-assign]
    go(model, disk / "run")


def fill(path: Path) -> None:
    """Until there is no room for another 4 kB."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return
