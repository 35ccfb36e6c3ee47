"""A training in several processes on one machine, started from here: torchrun starts them, the first one reports.

    fullcast train --training.processes 2

On two cores, or two GPUs, a step takes about half the time; a batch stays one batch (`training.ranks`). The first
process writes its progress to standard output, a JSON object a line, and it is shown here as if nothing lay between.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from fullcast.ports import Progress
from fullcast.recipe import read_recipe, write_recipe
from fullcast.store.errors import FullcastError
from fullcast.store.workspace import Workspace
from fullcast.training.stop import STOP_FILE, StoppedEncoding

if TYPE_CHECKING:
    from fullcast.journey import Journey
TOLD_LINES = 40
"""Of what a failed process wrote to standard error, the last lines are searched for its reason."""


def in_several_processes(journey: Journey) -> bool:
    """Whether this call has to start them: the recipe asks for several and torchrun has not started us already."""
    return journey.recipe.training.processes > 1 and "WORLD_SIZE" not in os.environ


def train_in_several(journey: Journey, minutes: float | None) -> None:
    """Trains until the end, or for so many minutes. Raises FullcastError with the process's own words if one fails,
    StoppedEncoding where the stop came before the first step."""
    recipe, root = journey.recipe, journey.workspace.root
    told = journey.workspace.data_dir / "several-processes.toml"
    write_recipe(told, recipe)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(recipe.training.processes)]
    words = [*launcher, "-m", __name__, str(root), str(told), "" if minutes is None else f"{minutes:g}"]
    data = journey.workspace.data_dir
    errors, stop = data / "several-processes.log", data / "several-processes.stop"
    stop.unlink(missing_ok=True)
    # What torchrun would say itself, said by us; and a process that ends by a signal says where it was.
    defaults = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "PYTHONFAULTHANDLER": "1"}
    environment = {**defaults, **os.environ, STOP_FILE: str(stop)}
    with errors.open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, *words],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
            start_new_session=True,  # a terminal's Ctrl-C would end torchrun at once
        )
        with _stop_passed_on(process, stop):
            assert process.stdout is not None
            encoded = _show(process.stdout, journey.progress)
            code = process.wait()
        if code:
            raise FullcastError(
                f"training in {recipe.training.processes} processes failed: {_reason(log)} (all that they said is in "
                f"{errors})"
            )
    errors.unlink()
    stop.unlink(missing_ok=True)
    if encoded:
        raise StoppedEncoding(*encoded)


@contextlib.contextmanager
def _stop_passed_on(process: subprocess.Popen[str], stop: Path) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM asks for a stop after the step in work, by a file; a second one ends all at once."""

    def ask(number: int, frame: object) -> None:
        if stop.exists():
            process.terminate()
        stop.touch()

    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in former:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _show(lines: Iterable[str], progress: Progress) -> tuple[int, int] | None:
    """Until the last line; (encoded, of) where it was stopped while pictures were encoded."""
    encoded = None
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue  # a library's own print
        if not isinstance(said, list) or not said:
            continue
        if said[0] in ("start", "advance", "done"):
            getattr(progress, said[0])(*said[1:])
        elif said[0] == "encoded":
            encoded = (int(said[1]), int(said[2]))
    return encoded


def _reason(log: TextIO) -> str:
    """What ended one of them, as the launcher reports it ("Signal 9 (SIGKILL) received by PID 42": the memory did not
    suffice, for one), since then the others only miss it; else the last error that one told itself. The launcher ends
    the others by SIGTERM."""
    log.flush()
    log.seek(0)
    lines = [line.strip() for line in log.read().splitlines() if line.strip()][-TOLD_LINES * 10 :]
    own = [line for line in lines if "Error" in line and "ChildFailedError" not in line and "elastic" not in line]
    ended = [line for line in lines if " received by PID " in line and "(SIGTERM)" not in line]
    said = [line for line in lines if line.strip("=-")]
    last = (ended or own or said or ["it said nothing"])[-1]
    return last.split("FullcastError: ")[-1].split("traceback : ")[-1]


class Lines:
    """Progress as JSON lines on standard output, from the first process alone."""

    def __init__(self, out: TextIO) -> None:
        self.out = out

    def start(self, title: str, total: int) -> None:
        self._say("start", title, total)

    def advance(self, count: int = 1, note: str = "") -> None:
        self._say("advance", count, note)

    def done(self) -> None:
        self._say("done")

    def encoded(self, number: int, of: int) -> None:
        """It was stopped before the first step."""
        self._say("encoded", number, of)

    def _say(self, *words: Any) -> None:
        if os.environ.get("RANK") == "0":
            print(json.dumps(words, ensure_ascii=False), file=self.out, flush=True)


def main(root: str, recipe: str, minutes: str) -> None:
    """One of the processes."""
    faulthandler.enable()  # where a signal ends it, the log says in which line
    from fullcast.journey import Journey
    from fullcast.journey.planning import make_plan, train_here

    lines = Lines(sys.stdout)
    journey = Journey(Workspace.open(Path(root)), read_recipe(Path(recipe)), lines)
    try:
        train_here(journey, make_plan(journey), float(minutes) if minutes else None)
    except StoppedEncoding as stop:
        lines.encoded(stop.encoded, stop.of)


if __name__ == "__main__":
    main(*sys.argv[1:])
