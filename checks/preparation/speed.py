"""Line 1: how fast an episode is taken in, beside decoding alone and beside what others use; and what it finds.

All of it in one run, one thread each, pinned to one core, in turns: every round measures each once, and ratios are of
the same round.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any

from checks.elsewhere import environment
from checks.framework import ROOT, Context, Figure, Goal, short
from checks.preparation import CHECK
from checks.shows import ShowFiles, command, fullcast, make_show, must
from fullcast.audit.truth import PICTURE_KINDS, TrueFrame, Truth

ROUNDS = 5
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} | {
    "OMP_WAIT_POLICY": "PASSIVE"
}
SEED_FILTER = "mpdecimate=hi=64*200:lo=64*50:frac=0.33,showinfo"
"""As the seed pipeline calls it; showinfo tells which frames pass."""
THRESHOLDS = (10.0, 20.0, 30.0, 60.0, 90.0, 140.0)
"""Beside the default, for whoever would choose another: precision and recall of each on the labelled pairs."""
EPISODE_MINUTES, EPISODE_GOAL_MINUTES = 24, 12

PHASH = """
import json, sys
from pathlib import Path
from imagededup.methods import PHash
hasher = PHash()
codes = hasher.encode_images(image_dir=sys.argv[1], num_enc_workers=0)
out = {}
for limit in (0, 2, 4, 6, 8, 10, 12, 16, 20):
    found = hasher.find_duplicates(encoding_map=codes, max_distance_threshold=limit, num_dist_workers=0)
    out[limit] = sorted({tuple(sorted((a, b))) for a, many in found.items() for b in many})
print(json.dumps(out))
"""


@CHECK.line(1, "speed of taking in, of every stage, and beside others; duplicates beside imagededup")
def speed(context: Context) -> Iterator[Figure]:
    show = make_show(context, context.seeds("preparation speed", 1)[0])
    truth = Truth.read(show.truth)
    episode = sorted((show.workspace / "episodes").iterdir())[0]
    yield from taking_in(context, episode, truth)
    yield from duplicates(context, show, truth)
    yield from whole_episode(context)
    # Clusters of 40,000 people are measured by whoever clusters.
    if find_spec("checks.preparation.clustering") is not None:
        yield from import_module("checks.preparation.clustering").figures(context)


def taking_in(context: Context, episode: Path, truth: Truth) -> Iterator[Figure]:
    """Ratios of processor time and of the wall, and the distinct drawings that each keeps."""
    work = context.work_dir / "speed"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    rivals: dict[str, str | Path] = {
        "mpdecimate to PNG": _ffmpeg(context),
        "PySceneDetect": environment(context, "scenedetect", ["scenedetect>=0.6", "opencv-python-headless"]),
    }
    rows: dict[str, list[dict[str, Any]]] = {}
    for number in range(ROUNDS):
        context.say(f"round {number + 1} of {ROUNDS}")
        out = work / str(number)
        out.mkdir()
        turn = ["decoding alone", "ours", "ours to PNG", *(n for n, path in rivals.items() if Path(path).is_file())]
        for name in turn if number % 2 == 0 else turn[::-1]:
            rows.setdefault(name, []).append(_measure(name, rivals, episode, out))
    yield from _ratios(rows)
    for name, path in rivals.items():
        if name not in rows:
            yield short(name, str(path))
    for name, measured in rows.items():
        if "kept" in measured[0]:
            yield _drawings(name, measured[0]["kept"], truth, episode.name)


def _measure(name: str, rivals: Mapping[str, str | Path], episode: Path, out: Path) -> dict[str, Any]:
    if name == "mpdecimate to PNG":
        return _mpdecimate(rivals[name], episode, out)
    work = {"decoding alone": "decode_alone", "ours": "ours", "ours to PNG": "ours_writing"}
    return _timed(rivals.get(name, sys.executable), work.get(name, "content_detector"), episode, out)


def _ratios(rows: Mapping[str, list[dict[str, Any]]]) -> Iterator[Figure]:
    alone = rows["decoding alone"]
    fps = statistics.median(r["frames"] / r["cpu_s"] for r in alone)
    yield Figure("decoding alone, frames per second of processor time", fps, n=alone[0]["frames"])
    for name in [n for n in rows if n != "decoding alone"]:
        goal = Goal(">=", 0.7) if name == "ours" else None
        note = {
            "ours": "decode, shots, sampling, near-duplicates; kept frames made RGB, not encoded",
            "ours to PNG": "the same and PNG files written",
        }.get(name, "")
        for clock, word in (("cpu_s", "processor time"), ("wall_s", "wall")):
            ratios = [a[clock] / r[clock] for a, r in zip(alone, rows[name], strict=True)]
            yield Figure(
                f"{name}: speed over decoding alone, {word}",
                statistics.median(ratios),
                goal if clock == "cpu_s" else None,
                len(ratios),
                min(ratios),
                max(ratios),
                note,
            )
    for other in ("mpdecimate to PNG", "PySceneDetect"):
        if other in rows:
            mine = rows["ours to PNG" if other.endswith("PNG") else "ours"]
            ratios = [r["cpu_s"] / m["cpu_s"] for r, m in zip(rows[other], mine, strict=True)]
            yield Figure(f"ours over {other}, processor time", statistics.median(ratios), None, len(ratios))


def _drawings(name: str, kept: Iterable[float], truth: Truth, video: str) -> Figure:
    """Share of the truly distinct drawings of the episode of which a frame is kept."""
    frames = [frame for t in kept if (frame := truth.at(video, t)) is not None]
    wanted = {f.drawing for f in truth.by_video[video] if f.kind in PICTURE_KINDS}
    goal = Goal(">=", 0.9) if name == "ours" else None
    share = len(wanted & {f.drawing for f in frames}) / len(wanted)
    return Figure(f"{name}: distinct drawings kept", share, goal, len(wanted), note=f"{len(frames)} frames kept")


def _timed(python: str | Path, name: str, episode: Path, out: Path) -> dict[str, Any]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    words = _pinned([python, "-m", "checks.preparation.timed", name, episode, out])
    ran = must(command(words, environment=ONE_THREAD | {"PYTHONPATH": path}), f"timing {name}")
    return dict(json.loads(ran.out.strip().splitlines()[-1]))


def _mpdecimate(ffmpeg: str | Path, episode: Path, out: Path) -> dict[str, Any]:
    """The program's own start is counted: a few hundredths of a second."""
    words = [ffmpeg, "-nostdin", "-threads", "1", "-filter_threads", "1", "-i", episode, "-vf", SEED_FILTER]
    words += ["-fps_mode", "passthrough", "-threads", "1", "-c:v", "png", out / "m_%06d.png"]
    before, began = os.times(), time.perf_counter()
    ran = must(command(_pinned(words)), "ffmpeg")
    wall, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    kept = [float(t) for t in re.findall(r"\bpts_time:\s*([0-9.]+)", ran.err)]
    return {"cpu_s": cpu, "wall_s": wall, "kept": kept, "frames": len(kept)}


