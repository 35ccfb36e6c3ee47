"""Datasets of the seed pipeline are read with nothing lost, and nothing in them is run."""

from __future__ import annotations

import base64
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from fullcast.formats.seed_reading import read_seed
from fullcast.formats.sidecars import PickledFile, find_pickle, read_json, read_vector, read_yaml
from fullcast.store.errors import FullcastError, UnreadableFile
from tests.formats.foreign_sets import (
    CAPTIONS,
    EMBEDDING,
    FIRST,
    MULTIPLIES,
    SECOND,
    write_first,
    write_pickled,
    write_second,
)


def test_the_first_version_is_read_with_nothing_lost(tmp_path: Path) -> None:
    write_first(tmp_path)
    found = read_seed(tmp_path)
    pictures = {p.name.removesuffix(".png"): p for p in found.pictures}
    assert set(pictures) == set(FIRST) and not found.drops
    for name, meta in FIRST.items():
        picture, stem = pictures[name], Path(name).name
        assert {key: picture.facts[key] for key in meta} == meta
        assert picture.caption == CAPTIONS.get(stem)
        assert picture.multiply == float(MULTIPLIES.get(str(Path(name).parent), 1))
        assert picture.tags == tuple(meta["tags"])
        assert len([p for p in picture.people if p.head]) == meta["n_faces"]
    both = pictures["series/screenshots/2_characters/KuraueHinata Hairdown+YukimuraAoi/face_height_ratio_25-50/EP1_12"]
    assert [(p.character, p.form) for p in both.people] == [("YukimuraAoi", ""), ("KuraueHinata", "Hairdown")]
    assert both.people[0].head == (0.6, 0.2, 0.8, 0.5) and both.source == "screenshots"
    crop = next(p for p in found.pictures if p.name.endswith("EP1_12_0.png"))
    assert crop.parent == both.path
    three = next(p for p in found.pictures if "第1話" in p.name)
    assert [p.character for p in three.people] == ["", "", "", "KuraueHinata"], "whose face is whose is not known"
    art = next(p for p in found.pictures if p.name.endswith("art_1.png"))
    assert (art.source, art.artist, art.rating) == ("fanart", "someone, 絵師", "safe")
    assert next(p for p in found.pictures if "手" in p.name).source == "regularization"
    assert set(found.others) == {"concept_weights.csv"}
    assert any(note.startswith("1 pictures have another number") for note in found.notes)


def test_the_second_version_is_read_with_nothing_lost(tmp_path: Path) -> None:
    write_second(tmp_path)
    found = read_seed(tmp_path)
    pictures = {p.name.removesuffix(".png"): p for p in found.pictures}
    assert set(pictures) == set(SECOND) and set(found.others) == {"training/core_tag.json"}
    for name, meta in SECOND.items():
        assert {key: pictures[name].facts[key] for key in meta} == meta
        assert pictures[name].caption == meta.get("caption")
    crop, booru, empty = (pictures[name] for name in SECOND)
    (person,) = crop.people
    assert (person.character, person.form, person.box) == ("Terakomari", "red dress", (0, 0, 1, 1))
    assert person.embedding is not None and (person.embedding == EMBEDDING).all()
    assert crop.tags == ("1girl", "dress", "blonde hair"), "by score"
    assert [(p.character, p.form, p.box) for p in booru.people] == [
        ("Terakomari", "", None),
        ("Vill", "twintails", None),
    ]
    assert (booru.source, booru.artist, booru.rating) == ("fanart", "someone", "s")
    assert empty.people == () and empty.source == "screenshots"


def test_a_crop_finds_its_original_only_where_one_picture_is_called_so(tmp_path: Path) -> None:
    write_first(tmp_path)
    crop = next(tmp_path.rglob("EP1_12_0.png"))
    whole = next(tmp_path.rglob("EP1_12.png"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/EP1_12.png").write_bytes(whole.read_bytes())
    assert next(p for p in read_seed(tmp_path).pictures if p.path == crop).parent is None
    (crop.parent / "EP1_12.png").write_bytes(whole.read_bytes())
    assert next(p for p in read_seed(tmp_path).pictures if p.path == crop).parent == crop.parent / "EP1_12.png"


def test_a_pickle_is_refused_and_never_opened(tmp_path: Path) -> None:
    write_second(tmp_path / "set")
    write_pickled(tmp_path / "set", tmp_path / "witness")
    with pytest.raises(PickledFile, match=r"trap_1_meta.json: holds a pickle \(under extra.0\)"):
        read_seed(tmp_path / "set")
    found = read_seed(tmp_path / "set", skip_pickles=True)
    assert len(found.pictures) == len(SECOND)
    assert [(drop.reason, drop.item) for drop in found.drops] == [("pickle", "training/screenshots/trap_1.png")]
    assert not (tmp_path / "witness").exists()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_are_known_wherever_they_hide(protocol: int, tmp_path: Path) -> None:
    data = pickle.dumps({"a": 1}, protocol)
    assert find_pickle({"a": ["x", {"b": base64.b64encode(data).decode()}]}) == "a.1.b"
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(PickledFile, match="the whole file"):
        read_json(path)
    path = tmp_path / "x.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(PickledFile, match="an array of objects"):
        read_vector(path)
    path.write_bytes(data)
    with pytest.raises(PickledFile):
        read_vector(path)


def test_what_is_no_pickle_is_not_taken_for_one(tmp_path: Path) -> None:
    for text in ("gAJ", "gAQa long name", "gaming", "gASV", "c\nd\n.", base64.b64encode(b"plain words").decode()):
        assert find_pickle({"tags": [text], "__type": "x"}) is None
    (tmp_path / "p.json").write_bytes(pickle.dumps({"a": 1}, 0))
    with pytest.raises(UnreadableFile):
        read_json(tmp_path / "p.json")


def test_yaml_makes_no_objects(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(PickledFile, match="Python object in YAML"):
        read_yaml(path)


def test_one_damaged_file_is_a_counted_drop(tmp_path: Path) -> None:
    write_first(tmp_path)
    broken = tmp_path / "series/fanart/1_character/YukimuraAoi/face_height_ratio_75-100/art_1.json"
    broken.write_text("{")
    found = read_seed(tmp_path)
    assert len(found.pictures) == len(FIRST) - 1 and [drop.reason for drop in found.drops] == ["damaged-metadata"]
    broken.write_text(json.dumps({"facepos": [[0, 1]], "characters": ["a"]}))
    assert "left, top, right, bottom" in read_seed(tmp_path).drops[0].detail
    with pytest.raises(FullcastError, match="is no folder"):
        read_seed(tmp_path / "gone")
