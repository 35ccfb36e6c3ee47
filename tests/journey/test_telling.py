"""Report and card tell of a model what it was trained with, where, and under whose licence: not today's recipe."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fullcast.journey import Journey, new_workspace, planning
from fullcast.journey.exporting_models import licence_of_made
from fullcast.journey.run_facts import base_name, machine
from fullcast.journey.telling import _sample_pictures, latest_run, tell
from fullcast.models.stable_diffusion.licence import licence_of
from fullcast.records import Video
from fullcast.store.tables import write_records
from fullcast.store.workspace import Workspace
from tests.journey.test_packing import home  # noqa: F401  (a fixture: a show of twelve pictures)

TRAINED = {"mixture.num_steps": "2", "training.learning_rate": "0.002", "training.lora_rank": "2"}
TODAY = {"mixture.num_steps": "3", "training.learning_rate": "0.5", "mixture.batch_size": "3", "models.base": "pocket"}


def test_what_was_trained_is_told_and_not_today_s_recipe(
    home: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = shutil.copytree(home, tmp_path / "show", ignore=shutil.ignore_patterns("runs"))
    write_records(own / "data" / "show" / "videos.parquet", [], Video)
    (own / "base" / "README.md").write_text("---\nlicense: show-licence\n---\n")
    journey = Journey.open(own, {**TRAINED, "training.lora_merged": "false"})
    journey.train()
    data = tell(journey)
    assert data.training and data.mixture and all(share.delivered >= 0 for share in data.mixture.shares)
    assert data.cost.endswith(f" on {machine()}") and data.lora_alone

    monkeypatch.setattr(planning, "images_per_s", lambda journey, planned: 1.0)
    later = Journey.open(own, TODAY)
    later.plan()
    run = latest_run(later.workspace)
    assert run is not None
    origin = json.loads((run / "provenance.json").read_text())
    (run / "provenance.json").write_text(json.dumps({**origin, "machines": ["one card", "another"]}))
    data = tell(later)
    assert data.training and data.mixture
    facts = {fact.label: fact.value for fact in data.training.facts}
    assert (facts["Learning rate"], facts["Batch size"], facts["Steps"]) == ("0.002", "2", "2")
    assert (data.base_model, data.licence) == ("base", "show-licence")
    assert all(share.delivered < 0 for share in data.mixture.shares), "today's plan was not trained"
    assert "another plan" in dict((fact.label, fact.value) for fact in data.mixture.facts)["Trained"]
    assert data.cost.endswith(" on one card; then on another")
    del origin["machines"]
    (run / "provenance.json").write_text(json.dumps(origin))
    assert " on " not in tell(later).cost, "the machine that writes the page is not the one that trained"


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (1, 1), (10, 10), (19, 10), (24, 8)])
def test_sample_pictures_are_few_and_the_newest_is_among_them(tmp_path: Path, count: int, shown: int) -> None:
    workspace = Workspace.create(tmp_path / "w")
    for step in range(1, count + 1):
        folder = workspace.runs_dir / "a" / "samples" / f"step-{step:06d}"
        folder.mkdir(parents=True)
        (folder / "1.png").touch()
    told = [picture.caption for picture in _sample_pictures(workspace, workspace.runs_dir / "a")]
    assert len(told) == shown and (not told or told[-1] == f"step {count}")
    assert told == sorted(told, key=lambda caption: int(caption.split()[1]))


def test_no_page_has_the_path_of_a_base() -> None:
    cached = "/home/a/.cache/huggingface/hub/models--owner--some-model/snapshots/0a1b"
    assert base_name(cached) == base_name(f"{cached}/") == "owner/some-model"
    assert base_name("/home/a/models/base.safetensors") == "base.safetensors"
    assert base_name("pocket") == "Fullcast's pocket base"


def test_licences_of_fullcast_s_own_models_are_known(tmp_path: Path) -> None:
    (tmp_path / "provenance.json").write_text('{"licence": "show-licence"}')
    assert licence_of(tmp_path) == "show-licence", "a checkpoint as the base of another training"
    (tmp_path / "README.md").write_text("---\nlicense: from-the-card\n---\n")
    assert licence_of(tmp_path) == "from-the-card"
    new_workspace(tmp_path / "work")
    assert licence_of_made(Journey.open(tmp_path / "work")) == "cc-by-4.0", "the pocket weights"
