"""Folders of real PNGs, judged by a look that reads colours: a network's stand-in with a known answer."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fullcast.formats.a1111 import RECORD
from fullcast.judging.cache import question_key
from fullcast.judging.config import JudgingConfig
from fullcast.judging.counterfactual import with_swaps
from fullcast.judging.judge import Entry, entries_in, judge
from fullcast.judging.rows import cast_of_table, read_rows
from fullcast.records import Cast, Character, Found, Picture, Placement, Scene
from fullcast.store.pictures import write_png
from fullcast.store.tables import read_metadata, to_plain

COLORS = {"aoi": (0, 0, 255), "hinata": (255, 128, 0), "mio": (0, 160, 0)}
CAST = Cast("test", tuple(Character(name, name) for name in COLORS))


class ColorLook:
    """Finds flat squares of 20 px, one of each colour per column."""

    name = "colours"

    def look(self, images: Sequence[np.ndarray]) -> list[list[Found]]:
        return [self._one(image) for image in images]

    def _one(self, image: np.ndarray) -> list[Found]:
        found = []
        for x in range(0, image.shape[1], 20):
            for i, (name, color) in enumerate(COLORS.items()):
                if tuple(image[30, x + 10]) == color:
                    box = (float(x), 20.0, x + 20.0, 40.0)
                    scores = tuple(1.0 if j == i else 0.0 for j in range(len(COLORS)))
                    found.append(Found(box, box, 0.9, name, "", 1.0, 1.0, scores=scores))
        return found


def draw(path: Path, people: dict[int, str]) -> None:
    image = np.full((100, 100, 3), 255, np.uint8)
    for column, name in people.items():
        image[20:40, 20 * column : 20 * column + 20] = COLORS[name]
    write_png(path, image)


SCENES = [
    Scene("one", "park", (Placement("aoi", cell=(2, 1)),)),
    Scene("one-more", "park", (Placement("hinata"), Placement("mio"))),
]


def test_folder_of_pictures_with_one_broken_and_one_stray(tmp_path: Path):
    draw(tmp_path / "one-seed7.png", {2: "aoi"})
    draw(tmp_path / "one-more-1.png", {1: "hinata", 3: "aoi"})
    draw(tmp_path / "holiday.png", {})
    (tmp_path / "one_2.png").write_bytes((tmp_path / "one-seed7.png").read_bytes()[:60])
    (tmp_path / "one.png").write_bytes(b"")
    entries, strays = entries_in(tmp_path, SCENES)
    assert [drop.item for drop in strays] == ["holiday.png"]
    judged = judge(entries, ColorLook(), CAST, JudgingConfig(batch_size=2))
    assert {v.picture_id: v.success for v in judged.verdicts} == {"one-seed7.png": True, "one-more-1.png": False}
    assert sorted((d.item, d.reason) for d in judged.drops) == [("one.png", "empty"), ("one_2.png", "truncated")]


def test_verdicts_survive_their_table(tmp_path: Path):
    draw(tmp_path / "one.png", {0: "aoi", 3: "mio"})
    judged = judge([Entry("p", tmp_path / "one.png", SCENES[0])], ColorLook(), CAST)
    judged.write(tmp_path / "verdicts.parquet")
    assert read_rows(tmp_path / "verdicts.parquet") == list(judged.rows)
    told = read_metadata(tmp_path / "verdicts.parquet")
    assert told["look"] == "colours" and told["question"] == question_key("colours", CAST)
    assert cast_of_table(tmp_path / "verdicts.parquet").names == CAST.names
    assert judged.verdicts[0].intruders == ("mio",) and judged.verdicts[0].width == 100


def test_a_name_outside_the_cast_is_said_before_any_picture_is_read(tmp_path: Path):
    stranger = Scene("x", "", (Placement("kaede"),))
    with pytest.raises(ValueError, match="kaede"):
        judge([Entry("p", tmp_path / "is not there.png", stranger)], ColorLook(), CAST)


def test_pictures_of_a_scene_with_a_name_outside_the_cast_are_counted_and_the_rest_is_judged(tmp_path: Path):
    draw(tmp_path / "one.png", {2: "aoi"})
    stranger = Scene("x", "", (Placement("kaede"),))
    entries = [Entry("a", tmp_path / "one.png", stranger), Entry("b", tmp_path / "one.png", SCENES[0])]
    judged = judge(entries, ColorLook(), CAST)
    assert [(v.picture_id, v.success) for v in judged.verdicts] == [("b", True)]
    assert [(d.item, d.reason) for d in judged.drops] == [("a", "not-in-cast")] and "kaede" in judged.drops[0].detail


def test_noise_is_read_from_pictures_that_fullcast_drew(tmp_path: Path):
    drawn = Picture("p", "", SCENES[0], "aoi", "", 1234, 100, 100, 25, 6.0, "ddim", "base")
    told = {RECORD: json.dumps(to_plain(drawn))}
    mended = {RECORD: json.dumps(to_plain(replace(drawn, parent="another picture")))}
    texts = {"one-a": told, "one-b": mended, "one-c": {RECORD: "[]"}, "one-d": {"parameters": "aoi"}, "one-e": {}}
    for name, text in texts.items():
        write_png(tmp_path / f"{name}.png", np.zeros((100, 100, 3), np.uint8), text)
    (tmp_path / "one-f.png").write_bytes((tmp_path / "one-a.png").read_bytes()[:30])
    entries, _ = entries_in(tmp_path, SCENES)
    assert [entry.seed for entry in entries] == [1234, -1, -1, -1, -1, -1]


A1111 = "park\nNegative prompt: x\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: {}, Size: 8x8{}"


def test_noise_is_read_from_pictures_of_other_tools(tmp_path: Path):
    texts = {
        "one-a": A1111.format(965400086, ""),
        "one-b": A1111.format(2**64 - 1, ""),  # ComfyUI draws 64 bits; a table holds 63
        "one-c": A1111.format(7, ", Denoising strength: 0.4"),
        "one-d": A1111.format(7, ", Denoising strength: 0.4, Hires upscale: 2"),
        "one-e": A1111.format(7, ", Variation seed: 8, Variation seed strength: 0.2"),
        "one-f": A1111.format("random", ""),
    }
    for name, text in texts.items():
        write_png(tmp_path / f"{name}.png", np.zeros((8, 8, 3), np.uint8), {"parameters": text})
    entries, _ = entries_in(tmp_path, SCENES)
    assert [entry.seed for entry in entries] == [965400086, -1, -1, 7, -1, -1]


def test_a_swapped_picture_is_of_the_swapped_scene_whether_the_file_of_scenes_holds_it_or_not(tmp_path: Path):
    pair = Scene("two", "park", (Placement("aoi", cell=(1, 1)), Placement("mio", cell=(3, 1))))
    draw(tmp_path / "two-123.png", {1: "aoi", 3: "mio"})
    draw(tmp_path / "two-swapped-123.png", {1: "mio", 3: "aoi"})
    draw(tmp_path / "one-swapped-7.png", {2: "aoi"})
    for scenes in ([pair, SCENES[0]], [*with_swaps([pair]), SCENES[0]]):
        entries, drops = entries_in(tmp_path, scenes)
        assert [entry.scene for entry in entries] == with_swaps([pair])
        assert [(drop.item, drop.reason) for drop in drops] == [("one-swapped-7.png", "no-scene")]
        assert "nobody in one has a place to change" in drops[0].detail
        assert all(verdict.success_placed for verdict in judge(entries, ColorLook(), CAST).verdicts)


def test_what_fullcast_drew_says_its_scene_until_it_is_renamed(tmp_path: Path):
    night = Scene("one-night", "park", (Placement("mio"),))
    for name, scene in {"one-night-5": night, "one-more-5": SCENES[0], "one-5": night, "one-6": SCENES[0]}.items():
        drawn = Picture("p", "", scene, "aoi", "", 5, 100, 100, 25, 6.0, "ddim", "base")
        write_png(tmp_path / f"{name}.png", np.zeros((8, 8, 3), np.uint8), {RECORD: json.dumps(to_plain(drawn))})
    entries, drops = entries_in(tmp_path, SCENES)
    found = {entry.picture_id: entry.scene.id for entry in entries}
    assert found == {"one-5.png": "one", "one-6.png": "one", "one-more-5.png": "one"}
    assert [drop.item for drop in drops] == ["one-night-5.png"]
    assert "drawn for the scene one-night, which is not among those given" in drops[0].detail


def test_file_names_of_a_mac_are_those_of_the_scenes(tmp_path: Path):
    """A Mac writes が as か and a mark; the file of scenes holds one letter."""
    scene = replace(SCENES[0], id="が")
    draw(tmp_path / unicodedata.normalize("NFD", "が-1.png"), {2: "aoi"})
    [entry], drops = entries_in(tmp_path, [scene])
    assert entry.scene == scene and not drops and entry.path.exists()


def test_folder_without_pictures_of_the_scenes(tmp_path: Path):
    with pytest.raises(ValueError, match="begin names with a scene's id, such as one"):
        entries_in(tmp_path, SCENES)
    with pytest.raises(ValueError, match="is no folder"):
        entries_in(tmp_path / "nowhere", SCENES)
