"""The smallest pocket show with the weights that come with Fullcast: every room, in processes that reach no network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROCESSOR_SECONDS = 180
"""The issue's three minutes, as processor time of one thread: a busy machine does not fail the test."""

OFFLINE = """
import socket

def refuse(self, address, *rest):
    if self.family != getattr(socket, "AF_UNIX", None):
        raise OSError(f"the test allows no network: {address}")
    return former(self, address, *rest)

former, socket.socket.connect = socket.socket.connect, refuse
"""


def spent() -> float:
    """By processes that have ended; 0 on Windows, which does not tell."""
    times = os.times()
    return times.children_user + times.children_system


def demo(folder: Path) -> tuple[subprocess.CompletedProcess[str], float]:
    """`fullcast demo` in `folder`, and the processor time that it took."""
    (folder / "offline").mkdir(exist_ok=True)
    (folder / "offline" / "sitecustomize.py").write_text(OFFLINE)
    places = os.pathsep.join([str(folder / "offline"), str(ROOT / "src")])
    environment = {**os.environ, "FULLCAST_DEMO": "smallest", "PYTHONPATH": places, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "fullcast", "demo", "demo", "--json"]
    before = spent()
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done, spent() - before


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, float]:
    folder = tmp_path_factory.mktemp("smallest")
    done, seconds = demo(folder)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout), seconds


def test_every_room_is_walked_through_in_three_minutes(walked: tuple[Path, dict, float]) -> None:
    folder, told, seconds = walked
    stages = told["stages"]
    assert list(stages) == ["prepare", "plan", "train", "generate", "judge", "card"]
    assert stages["train"]["finished"] and set(stages["judge"]) == {"main", "placed", "base", "not_used", "page"}
    assert seconds < PROCESSOR_SECONDS
    workspace = folder / "demo"
    named = {path.name for path in (workspace / "references").iterdir()}
    people = {name.split("/")[0]: n for name, n in stages["prepare"]["people"].items()}
    assert len(named & set(people)) >= 4  # of eight: a show of 24 s has not room for everybody
    for page in ("report.html", "card/README.md"):
        assert (workspace / page).stat().st_size > 1000
        assert "Compositions that were trained on" in (workspace / page).read_text(encoding="utf-8")


def test_a_second_walk_makes_nothing_anew(walked: tuple[Path, dict, float]) -> None:
    folder, told, seconds = walked
    files = [path for path in sorted((folder / "demo" / "data").rglob("*.p*")) if path.is_file()]
    assert {".parquet", ".png"} <= {path.suffix for path in files}
    costly = [path for path in files if {"frames", "people", "runs"} & set(path.relative_to(folder).parts)]
    stamps, contents = [path.stat().st_mtime_ns for path in costly], [path.read_bytes() for path in files]
    done, again = demo(folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["stages"]["judge"] == told["stages"]["judge"]
    assert costly and [path.stat().st_mtime_ns for path in costly] == stamps
    assert [path for path, content in zip(files, contents, strict=True) if path.read_bytes() != content] == []
    assert again <= seconds / 2
