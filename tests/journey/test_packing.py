"""A training in one file: unpacked anywhere it gives the bits that it would have given at home, and they come home."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest

from fullcast.journey import Journey, fitting, new_workspace
from fullcast.journey.asking import check_judge
from fullcast.journey.captioning import staged_captions
from fullcast.journey.doors import WEIGHTS_DIR, Doors
from fullcast.journey.exporting_models import about, facts
from fullcast.journey.naming import judge_cast_path
from fullcast.journey.packing import unpack
from fullcast.journey.planning import make_plan
from fullcast.journey.run_facts import RunFacts
from fullcast.journey.runs import latest_checkpoint
from fullcast.models.ccip import CcipEmbedder
from fullcast.models.stable_diffusion.build import build_pocket_pipeline
from fullcast.models.stable_diffusion.folder import save_pipeline
from fullcast.recipe import make_recipe
from fullcast.recognition.castfile import write_cast
from fullcast.records import Cast, Character, Form
from fullcast.store.errors import FullcastError
from fullcast.store.workspace import Workspace
from fullcast.training.kept import read_state
from fullcast.training.metrics import read_metrics
from tests.journey.noise_show import make_home
from tests.training.test_train import TINY, hashes


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A show of twelve pictures that counts as prepared."""
    return make_home(tmp_path_factory.mktemp("packing") / "home")


def test_a_job_trains_elsewhere_to_the_same_bits_and_comes_home(home: Path, tmp_path: Path) -> None:
    packed = Journey.open(home).pack(tmp_path / "job.tar", with_base=True)
    assert packed.data["steps"] == 4
    with tarfile.open(tmp_path / "job.tar") as archive:
        names = archive.getnames()
    assert not [name for name in names if name.endswith((".png", ".mp4"))] and "data/show/cast.json" in names
    job = tmp_path / "elsewhere" / "job"
    unpack(tmp_path / "job.tar", job, None)
    assert Journey.open(job).train().data["finished"]
    assert Journey.open(home).train().data["finished"]
    there, here = (latest_checkpoint(Workspace.open(root)) for root in (job, home))
    assert hashes(there) == hashes(here)
    lines = read_metrics(there.parents[1] / "metrics.jsonl")
    assert {"val_loss", "val_loss_train"} <= next(line for line in lines if "val_loss" in line).keys()

    Journey.open(job).pack(tmp_path / "results.tar", results=True)
    shutil.rmtree(home / "data" / "runs")
    other = home / "data" / "runs" / "other" / "checkpoints" / "step-000001"
    other.mkdir(parents=True)
    os.utime(other, (2**32, 2**32))
    answer = unpack(tmp_path / "results.tar", home, None)
    assert "4 steps brought home" in answer.text and "changed" not in answer.text
    back = latest_checkpoint(Workspace.open(home))
    assert back.parents[1].name == there.parents[1].name, "what was brought home is meant, however new another one is"
    shutil.rmtree(other.parents[1])
    assert hashes(back) == hashes(there) and read_state(back).ledger == read_state(there).ledger
    assert Journey.open(home).train().data["finished"], "there is nothing left to train"


