"""Line 6: a name outside the cast, a damaged picture, pictures of another size: clear words, the rest is judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from checks.ceiling import draw_scenes
from checks.framework import Context, Figure, Goal, passed
from checks.judge import CHECK
from checks.judge.drawings import HEIGHT, SCENES, WIDTH
from checks.shows import Ran, fullcast, must, prepared
from fullcast.journey import Journey
from fullcast.journey.asking import judge_cast
from fullcast.judging.benchmark import write_scenes
from fullcast.recognition.scenes import read_scenes
from fullcast.records import Placement, Scene
from fullcast.store.pictures import read_picture, resize, write_png

BAD_INPUT = 2


@CHECK.line(6, "bad input: clear words, the rest is judged")
def bad_input(context: Context) -> Iterable[Figure]:
    (seed,) = context.seeds("judge-6", 1)
    files = prepared(context, seed, smallest=True)
    folder = files.workspace.parent / "some-pictures"
    cast = judge_cast(Journey.open(files.workspace))
    scenes = [s for s in read_scenes(SCENES, cast) if s.num_people == 1][:6]
    draw_scenes(scenes, seed, folder, WIDTH, HEIGHT)
    paths = [folder / f"{scene.id}.png" for scene in scenes]
    paths[0].write_bytes(paths[0].read_bytes()[:80])
    write_png(paths[1], resize(read_picture(paths[1]), (WIDTH * 3, HEIGHT * 3)))
    write_png(paths[2], resize(read_picture(paths[2]), (97, 211)))
    (folder / "holiday.png").write_bytes(paths[3].read_bytes())

    def judge(*words: str | Path) -> Ran:
        return fullcast("judge", "-w", files.workspace, *words)

    ran = must(judge("--pictures", folder, "--scenes", SCENES), "judge")
    data = must(judge("--pictures", folder, "--scenes", SCENES, "--json"), "judge").data
    judged = sum(row["num_pictures"] for row in data["by_count"])
    yield Figure(
        "pictures judged of 6, one of them damaged", judged, Goal("=", 5), note="two of another size among them"
    )
    yield passed(
        "the damaged one and the one without a scene are counted",
        "1 truncated" in ran.out and "1 no-scene" in ran.out,
        ran.out.strip().splitlines()[-2],
    )
    stranger = files.workspace.parent / "stranger.jsonl"
    stranger.write_text(json.dumps({"id": "n1-0001", "prompt": "park", "people": [{"character": "nobody"}]}) + "\n")
    yield _says("a name outside the cast", judge("--pictures", folder, "--scenes", stranger), "nobody", cast.names[0])
    yield from _one_bad_scene(folder, scenes, cast.names[0], judge)
    broken = files.workspace.parent / "broken.jsonl"
    broken.write_text('{"prompt": \n')
    yield _says("a scene file that is none", judge("--pictures", folder, "--scenes", broken), "line 1 is no scene")
    yield _says("no scenes at all", judge("--pictures", folder), "--scenes FILE")
    yield _says("a folder that is not there", judge("--pictures", folder / "x", "--scenes", SCENES), "no folder")
    empty = files.workspace.parent / "only-damaged"
    empty.mkdir(exist_ok=True)
    (empty / f"{scenes[0].id}.png").write_bytes(b"no picture")
    yield _says("a folder of damaged pictures only", judge("--pictures", empty, "--scenes", SCENES), "can be read")
    yield _says("the same thing twice", judge("base", "base"), "given twice")
    yield _says("targets and a folder beside them", judge("base", "--pictures", folder), "not both")
    yield _says("known to be right, but what", judge("--known-right"), "--pictures FOLDER")
    yield _says("a checkpoint that is none", judge("base", "nowhere"), "no model folder")


def _one_bad_scene(folder: Path, scenes: Sequence[Scene], known: str, judge: Callable[..., Ran]) -> Iterable[Figure]:
    """Names outside the cast and a misspelt key in a file of good scenes; pictures 0 is damaged."""
    file = folder.parent / "one-bad.jsonl"
    write_scenes(file, [*scenes[:4], replace(scenes[4], people=(Placement("nobody"),))])
    typo = json.dumps({"id": scenes[5].id, "prompt": "park", "poeple": [{"character": known}]})
    file.write_text(file.read_text(encoding="utf-8") + typo + "\n", encoding="utf-8")
    told = judge("--pictures", folder, "--scenes", file)
    data = must(judge("--pictures", folder, "--scenes", file, "--json"), "judge").data
    judged = sum(row["num_pictures"] for row in data["by_count"])
    yield Figure("pictures judged of 4 good scenes beside 2 bad ones, one picture damaged", judged, Goal("=", 3))
    said = all(word in told.out for word in ("1 not-in-cast", "1 malformed", "2 scene-left-out", "'nobody'", known))
    yield passed("the bad scenes and their pictures are counted, with the name", told.code == 0 and said, _drops(told))


def _drops(ran: Ran) -> str:
    return "; ".join(line.strip() for line in ran.out.splitlines() if "not used by" in line)


def _says(name: str, ran: Ran, *words: str) -> Figure:
    """Exit code 2, one line, with these words, no traceback."""
    told = ran.err.strip()
    good = ran.code == BAD_INPUT and "Traceback" not in told and all(word in ran.told for word in words)
    return passed(f"{name}: one sentence", good, ran.told[:160])
