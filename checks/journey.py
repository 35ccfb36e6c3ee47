"""The checks of "the whole journey on one machine". The goals are those of the issue, and stand here only."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from checks.elsewhere import IMAGEFOLDER, PLAIN_DIFFUSERS, in_environment, in_python
from checks.framework import ROOT, Check, Context, Figure, Goal, passed, short
from checks.shows import (
    Failed,
    Ran,
    ShowFiles,
    command,
    fullcast,
    make_show,
    must,
    prepared,
    trained_smallest,
    use_recipe,
)

CHECK = Check("journey")

# --- 1


@CHECK.line(1, "a fresh clone: make demo, make demo again, make test")
def fresh_clone(context: Context) -> Iterator[Figure]:
    """Clones the commit under test into an empty folder; TORCH_INDEX and pip's own configuration are passed on."""
    clone = Path(tempfile.mkdtemp(prefix="fullcast-clone-"))
    try:
        must(command(["git", "clone", "--quiet", ROOT, clone]), "git clone")
        variables = [f"{name}={os.environ[name]}" for name in ("PYTHON", "TORCH_INDEX") if name in os.environ]
        context.say("make demo, from nothing")
        # An environment that is active here must not be seen there.
        clean = {"VIRTUAL_ENV": "", "PYTHONPATH": ""}
        demo = command(["make", "demo", *variables], cwd=clone, environment=clean)
        yield passed("make demo succeeds", demo.code == 0, "" if demo.code == 0 else demo.told)
        yield Figure("make demo, minutes with installation", demo.seconds / 60, Goal("<=", 15))
        said = re.findall(r"\S+report\.html", demo.out)
        page = clone / said[-1] if said else None
        yield passed("it ends with the path of report.html", page is not None and page.is_file(), str(page or ""))
        if demo.code == 0:
            again = command(["make", "demo", *variables], cwd=clone, environment=clean)
            yield Figure("make demo again, seconds", again.seconds, Goal("<=", 60))
        test = command(["make", "test", *variables], cwd=clone, environment=clean)
        yield passed("make test passes", test.code == 0, (test.out.strip().splitlines() or [""])[-1])
        yield Figure("make test, minutes", test.seconds / 60)
    finally:
        shutil.rmtree(clone, ignore_errors=True)


# --- 2

AUDIT_GOALS: dict[str, Goal] = {
    "person recall": Goal(">=", 0.93),
    "person precision": Goal(">=", 0.93),
    "identity, macro over characters and forms": Goal(">=", 0.93),
    "recall of unknown": Goal(">=", 0.85),
    "people counted right": Goal(">=", 0.85),
    "story shots with a kept frame": Goal(">=", 1.0),
    "distinct drawings kept": Goal(">=", 0.8),
    "junk among kept": Goal("<=", 0.0),
    "true duplicates among kept": Goal("<=", 0.02),
}

HARDNESS: dict[str, Goal] = {
    "identity by colour histogram of the true box": Goal("<=", 0.60),
    "identity by the true head at 16x16": Goal("<=", 0.85),
    "pHash: duplicate pairs, F1 at its best threshold": Goal("<=", 0.90),
}
"""What simple baselines may reach at most, or the show is too easy."""

BESIDE_HARDNESS: dict[str, Goal] = {"person recall": Goal("<=", 0.80), "people counted right": Goal("<=", 0.40)}

ERROR_SHARE = 1 / 3
"""Our error against the best baseline's, at most."""


@CHECK.line(2, "three pocket shows: what prepare made, against the truth (prepared without it); worst of the three")
def three_shows(context: Context) -> Iterator[Figure]:
    tables: list[dict[str, Any]] = []
    for seed in context.seeds("journey-2", 3):
        files = prepared(context, seed)
        answer = must(fullcast("audit", files.truth, "-w", files.workspace, "--json"), "audit").data
        tables.append({row["name"]: _numbers(row) for row in answer["measures"]})
        context.say(f"seed {seed}: " + ", ".join(f"{n} {r['ours']['value']:.3f}" for n, r in tables[-1].items()))
    for name, goal in AUDIT_GOALS.items():
        yield _worst(name, [table[name] for table in tables], goal)
    for name, goal in HARDNESS.items():
        yield _worst(f"baseline: {name}", [table[name] for table in tables], goal)
    for name, goal in BESIDE_HARDNESS.items():
        rows = [table[name] for table in tables]
        worst = max(rows, key=lambda row: row["baseline_value"]["value"])
        yield _figure(f"baseline: {worst['baseline']}", worst["baseline_value"], goal)
    for name in ("person recall", "identity, macro over characters and forms", "people counted right"):
        yield _error_share(name, [table[name] for table in tables])


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the audit with nan for what has no value, where JSON says null."""

    def told(estimate: dict[str, Any] | None) -> dict[str, Any] | None:
        return estimate and {**estimate, "value": math.nan if estimate["value"] is None else estimate["value"]}

    return {**row, "ours": told(row["ours"]), "baseline_value": told(row["baseline_value"])}


def _worst(name: str, rows: list[dict[str, Any]], goal: Goal) -> Figure:
    """The show in which the goal is farthest; every show's value stands in the note."""
    sign = 1 if goal.relation == ">=" else -1
    worst = min(rows, key=lambda row: sign * row["ours"]["value"])
    each = ", ".join(f"{row['ours']['value']:.3f}" for row in rows)
    return _figure(name, worst["ours"], goal, f"shows: {each}")


