"""Line 7: a workspace that was moved goes on where it stopped."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from checks.framework import ROOT, Context, Figure, Goal, passed
from checks.journey import CHECK
from checks.shows import fullcast, make_show, must, use_recipe


@CHECK.line(7, "the workspace moved to a folder with a space and Japanese letters goes on where it stopped")
def moved(context: Context) -> Iterator[Figure]:
    (seed,) = context.seeds("journey-7", 1)
    files = make_show(context, seed, smallest=True)
    with tempfile.TemporaryDirectory(prefix="fullcast-moved-") as folder:
        first, then = Path(folder) / "first", Path(folder) / "二番目 の 場所" / "ヤマノススメ work"
        shutil.copytree(files.workspace, first)
        shutil.rmtree(first / "data", ignore_errors=True)
        use_recipe(first, ROOT / "recipes" / "smallest.toml")
        must(fullcast("prepare", "-w", first), "prepare")
        half = ("--training.checkpoint-every", "2")
        must(fullcast("pack", Path(folder) / "job.tar", "-w", first), "pack, which encodes")
        begun = must(fullcast("train", "-w", first, "--minutes", "0.01", *half, "--json"), "train, stopped early").data
        before = _frame_times(first)
        then.parent.mkdir(parents=True)
        first.rename(then)
        again = must(fullcast("prepare", "-w", then), "prepare after the move")
        after = _frame_times(then)
        yield passed("no frame is decoded again", before == after and bool(after), f"{len(after)} files")
        yield Figure("parts computed anew", _new_parts(again.out), Goal("=", 0))
        ended = must(fullcast("train", "-w", then, *half, "--json"), "train after the move").data
        runs = [p for p in (then / "data" / "runs").iterdir() if p.is_dir()]
        yield passed(
            "the training goes on in the same run", len(runs) == 1 and ended["finished"], f"step {ended['step']}"
        )
        yield passed("it did not begin anew", begun["step"] < ended["step"], f"from step {begun['step']}")
        must(fullcast("card", "-w", then), "card")
        yield passed("report.html is written there", (then / "report.html").is_file())
        yield Figure("stored files that name the old place", _mentions(then / "data", str(first)), Goal("=", 0))


def _frame_times(workspace: Path) -> dict[Path, int]:
    """When each decoded frame was written."""
    files = (p for p in (workspace / "data" / "frames").rglob("*") if p.is_file())
    return {p.relative_to(workspace): p.stat().st_mtime_ns for p in files}


def _new_parts(said: str) -> float:
    """From "(0 of 4 parts were new)"."""
    found = re.search(r"\((\d+) of \d+ parts were new\)", said)
    return float(found.group(1)) if found else float("nan")


def _mentions(folder: Path, text: str) -> int:
    return sum(text.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())