def _pinned(words: Sequence[str | Path]) -> list[str | Path]:
    """On one core, the last that this process may use, where the system has taskset."""
    if not shutil.which("taskset") or not hasattr(os, "sched_getaffinity"):
        return list(words)
    return ["taskset", "-c", str(max(os.sched_getaffinity(0))), *words]


def _ffmpeg(context: Context) -> str | Path:
    """The system's, else that of imageio-ffmpeg; a sentence when there is none."""
    if found := shutil.which("ffmpeg"):
        return found
    python = environment(context, "ffmpeg", ["imageio-ffmpeg"])
    if not Path(python).is_file():
        return python
    code = "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"
    return must(command([python, "-I", "-c", code]), "imageio-ffmpeg").out.strip()


def duplicates(context: Context, show: ShowFiles, truth: Truth) -> Iterator[Figure]:
    """All episodes' frames as sampled; which pairs of different shots are one view? Ours and imagededup's pHash."""
    folder = context.work_dir / "speed" / "sampled"
    folder.mkdir(parents=True)
    frames: dict[str, TrueFrame] = {}
    images, prints = _sampled(show, folder)
    for image, name in images:
        frame = truth.at(name, image.time_s)
        if frame is not None:
            frames[Path(image.path).name] = frame
    pairs = set(combinations(sorted(frames), 2))
    true = {(a, b) for a, b in pairs if _shot(frames[a]) != _shot(frames[b]) and frames[a].same_view(frames[b])}
    from fullcast.ingest.config import IngestConfig
    from fullcast.ingest.dedup import find_duplicates

    originals = [image for image, _ in images]
    files = {image.id: Path(image.path).name for image in originals}
    found = find_duplicates(originals, prints, IngestConfig())
    ours = _pairs_of(found.dropped, files) & pairs
    precision, recall, f1 = _score(ours, true)
    note = f"at the threshold {IngestConfig().duplicate_threshold:g}"
    yield Figure("duplicate pairs, ours: precision", precision, None, len(ours), note=note)
    yield Figure("duplicate pairs, ours: recall", recall, None, len(true), note=note)
    yield Figure("duplicate pairs, ours: F1", f1, Goal(">=", 0.9), len(true))
    for threshold in THRESHOLDS:
        other = find_duplicates(originals, prints, IngestConfig(duplicate_threshold=threshold))
        p, r, f = _score(_pairs_of(other.dropped, files) & pairs, true)
        yield Figure(f"duplicate pairs, ours at {threshold:g}: F1", f, None, note=f"precision {p:.3f}, recall {r:.3f}")
    wrong = sum(not frames[files[a]].same_view(frames[files[b]]) for a, b in found.dropped.items())
    yield Figure("pictures dropped that are no duplicate", wrong, None, len(found.dropped))
    python = environment(context, "imagededup", ["imagededup", "torchvision"])
    if not Path(python).is_file():
        yield short("duplicate pairs, imagededup", str(python))
        return
    ran = command([python, "-I", "-c", PHASH, folder])
    if ran.code != 0:
        yield short("duplicate pairs, imagededup", ran.told)
        return
    answers = json.loads(ran.out.strip().splitlines()[-1])
    across = {
        limit: {(a, b) for a, b in map(tuple, found_pairs) if (a, b) in pairs and _shot(frames[a]) != _shot(frames[b])}
        for limit, found_pairs in answers.items()
    }
    yield Figure("duplicate pairs, imagededup pHash as it comes: F1", _score(across["10"], true)[2], None, len(true))
    best = max(across, key=lambda limit: _score(across[limit], true)[2])
    note = f"distance {best}, chosen on these very pairs"
    yield Figure("duplicate pairs, imagededup pHash at its best: F1", _score(across[best], true)[2], note=note)


