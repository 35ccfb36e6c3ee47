"""Line 4: a page of 1,000 pictures in two minutes, and no picture judged twice for the same question."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from checks.ceiling import draw_scenes
from checks.framework import Context, Figure, Goal, passed
from checks.judge import CHECK
from checks.judge.drawings import HEIGHT, SCENES, WIDTH
from checks.shows import fullcast, must, prepared
from fullcast.journey import Journey
from fullcast.journey.asking import judge_cast
from fullcast.judging.judgement import DATA, recount
from fullcast.recognition.scenes import read_scenes
from fullcast.records import Scene
from fullcast.store.pictures import read_picture, write_png

PICTURES = 1000
DRAWN = 100
"""Of them drawn, a tenth of each number of people; the others are these, moved by a pixel or two: other files to hash,
to read and to look at. What is right in them does not matter here."""
SECONDS = 120


@CHECK.line(4, "a page of 1,000 pictures in two minutes; nothing judged twice; every number counted again")
def speed(context: Context) -> Iterable[Figure]:
    (seed,) = context.seeds("judge-4", 1)
    files = prepared(context, seed, smallest=True)
    pictures, out = files.workspace.parent / "thousand", files.workspace.parent / "page"
    cast = judge_cast(Journey.open(files.workspace))
    scenes = read_scenes(SCENES, cast)[:PICTURES]
    context.say(f"drawing {DRAWN} pictures, and from them {len(scenes)}")
    draw_scenes(scenes[:: PICTURES // DRAWN], seed, pictures.with_name("drawn"), WIDTH, HEIGHT)
    _vary(scenes, pictures.with_name("drawn"), pictures)
    shutil.rmtree(files.workspace / "data" / "judging", ignore_errors=True)
    words = ("judge", "-w", files.workspace, "--pictures", pictures, "--scenes", SCENES, "--out", out, "--json")
    load = os.getloadavg()[0]
    used = os.times()
    began = time.monotonic()
    first = must(fullcast(*words), "judge").data
    wall = time.monotonic() - began
    after = os.times()
    cpu = after.children_user + after.children_system - used.children_user - used.children_system
    note = f"load of the machine before: {load:.1f}; processor time {cpu:.0f} s"
    yield Figure("a page of 1,000 pictures, s", wall, Goal("<=", SECONDS), n=first["looked_at"], note=note)
    yield Figure("pictures looked at the first time", first["looked_at"], Goal("=", len(scenes)))
    again = must(fullcast(*words), "judge again").data
    yield Figure("pictures looked at the second time", again["looked_at"], Goal("=", 0))
    same = {k: v for k, v in first.items() if k != "looked_at"} == {k: v for k, v in again.items() if k != "looked_at"}
    yield passed("the same figures", same)
    told = json.loads((out / DATA).read_text(encoding="utf-8"))
    del told["inputs"]
    yield passed("every number counted again from the tables", recount(out) == told)


def _vary(scenes: Sequence[Scene], drawn: Path, folder: Path) -> None:
    """``folder/SCENE.png`` of each scene, no two files alike."""
    step = PICTURES // DRAWN
    for i, scene in enumerate(scenes):
        path = folder / f"{scene.id}.png"
        if not path.exists():
            source = read_picture(drawn / f"{scenes[i - i % step].id}.png")
            write_png(path, np.roll(source, (i % step // 4, i % 4), axis=(0, 1)))
