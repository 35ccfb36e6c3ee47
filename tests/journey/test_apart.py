"""Three parts apart: who labels, who picks (best-of-k, repair), who judges."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from fullcast.journey.doors import WEIGHTS_DIR, Doors
from fullcast.recipe import Recipe
from fullcast.records import Cast
from fullcast.store.pictures import file_id
from fullcast.store.workspace import Workspace

SRC = Path(__file__).parents[2] / "src" / "fullcast"


@pytest.fixture()
def doors(tmp_path: Path) -> Doors:
    return Doors(Workspace.create(tmp_path / "w"), Recipe())


def test_the_judge_s_embedder_is_another_network_than_the_labelling_one(doors: Doors):
    labels, judges = doors.path("embedder"), doors.path("judge_embedder")
    assert file_id(labels) != file_id(judges)
    assert labels.stat().st_size != judges.stat().st_size  # another architecture, not only other weights


def test_picking_and_repair_look_with_the_labelling_networks_never_with_the_judge_s(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
):
    opened: list[str] = []
    monkeypatch.setattr(Doors, "_detector", lambda self, role, confidence=None: opened.append(role) or role)
    monkeypatch.setattr(Doors, "_embedder", lambda self, role: opened.append(role) or role)
    monkeypatch.setattr("fullcast.recognition.look.CastLook", lambda detector, embedder, cast: (detector, embedder))
    assert doors.scorer(Cast("x", ())) == ("detector", "embedder")
    assert doors.look(Cast("x", ())) == ("judge_detector", "judge_embedder")
    assert set(opened) == {"detector", "embedder", "judge_detector", "judge_embedder"}


def test_who_looks_at_made_pictures_sees_from_the_judge_s_confidence_on_and_labels_stay_as_they_are(tmp_path: Path):
    """The pocket detector believes figures from 0.5 on when it labels; of generated ones it was sure by 0.3 to 0.5 of
    every tenth, and judged them as missing."""
    recipe = Recipe.model_validate({"judging": {"min_confidence": 0.2}, "people": {"confidence": 0.6}})
    doors = Doors(Workspace.create(tmp_path / "w"), recipe)
    assert (doors.detector.confidence, doors.judge_detector.confidence) == (0.6, 0.5)
    eyes = (doors._judging_eyes, doors._scoring_eyes)
    assert [eye.confidence for eye in eyes] == [0.2, 0.2]
    assert all(eye.name.endswith("#confidence=0.2") for eye in eyes), "other boxes: verdicts of before are others'"


def test_what_is_shared_is_said(doors: Doors):
    """One detector ships for the pocket world: the sentence must say so, until the judge has one of its own."""
    said = doors.judge_is_apart
    shipped = (WEIGHTS_DIR / "pocket-judge-detector.onnx").exists()
    assert ("The detector that judges is the one that labelled" in said) is not shipped
    assert "embedder that judges is the one" not in said
    assert "never with the judge's" in said


def test_one_network_given_to_both_parts_is_said(tmp_path: Path):
    recipe = Recipe.model_validate({"models": {"judge_embedder": str(WEIGHTS_DIR / "pocket-embedder.onnx")}})
    said = Doors(Workspace.create(tmp_path / "w"), recipe).judge_is_apart
    assert "detector and the embedder that judges is the one that labelled" in said


def test_nobody_but_the_judging_verbs_opens_the_judge_s_networks():
    """Labelling, mending and generating never ask for them: only modules of the journey that judge do."""
    allowed = {"journey/doors.py", "journey/asking.py", "journey/judged.py", "journey/proving.py"}
    allowed |= {"journey/preparing.py", "journey/beside_training.py", "journey/mending.py", "recipe.py"}
    users = set()
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("judge_detector", "judge_embedder"):
                users.add(path.relative_to(SRC).as_posix())
    assert users <= allowed, users - allowed
