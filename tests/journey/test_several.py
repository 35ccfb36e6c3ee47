"""A training in two processes that `fullcast train` starts: one ledger, one progress, a clear word where it fails."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path

import pytest

from fullcast.journey import Journey
from fullcast.journey.runs import latest_checkpoint
from fullcast.journey.several import _reason
from fullcast.store.errors import FullcastError
from fullcast.training.kept import read_state
from fullcast.training.metrics import read_metrics
from tests.journey.test_packing import home  # noqa: F401  (a fixture: a show of twelve pictures)


class Told:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.steps = 0

    def start(self, title: str, total: int) -> None:
        self.titles.append(title)

    def advance(self, count: int = 1, note: str = "") -> None:
        self.steps += count if self.titles[-1] == "train" else 0

    def done(self) -> None: ...


def test_two_processes_deliver_and_learn_what_one_does(home: Path, tmp_path: Path) -> None:  # noqa: F811
    alone = Journey.open(home).train()
    one = latest_checkpoint(Journey.open(home).workspace)
    curve = {line["step"]: line["loss"] for line in read_metrics(one.parents[1] / "metrics.jsonl") if "loss" in line}
    one_state = read_state(one)
    (one.parents[1]).rename(tmp_path / "run-of-one")

    told = Told()
    journey = Journey.open(home, {"training.processes": "2"}, progress=told)
    both = journey.train()
    assert both.data == alone.data and both.data["finished"]
    two = latest_checkpoint(journey.workspace)
    assert read_state(two).ledger == one_state.ledger
    lines = read_metrics(two.parents[1] / "metrics.jsonl")
    assert {line["step"]: line["loss"] for line in lines if "loss" in line} == pytest.approx(curve, abs=1e-4)
    assert "train" in told.titles and told.steps == 4, "the first process's progress is shown, once"
    assert not (journey.workspace.data_dir / "several-processes.log").exists()


def test_a_failure_there_is_one_sentence_here(home: Path) -> None:  # noqa: F811
    journey = Journey.open(home, {"training.processes": "2", "mixture.batch_size": "3", "mixture.num_steps": "2"})
    with pytest.raises(FullcastError, match="batch of 3 cannot be shared by 2 processes"):
        journey.train()


def test_what_a_signal_ended_is_told_by_its_name() -> None:
    log = io.StringIO(
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:\n"
        "Root Cause (first observed failure):\n  exitcode  : -9 (pid: 42)\n"
        "  traceback : Signal 9 (SIGKILL) received by PID 42\n==========\n"
    )
    assert _reason(log) == "Signal 9 (SIGKILL) received by PID 42"


def test_the_one_that_died_is_told_and_not_who_misses_it() -> None:
    missed = "[rank1]: RuntimeError: Connection closed by peer [127.0.0.1]:56192\n"
    others = "  traceback : Signal 15 (SIGTERM) received by PID 43\n"
    assert _reason(io.StringIO(f"{missed}{others}  traceback : Signal 6 (SIGABRT) received by PID 42\n")) == (
        "Signal 6 (SIGABRT) received by PID 42"
    )
    assert _reason(io.StringIO(f"[rank1]: FullcastError: no such cast\n{others}")) == "no such cast"


class Stopping(Told):
    """Asks for a stop, as a person or a spot machine does, when the first steps are told."""

    def advance(self, count: int = 1, note: str = "") -> None:
        super().advance(count, note)
        if self.titles[-1] == "train" and self.steps == 2:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_stop_ends_after_the_step_in_work_and_loses_nothing(home: Path) -> None:  # noqa: F811
    settings = {"training.processes": "2", "mixture.num_steps": "60", "training.log_every": "50"}
    told = Stopping()
    answer = Journey.open(home, settings, progress=told).train()
    assert not answer.data["finished"] and 2 <= answer.data["step"] == told.steps < 60
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert not list((home / "data").glob("several-processes.stop"))


def test_a_stop_while_pictures_are_encoded_is_an_answer_of_both(home: Path) -> None:  # noqa: F811
    latents = home / "data" / "latents"
    if latents.exists():
        latents.rename(home / "data" / "latents-of-others")
    told = Journey.open(home, {"training.processes": "2", "mixture.num_steps": "61"}).train(minutes=0).data
    assert told["encoded"].startswith("0 of ") and not told["finished"] and told["checkpoint"] == ""