def test_a_whole_model_and_a_lora_are_exported_with_their_licence(home: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    card = home / "base" / "README.md"
    card.write_text("---\nlicense: other\nlicense_name: show-licence\n---\n# base\n")
    settings = {"training.lora_rank": "2", "training.checkpoint_every": "4"}
    journey = Journey.open(home, settings)
    assert journey.train().data["finished"]
    with pytest.raises(FullcastError, match="levels of 1 layers"):  # no UI's file has this small model's shape
        journey.export("safetensors", tmp_path / "model.safetensors")
    journey.export("lora", tmp_path / "cast.safetensors", half=True, training_metadata=True)
    with safe_open(tmp_path / "cast.safetensors", "pt") as file:
        told, names = file.metadata(), list(file.keys())
    assert told["modelspec.license"] == "show-licence" and told["modelspec.trigger_phrase"] == "aoi, mio"
    rate, resolution = told["ss_learning_rate"], told["modelspec.resolution"]
    today = {"training.lora_rank": "0", "training.learning_rate": "0.03", "mixture.area_px": "6144"}
    later = Journey.open(home, today)
    later.export("lora", tmp_path / "later.safetensors", training_metadata=True)
    with safe_open(tmp_path / "later.safetensors", "pt") as file:
        again = file.metadata()
    assert again["ss_network_dim"] == "2", "as it was trained, whatever today's recipe says"
    assert (again["ss_learning_rate"], again["modelspec.resolution"]) == (rate, resolution)
    assert told["ss_network_dim"] == "2" and str(tmp_path) not in str(told)
    assert all(name.startswith(("lora_unet_", "lora_te_")) for name in names)


def test_an_export_says_what_the_last_stage_was_trained_with(home: Path) -> None:
    stages = [
        {"name": "first", "mixture": {"num_steps": 2, "area_px": 640 * 640}},
        {"name": "last", "mixture": {"num_steps": 3, "area_px": 704 * 704}, "training": {"learning_rate": 1e-6}},
    ]
    recipe = make_recipe({"training": {"learning_rate": 1e-4}, "stages": stages})
    told = facts(recipe)
    assert (told["learning_rate"], told["unet_lr"], told["max_train_steps"]) == (1e-6, 1e-6, 5)
    journey = Journey.open(home)
    assert about(journey.with_recipe(recipe), Cast("show", ()))["resolution"] == (704, 704), "of a run"
    assert about(journey, Cast("show", ()), RunFacts(recipe))["resolution"] == (704, 704), "of a checkpoint"


def test_the_live_line_says_cost_and_the_furthest_share() -> None:
    from fullcast.journey.beside_training import LiveLine
    from fullcast.training.kept import TrainState

    line = LiveLine({"a": frozenset({"aoi"}), "b": frozenset({"mio"})}, {"aoi": 0.5, "mio": 0.5}, 3.6)
    state = TrainState("", step=4, seconds=100.0, wall_seconds=1000.0, ledger={"a": 3, "b": 1})
    assert line(state) == "$1.00, delivered mio 25.0% (plan 50.0%)"


def test_a_base_goes_by_its_hash(home: Path, tmp_path: Path) -> None:
    Journey.open(home).pack(tmp_path / "job.tar")
    with pytest.raises(FullcastError, match="its base 'base' is not in the archive"):
        unpack(tmp_path / "job.tar", tmp_path / "a", None)
    other = save_pipeline(build_pocket_pipeline(TINY, seed=5), tmp_path / "other")
    with pytest.raises(FullcastError, match="the plan was packed with"):
        unpack(tmp_path / "job.tar", tmp_path / "b", other)
    assert not (tmp_path / "b").exists(), "a second try begins where the first did"
    unpack(tmp_path / "job.tar", tmp_path / "b", home / "base")
    assert Journey.open(tmp_path / "b").recipe.models.base == str(home / "base")


def test_a_base_of_links_is_packed_whole(home: Path, tmp_path: Path) -> None:
    """As the Hugging Face cache has it: a folder of links to files elsewhere; a linked folder too."""
    (tmp_path / "blobs").mkdir()
    for number, path in enumerate(sorted(path for path in (home / "base").rglob("*") if path.is_file())):
        link = tmp_path / "snapshot" / path.relative_to(home / "base")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(shutil.copy(path, tmp_path / "blobs" / str(number)))
    (tmp_path / "snapshot" / "vae").rename(tmp_path / "vae")
    (tmp_path / "snapshot" / "vae").symlink_to(tmp_path / "vae")
    Journey.open(home, {"models.base": str(tmp_path / "snapshot")}).pack(tmp_path / "job.tar", with_base=True)
    unpack(tmp_path / "job.tar", tmp_path / "job", None)
    with tarfile.open(tmp_path / "job.tar") as archive:
        assert all(member.isreg() for member in archive)
    assert hashes(tmp_path / "job" / "models" / "base") == hashes(home / "base")


def test_what_the_other_machine_would_end_in_is_said_before_anything_is_encoded(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = shutil.copytree(home, tmp_path / "show", ignore=shutil.ignore_patterns("runs", "latents"))
    with pytest.raises(FullcastError, match=r"training\.sample_prompts: there is no file .*gone\.txt"):
        Journey.open(own, {"training.sample_prompts": "gone.txt"}).pack(tmp_path / "job.tar")
    monkeypatch.setattr(fitting, "LARGE_PX", 1)  # the base counts as a large one, and nobody chose a rate for it
    with pytest.raises(FullcastError, match=r"set training\.learning_rate"):
        Journey.open(own).pack(tmp_path / "job.tar")
    assert not (own / "data" / "latents").exists() and not (tmp_path / "job.tar").exists()
    assert Journey.open(own, {"training.learning_rate": "1e-4"}).pack(tmp_path / "job.tar").data["steps"] == 4


def judged_by_own_networks(home: Path, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """The show in a folder of its own with the judge's cast, and settings that name networks outside of it."""
    own = shutil.copytree(home, tmp_path / "show", ignore=shutil.ignore_patterns("runs", "latents"))
    people, who = tmp_path / "nets" / "people" / "model.onnx", tmp_path / "nets" / "who" / "model_feat.onnx"
    for path, name in ((people, "pocket-detector.onnx"), (who, "pocket-judge-embedder.onnx")):
        path.parent.mkdir(parents=True)
        shutil.copy(WEIGHTS_DIR / name, path)
    (people.parent / "threshold.json").write_text('{"threshold": 0.4}')
    embedder = CcipEmbedder(who)
    seen = np.eye(embedder.dim, dtype=np.float32)
    forms = {"aoi": Form("", references=seen[:2]), "mio": Form("", references=seen[2:4])}
    cast = Cast("show", tuple(Character(n, n, (form,)) for n, form in forms.items()), embedder=embedder.name)
    write_cast(judge_cast_path(Workspace.open(own)), cast)
    models = {"models.judge_detector": str(people), "models.judge_embedder": str(who.parent)}
    return own, models | {"training.judge_every": "2"}


def test_the_networks_of_the_judge_go_with_the_job(home: Path, tmp_path: Path) -> None:
    own, settings = judged_by_own_networks(home, tmp_path)
    Journey.open(own, settings).pack(tmp_path / "job.tar", with_base=True)
    shutil.rmtree(tmp_path / "nets")
    unpack(tmp_path / "job.tar", tmp_path / "job", None)
    job = Journey.open(tmp_path / "job")
    assert check_judge(job).names == ("aoi", "mio")
    doors = Doors(job.workspace, job.recipe)
    graph, beside = doors.own_files("judge_detector")[job.recipe.models.judge_detector]
    assert job.workspace.root in graph.parents and beside.name == "threshold.json"
    assert doors.judge_embedder.name.startswith("ccip:who@"), "cards are found by the folder's name"


def test_a_judge_that_could_not_look_is_told_before_the_first_step(home: Path, tmp_path: Path) -> None:
    own, settings = judged_by_own_networks(home, tmp_path)
    gone = Journey.open(own, settings | {"models.judge_detector": "gone.onnx"})
    other = Journey.open(own, settings | {"models.judge_embedder": "pocket"})
    for journey, told in ((gone, r"models\.judge_detector is 'gone\.onnx'"), (other, "was embedded by ccip:who@")):
        with pytest.raises(FullcastError, match=told):
            journey.train()
        with pytest.raises(FullcastError, match=told):
            journey.pack(tmp_path / "job.tar")
    assert not (own / "data" / "latents").exists() and not (tmp_path / "job.tar").exists()


def test_an_export_has_the_words_of_its_stage(home: Path, tmp_path: Path) -> None:
    journey = Journey.open(home)
    values = json.loads(journey.recipe.model_dump_json())
    values["captions"]["stages"] = {"first": {"seed": 1.0}, "second": {"layout": 1.0}}
    journey = journey.with_recipe(make_recipe({**values, "stages": [{"name": "first"}, {"name": "second"}]}))
    planned = make_plan(journey)
    trained = staged_captions(journey, planned)
    for asked, stage in zip(("", "second"), planned.stages, strict=True):
        journey.export("dataset", tmp_path / stage.name, stage=asked)
        lines = (tmp_path / stage.name / "train" / "metadata.jsonl").read_text().splitlines()
        told = sorted(json.loads(line)["text"] for line in lines)
        assert told == sorted(trained.caption(sample.id, 0) for sample in stage.mixture.samples)


def archive_of(path: Path, run: str, files: dict[str, bytes], link: str = "") -> Path:
    """Results as nobody packed them."""
    about = {"format": 1, "kind": "results", "plan": "", "run": run, "step": 5}
    with tarfile.open(path, "w") as archive:
        for name, content in {"manifest.json": json.dumps(about).encode(), **files}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "checkpoints"
            archive.addfile(info)
    return path


def test_results_reach_nothing_but_their_run(tmp_path: Path) -> None:
    home = tmp_path / "home"
    new_workspace(home, "show")
    recipe = (home / "fullcast.toml").read_bytes()
    for name in ("fullcast.toml", "data/runs/other/x", "data/runs/abc/../../../fullcast.toml", "/tmp/x"):
        path = archive_of(tmp_path / "r.tar", "abc", {"data/runs/abc/metrics.jsonl": b"{}", name: b"x"})
        with pytest.raises(FullcastError, match=r"plain files below data/runs/abc alone; nothing was unpacked"):
            unpack(path, home, None)
    with pytest.raises(FullcastError, match="plain files below data/runs/abc alone"):
        unpack(archive_of(tmp_path / "r.tar", "abc", {}, link="data/runs/abc/link"), home, None)
    with pytest.raises(FullcastError, match="calls its run"):
        unpack(archive_of(tmp_path / "r.tar", "../../show", {}), home, None)
    assert (home / "fullcast.toml").read_bytes() == recipe
    assert not [path for path in home.rglob("*") if path.is_file() and "runs" in path.parts and path.name != ".lock"]


def test_a_checkpoint_comes_home_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there stays beside what comes; after a kill the archive is unpacked again."""
    home = tmp_path / "home"
    new_workspace(home, "show")
    run = home / "data" / "runs" / "abc"
    for name in ("checkpoints/step-000002/state/state.json", "checkpoints/step-000002/old", "checkpoints/step-9/kept"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("old")
    step2, step4 = (f"data/runs/abc/checkpoints/step-00000{n}" for n in (2, 4))
    files = {f"{step4}/state/state.json": b"new", f"{step4}/unet/x": b"new", f"{step2}/unet/x": b"new"}
    path = archive_of(tmp_path / "r.tar", "abc", files | {"data/runs/abc/metrics.jsonl": b"new"})
    replace, moved = os.replace, []

    def killed(source: Path, target: Path) -> None:
        if moved:
            raise KeyboardInterrupt
        moved.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        unpack(path, home, None)
    assert moved == ["step-000004"], "the newest first: a state is there at any moment"
    assert (run / "checkpoints/step-000002/state/state.json").read_text() == "old"
    monkeypatch.undo()
    unpack(path, home, None)
    assert {p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file()} == {
        *(name.removeprefix("data/runs/abc/") for name in files),
        *("metrics.jsonl", "checkpoints/step-9/kept", ".lock"),
    }


def test_a_job_that_was_killed_while_it_was_unpacked_is_unpacked_again(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docker/train-job.sh unpacks until there is a workspace.json: all else must be there by then."""
    Journey.open(home).pack(tmp_path / "job.tar", with_base=True)
    job, replace = tmp_path / "job", os.replace
    with tarfile.open(tmp_path / "job.tar") as archive:
        names = archive.getnames()

    def killed(source: Path, target: Path) -> None:
        if Path(target) == job / "workspace.json":
            assert all((job / name).is_file() for name in names if name != "workspace.json")
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        unpack(tmp_path / "job.tar", job, None)
    assert not (job / "workspace.json").exists()
    monkeypatch.undo()
    unpack(tmp_path / "job.tar", job, None)
    assert {p.relative_to(job).as_posix() for p in job.rglob("*") if p.is_file()} == set(names)
    with pytest.raises(FullcastError, match="is not empty"):
        unpack(tmp_path / "job.tar", job, None)


STUB = """#!/bin/sh
echo "$@" >> said
case "$1" in
  unpack) mkdir -p job && touch job/workspace.json ;;
  train) if [ -e steps ]; then mkdir -p job/data/runs/a/checkpoints/step-000002; fi ;;
esac
"""


def test_the_job_on_a_rented_machine_packs_results_once_there_are_some(tmp_path: Path) -> None:
    """docker/train-job.sh after a stop that came while pictures were encoded: there is no checkpoint yet."""
    stub = tmp_path / "bin" / "fullcast"
    stub.parent.mkdir()
    stub.write_text(STUB)
    stub.chmod(0o755)
    script = Path(__file__).parents[2] / "docker" / "train-job.sh"
    environment = {**os.environ, "PATH": f"{stub.parent}{os.pathsep}{os.environ['PATH']}"}

    def verbs() -> list[str]:
        said = tmp_path / "said"
        said.unlink(missing_ok=True)
        subprocess.run(["sh", str(script), "job.tar"], cwd=tmp_path, env=environment, check=True)
        return [line.split()[0] for line in said.read_text().splitlines()]

    assert verbs() == ["unpack", "train"]
    (tmp_path / "steps").touch()
    assert verbs() == ["train", "pack"]


def test_what_is_no_archive_of_ours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FullcastError, match="there is no file"):
        unpack(tmp_path / "missing.tar", tmp_path / "there", None)
    (tmp_path / "x.tar").write_bytes(b"no archive")
    with pytest.raises(FullcastError, match="no archive of fullcast pack"):
        unpack(tmp_path / "x.tar", tmp_path / "y", None)
