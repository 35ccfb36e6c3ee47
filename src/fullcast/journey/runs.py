"""Which of a workspace's runs is meant where none is named: the one that `train` named last.

data/runs/current holds the runs in the order in which they were trained, or found to be trained, a name a line. Times
of files do not tell it: a recipe that is set back confirms an older run, and copies do not keep them.
"""

from __future__ import annotations

from pathlib import Path

from fullcast.store.atomic import TEMPORARY, write_text
from fullcast.store.errors import FullcastError
from fullcast.store.workspace import Workspace

CURRENT = "current"


def make_current(run_dir: Path) -> None:
    """From now on this run is meant, as soon as it has a checkpoint; until then the one before it."""
    names = _in_order(run_dir.parent)
    if names[-1:] == [run_dir.name]:
        return
    former = [name for name in names if name != run_dir.name]
    write_text(run_dir.parent / CURRENT, "".join(f"{name}\n" for name in (*former, run_dir.name)))


def latest_checkpoint(workspace: Workspace) -> Path:
    """The newest checkpoint of the run that was trained last. Raises FullcastError when nothing was trained."""
    newest = newest_checkpoints(workspace)
    if not newest:
        raise FullcastError(f"nothing was trained in {workspace.root} yet; run: fullcast train -w {workspace.root}")
    return newest[-1]


def newest_checkpoints(workspace: Workspace) -> list[Path]:
    """Of every run that has one, that of the run trained last at the end."""
    from fullcast.training.kept import checkpoints

    found_runs = workspace.runs_dir.iterdir() if workspace.runs_dir.is_dir() else iter(())
    runs = [run for run in found_runs if run.is_dir() and not run.name.startswith(TEMPORARY)]
    places = {name: place for place, name in enumerate(_in_order(workspace.runs_dir))}

    def age(path: Path) -> tuple[int, int, str]:
        # By their times only among those that no `train` named: of a Fullcast from before it did, or copied by hand.
        return places.get(path.parents[1].name, -1), path.stat().st_mtime_ns, path.name

    return sorted((found[-1] for run in runs if (found := checkpoints(run))), key=age)


def _in_order(runs_dir: Path) -> list[str]:
    current = runs_dir / CURRENT
    return current.read_text(encoding="utf-8").splitlines() if current.is_file() else []
