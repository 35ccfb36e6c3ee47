"""A stage added at the end of a training that is there: the bits of a training that had it from the beginning."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fullcast.journey import Journey
from fullcast.journey.runs import latest_checkpoint
from fullcast.recipe import make_recipe
from fullcast.training.kept import read_state
from fullcast.training.metrics import read_metrics
from tests.journey.noise_show import make_home
from tests.training.test_train import hashes

STAGE = {"name": "first", "mixture": {"num_steps": 4}}
LATER = {"name": "later", "mixture": {"num_steps": 3}, "training": {"learning_rate": 5e-4, "caption_dropout_rate": 0.5}}
FRESH_WORDS = {"name": "words", "mixture": {"num_steps": 2}, "captions": {"grammars": {"seed": 1.0}}}


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def home(tmp_path: Path, said: list[str]) -> Journey:
    return Journey.open(make_home(tmp_path / "home"), say=said.append)


def with_stages(journey: Journey, *stages: dict, **training: object) -> Journey:
    values = journey.recipe.model_dump(exclude={"stages"}, exclude_unset=True)
    own = {**values.get("training", {}), **training}
    return journey.with_recipe(make_recipe({**values, "training": own, "stages": list(stages)}))


def trained(journey: Journey) -> Path:
    assert journey.train().data["finished"]
    return latest_checkpoint(journey.workspace)


def test_stages_at_the_end_go_on_to_the_bits_of_a_training_that_had_them_from_the_beginning(
    home: Journey, tmp_path: Path, said: list[str]
) -> None:
    first = trained(with_stages(home, STAGE))
    second = trained(with_stages(home, STAGE, LATER))
    assert f"goes on at step 4 from data/runs/{first.parents[1].name}," in said[-1]
    third = trained(with_stages(home, STAGE, LATER, FRESH_WORDS))
    assert f"goes on at step 7 from data/runs/{second.parents[1].name}" in said[-1]
    at_once = trained(with_stages(Journey.open(make_home(tmp_path / "other")), STAGE, LATER, FRESH_WORDS))
    assert third.name == at_once.name == "step-000009" and third.parents[1].name == at_once.parents[1].name
    assert hashes(third) == hashes(at_once), "weights, average and optimizer"
    assert read_state(third).ledger == read_state(at_once).ledger
    lines = read_metrics(third.parents[1] / "metrics.jsonl")
    assert [line["step"] for line in lines if "loss" in line] == [*range(1, 10)]
    assert (third.parent / first.name / "model_index.json").is_file(), "what lies beside the newest comes along"
    assert not (third.parent / first.name / "state").exists() or first.name == third.name
    assert hashes(first) and read_state(first).step == 4, "the shorter one stays as it was"
    assert trained(with_stages(home, STAGE)) == first, "and is finished"


def test_a_training_without_stages_goes_on_as_the_first_of_several(home: Journey, said: list[str]) -> None:
    trained(home)
    assert read_state(trained(with_stages(home, STAGE, LATER))).step == 7
    assert "goes on at step 4" in said[-1]


def test_one_that_was_stopped_goes_on_inside_its_stage(home: Journey, said: list[str]) -> None:
    shutil.rmtree(trained(with_stages(home, STAGE, keep_states=2)))  # as if it had been stopped after step 2
    assert read_state(latest_checkpoint(home.workspace)).step == 2
    assert read_state(trained(with_stages(home, STAGE, LATER))).step == 7
    assert "goes on at step 2" in said[-1]


def test_a_stage_alone_under_what_was_trained_without_stages_is_told_how(home: Journey, said: list[str]) -> None:
    trained(home)
    trained(with_stages(home, LATER))
    assert "was trained without stages" in said[0] and '[[stages]] with name = "first"' in said[0]


def test_a_state_that_cannot_be_read_is_passed_over_and_without_any_the_longer_one_begins_anew(
    home: Journey, said: list[str]
) -> None:
    first = trained(with_stages(home, STAGE, keep_states=2))
    optimizer = first / "state" / "optimizer.safetensors"
    optimizer.write_bytes(optimizer.read_bytes()[:1000])
    told = with_stages(home, STAGE, LATER).train(minutes=0)
    assert "goes on at step 2" in said[-1] and told.data["step"] == 2
    shutil.rmtree(home.workspace.runs_dir / Path(told.data["checkpoint"]).parents[1].name)
    shutil.rmtree(first.parent / "step-000002")
    assert read_state(trained(with_stages(home, STAGE, LATER))).step == 7
    assert "step-000004 cannot be read" in said[-2] and "nothing of it is taken over" in said[-2]
    assert "a new run begins at step 0" in said[-1]


def test_what_lies_beside_the_checkpoints_comes_along_and_is_not_shared(home: Journey) -> None:
    run = trained(with_stages(home, STAGE)).parents[1]
    (run / "samples" / "step-000004").mkdir(parents=True)
    (run / "samples" / "step-000004" / "0.png").write_bytes(b"picture")
    before = (run / "metrics.jsonl").read_text()
    later = trained(with_stages(home, STAGE, LATER)).parents[1]
    assert (later / "samples" / "step-000004" / "0.png").read_bytes() == b"picture"
    assert (run / "metrics.jsonl").read_text() == before and (later / "metrics.jsonl").read_text() != before
    assert not list(home.workspace.runs_dir.glob(".partial*"))


@pytest.mark.parametrize(
    ("training", "later", "reason"),
    [
        ({"lr_schedule": "cosine"}, LATER, "its rates fall over all steps"),
        ({}, {**LATER, "training": {"text_encoder_learning_rate": 1e-4}}, "text_encoder_learning_rate was 0 in all"),
    ],
)
def test_where_the_longer_one_would_have_been_elsewhere_nothing_is_taken_over(
    home: Journey, said: list[str], training: dict, later: dict, reason: str
) -> None:
    training = {"text_encoder_learning_rate": 0.0, **training}
    trained(with_stages(home, STAGE, **training))
    trained(with_stages(home, STAGE, later, **training))
    why, how = said
    assert reason in why and "nothing of it is taken over" in why
    assert "a new run begins at step 0" in how and "set models.base to" in how


def test_other_words_or_another_order_of_stages_are_another_training(home: Journey, said: list[str]) -> None:
    trained(with_stages(home, STAGE))
    trained(with_stages(home, LATER, STAGE))
    [told] = said
    assert "a new run begins at step 0" in told
