"""Settings that make another run make it from step 0: `train` says so before it begins, and what to do instead."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from fullcast.journey import Journey, new_workspace, planning
from fullcast.journey.runs import latest_checkpoint, make_current
from fullcast.models.stable_diffusion.folder import folder_sha256
from fullcast.training.kept import checkpoint_path, state_path


def trained(journey: Journey, name: str, base_sha256: str, step: int = 4, index: bool = True) -> Path:
    run_dir = journey.workspace.runs_dir / name
    checkpoint = checkpoint_path(run_dir, step)
    state_path(checkpoint).parent.mkdir(parents=True)
    state_path(checkpoint).write_text(json.dumps({"fingerprint": "", "step": step}))
    (run_dir / "provenance.json").write_text(json.dumps({"base": {"name": "base", "sha256": base_sha256}}))
    if index:
        (checkpoint / "model_index.json").write_text("{}")
    return run_dir


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def journey(tmp_path: Path, said: list[str]) -> Journey:
    new_workspace(tmp_path / "home", "show")
    (tmp_path / "home" / "base.safetensors").write_bytes(b"base")
    (tmp_path / "home" / "fullcast.toml").write_text('[models]\nbase = "base.safetensors"\n')
    return Journey.open(tmp_path / "home", say=said.append)


def test_train_says_that_a_new_run_begins_beside_one_of_the_same_base(journey, said, monkeypatch):
    base = folder_sha256(journey.workspace.root / "base.safetensors")
    new = journey.workspace.runs_dir / "new"
    monkeypatch.setattr(planning, "check_chosen", lambda journey: None)
    monkeypatch.setattr(planning, "make_plan", lambda journey: SimpleNamespace(stream=SimpleNamespace(num_steps=4)))
    monkeypatch.setattr(planning, "run_dir_of", lambda journey, planned: new)
    begun: list[int] = []

    def here(journey, planned, minutes):
        begun.append(len(said))
        if not new.exists():
            trained(journey, "new", base, step=2)

    monkeypatch.setattr(planning, "train_here", here)
    trained(journey, "old", base, step=500)
    trained(journey, "newer of another base", "0" * 64)
    os.utime(checkpoint_path(journey.workspace.runs_dir / "old", 500), (1, 1))
    journey.train()
    [told] = said
    assert begun == [1], "before the first step"
    assert told.startswith("a new run begins at step 0, since data/runs/old/checkpoints/step-000500 was trained with")
    assert told.endswith("set models.base to data/runs/old/checkpoints/step-000500")
    journey.train()
    assert len(said) == 1 and len(begun) == 2, "it is gone on with, and nothing is said"


def test_nothing_is_said_where_no_other_run_had_this_base(journey):
    new = journey.workspace.runs_dir / "new"
    assert planning.begins_anew(journey, new) == ""
    trained(journey, "old", "0" * 64)
    (journey.workspace.runs_dir / "broken").mkdir()
    assert planning.begins_anew(journey, new) == ""
    base = folder_sha256(journey.workspace.root / "base.safetensors")
    trained(journey, "other", base)
    assert planning.begins_anew(journey, new)
    begun = trained(journey, "begun", base)
    assert planning.begins_anew(journey, begun) == "", "its state cannot be read: that is said elsewhere"


def test_the_newest_is_named_and_a_lora_alone_is_to_be_merged(journey):
    base = folder_sha256(journey.workspace.root / "base.safetensors")
    for name, at, index in (("a", 9, False), ("b", 5, True)):
        os.utime(checkpoint_path(trained(journey, name, base, index=index), 4), (at, at))
    told = planning.begins_anew(journey, journey.workspace.runs_dir / "new")
    last = "data/runs/a/checkpoints/step-000004"
    assert (
        f"merge it (fullcast export checkpoint FOLDER --checkpoint {last}) and set models.base to that folder" in told
    )


def test_what_train_names_is_what_everything_after_it_takes(journey, monkeypatch):
    """Recipe a, then b, then a again: its run is finished and is meant, though that of b has newer files."""
    runs, wanted = journey.workspace.runs_dir, ["a"]
    monkeypatch.setattr(planning, "check_chosen", lambda journey: None)
    monkeypatch.setattr(planning, "make_plan", lambda journey: SimpleNamespace(stream=SimpleNamespace(num_steps=4)))
    monkeypatch.setattr(planning, "run_dir_of", lambda journey, planned: runs / wanted[-1])
    monkeypatch.setattr(planning, "train_here", lambda journey, *_: trained(journey, wanted[-1], "0" * 64))
    for at, name in enumerate(("a", "b", "a"), start=1):
        wanted.append(name)
        told = journey.train().data
        assert told["finished"] and latest_checkpoint(journey.workspace) == journey.workspace.root / told["checkpoint"]
        os.utime(checkpoint_path(runs / name, 4), (10 - at, 10 - at))  # as a copy may have it: the other way round
        assert latest_checkpoint(journey.workspace).parents[1].name == name


def test_a_run_without_a_checkpoint_is_not_meant_yet_and_times_tell_what_no_train_named(journey):
    runs = journey.workspace.runs_dir
    for name, at in (("older", 5), ("newer", 9)):
        os.utime(checkpoint_path(trained(journey, name, "0" * 64), 4), (at, at))
    assert latest_checkpoint(journey.workspace).parents[1].name == "newer"
    make_current(runs / "older")
    make_current(runs / "killed before its first checkpoint")
    assert latest_checkpoint(journey.workspace).parents[1].name == "older"
