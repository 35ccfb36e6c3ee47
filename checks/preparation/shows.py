"""Line 2: what prepare makes of three fresh shows, against their truth; a style never seen in rows of its own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from checks.framework import Context, Figure, Goal
from checks.preparation import CHECK
from checks.shows import ShowFiles, fullcast, must, prepared
from fullcast.audit import video_names
from fullcast.audit.measures import Kept, Pair, identity, match_kept, measure
from fullcast.audit.truth import Truth, in_image
from fullcast.captions.config import CaptionsConfig
from fullcast.captions.source import Captions
from fullcast.journey import Journey
from fullcast.journey.preparing import Prepared, read_prepared
from fullcast.judging.statistics import Estimate, share
from fullcast.pocket.looks import UNSEEN_STYLE
from fullcast.pocket.show import ShowSettings
from fullcast.pocket.show import make_show as draw_show
from fullcast.records import UNKNOWN, Cast, Sample, Shot
from fullcast.store.tables import read_records

GOALS: dict[str, Goal] = {
    "person precision": Goal(">=", 0.98),
    "person recall": Goal(">=", 0.98),
    "identity, macro over characters": Goal(">=", 0.98),
    "recall of unknown": Goal(">=", 0.95),
    "forms": Goal(">=", 0.97),
    "people counted right": Goal(">=", 0.97),
    "shot recall": Goal(">=", 0.98),
    "shot precision": Goal(">=", 0.98),
    "distinct drawings kept": Goal(">=", 0.9),
    "true duplicates among kept": Goal("<=", 0.01),
    "junk among kept": Goal("<=", 0.0),
    "captions with everybody's name in true order": Goal(">=", 0.97),
}

FRAME_SLACK = 1.5
"""Frames by which a cut may be off: its time is that of the frame before or after."""


@CHECK.line(2, "three pocket shows: what prepare made, against the truth; worst of the three, and the unseen style")
def shows(context: Context) -> Iterator[Figure]:
    tables = []
    for seed in context.seeds("preparation-2", 3):
        tables.append(table(prepared(context, seed)))
        context.say(f"seed {seed}: " + ", ".join(f"{name} {e.value:.3f}" for name, e in tables[-1].items()))
    for name, goal in GOALS.items():
        yield _worst(name, [t[name] for t in tables], goal)
    (seed,) = context.seeds("preparation-2-unseen", 1)
    unseen = table(_unseen(context, seed))
    for name, e in unseen.items():
        yield Figure(f"unseen style ({UNSEEN_STYLE}): {name}", e.value, None, e.n, e.low, e.high)


def _worst(name: str, rows: Sequence[Estimate], goal: Goal) -> Figure:
    sign = 1 if goal.relation == ">=" else -1
    worst = min(rows, key=lambda e: (not np.isnan(e.value), sign * e.value))
    each = ", ".join(f"{e.value:.3f}" for e in rows)
    return Figure(name, worst.value, goal, worst.n, worst.low, worst.high, f"shows: {each}")


def _unseen(context: Context, seed: int) -> ShowFiles:
    """A show in the style that nothing of ours was trained on, prepared; its truth is put away before."""
    folder = context.work_dir / f"unseen-{seed}"
    files = ShowFiles(seed, folder / "workspace", folder / "kept-apart" / "truth.parquet")
    if not files.truth.exists():
        shutil.rmtree(folder, ignore_errors=True)
        context.say(f"drawing the show of seed {seed} in the style {UNSEEN_STYLE}")
        draw_show(folder / "drawn", seed, ShowSettings(style=UNSEEN_STYLE))
        must(fullcast("new", files.workspace), "new")
        for given in ("episodes", "references", "fanart", "regularization"):
            shutil.copytree(folder / "drawn" / given, files.workspace / given, dirs_exist_ok=True)
        files.truth.parent.mkdir(parents=True)
        (folder / "drawn" / "truth.parquet").replace(files.truth)
        shutil.rmtree(folder / "drawn")
    must(fullcast("prepare", "-w", files.workspace), "prepare")
    return files


# -------------------------------------------------------------------------------------------------------- one show


@dataclass(frozen=True)
class _Opened:
    ready: Prepared
    truth: Truth
    kept: Kept
    shots: Sequence[Shot]
    names: Mapping[str, str]
    """Video id -> file name."""


def table(files: ShowFiles) -> dict[str, Estimate]:
    """Every row of GOALS for one prepared show."""
    journey = Journey.open(files.workspace)
    ready, truth = read_prepared(journey), Truth.read(files.truth)
    names = video_names(journey.workspace)
    kept = match_kept(ready.images, ready.people, truth, names)
    shots = read_records(journey.workspace.show_dir / "shots.parquet", Shot)
    show = _Opened(ready, truth, kept, shots, names)
    rows = {row.name: row.ours for row in measure(kept, truth)}
    rows |= {"identity, macro over characters": characters(kept), "forms": forms(kept)}
    rows |= dict(zip(("shot recall", "shot precision"), cuts(show), strict=True))
    rows["captions with everybody's name in true order"] = caption_order(show)
    return {name: rows[name] for name in GOALS}


def characters(kept: Kept) -> Estimate:
    """Mean over characters of the share named right, whatever the form."""
    plain = [replace(pair, true=replace(pair.true, form="")) for pair in kept.pairs]
    return identity(plain, lambda pair: (pair.found.character, "")).ours


def forms(kept: Kept) -> Estimate:
    """Of characters with several forms who are named right: mean over forms of the share in the right form."""
    looks: dict[str, set[str]] = {}
    for frame in kept.frames.values():
        for person in frame.people:
            looks.setdefault(person.character, set()).add(person.form)
    several = [p for p in kept.pairs if len(looks.get(p.true.character, ())) > 1 and p.true.character != UNKNOWN]
    known: list[Pair] = [pair for pair in several if pair.found.character == pair.true.character]
    answer: Callable[[Pair], tuple[str, str]] = lambda pair: (pair.found.character, pair.found.form)  # noqa: E731
    return identity(known, answer).ours


def cuts(show: _Opened) -> tuple[Estimate, Estimate]:
    """Recall and precision of cuts, each found one standing for one true one."""
    hits = num_true = num_found = 0
    by_name = {name: video_id for video_id, name in show.names.items()}
    for video, frames in show.truth.by_video.items():
        times = [frame.time_s for frame in frames]
        spacing = (times[-1] - times[0]) / max(1, len(times) - 1)
        true = [b.time_s for a, b in zip(frames, frames[1:], strict=False) if a.shot != b.shot]
        found = sorted(
            s.start_s for s in show.shots if s.video_id == by_name.get(video) and s.start_s > times[0] + spacing
        )
        hits += _matches(true, found, FRAME_SLACK * spacing)
        num_true, num_found = num_true + len(true), num_found + len(found)
    return share(hits, num_true), share(hits, num_found)


def _matches(true: Sequence[float], found: Sequence[float], slack: float) -> int:
    """Both sorted."""
    hits = i = j = 0
    while i < len(true) and j < len(found):
        if abs(true[i] - found[j]) <= slack:
            hits, i, j = hits + 1, i + 1, j + 1
        elif true[i] < found[j]:
            i += 1
        else:
            j += 1
    return hits


def caption_order(show: _Opened) -> Estimate:
    """Kept frames of two people or more whose caption says the known ones' names, all, from left to right."""
    cast = show.ready.cast
    right = total = 0
    images = [image for image in show.kept.images if len(show.kept.frames[image.id].people) > 1]
    samples = [
        Sample(
            image.id,
            image.id,
            image.path,
            (0, 0, image.width, image.height),
            "screenshots",
            show.kept.people[image.id],
            tags=show.ready.scene_tags.get(image.id, ()),
        )
        for image in images
    ]
    captions = Captions(samples, cast, CaptionsConfig(), seed=0)
    for image in images:
        heads = [(in_image(p.head_xyxy, image), p.character) for p in show.kept.frames[image.id].people]
        true = [who for _, who in sorted(heads, key=lambda item: item[0][0] + item[0][2]) if who != UNKNOWN]
        right += said_names(captions.caption(image.id, 0), cast) == true
        total += 1
    return share(right, total)


def said_names(caption: str, cast: Cast) -> list[str]:
    """Names of the cast in the order in which a caption says them."""
    by_word = {character.trigger_word: character.name for character in cast.characters}
    pattern = "|".join(sorted(map(re.escape, by_word), key=len, reverse=True))
    return [by_word[word] for word in re.findall(rf"\b(?:{pattern})\b", caption)] if by_word else []
