"""Pack and unpack: a training taken to a rented machine in one file, and its checkpoints brought home in another.

A job holds what `fullcast train` reads and no more: the recipe, the show's tables, the cast, the plan, the latents of
every picture in it, and the networks of a judge on the way, where they do not come with Fullcast. It holds no video and
no picture; the base goes by its hash, or whole where that is asked for.
Paths inside are relative to a workspace, so it may be unpacked anywhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast import __version__
from fullcast.journey.answers import Answer
from fullcast.journey.archives import (
    FORMAT,
    JOB,
    MANIFEST,
    RESULTS,
    add,
    add_files,
    extracted,
    may_unpack_into,
    move_in,
    new_archive,
    read_manifest,
)
from fullcast.journey.captioning import staged_captions
from fullcast.journey.doors import POCKET, Doors
from fullcast.journey.fitting import check_chosen
from fullcast.journey.planning import Planned, make_plan, planned_fingerprint, run_dir_of
from fullcast.journey.runs import make_current
from fullcast.recipe import read_recipe, to_toml, write_recipe
from fullcast.store.atomic import replacing
from fullcast.store.errors import FullcastError
from fullcast.store.locks import locked
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.journey import Journey

BASE = "models/base"
"""Where a base that is no part of Fullcast stands in an unpacked job."""
MARKER = "workspace.json"
"""What makes the unpacked job a workspace: it is there when all else is."""


def pack(journey: Journey, out: Path, results: bool, with_base: bool) -> Answer:
    """The training as a job, or with `results` what it has made so far."""
    if out.suffix != ".tar":
        raise FullcastError(f"{out}: give a name that ends in .tar")
    planned = make_plan(journey)
    run_dir = run_dir_of(journey, planned)
    return _pack_results(journey, planned, run_dir, out) if results else _pack_job(journey, planned, out, with_base)


def _pack_job(journey: Journey, planned: Planned, out: Path, with_base: bool) -> Answer:
    from fullcast.models.stable_diffusion.folder import folder_sha256

    check_chosen(journey)  # the job's recipe names every setting: there all of them would count as chosen
    given = _given(journey)
    workspace, base = journey.workspace, Doors(journey.workspace, journey.recipe).path("base")
    own = journey.recipe.models.base == POCKET
    there = BASE + (base.suffix if base.is_file() else "")
    judge, networks = _judge_networks(journey)
    latents = _latents(journey, planned, base)
    models = journey.recipe.models.model_copy(update={"base": POCKET if own else there, **judge})
    recipe = journey.recipe.model_copy(update={"models": models})
    about = {
        "kind": JOB,
        "plan": planned.stream.fingerprint(),
        "steps": planned.stream.num_steps,
        "base": {
            "name": POCKET if own else base.name,
            "sha256": folder_sha256(base),
            "inside": with_base and not own,
            "path": there,
        },
    }
    records = [path for path in _files(workspace.composites_dir) if path.suffix != ".png"]
    files = [*_files(workspace.show_dir), *records, *_files(workspace.plan_dir), *_files(latents), *given]
    with replacing(out) as temporary, new_archive(temporary) as archive:
        add(archive, MANIFEST, json.dumps({"format": FORMAT, "fullcast": __version__, **about}, indent=2))
        add(archive, "fullcast.toml", to_toml(recipe))
        add_files(archive, ((path, workspace.relative(path)) for path in files))
        add_files(archive, networks)
        if about["base"]["inside"]:  # type: ignore[index]
            add_files(archive, _base_files(base, there))
    gigabytes = out.stat().st_size / 1e9
    lines = [
        f"{out}: {gigabytes:.2f} GB, {planned.stream.num_steps} steps, {len(planned.samples)} samples, no pictures",
        f"on the other machine: fullcast unpack {out.name} -w job && fullcast train -w job",
    ]
    if not own and not with_base:
        lines.append(f"the base is not in it: give it there with --base; its sha256 is {about['base']['sha256'][:16]}")  # type: ignore[index]
    return Answer("\n".join(lines), {"path": str(out), "bytes": out.stat().st_size, **about})


def _judge_networks(journey: Journey) -> tuple[dict[str, str], list[tuple[Path, str]]]:
    """What the job's [models] says of the judge, and each file of its networks with where it goes; nothing where nobody
    judges on the way. A network keeps the name of its folder: by that its card is found. FullcastError for a judge that
    could not look."""
    from fullcast.journey.asking import check_judge

    if not journey.recipe.training.judge_every:
        return {}, []
    check_judge(journey)
    doors = Doors(journey.workspace, journey.recipe)
    models: dict[str, str] = {}
    files: list[tuple[Path, str]] = []
    for role in ("judge_detector", "judge_embedder"):
        words = []
        for number, (word, found) in enumerate(doors.own_files(role).items()):
            folder = f"models/{role}-{number}/{found[0].parent.name}" if found else ""
            files += [(path, f"{folder}/{path.name}") for path in found]
            words.append(f"{folder}/{found[0].name}" if found else word)
        models[role] = " + ".join(words)
    return models, files


def _base_files(base: Path, there: str) -> Iterator[tuple[Path, str]]:
    """Each file of a base, folder or single file, and where it goes; with a single file the .yaml beside it, which may
    be all that says what it predicts."""
    if base.is_file():
        yield base, there
        if (said := base.with_suffix(".yaml")).is_file():
            yield said, f"{BASE}.yaml"
    else:
        yield from ((path, f"{there}/{path.relative_to(base).as_posix()}") for path in _files(base))


def _given(journey: Journey) -> list[Path]:
    """Files of the workspace's top that a training reads: the marker, the seed's table of weights, prompts.
    FullcastError for one that is not there: the other machine would end in it."""
    root, recipe = journey.workspace.root, journey.recipe
    prompts = recipe.training.sample_prompts
    if prompts and not (root / prompts).is_file():
        raise FullcastError(
            f"training.sample_prompts: there is no file {root / prompts}; put it there, or leave the setting empty"
        )
    named = {of.mixture.weights_csv for _, of in recipe.of_stages()} | {prompts}
    return [root / MARKER, *(root / str(name) for name in sorted(filter(None, named)))]


def _latents(journey: Journey, planned: Planned, base: Path) -> Path:
    """The folder of the latents, with every picture of the plan in it."""
    from fullcast.journey.beside_training import batches_of, same_pixels
    from fullcast.mixture.pixels import WorkspacePixels
    from fullcast.models.stable_diffusion.family import StableDiffusion
    from fullcast.training.latents import LatentStore
    from fullcast.training.loop import wanted

    doors = Doors(journey.workspace, journey.recipe)
    doors.use_threads()
    model = StableDiffusion.load(base)
    model.pipeline.to(doors.torch_device)
    store = LatentStore(journey.workspace.data_dir / "latents", model, same_pixels(planned.samples))
    held = batches_of(planned.held_out, journey.recipe.mixture.batch_size, planned)
    pixels = WorkspacePixels(journey.workspace.root, (*planned.samples, *planned.held_out))
    batch_size = journey.recipe.training.latents_batch_size
    store.fill(wanted(planned.stream, 0, held), pixels, batch_size, journey.progress)
    staged_captions(journey, planned)  # what it reads must be there now, and not on the other machine
    return store.folder


def _pack_results(journey: Journey, planned: Planned, run_dir: Path, out: Path) -> Answer:
    from fullcast.training.kept import latest_resumable, read_state

    newest = latest_resumable(run_dir)
    if newest is None:
        raise FullcastError(f"nothing was trained in {journey.workspace.root} yet; there are no results to pack")
    state = read_state(newest)
    about = {"kind": RESULTS, "plan": planned.stream.fingerprint(), "run": run_dir.name, "step": state.step}
    with replacing(out) as temporary, new_archive(temporary) as archive:
        add(archive, MANIFEST, json.dumps({"format": FORMAT, "fullcast": __version__, **about}, indent=2))
        add_files(archive, ((path, journey.workspace.relative(path)) for path in _files(run_dir)))
    visits = sum(state.ledger.values())
    text = f"{out}: {out.stat().st_size / 1e9:.2f} GB, {state.step} steps, {visits} visits in the ledger"
    return Answer(f"{text}\nat home: fullcast unpack {out.name} -w WORKSPACE", {"path": str(out), **about})


def unpack(archive: Path, folder: Path, base: Path | None) -> Answer:
    """A job into a new workspace, results into the workspace that they were packed for."""
    about = read_manifest(archive)
    if about["kind"] == RESULTS:
        return _bring_home(archive, Workspace.open(folder), about)
    if not may_unpack_into(folder):
        raise FullcastError(f"{folder} is not empty; a job is unpacked into a new folder: give another with -w")
    given = about["base"]
    if base is not None:
        _check_base(base, given["sha256"])
    with extracted(archive, folder) as temporary:
        if base is not None:
            _use_base(temporary / Workspace(folder).recipe_path.name, base)
        move_in(temporary, folder, last=MARKER)
    if base is None and given["name"] != POCKET and not given["inside"]:
        raise FullcastError(
            f"{folder} is unpacked, but its base {given['name']!r} is not in the archive: put it at "
            f"{folder}/{given.get('path', BASE)}, "
            f"or set models.base in its fullcast.toml (sha256 {given['sha256']})"
        )
    text = f"{folder}: a training of {about['steps']} steps; run: fullcast train -w {folder}"
    return Answer(text, {"workspace": str(folder), **about})


def _check_base(base: Path, sha256: str) -> None:
    """Before anything is unpacked: after a refusal the folder is as it was."""
    from fullcast.models.stable_diffusion.folder import folder_sha256

    if (found := folder_sha256(base)) != sha256:
        raise FullcastError(
            f"--base {base}: its sha256 is {found[:16]}, the plan was packed with {sha256[:16]}; nothing was unpacked, "
            "give the model with that hash"
        )


def _use_base(recipe_path: Path, base: Path) -> None:
    recipe = read_recipe(recipe_path)
    models = recipe.models.model_copy(update={"base": str(base.resolve())})
    write_recipe(recipe_path, recipe.model_copy(update={"models": models}))


def _bring_home(archive: Path, workspace: Workspace, about: dict[str, Any]) -> Answer:
    """Into the folder of its run alone; a checkpoint that is there too is replaced by the one of the archive."""
    run_dir = workspace.runs_dir / about["run"]
    there = workspace.relative(run_dir)
    with (
        locked(run_dir / ".lock", f"{run_dir} is being trained; wait for it or end it, then unpack"),
        extracted(archive, run_dir, only=there) as temporary,
    ):
        for path in [path for path in (temporary / there).iterdir() if path.is_dir()]:
            (run_dir / path.name).mkdir(exist_ok=True)
            move_in(path, run_dir / path.name)
            path.rmdir()
        move_in(temporary / there, run_dir)
    make_current(run_dir)
    text = f"{about['step']} steps brought home: {there}"
    if about["plan"] != planned_fingerprint(workspace):
        text += "\nthe plan has changed here since: a new training would begin a new run"
    return Answer(text, {"workspace": str(workspace.root), **about})


def _files(folder: Path) -> Iterator[Path]:
    """Every file below, in a fixed order; half-written ones and locks left out."""
    found = sorted(Path(at, name) for at, _, names in os.walk(folder, followlinks=True) for name in names)
    files = (path for path in found if path.is_file() and path.name != ".lock")
    return (path for path in files if ".partial-" not in path.as_posix())