def _figure(name: str, estimate: dict[str, Any], goal: Goal | None, note: str = "") -> Figure:
    return Figure(name, estimate["value"], goal, estimate["n"], estimate["low"], estimate["high"], note)


def _error_share(name: str, rows: list[dict[str, Any]]) -> Figure:
    """Errors summed over the shows, ours over the baseline's."""
    ours = sum((1 - row["ours"]["value"]) * row["ours"]["n"] for row in rows)
    theirs = sum((1 - row["baseline_value"]["value"]) * row["ours"]["n"] for row in rows)
    share = ours / theirs if theirs else float("nan")
    return Figure(f"our error over the baseline's: {name}", share, Goal("<=", ERROR_SHARE))


# --- 3

SUCCESS_GOALS = {1: Goal(">=", 0.95), 2: Goal(">=", 0.80), 3: Goal(">=", 0.60)}
CEILING = Goal(">=", 0.97)
"""Of true pictures of five people through the VAE."""
PICTURES = 200
PLAIN_PICTURES = 40
"""Of each number of people, without planned places: told beside it, without a goal."""
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
        yield _figure(f"S_{n}, {asked}", estimate, SUCCESS_GOALS.get(n))
    for n, estimate in placed.items():
        # "No lower": the interval of places reaches up to the value without them.
        reaches = Goal(">=", main[n]["value"]) if n in main else None
        value = {**estimate, "value": estimate["value"]}
        yield _figure(f"S_{n}, with places", value, None)
        if reaches:
            note = f"{asked}: {main[n]['value']:.3f}"
            yield passed(f"S_{n} with places is no lower (its interval reaches)", reaches.holds(estimate["high"]), note)
    for n, estimate in base.items():
        note = f"after training: at least {main[n]['low']:.3f}" if n in main else ""
        apart = n in main and estimate["high"] < main[n]["low"]
        yield _figure(f"S_{n}, base before fine-tuning", estimate, None, note)
        yield passed(f"S_{n}: the base's interval lies below", apart)
    for n in range(1, 6):
        enough = main.get(n, {"n": 0})["n"]
        yield Figure(f"pictures judged for {n} people", enough, Goal(">=", PICTURES))
    yield from _plain(context, files)
    yield from _ceiling(context, files)


def _plain(context: Context, files: ShowFiles) -> Iterator[Figure]:
    """The same requests without a place from anybody, so that no region binds: what the prompt alone does."""
    from checks import ceiling
    from fullcast.judging.benchmark import write_scenes

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
        yield _figure(f"S_{row['num_people']}, the prompt alone, no places", row["success"], None)


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
    from checks import ceiling

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
            yield _figure(f"S_{n} of true pictures {title}", row["success"], goal)


# --- 4


@CHECK.line(4, "every artefact opens elsewhere, in environments that do not hold Fullcast")
def opens_elsewhere(context: Context) -> Iterator[Figure]:
    (seed,) = context.seeds("journey-4", 1)
    files = trained_smallest(context, seed)
    outside = Path(tempfile.mkdtemp(prefix="fullcast-elsewhere-"))
    try:
        must(fullcast("export", "checkpoint", outside / "checkpoint", "-w", files.workspace), "export checkpoint")
        must(fullcast("export", "dataset", outside / "dataset", "-w", files.workspace), "export dataset")
        opened = "the checkpoint in plain diffusers"
        if os.environ.get("FULLCAST_CHECKS_SMALL"):
            # For every change: nothing is installed, so other versions and `datasets` are left to the whole line.
            yield in_python(f"{opened}, as installed", PLAIN_DIFFUSERS, outside / "checkpoint")
        else:
            for title, needed in (
                ("transformers 5", "transformers>=5,<6"),
                ("transformers 4", "transformers>=4.48,<5"),
            ):
                packages = ["diffusers", needed]
                name = f"{opened} with {title}"
                yield in_environment(context, name, title, packages, PLAIN_DIFFUSERS, outside / "checkpoint")
            name = "the dataset in datasets.load_dataset"
            yield in_environment(context, name, "datasets", ["datasets"], IMAGEFOLDER, outside / "dataset")
        yield from _duckdb(files)
    finally:
        shutil.rmtree(outside, ignore_errors=True)


