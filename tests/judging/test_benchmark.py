"""Scenes for a benchmark: balanced, the same from the same seed, for any cast."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from fullcast.judging.benchmark import make_scenes, seed_of, template_cast, write_scenes
from fullcast.judging.counterfactual import with_swaps
from fullcast.recognition.scenes import bind_scene, check_scene, read_scenes
from fullcast.records import Cast, Character, Form

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


def test_a_scene_s_own_seed_is_its_noise_and_that_of_its_swapped_one(tmp_path: Path):
    scene = replace(make_scenes(CAST, 1, 1, SETTINGS)[2], seed=0)
    write_scenes(tmp_path / "scenes.jsonl", with_swaps([scene]))
    read = read_scenes(tmp_path / "scenes.jsonl")
    assert read == with_swaps([scene]) and len(read) == 2
    assert [[seed_of(one, judge_seed, i) for i in range(3)] for one in read for judge_seed in (1, 2)] == [[0, 1, 2]] * 4
    assert seed_of(replace(scene, seed=-1), 1) != seed_of(replace(scene, seed=-1), 2)


def test_more_people_than_columns_share_them():
    seven = [s for s in make_scenes(CAST, 2, 0, SETTINGS, max_people=7) if s.num_people == 7]
    assert [p.cell[0] for p in seven[0].people] == [0, 0, 1, 2, 2, 3, 4]


def test_round_trip(tmp_path: Path):
    scenes = make_scenes(CAST, 3, 1, SETTINGS)
    write_scenes(tmp_path / "scenes.jsonl", scenes)
    assert read_scenes(tmp_path / "scenes.jsonl") == scenes


def test_committed_scenes_fit_any_cast_of_eight():
    roles = read_scenes(COMMITTED)
    settings = ("park", "street", "classroom", "beach", "bedroom", "mountain")
    made = make_scenes(template_cast(), 200, 20261122, settings)
    assert roles == [replace(scene, seed=seed_of(scene, 0)) for scene in made], "the noise of before it stood there"
    bound = read_scenes(COMMITTED, CAST)
    assert Counter(s.num_people for s in bound) == dict.fromkeys(range(1, 6), 200)
    for scene in bound:
        check_scene(scene, CAST)
    seventh = next(s for s in roles if any(p.character == "@7" for p in s.people))
    with pytest.raises(ValueError, match="needs 8 characters or more"):
        bind_scene(seventh, Cast("few", (*CAST.characters[:7],)))
