"""Line 6: killed at any moment, prepare goes on to the same tables; bad inputs are counted and stop nothing."""

from __future__ import annotations

import math
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from checks.elsewhere import environment
from checks.framework import ROOT, Context, Figure, Goal, passed, short
from checks.preparation import CHECK
from checks.shows import Failed, ShowFiles, command, fullcast, make_show, must
from fullcast.store.pictures import write_png
from fullcast.store.seeding import rng

KILLS = 20
MANY_FILES, GOOD_FILES = 10_000, 40
UNCOMPARED = {"times.json"}
"""Tells how long things took."""


@CHECK.line(6, "kill -9 at twenty random moments; bad inputs; every executor")
def robust(context: Context) -> Iterator[Figure]:
    seed = context.seeds("preparation robust", 1)[0]
    yield from killed(context, seed)
    yield from bad_inputs(context, seed)
    yield executors(context)


def executors(context: Context) -> Figure:
    """The tests of every executor, in an environment that has Ray: a local cluster of two workers."""
    name = "in process, in processes and on Ray: the same bytes"
    python = environment(context, "ray", ["ray"])
    if isinstance(python, str):
        return short(name, python)
    tests = ("tests/store/test_executors.py", "tests/journey/test_executors.py")
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    ran = command([python, "-m", "pytest", "-q", "-n", "0", *tests], environment={"PYTHONPATH": path})
    return passed(name, ran.code == 0, ran.out.strip().splitlines()[-1] if ran.out.strip() else ran.told)