def _pairs_of(dropped: Mapping[str, str], files: Mapping[str, str]) -> set[tuple[str, str]]:
    """Every two of those that one picture stands for, itself with them, by file name."""
    groups: dict[str, list[str]] = {}
    for image_id, kept in dropped.items():
        groups.setdefault(kept, [kept]).append(image_id)
    return {pair for group in groups.values() for pair in combinations(sorted(files[i] for i in group), 2)}


def _sampled(show: ShowFiles, folder: Path) -> tuple[list[tuple[Any, str]], list[Any]]:
    """Frames of every episode before near-duplicates are taken out, with the episode's file name; fingerprints."""
    from fullcast.ingest.config import IngestConfig
    from fullcast.ingest.extract import extract_video

    images, prints = [], []
    for episode in sorted((show.workspace / "episodes").iterdir()):
        result = extract_video(episode, folder, IngestConfig())
        images += [(image, episode.name) for image in result.images]
        prints += result.fingerprints
    return images, prints


def _shot(frame: TrueFrame) -> tuple[str, int]:
    return frame.video, frame.shot


def _score(found: set[tuple[str, str]], true: set[tuple[str, str]]) -> tuple[float, float, float]:
    """Precision, recall, F1."""
    right = len(found & true)
    precision, recall = right / max(1, len(found)), right / max(1, len(true))
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def whole_episode(context: Context) -> Iterator[Figure]:
    """`prepare` of a show from nothing, and again with one more episode: what 24 minutes take, by what the first cost
    and what each further second of video adds; people per second of each stage."""
    show = make_show(context, context.seeds("preparation speed", 1)[0])
    workspace = context.work_dir / "speed" / "workspace"
    shutil.copytree(show.workspace, workspace, ignore=shutil.ignore_patterns("data"))
    *first, last = sorted((workspace / "episodes").iterdir())
    aside = last.replace(workspace.parent / last.name)
    lengths = {name: f[-1].time_s - f[0].time_s for name, f in Truth.read(show.truth).by_video.items()}
    context.say("preparing a show from nothing")
    begun = _prepare(workspace)
    aside.replace(last)
    context.say("preparing one more episode")
    added = _prepare(workspace)
    rest_s = 60 * EPISODE_MINUTES - sum(lengths[path.name] for path in first)
    for index, (clock, goal) in enumerate((("", Goal("<=", EPISODE_GOAL_MINUTES)), (" of processor time", None))):
        minutes = (begun[index] + added[index] / lengths[last.name] * rest_s) / 60
        note = f"{begun[index]:.0f} s from nothing, {added[index]:.0f} s for {lengths[last.name]:.0f} s of video more"
        yield Figure(f"minutes{clock} for an episode of 24", minutes, goal, note=f"{note}; {os.cpu_count()} cores")
    people = sum(added[2]["people"].values())
    # Of both runs together: so are the times, which the journey adds up.
    times = json.loads((workspace / "data" / "times.json").read_text())
    for stage in ("frames", "people", "words"):
        yield Figure(f"people per second: {stage}", people / max(1e-6, times[f"prepare: {stage}"]), n=people)


def _prepare(workspace: Path) -> tuple[float, float, Any]:
    """Seconds of the wall, seconds of processor time with all processes, and what it printed."""
    before = os.times()
    ran = must(fullcast("prepare", "-w", workspace, "--json"), "prepare")
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return ran.seconds, used, ran.data
