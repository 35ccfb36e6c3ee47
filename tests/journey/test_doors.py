"""Networks that are named and are not there are said before anything is decoded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fullcast.journey import Journey, new_workspace
from fullcast.journey.doors import Doors
from fullcast.journey.preparing import prepare
from fullcast.records import Person
from fullcast.store.decisions import detector_of
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import write_png
from tests.journey.test_taking_in import art

ROLES = (
    "detector", "embedder", "tagger", "text_detector", "classifier", "aesthetic", "judge_detector", "judge_embedder",
)  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_a_network_that_is_missing_is_said_before_the_first_picture_is_taken_in(tmp_path: Path, role: str) -> None:
    new_workspace(tmp_path / "work")
    journey = Journey.open(tmp_path / "work", {f"models.{role}": "nowhere.onnx"})
    write_png(journey.workspace.fanart_dir / "one.png", art(1))
    with pytest.raises(FullcastError, match=rf"models\.{role} is 'nowhere\.onnx'"):
        prepare(journey)
    assert not journey.workspace.frames_dir.exists() and not journey.workspace.show_dir.exists()


@pytest.mark.parametrize(
    ("role", "given"), [("embedder", "models/empty"), ("tagger", "models/empty"), ("detector", "pocket +")]
)
def test_a_folder_without_the_network_and_an_empty_word_are_said_first(tmp_path: Path, role: str, given: str) -> None:
    new_workspace(tmp_path / "work")
    (tmp_path / "work" / "models" / "empty").mkdir(parents=True)
    journey = Journey.open(tmp_path / "work", {f"models.{role}": given})
    write_png(journey.workspace.fanart_dir / "one.png", art(1))
    with pytest.raises(FullcastError, match=rf"models\.{role} is .* there is no .*onnx"):
        prepare(journey)
    assert not journey.workspace.frames_dir.exists()


def test_a_segmenter_is_asked_for_only_where_masks_are(tmp_path: Path) -> None:
    new_workspace(tmp_path / "work")
    settings = {"models.segmenter": "nowhere", "people.masks": "true"}
    with pytest.raises(FullcastError, match=r"models\.segmenter is 'nowhere'; accepted are pocket and box"):
        prepare(Journey.open(tmp_path / "work", settings))
    with pytest.raises(FullcastError, match="has no picture that can be used"):
        prepare(Journey.open(tmp_path / "work", {"models.segmenter": "nowhere"}))


def test_what_labelling_detects_otherwise_has_another_name_and_the_judge_has_its_own(tmp_path: Path) -> None:
    """Cast, portraits, people and the scorer's sights are kept under the detector's name."""
    new_workspace(tmp_path / "work")

    def doors(**settings: str) -> Doors:
        journey = Journey.open(tmp_path / "work", {f"people.{name}": value for name, value in settings.items()})
        return Doors(journey.workspace, journey.recipe)

    plain, fainter, apart = doors(), doors(confidence="0.3"), doors(iou="0.6")
    assert len({d.detector.name for d in (plain, fainter, apart)}) == 3
    assert len({d.judge_detector.name for d in (plain, fainter, apart)}) == 1
    box = Person("i/0", "i", (0, 0, 9, 9), 0.9)
    drawn = {detector_of(replace(box, detector=f"{d.detector.name}#head")) for d in (plain, fainter, apart)}
    assert drawn == {plain.detector.name}
