"""Pocket shows and workspaces for checks, by the command line as a stranger has it. Kept in the work folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from checks.framework import ROOT, Context


class Failed(RuntimeError):
    """A command that should have worked did not; its last lines are the message."""


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str
    seconds: float

    @property
    def data(self) -> Any:
        """What ``--json`` printed."""
        return json.loads(self.out)

    @property
    def told(self) -> str:
        """The last line that says something, of stderr else of stdout."""
        lines = [line for line in (self.err.strip() or self.out.strip()).splitlines() if line.strip()]
        return lines[-1] if lines else ""


def command(words: Sequence[str | Path], cwd: Path = ROOT, environment: Mapping[str, str] | None = None) -> Ran:
    """Any program; never raises for its exit code."""
    began = time.monotonic()
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


def fullcast(*words: str | Path) -> Ran:
    """The command line in this Python, with the sources of this repository."""
    source = str(ROOT / "src")
    path = os.pathsep.join([source, *([os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else [])])
    return command([sys.executable, "-m", "fullcast", *words], environment={"PYTHONPATH": path})


def must(ran: Ran, what: str) -> Ran:
    """The same, or Failed with what it said."""
    if ran.code != 0:
        raise Failed(f"{what} ended with {ran.code}: {ran.told}")
    return ran


@dataclass(frozen=True, slots=True)
class ShowFiles:
    seed: int
    workspace: Path
    truth: Path
    """Outside the workspace, in a folder that no command but `audit` is told of."""


def make_show(context: Context, seed: int, smallest: bool = False) -> ShowFiles:
    """A pocket show in a workspace of its own, its truth put elsewhere before anything is prepared."""
    size = "smallest" if smallest else "show"
    folder = context.work_dir / f"{size}-{seed}"
    files = ShowFiles(seed, folder / "workspace", folder / "kept-apart" / "truth.parquet")
    if files.truth.exists():
        return files
    shutil.rmtree(folder, ignore_errors=True)
    drawn = folder / "drawn"
    context.say(f"drawing the pocket show of seed {seed}")
    size_words = ["--smallest"] if smallest else []
    must(fullcast("pocket", "show", "--out", drawn, "--seed", str(seed), *size_words), "pocket show")
    must(fullcast("new", files.workspace), "new")
    for given in ("episodes", "references", "fanart", "regularization"):
        if (drawn / given).is_dir():
            shutil.copytree(drawn / given, files.workspace / given, dirs_exist_ok=True)
    files.truth.parent.mkdir(parents=True)
    (drawn / "truth.parquet").replace(files.truth)
    shutil.rmtree(drawn)
    return files


def use_recipe(workspace: Path, recipe: Path) -> None:
    """The workspace's settings become those of a file that comes with Fullcast."""
    shutil.copyfile(recipe, workspace / "fullcast.toml")


def prepared(context: Context, seed: int, smallest: bool = False) -> ShowFiles:
    """The show, prepared; what is ready is taken as it is."""
    files = make_show(context, seed, smallest)
    context.say(f"preparing the show of seed {seed}")
    must(fullcast("prepare", "-w", files.workspace), "prepare")
    return files


def trained_smallest(context: Context, seed: int) -> ShowFiles:
    """The smallest show, prepared and trained for its few steps: a real checkpoint in seconds."""
    files = make_show(context, seed, smallest=True)
    use_recipe(files.workspace, ROOT / "recipes" / "smallest.toml")
    must(fullcast("prepare", "-w", files.workspace), "prepare")
    must(fullcast("train", "-w", files.workspace), "train")
    return files