def _duckdb(files: ShowFiles) -> Iterator[Figure]:
    """Every table of the workspace."""
    try:
        import duckdb
    except ModuleNotFoundError:
        yield short("Parquet in DuckDB", "duckdb is not installed (extra: report)")
        return
    connection = duckdb.connect()
    tables = sorted((files.workspace / "data").rglob("*.parquet"))
    unread = []
    for path in tables:
        try:
            connection.execute(f"select count(*) from read_parquet('{path}')").fetchall()
        except duckdb.Error as error:
            unread.append(f"{path.name}: {error}")
    yield Figure("Parquet tables that DuckDB opens", len(tables) - len(unread), Goal(">=", max(1, len(tables))))
    people = files.workspace / "data" / "show" / "people.parquet"
    query = f"select character, count(*) n from read_parquet('{people}') group by 1 order by n desc"
    rows = connection.execute(query).fetchall()
    yield passed(
        "people by character, asked in SQL", bool(rows), ", ".join(f"{name or '-'} {n}" for name, n in rows[:4])
    )


# --- 5


@CHECK.line(5, "the import rule, the journey from end to end, the README's commands")
def house_tests(context: Context) -> Iterator[Figure]:
    tests = (("test_architecture.py", None), ("journey/test_smallest.py", 180), ("test_readme.py", None))
    for name, seconds in tests:
        path = ROOT / "tests" / name
        if not path.exists():
            yield short(name, f"{path.relative_to(ROOT)} is not there")
            continue
        ran = command([sys.executable, "-m", "pytest", "-q", path], environment={"FULLCAST_DEMO": "smallest"})
        yield passed(f"{name} passes", ran.code == 0, (ran.out.strip().splitlines() or [""])[-1])
        yield Figure(f"{name}, seconds", ran.seconds, Goal("<=", seconds) if seconds else None)


# --- 6


@CHECK.line(6, "bad input: a clear sentence or a counted drop, and the rest of the run is done")
def bad_input(context: Context) -> Iterator[Figure]:
    (seed,) = context.seeds("journey-6", 1)
    files = make_show(context, seed, smallest=True)
    with tempfile.TemporaryDirectory(prefix="fullcast-bad-") as folder:
        workspace = Path(folder) / "workspace"
        shutil.copytree(files.workspace, workspace)
        shutil.rmtree(workspace / "data", ignore_errors=True)
        shutil.rmtree(workspace / "regularization", ignore_errors=True)
        expected = _spoil(workspace)
        context.say("preparing a workspace with bad files in it")
        ran = fullcast("prepare", "-w", workspace, "--json")
        yield passed("prepare goes on to its end", ran.code == 0, ran.told if ran.code else "")
        if ran.code == 0:
            drops = {Path(d["item"]).name: d for d in ran.data["drops"]}
            for name, what in expected.items():
                told = drops.get(name)
                note = f"{told['reason']}: {told['detail']}" if told else "it is not among the drops"
                yield passed(f"{what}: a counted drop", told is not None, note)
            yield passed("the rest of the run is done", bool(ran.data["people"]) and ran.data["pictures"] != {})
        (workspace / "fullcast.toml").write_text('[training]\nlearning_rat = "1e-5"\n', encoding="utf-8")
        ran = fullcast("plan", "-w", workspace)
        yield _one_sentence("an unknown key in the TOML", ran, "learning_rat")
        ran = fullcast("plan", "-w", Path(folder) / "nowhere")
        yield _one_sentence("a workspace that is none", ran, "nowhere")


def _spoil(workspace: Path) -> dict[str, str]:
    """Puts bad files into a workspace; file name -> what it is."""
    from PIL import Image

    episodes, fanart = workspace / "episodes", workspace / "fanart"
    whole = next(iter(sorted(episodes.glob("*.mp4")))).read_bytes()
    (episodes / "cut-off.mp4").write_bytes(whole[: len(whole) // 2])
    (episodes / "a-text.mp4").write_text("This is not a film.\n", encoding="utf-8")
    fanart.mkdir(exist_ok=True)
    (fanart / "no-bytes.png").write_bytes(b"")
    Image.MAX_IMAGE_PIXELS = None
    # 400 megapixels in some hundred kilobytes.
    Image.new("L", (20_000, 20_000)).save(fanart / "bomb.png", compress_level=9)
    (workspace / "references" / "nobody").mkdir(parents=True)
    return {
        "cut-off.mp4": "a truncated mp4",
        "a-text.mp4": "a text file named .mp4",
        "no-bytes.png": "a zero-byte PNG",
        "bomb.png": "a decompression bomb",
        "nobody": "a reference folder without pictures",
    }


def _one_sentence(what: str, ran: Ran, word: str) -> Figure:
    """Exit code 2, no traceback, one line that names what was given."""
    lines = [line for line in ran.err.strip().splitlines() if line.strip()]
    clear = ran.code == 2 and "Traceback" not in ran.err and len(lines) <= 2 and word in ran.err
    return passed(f"{what}: one clear sentence, exit code 2", clear, ran.told)


# --- 7


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
