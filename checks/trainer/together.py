"""Line 4: two processes train as one, replicated (DDP) and sharded (FSDP2); from one to two and back.

python -m torch.distributed.run --standalone --nproc-per-node 2 -m checks.trainer.together BASE RUN ddp STEP
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import torch

from checks.framework import ROOT, Context, Figure, Goal, passed
from checks.trainer import CHECK
from checks.trainer.speed import POCKET
from checks.trainer.world import CONFIG, TINY, Captions, Pixels, Stream, base, differing
from fullcast.training.config import TrainingConfig
from fullcast.training.kept import latest_resumable, read_state
from fullcast.training.loop import train, wanted
from fullcast.training.metrics import read_metrics

STEPS, ONE_UNTIL, TWO_UNTIL = 12, 4, 8
SETTINGS = CONFIG.model_copy(update={"changes": (), "log_every": 1, "learning_rate": 5e-4})


def config_of(parallel: str) -> TrainingConfig:
    return SETTINGS.model_copy(update={"parallel": parallel})


def go(model: Path, run_dir: Path, parallel: str, until: int) -> None:
    """Until `until` steps are finished. The main process asks for a stop before every picture that it encodes, too."""
    stream, newest = Stream(num_steps=STEPS), latest_resumable(run_dir)
    left = until - (read_state(newest).step if newest else 0)
    encodes = newest is None and os.environ.get("RANK", "0") == "0"
    calls = iter(range(-len(wanted(stream, 0)) if encodes else 0, 10**6))
    train(model, stream, Pixels(), Captions(), config_of(parallel), run_dir, stop=lambda: next(calls) == left - 1)


def with_two(model: Path, run_dir: Path, parallel: str, until: int) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = ["-m", "checks.trainer.together", str(model), str(run_dir), parallel, str(until)]
    done = subprocess.run([*launcher, *words], env=environment, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(_told(done.stderr))


def _told(stderr: str) -> str:
    """The last error of a process, without the launcher's own lines about it."""
    lines = stderr.splitlines()
    errors = [line for line in lines if "Error" in line and "ChildFailedError" not in line and "elastic" not in line]
    return errors[-1] if errors else stderr[-500:]


@CHECK.line(4, "two processes over gloo: the ledger and the curve of one; from one to two and back; FSDP2 the same")
def together(context: Context) -> Iterable[Figure]:
    torch.set_num_threads(1)
    folder = context.work_dir / "trainer-4"
    shutil.rmtree(folder, ignore_errors=True)
    for parallel, config, name in (("ddp", TINY, "DDP"), ("fsdp2", POCKET, "FSDP2, pocket model")):
        model = base(folder / f"base-{parallel}", config)
        context.say(f"{name}: one process")
        go(model, folder / f"{parallel}-alone", parallel, STEPS)
        context.say(f"{name}: one until {ONE_UNTIL}, two until {TWO_UNTIL}, one to the end")
        both = folder / f"{parallel}-both"
        go(model, both, parallel, ONE_UNTIL)
        with_two(model, both, parallel, TWO_UNTIL)
        go(model, both, parallel, STEPS)
        yield from agree(folder / f"{parallel}-alone", both, f"{name}, 1 to 2 to 1")
        context.say(f"{name}: two from the first step to the last")
        with_two(model, folder / f"{parallel}-two", parallel, STEPS)
        yield from agree(folder / f"{parallel}-alone", folder / f"{parallel}-two", f"{name}, 2 all along")


def agree(alone: Path, other: Path, name: str) -> Iterable[Figure]:
    states = [read_state(latest_resumable(run)) for run in (alone, other)]  # type: ignore[arg-type]
    yield passed(f"the ledger is that of one process: {name}", not differing(states[0].ledger, states[1].ledger))
    a, b = curve(alone), curve(other)
    shared = sorted(a.keys() & b.keys())
    yield Figure(f"steps in both curves: {name}", len(shared), Goal("=", STEPS))
    worst = max(abs(a[step] - b[step]) for step in shared)
    yield Figure(f"largest difference of the loss: {name}", worst, Goal("<=", 1e-4), n=len(shared))


def curve(run_dir: Path) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in read_metrics(run_dir / "metrics.jsonl") if "loss" in line}


if __name__ == "__main__":
    torch.set_num_threads(1)
    go(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
