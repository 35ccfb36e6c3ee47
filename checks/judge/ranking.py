"""Line 5: the base, a trained checkpoint and true pictures, in that order, on the shipped benchmark."""

from __future__ import annotations

from collections.abc import Iterable

from checks import ceiling
from checks.framework import ROOT, Context, Figure, passed
from checks.judge import CHECK
from checks.judge.drawings import SCENES
from checks.shows import fullcast, make_show, must, use_recipe
from fullcast.judging.statistics import wilson

PER_COUNT = 100


@CHECK.line(5, "base, demo's checkpoint, true pictures: ranked, intervals apart")
def ranking(context: Context) -> Iterable[Figure]:
    (seed,) = context.seeds("judge-5", 1)
    files = make_show(context, seed)
    use_recipe(files.workspace, ROOT / "recipes" / "demo.toml")
    for verb in ("prepare", "train"):
        context.say(verb)
        must(fullcast(verb, "-w", files.workspace), verb)
    scenes = ceiling.bound_scenes(SCENES, files.workspace, PER_COUNT)
    model = ceiling.base_model(files.workspace)
    drawn = files.workspace.parent / "true-pictures" / "as-drawn"
    ceiling.draw_scenes(scenes, files.seed, drawn, *model.default_size)
    folder = drawn.with_name("through-vae")
    ceiling.through_vae(model, [drawn / f"{scene.id}.png" for scene in scenes], folder)
    chosen = files.workspace.parent / "scenes.jsonl"
    lines = SCENES.read_text(encoding="utf-8").splitlines()
    ids = {scene.id for scene in scenes}
    chosen.write_text("\n".join(line for line in lines if any(f'"{i}"' in line for i in ids)) + "\n", encoding="utf-8")
    context.say("judging the base, the checkpoint and true pictures")
    words = ("judge", "base", "latest", folder, "-w", files.workspace, "--scenes", chosen, "--json")
    told = must(fullcast(*words), "judge").data
    means: list[tuple[float, float, float]] = []
    for (name, series), title in zip(told["series"].items(), ("base", "checkpoint", "true pictures"), strict=True):
        counts = series["summary"]["by_count"]  # as many pictures of each number: the mean S_N is the share of all
        pictures = sum(c["num_pictures"] for c in counts)
        right = round(sum(c["success"]["value"] * c["num_pictures"] for c in counts))
        value, (low, high) = right / pictures, wilson(right, pictures)
        means.append((value, low, high))
        yield Figure(f"{title}: mean S_N", value, n=pictures, low=low, high=high, note=name)
    for (a, b), title in zip(
        ((0, 1), (1, 2)), ("the checkpoint above the base", "true pictures above it"), strict=True
    ):
        yield passed(f"{title}, intervals apart", means[b][1] > means[a][2])