def killed(context: Context, seed: int) -> Iterator[Figure]:
    """The same show twice: left alone, and killed again and again (from nothing whenever it had come to its end).

    Moments are told by processor time where the system tells it: on a busy machine seconds of the wall would all fall
    into the first stage.
    """
    show = make_show(context, seed, smallest=True)
    alone, broken = (_copy(context, show, name) for name in ("alone", "broken"))
    clock = _Clock(_start(alone))
    if clock.wait(math.inf) != 0:
        raise Failed("prepare, left alone, did not end well")
    length = clock.last
    expected = _tables(alone)
    moments = rng(seed, "kill").uniform(0.02, 0.98, KILLS) * length
    num_killed, ended, equal, orphans = 0, 0, True, 0
    for number, moment in enumerate(moments):
        context.say(f"kill {number + 1} of {KILLS}, after {moment:.1f} s of {length:.1f} s of {clock.kind}")
        process = _start(broken)
        code = _Clock(process).wait(float(moment))
        if code is None:
            process.kill()  # SIGKILL to it alone: its workers must see for themselves
            process.wait()
            num_killed += 1
            orphans += _outlive(process.pid)
            continue
        if code != 0:
            raise Failed(f"prepare ended by itself with {code}")
        ended += 1
        equal &= _tables(broken) == expected
        shutil.rmtree(broken / "data")
    must(fullcast("prepare", "-w", broken), "prepare after the kills")
    equal &= _tables(broken) == expected
    note = f"{ended} of {KILLS} runs ended before their moment and were begun anew"
    yield Figure("runs killed", num_killed, Goal(">=", KILLS // 2), KILLS, note=note)
    yield passed("tables and frames equal those of an uninterrupted run", equal, f"{len(expected)} files")
    left = [p for p in (broken / "data").rglob(".partial-*")]
    yield Figure("unfinished files left behind", len(left), Goal("=", 0))
    yield Figure("processes that outlived the killed one by 10 s", orphans, Goal("=", 0))


def _copy(context: Context, show: ShowFiles, name: str) -> Path:
    """The given files of a show in a workspace of its own."""
    workspace = context.work_dir / "robust" / name
    shutil.rmtree(workspace, ignore_errors=True)
    shutil.copytree(show.workspace, workspace, ignore=shutil.ignore_patterns("data"))
    return workspace


def _start(workspace: Path) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "fullcast", "prepare", "-w", str(workspace), "--set", "processes=2"],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


class _Clock:
    """Processor time of a process and of all that it started, or seconds of the wall where /proc does not tell."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process, self.began, self.last = process, time.monotonic(), 0.0
        self.kind = "processor time" if Path("/proc/self/stat").exists() else "the wall"

    def wait(self, moment: float) -> int | None:
        """The exit code; None when the moment came first."""
        while self.process.poll() is None:
            self.last = max(self.last, self._now())
            if self.last >= moment:
                return None
            time.sleep(0.02)
        return self.process.returncode

    def _now(self) -> float:
        if self.kind == "the wall":
            return time.monotonic() - self.began
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except OSError:
                continue  # it ended in between
            if int(fields[3]) == self.process.pid:  # its session: see _start
                ticks += sum(map(int, fields[11:15]))  # user, system, and both of children that it waited for
        return ticks / os.sysconf("SC_CLK_TCK")


def _outlive(group: int) -> int:
    """Processes of the killed one's group that are there after ten seconds; they are ended."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return 0
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    return 1


def _tables(workspace: Path) -> dict[str, bytes]:
    files = sorted(p for p in (workspace / "data").rglob("*") if p.is_file() and p.name not in UNCOMPARED)
    return {p.relative_to(workspace).as_posix(): p.read_bytes() for p in files if not p.name.startswith(".partial-")}


def bad_inputs(context: Context, seed: int) -> Iterator[Figure]:
    """Every given file is a picture, a video or a drop with a reason in the end."""
    show = make_show(context, seed, smallest=True)
    workspace = _copy(context, show, "bad")
    bad = _spoil(workspace, seed)
    context.say(f"preparing {MANY_FILES} files in one folder and {len(bad)} spoilt ones")
    ran = fullcast("prepare", "-w", workspace, "--json")
    yield passed("prepare ends well", ran.code == 0, "" if ran.code == 0 else ran.told)
    if ran.code != 0:
        return
    drops = ran.data["drops"]
    reasons = {drop["item"]: drop["reason"] for drop in drops}
    missing = [name for name in bad if not _reason(name, reasons)]
    yield Figure("spoilt files without a reason", len(missing), Goal("=", 0), len(bad), note=", ".join(missing)[:200])
    for name, accepted in bad.items():
        reason = _reason(name, reasons)
        yield passed(name, reason in accepted, reason or "no reason")
    small = sum(drop["reason"] == "too-small" for drop in drops)
    yield Figure("of the many files, counted as too small", small, Goal("=", MANY_FILES - GOOD_FILES))
    from fullcast.records import Image
    from fullcast.store.tables import read_records

    paths = {image.path for image in read_records(workspace / "data" / "show" / "images.parquet", Image)}
    kept = sum(path.startswith("fanart/many/") for path in paths)
    yield Figure("of the many files, taken as pictures", kept, Goal("=", GOOD_FILES))
    twins = {f"fanart/{folder}/雨.png" for folder in ("蒼井", "other")}
    yield passed("two files of one name in two folders, in Japanese", twins <= paths)
    yield passed("a video with a name in Japanese", ran.data["videos"] >= 2, f"{ran.data['videos']} videos")


def _reason(name: str, reasons: dict[str, str]) -> str:
    """By the path in the workspace, or in the source's folder."""
    return reasons.get(name) or reasons.get(name.split("/", 1)[1], "")


def _spoil(workspace: Path, seed: int) -> dict[str, set[str]]:
    """Adds bad and odd files; {path in the workspace: reasons that would be right}."""
    episodes, fanart = workspace / "episodes", workspace / "fanart"
    good = sorted(episodes.iterdir())[0]
    data = good.read_bytes()
    (episodes / "cut.mp4").write_bytes(data[: len(data) // 2])
    (episodes / "noise.mkv").write_bytes(rng(seed, "noise").bytes(50_000))
    (episodes / "empty.mp4").write_bytes(b"")
    shutil.copyfile(good, episodes / "zz the same again.mp4")
    _damage(data, episodes / "第01話 雨の日.mp4", seed)
    fanart.mkdir(exist_ok=True)
    (fanart / "lies.png").write_bytes(_png_that_says(60_000, 60_000))
    (fanart / "short.png").write_bytes(_png_that_says(640, 480))
    (fanart / "no picture.jpg").write_bytes(b"<html>not found</html>")
    for number, folder in enumerate(("蒼井", "other")):
        write_png(fanart / folder / "雨.png", _drawing(seed, f"twin {number}"))
    for number in range(MANY_FILES):
        side = 96 if number < GOOD_FILES else 8
        write_png(fanart / "many" / f"{number:05d}.png", _drawing(seed, f"many {number}", side))
    return {
        "episodes/cut.mp4": {"truncated"},
        "episodes/noise.mkv": {"not-a-video", "truncated"},
        "episodes/empty.mp4": {"empty"},
        "episodes/zz the same again.mp4": {"same-file"},
        "episodes/第01話 雨の日.mp4": {"truncated"},
        "fanart/lies.png": {"too-large"},
        "fanart/short.png": {"truncated", "unreadable"},
        "fanart/no picture.jpg": {"not-a-picture"},
    }


def _damage(data: bytes, path: Path, seed: int) -> None:
    """Bytes overwritten in the middle of the pictures; index and beginning stay."""
    spoilt = bytearray(data)
    for place in rng(seed, "damage").integers(int(0.4 * len(data)), int(0.8 * len(data)), 12):
        spoilt[place : place + 400] = bytes(400)
    path.write_bytes(spoilt)


def _drawing(seed: int, name: str, side: int = 256) -> np.ndarray:
    """(side, side, 3) uint8 of coloured squares; no two alike."""
    squares = rng(seed, "squares", name).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.kron(squares, np.ones((side // 8, side // 8, 1), np.uint8))


def _png_that_says(width: int, height: int) -> bytes:
    """A header of any size with pixels for one row."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * (1 + 3 * min(width, 640)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
