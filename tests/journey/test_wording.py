"""Words over a whole show: by which networks, kept under which key, and of whom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from fullcast.captions.tagging import Words
from fullcast.journey import Journey, new_workspace
from fullcast.journey.deciding import decide_people
from fullcast.journey.doors import Doors
from fullcast.journey.naming import Named
from fullcast.journey.preparing import subtitle_lines
from fullcast.journey.taking_in import Partition, TakenIn
from fullcast.journey.wording import _tagging, common_settings, word_all
from fullcast.records import Cast, Character, Image, Person
from fullcast.store.decisions import Decision, Log, target_of
from tests import onnx_graphs

CAST = Cast("show", (Character("aoi", "aoi"), Character("mio", "mio")))
DOORS = cast(Doors, SimpleNamespace(tagger=SimpleNamespace(name="tagger")))


@pytest.fixture
def journey(tmp_path: Path) -> Journey:
    new_workspace(tmp_path / "show")
    return Journey.open(tmp_path / "show")


def picture(name: str, *tags: str) -> Image:
    return Image(name, f"{name}.png", 200, 100, "fanart", tags=tags)


def figure(image: str, x: float = 0, head: bool = True, **more: Any) -> Person:
    box = (x, 10.0, x + 40, 90.0)
    return Person(f"{image}/{x}", image, box, 0.9, head_xyxy=(x, 10, x + 20, 30) if head else None, **more)


def named_of(people: list[Person], images: list[Image], found: list[Person], log: Log | None = None) -> Named:
    decided = decide_people(people, images, CAST, log or Log())
    return Named(CAST, decided.people, {"part": "key"}, frozenset(p.id for p in found), (), decided)


def taken_of(images: list[Image]) -> TakenIn:
    return TakenIn((), tuple(images), (), (), ())


def test_the_tagger_is_opened_with_the_recipes_threshold_and_names_nobody(tmp_path: Path) -> None:
    """Four outputs of 0.62 and 0.5: a tag, two tags and a character; names come from references."""
    new_workspace(tmp_path / "show")
    folder = tmp_path / "show" / "tagger"
    weights = np.array([[0, 0, 0], [0, 0, 0], [0, 0, 1]]) / 255
    onnx_graphs.mean_tagger(folder / "model.onnx", 8, weights, np.array([0.5, 0.0, 8.0]))
    (folder / "selected_tags.csv").write_text("name,category\nsmile,0\nhat,0\noumae_kumiko,4\n")
    names = set()
    for threshold, words in {"0.55": {"smile"}, "0.4": {"smile", "hat"}, "0.65": set()}.items():
        overrides = {"models.tagger": "tagger", "captions.tag_threshold": threshold}
        journey = Journey.open(tmp_path / "show", overrides)
        tagger = Doors(journey.workspace, journey.recipe).tagger
        (found,) = tagger.tag([np.zeros((8, 8, 3), np.uint8)])
        assert found.keys() == words
        names.add(tagger.name)
    assert len(names) == 3


def test_words_are_made_anew_for_whoever_no_detector_found(journey: Journey) -> None:
    """A dataset's own figure, who is there since the cast knows her; somebody added once more with another head."""
    images = [picture("a")]
    partition = Partition("part", "key", journey.workspace.root, tuple(images))
    found = [figure("a")]

    def key(people: list[Person]) -> str:
        return _tagging(journey, DOORS, partition, named_of(people, images, found)).key

    hers = figure("a", 100, detector="import", character="mio")
    keys = [key(found), key([*found, hers]), key([*found, replace(hers, head_xyxy=(100, 10, 130, 40))])]
    assert len(set(keys)) == 3
    assert key([replace(found[0], character="aoi"), hers]) == keys[1], "a name is no pixel"


def test_a_picture_of_two_lends_no_hair_to_the_one_who_was_found(journey: Journey) -> None:
    """Nor does she count as seen alone; once somebody has looked, both hold again."""
    images = [picture(f"p{n}", "2girls", "blonde hair", "black hair") for n in range(4)]
    images += [picture("one", "1girl", "blonde hair", "solo focus")]
    people = [figure(image.id, character="aoi") for image in images]
    words = [Words(person.id, ("smile",), (0.9,)) for person in people]
    worded = word_all(journey, taken_of(images), named_of(people, images, people), words)
    assert [p.tags for p in worded.people] == [("smile",)] * 4 + [("smile", "blonde hair")]
    assert {(t.tag, t.seen, t.crops) for t in worded.traits} == {("blonde hair", 1, 1)}
    assert [check.agrees for check in worded.counts] == [False] * 4 + [True]
    kept = Decision("keep", (target_of(images[0]),), "picture", id="1", time="1")
    worded = word_all(journey, taken_of(images), named_of(people, images, people, Log((kept,))), words)
    assert worded.people[0].tags == ("smile", "blonde hair", "black hair")


@pytest.mark.parametrize(("setting", "said"), [("say", ("park", "subtitled")), ("ignore", ("park",))])
def test_subtitles_are_said_of_a_picture_and_no_scene_is_asked_for_with_them(
    tmp_path: Path, setting: str, said: tuple[str, ...]
) -> None:
    new_workspace(tmp_path / "show")
    journey = Journey.open(tmp_path / "show", {"ingest.filters.subtitles": setting})
    images = [replace(picture(name, "subtitled"), source="screenshots") for name in "ab"]
    people = [figure("a", character="aoi"), figure("b", character="aoi")]
    words = [Words("a", ("park",), (0.9,)), Words("b", (), ())]
    worded = word_all(journey, taken_of(images), named_of(people, images, people), words)
    assert worded.scene_tags == {"a": said, "b": said[1:]}
    assert not any(p.tags for p in worded.people), "it is nobody's word"
    assert common_settings(worded.scene_tags, images) == ("park",), "what the judge's scenes play in"
    (line,) = subtitle_lines(taken_of([*images, picture("c"), replace(images[0], dropped="near-duplicate")]), worded)
    assert line == f"  2 pictures have burned-in subtitles; captions say so of {2 if setting == 'say' else 0}"
