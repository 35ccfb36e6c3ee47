"""Files of scenes, TOML or one JSON object a line: the same checks, and one clear sentence for what is wrong."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from fullcast.recognition.scenes import NotInCast, bind_scene, check_scene, parse_cell, read_scenes, sift_scenes
from fullcast.records import UNKNOWN, Cast, Character, Form, Placement, Scene
from fullcast.store.errors import FullcastError

CAST = Cast(
    "show",
    (
        Character("aoi", "aoi", (Form(""), Form("hairdown", "hairdown"))),
        Character("hinata", "hinata"),
        Character("mio", "mio"),
    ),
)


def test_cells_in_numbers_and_words():
    assert parse_cell([4, 0]) == parse_cell("4:0") == parse_cell("far right top") == (4, 0)
    assert parse_cell("center") == (2, 1)


SCENES = """
[[scene]]
id = "pair"
prompt = "park"
size = [160, 96]
[[scene.people]]
character = "aoi"
cell = "left upper"
[[scene.people]]
character = "mio"
box = [0.5, 0.1, 1.0, 1.0]
prompt = "smiling"
[[scene]]
prompt = "night"
"""


def test_scene_file(tmp_path: Path):
    path = tmp_path / "scenes.toml"
    path.write_text(SCENES)
    first, second = read_scenes(path, CAST)
    assert (first.id, first.width, first.height, second.id) == ("pair", 160, 96, "scene-002")
    assert first.people == (
        Placement("aoi", "", (1, 1)),
        Placement("mio", "", None, (0.5, 0.1, 1.0, 1.0), "smiling"),
    )


WRONG = [
    ("promt = 'x'", "promt is not known; known are id, prompt"),
    ("poeple = [{ character = 'aoi' }]", "poeple is not known"),
    ("prompt = 5", "prompt is 5; give text"),
    ("size = [160]", r"give \[width, height\]"),
    ("width = -1", r"size is \[-1, 0\]"),
    ("seed = -1", "seed is -1; give a whole number from 0 to 4294967295"),
    ("seed = 4294967296", "seed is 4294967296; give a whole number"),
    ("seed = true", "seed is True; give a whole number"),
    ("people = ['aoi']", "person 1 is no scene"),
    ("people = 'aoi'", "people is 'aoi'; give a list"),
    ("people = [{ character = 'zoe' }]", "person 1: nobody in the cast is called 'zoe'; the cast is: aoi, hinata, mio"),
    ("people = [{ character = 'aoi' }, { character = 'mio', form = 'wet' }]", "person 2: mio has no form 'wet'"),
    ("people = [{ charcter = 'aoi' }]", "charcter is not known"),
    ("people = [{ box = [0.5, 0, 0.1, 1] }]", "fractions of the picture"),
    ("people = [{ cell = [7, 1] }]", r"person 1: \[7, 1\] is no place"),
    ("people = [{ cell = [1] }]", r"\[1\] is no place"),
    ("people = [{ cell = [inf, 1] }]", "is no place"),
    ("people = [{ cell = 'leftish' }]", "'leftish' is no place"),
    ("people = [{ cell = [0, 0], box = [0, 0, 1, 1] }]", "not both"),
    ("people = [{ character = '@x' }]", "'@x' is no role"),
    ("people = [{ character = '@3' }]", "the role @3 needs 4 characters or more; the cast of 'show' has 3"),
    ("people = [{ character = '@0', form = '@' }]", "'@' is no role"),
    ("id = 'a/b'", "names a file"),
    ("id = '../../evil'", "names a file"),
    ("id = [1]", "names a file"),
]


@pytest.mark.parametrize(("told", "says"), WRONG)
@pytest.mark.parametrize("kind", ["toml", "jsonl"])
def test_both_kinds_of_file_are_checked_alike(tmp_path: Path, kind: str, told: str, says: str):
    path = tmp_path / f"scenes.{kind}"
    path.write_text(f"[[scene]]\n{told}\n" if kind == "toml" else json.dumps(tomllib.loads(told)) + "\n")
    with pytest.raises(FullcastError, match=says):
        read_scenes(path, CAST)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.toml", "x = 1", "nothing else"),
        ("a.toml", "[[scene", "no TOML"),
        ("a.toml", "[[scene]]\nid='a'\n[[scene]]\nid='a'", "used twice"),
        ("a.jsonl", '{"id": "a"}\n{"id": "a"}\n', "ids a are used twice"),
        ("a.jsonl", "", "holds no scene"),
        ("a.jsonl", "not json\n", "line 1 is no scene"),
        ("a.jsonl", '{"id": "a"}\n5\n', "line 2 is no scene"),
    ],
)
def test_wrong_files_are_said(tmp_path: Path, name: str, content: str, says: str):
    (tmp_path / name).write_text(content)
    with pytest.raises(FullcastError, match=says):
        read_scenes(tmp_path / name, CAST)
    with pytest.raises(FullcastError, match="no such scene file"):
        read_scenes(tmp_path / f"no-{name}")


def test_a_line_by_hand_needs_little(tmp_path: Path):
    path = tmp_path / "scenes.jsonl"
    people = [{"character": "aoi", "cell": "left", "form": None}, {"character": "@2"}, {"cell": [3, 1]}]
    path.write_text(json.dumps({"prompt": "park", "people": people, "width": 160, "height": 96}) + "\n")
    (scene,) = read_scenes(path, CAST)
    nobody = Placement(UNKNOWN, cell=(3, 1))
    assert scene == Scene("scene-0001", "park", (Placement("aoi", cell=(1, 1)), Placement("mio"), nobody), "", 160, 96)


def test_one_bad_scene_leaves_the_others(tmp_path: Path):
    path = tmp_path / "scenes.jsonl"
    lines = [
        {"id": "good", "prompt": "park", "people": [{"character": "aoi"}]},
        {"id": "stranger", "people": [{"character": "nobody"}]},
        {"id": "typo", "poeple": []},
        {"id": "good-too"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + "{\n")
    scenes, drops = sift_scenes(path, CAST)
    assert [scene.id for scene in scenes] == ["good", "good-too"]
    assert [(drop.item, drop.reason) for drop in drops] == [
        ("stranger", "not-in-cast"), ("typo", "malformed"), ("scene-0005", "malformed"),
    ]  # fmt: skip
    assert "line 2, person 1: nobody in the cast is called 'nobody'; the cast is: aoi" in drops[0].detail
    path.write_text(json.dumps(lines[1]) + "\n")
    with pytest.raises(FullcastError, match=r"no scene in .* the first of 1: .*'nobody'"):
        sift_scenes(path, CAST)


def test_a_name_in_pieces_is_the_same_name(tmp_path: Path):
    cast = Cast("show", (Character("\u304c\u304d", "gaki", (Form(""),)),))
    (tmp_path / "s.jsonl").write_text('{"people": [{"character": "\u304b\u3099\u304d\u3099"}]}', encoding="utf-8")
    with pytest.raises(FullcastError):
        read_scenes(tmp_path / "s.jsonl", cast)
    (tmp_path / "s.jsonl").write_text('{"people": [{"character": "\u304b\u3099\u304d"}]}', encoding="utf-8")
    assert read_scenes(tmp_path / "s.jsonl", cast)[0].people[0].character == "\u304c\u304d"


def test_who_has_no_name_is_in_every_cast():
    check_scene(Scene("s", "", (Placement(UNKNOWN), Placement(""), Placement("aoi", "hairdown"))), CAST)
    with pytest.raises(NotInCast, match="scene s, person 1: nobody in the cast is called 'zoe'"):
        check_scene(Scene("s", "", (Placement("zoe"),)), CAST)
    named = Scene("s", "", (Placement("aoi"),))
    assert bind_scene(named, CAST) == named


def test_who_has_only_named_looks_can_be_asked_for_without_one() -> None:
    school = Cast("show", (Character("emi", "emi", (Form("school", "uniform"), Form("casual", "casual"))),))
    check_scene(Scene("s", "park", (Placement("emi"), Placement("emi", "school"))), school)
    with pytest.raises(NotInCast, match="emi has no form 'winter'; known forms: school, casual"):
        check_scene(Scene("s", "park", (Placement("emi", "winter"),)), school)
