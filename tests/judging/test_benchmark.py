"""Scenes for a benchmark: balanced, the same from the same seed, for any cast."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fullcast.judging.benchmark import (
    bind_scenes,
    make_scenes,
    read_scenes,
    seed_of,
    template_cast,
    write_scenes,
)
from fullcast.judging.verdict import check_scene
from fullcast.records import Cast, Character, Form, Placement

CAST = Cast(
    "test",
    tuple(
        Character(n, n, (Form(""), Form("hairdown")) if n == "c0" else (Form(""),)) for n in map("c{}".format, range(8))
    ),
)
SETTINGS = ("park", "beach", "street")
COMMITTED = Path(__file__).parents[2] / "benchmarks" / "scenes" / "any-cast-of-8.jsonl"


def test_scenes_are_balanced_and_ordered():
    scenes = make_scenes(CAST, 40, 5, SETTINGS)
    assert Counter(s.num_people for s in scenes) == dict.fromkeys(range(1, 6), 40)
    for n in range(1, 6):
        asked = Counter(p.character for s in scenes if s.num_people == n for p in s.people)
        assert len(asked) == 8 and max(asked.values()) - min(asked.values()) <= 2
    for scene in scenes:
        names = [p.character for p in scene.people]
        columns = [p.cell[0] for p in scene.people]
        assert len(set(names)) == len(names) and columns == sorted(set(columns))
        check_scene(scene, CAST)
    assert {p.form for s in scenes for p in s.people if p.character == "c0"} == {"", "hairdown"}
    assert {s.prompt for s in scenes} == set(SETTINGS)


def test_same_seed_same_scenes_other_seed_others():
    assert make_scenes(CAST, 5, 1, SETTINGS) == make_scenes(CAST, 5, 1, SETTINGS) != make_scenes(CAST, 5, 2, SETTINGS)
    scenes = make_scenes(CAST, 5, 1, SETTINGS)
    assert len({seed_of(s, 1, i) for s in scenes for i in range(4)}) == 4 * len(scenes)


def test_more_people_than_columns_share_them():
    seven = [s for s in make_scenes(CAST, 2, 0, SETTINGS, max_people=7) if s.num_people == 7]
    assert [p.cell[0] for p in seven[0].people] == [0, 0, 1, 2, 2, 3, 4]


def test_round_trip(tmp_path: Path):
    scenes = make_scenes(CAST, 3, 1, SETTINGS)
    write_scenes(tmp_path / "scenes.jsonl", scenes)
    assert read_scenes(tmp_path / "scenes.jsonl") == scenes


def test_a_line_by_hand_needs_little(tmp_path: Path):
    path = tmp_path / "scenes.jsonl"
    path.write_text('{"prompt": "park", "people": [{"character": "c0", "cell": [1, 2]}, {"character": "c1"}]}\n')
    (scene,) = read_scenes(path)
    assert scene.id == "scene-0001" and scene.people == (Placement("c0", cell=(1, 2)), Placement("c1"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no scene"),
        ('{"prompt": "park", "people": [{"cell": [1, 2]}]}\n', "line 1 is no scene"),
        ("not json\n", "line 1 is no scene"),
        ('{"id": "a"}\n{"id": "a"}\n', "two scenes have the same id"),
    ],
)
def test_wrong_files_say_what_is_wrong(tmp_path: Path, content: str, said: str):
    path = tmp_path / "scenes.jsonl"
    path.write_text(content)
    with pytest.raises(ValueError, match=said):
        read_scenes(path)


def test_committed_scenes_fit_any_cast_of_eight():
    roles = read_scenes(COMMITTED)
    assert roles == make_scenes(
        template_cast(), 200, 20261122, ("park", "street", "classroom", "beach", "bedroom", "mountain")
    )
    bound = bind_scenes(roles, CAST)
    assert Counter(s.num_people for s in bound) == dict.fromkeys(range(1, 6), 200)
    for scene in bound:
        check_scene(scene, CAST)
    assert bind_scenes(bound, CAST) == bound
    with pytest.raises(ValueError, match="need 8 characters or more"):
        bind_scenes([s for s in roles if any(p.character == "@7" for p in s.people)], Cast("few", CAST.characters[:3]))
