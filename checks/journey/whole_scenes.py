"""Line 3: whole scenes of one to five characters after two hours of training, and what stands beside them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from checks import ceiling
from checks.framework import ROOT, Context, Figure, Goal, estimated, passed
from checks.journey import CHECK
from checks.shows import Failed, ShowFiles, fullcast, must, prepared, use_recipe
from fullcast.judging.benchmark import write_scenes

SUCCESS_GOALS = {1: Goal(">=", 0.95), 2: Goal(">=", 0.80), 3: Goal(">=", 0.60)}
CEILING = Goal(">=", 0.97)
"""Of true pictures of five people through the VAE."""
PICTURES = 200
PLAIN_PICTURES = 40
"""Of each number of people, without planned places, and of the best of several, mended: told without a goal."""
BEST_OF, REPAIRS = 4, 3
CEILING_PICTURES = 100
TRAIN_MINUTES = float(os.environ.get("CHECK_TRAIN_MINUTES", "120"))
SLICE_MINUTES = 20.0
SCENES = ROOT / "benchmarks" / "scenes" / "any-cast-of-8.jsonl"


@CHECK.line(3, "after training in slices: whole scenes of one to five characters, the base beside it")
def whole_scenes(context: Context) -> Iterator[Figure]:
    (seed,) = context.seeds("journey-3", 1)
    files = prepared(context, seed)
    recipe = ROOT / "recipes" / "two-hours.toml"
    use_recipe(files.workspace, recipe)
    minutes = 0.0
    while minutes < TRAIN_MINUTES:
        slice_minutes = min(SLICE_MINUTES, TRAIN_MINUTES - minutes)
        context.say(f"training with {recipe.name}, {minutes:.0f} of {TRAIN_MINUTES:.0f} minutes")
        ran = must(fullcast("train", "-w", files.workspace, "--minutes", f"{slice_minutes:g}", "--json"), "train")
        minutes += max(ran.seconds / 60, 0.5)
        if ran.data.get("finished"):
            break
    if not ran.data["checkpoint"]:
        raise Failed(f"{minutes:.0f} minutes went by in encoding ({ran.data['encoded']}); raise CHECK_TRAIN_MINUTES")
    minutes = max(minutes, _minutes_of(files.workspace / ran.data["checkpoint"]))
    yield Figure("trained, minutes in slices", minutes, Goal("<=", 1.05 * 120), note=recipe.name)
    context.say("drawing and judging; the base as well")
    count = ("--judging.pictures-per-count", str(PICTURES))
    judged = must(fullcast("judge", "-w", files.workspace, "--scenes", SCENES, *count, "--json"), "judge").data
    main, placed, base = (_success(judged, kind) for kind in ("main", "placed", "base"))
    asked = judged["main"]["name"]
    asked = asked[:1].lower() + asked[1:]
    for n, estimate in main.items():
        yield estimated(f"S_{n}, {asked}", estimate, SUCCESS_GOALS.get(n))
    for n, estimate in placed.items():
        # "No lower": the interval of places reaches up to the value without them.
        reaches = Goal(">=", main[n]["value"]) if n in main else None
        value = {**estimate, "value": estimate["value"]}
        yield estimated(f"S_{n}, with places", value, None)
        if reaches:
            note = f"{asked}: {main[n]['value']:.3f}"
            yield passed(f"S_{n} with places is no lower (its interval reaches)", reaches.holds(estimate["high"]), note)
    for n, estimate in base.items():
        note = f"after training: at least {main[n]['low']:.3f}" if n in main else ""
        apart = n in main and estimate["high"] < main[n]["low"]
        yield estimated(f"S_{n}, base before fine-tuning", estimate, None, note)
        yield passed(f"S_{n}: the base's interval lies below", apart)
    for n in range(1, 6):
        enough = main.get(n, {"n": 0})["n"]
        yield Figure(f"pictures judged for {n} people", enough, Goal(">=", PICTURES))
    yield from _mended(context, files)
    yield from _plain(context, files)
    yield from _ceiling(context, files)


def _mended(context: Context, files: ShowFiles) -> Iterator[Figure]:
    """What `fullcast generate --best-of --repairs` gives for some of the same prompts, and these prompts as drawn
    once. Who picks and mends is never the judge."""
    folder = files.workspace.parent / "mended"
    scenes = folder / "scenes.jsonl"
    write_scenes(scenes, ceiling.bound_scenes(SCENES, files.workspace, PLAIN_PICTURES))
    context.say(f"the best of {BEST_OF}, up to {REPAIRS} figures drawn anew")
    asked = ("--judging.best-of", str(BEST_OF), "--judging.repairs", str(REPAIRS), "--no-base", "--json")
    words = ("judge", "-w", files.workspace, "--scenes", scenes, "--out", folder / "page", *asked)
    judged = must(fullcast(*words), "judging mended pictures").data
    for kind in ("main", "mended"):
        name = judged[kind]["name"]
        for n, estimate in _success(judged, kind).items():
            yield estimated(f"S_{n} of {PLAIN_PICTURES}, {name[:1].lower()}{name[1:]}", estimate, None)


def _plain(context: Context, files: ShowFiles) -> Iterator[Figure]:
    """The same requests without a place from anybody, so that no region binds: what the prompt alone does."""
    folder = files.workspace.parent / "prompt-alone"
    shutil.rmtree(folder, ignore_errors=True)  # pictures of an earlier training would stay, and be judged too
    scenes = folder / "scenes.jsonl"
    write_scenes(scenes, [s.without_places() for s in ceiling.bound_scenes(SCENES, files.workspace, PLAIN_PICTURES)])
    context.say("drawing and judging without planned places")
    at, off = ("-w", files.workspace, "--scenes", scenes, "--json"), ("--generation.plan-places", "false")
    must(fullcast("generate", *at, "--out", folder / "pictures", *off), "generate without planned places")
    given = ("--pictures", folder / "pictures", "--out", folder / "page")
    judged = must(fullcast("judge", *at, *given), "judging pictures without planned places").data
    for row in judged["by_count"]:
        yield estimated(f"S_{row['num_people']}, the prompt alone, no places", row["success"], None)


def _minutes_of(checkpoint: Path) -> float:
    """What its training says it took, in all slices: those of a check that was stopped are counted too."""
    lines = (checkpoint.parents[1] / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return max(float(json.loads(line).get("seconds", 0.0)) for line in lines) / 60


def _success(judged: dict[str, Any], kind: str) -> dict[int, dict[str, Any]]:
    """N -> S_N with its interval."""
    if kind not in judged:
        raise Failed(f"the judge's answer has no part {kind!r}; it has: {', '.join(judged)}")
    return {int(row["num_people"]): row["success"] for row in judged[kind]["by_count"]}


def _ceiling(context: Context, files: ShowFiles) -> Iterator[Figure]:
    """True pictures of the same scenes, as drawn (the judge's own sensitivity) and through the VAE."""

    folder = files.workspace.parent / "true-pictures"
    scenes = ceiling.bound_scenes(SCENES, files.workspace, CEILING_PICTURES)
    model = ceiling.base_model(files.workspace)
    context.say(f"drawing {len(scenes)} true pictures and taking them through the VAE")
    ceiling.draw_scenes(scenes, files.seed, folder / "as-drawn", *model.default_size)
    drawn = [folder / "as-drawn" / f"{scene.id}.png" for scene in scenes]
    ceiling.through_vae(model, drawn, folder / "through-vae")
    yield Figure("VAE: mean error on true pictures, of 255", ceiling.mean_error(drawn, folder / "through-vae"))
    for title, name in (("as drawn", "as-drawn"), ("through the VAE", "through-vae")):
        # A page of its own: the workspace's stays that of the model.
        given = ("--pictures", folder / name, "--out", folder / f"{name}-page")
        words = ("judge", "-w", files.workspace, "--scenes", SCENES, *given, "--json")
        judged = must(fullcast(*words), f"judging true pictures {title}").data
        for row in judged["by_count"]:
            n = row["num_people"]
            goal = CEILING if name == "through-vae" and n == 5 else None
            yield estimated(f"S_{n} of true pictures {title}", row["success"], goal)
