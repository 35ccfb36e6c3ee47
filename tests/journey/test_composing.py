"""Composites as a source of the plan: made once, weighted as the tree says, trained on, and packed without pictures."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fullcast.captions.core import TraitCount
from fullcast.captions.count import CountCheck
from fullcast.journey import Journey, new_workspace
from fullcast.journey.captioning import staged_captions
from fullcast.journey.composing import with_composites
from fullcast.journey.packing import unpack
from fullcast.journey.planning import make_plan
from fullcast.journey.preparing import read_prepared
from fullcast.models.stable_diffusion.build import build_pocket_pipeline
from fullcast.models.stable_diffusion.folder import save_pipeline
from fullcast.recognition.castfile import write_cast
from fullcast.records import Cast, Character, Drop, Image, Person
from fullcast.store.atomic import write_json
from fullcast.store.pictures import write_png
from fullcast.store.tables import write_records
from tests.mixture.test_composites import drawn
from tests.training.test_train import TINY

RECIPE = """
device = "cpu"
[models]
base = "base"
[mixture]
num_steps = 6
batch_size = 2
area_px = 4096
max_aspect = 2.25
[mixture.shares]
by = "source"
share = { composite = 0.5, screenshots = 0.5 }
otherwise = 0
[mixture.composites]
count = 6
people = [2, 3]
min_outline = 0.9
[mixture.crops]
sources = []
[training]
warmup_steps = 2
checkpoint_every = 6
log_every = 1
probe_every = 0
sample_every = 0
"""


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames, each with one of three characters, that count as prepared."""
    root = tmp_path_factory.mktemp("composing") / "show"
    new_workspace(root, "show")
    (root / "fullcast.toml").write_text(RECIPE)
    save_pipeline(build_pocket_pipeline(TINY), root / "base")
    images, people = [], []
    for name, x in (("aoi", 150), ("hinata", 160), ("momo", 480), ("aoi", 470), ("hinata", 420), ("momo", 140)):
        picture, _, image, person = drawn(name, x)
        write_png(root / image.path, picture)
        images.append(image)
        people.append(person)
    tables = root / "data" / "show"
    write_records(tables / "images.parquet", images, Image)
    write_records(tables / "people.parquet", people, Person, {"embedder": "none"})
    for name, record in (("drops", Drop), ("counts", CountCheck), ("traits", TraitCount)):
        write_records(tables / f"{name}.parquet", [], record)
    write_json(tables / "captions.json", {})
    write_json(tables / "scenes.json", {"tags": {images[0].id: ["park"]}, "settings": ["park"]})
    write_cast(tables / "cast.json", Cast("show", tuple(Character(n, n) for n in ("aoi", "hinata", "momo"))))
    return root


def test_composites_come_as_often_as_the_tree_says_and_say_what_they_are(show: Path) -> None:
    journey = Journey.open(show)
    planned = make_plan(journey)
    counts = dict(zip(planned.mixture.stream.sample_ids, planned.mixture.stream.counts().tolist(), strict=True))
    visits = {"composite": 0, "screenshots": 0}
    for sample in planned.samples:
        visits[sample.source] += counts[sample.id]
    assert visits["composite"] == visits["screenshots"] == 6
    words = staged_captions(journey, planned)
    made = [sample for sample in planned.samples if sample.source == "composite"]
    assert made and all("composite" in words.caption(sample.id, 0) for sample in made)
    assert all(words.caption(sample.id, 0).startswith(f"{sample.num_people} people") for sample in made)


def test_before_a_subtitled_frame_a_composite_shows_no_subtitles(show: Path, tmp_path: Path) -> None:
    """It takes nothing from below their line; and it is the same composite."""
    root = tmp_path / "show"
    shutil.copytree(show, root)
    journey = Journey.open(root)
    plain = read_prepared(journey)
    spoilt = replace(plain, scene_tags={image.id: ("park", "subtitled") for image in plain.images})
    made = with_composites(journey, spoilt)
    assert made.composites and {made.scene_tags[c.id] for c in made.composites} == {("park",)}
    assert {made.scene_tags[i.id] for i in plain.images} == {("park", "subtitled")}


def test_a_composite_is_as_bold_as_the_boldest_of_its_parts(show: Path) -> None:
    journey = Journey.open(show)
    prepared = read_prepared(journey)
    bold = next(person.image_id for person in prepared.people if person.character == "momo")
    rated = {image.id: "general" for image in prepared.images} | {bold: "sensitive"}
    made = with_composites(journey, replace(prepared, ratings=rated))
    parts = {image.id: {image.parent} for image in made.composites}
    for person in made.composite_people:
        parts[person.image_id].add(person.detector.removeprefix("cut-out:").split("/")[0])
    assert {made.ratings[image_id] == "sensitive" for image_id in parts} == {True, False}
    assert all((made.ratings[image_id] == "sensitive") == (bold in of) for image_id, of in parts.items())


def test_they_are_made_once_and_again_when_somebody_gets_another_name(show: Path, tmp_path: Path) -> None:
    root = tmp_path / "show"
    shutil.copytree(show, root)
    journey = Journey.open(root)
    first = make_plan(journey).prepared.composites
    kept = {path: path.stat().st_mtime_ns for path in (root / "data" / "composites").rglob("*.png")}
    assert len(kept) == len(first) > 0
    assert make_plan(journey).prepared.composites == first
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "nothing was drawn again"
    table = root / "data" / "show" / "people.parquet"
    prepared = read_prepared(journey)
    write_records(table, [person for person in prepared.people if person.character != "momo"], Person)
    names = {person.character for person in make_plan(journey).prepared.composite_people}
    assert names == {"aoi", "hinata"}


def test_somebody_in_no_frame_comes_from_her_portrait(show: Path, tmp_path: Path) -> None:
    root = tmp_path / "show"
    shutil.copytree(show, root)
    table = root / "data" / "show" / "people.parquet"
    write_records(table, [p for p in read_prepared(Journey.open(root)).people if p.character != "momo"], Person)
    picture, _, image, person = drawn("momo", 300, frame="portrait")
    image = replace(image, path="references/momo/0.png", source="reference", shot_id="")
    write_png(root / image.path, picture)
    portraits = root / "data" / "show" / "portraits"
    write_records(portraits / "images.parquet", [image], Image)
    write_records(portraits / "people.parquet", [replace(person, identity_margin=1.0)], Person)
    names = {p.character for p in make_plan(Journey.open(root)).prepared.composite_people}
    assert names == {"aoi", "hinata"}
    cut_from = {"mixture.composites.cut_from": '["screenshots", "reference"]'}
    names = {p.character for p in make_plan(Journey.open(root, cut_from)).prepared.composite_people}
    assert names == {"aoi", "hinata", "momo"}


def test_none_are_made_where_none_are_asked_for(show: Path) -> None:
    journey = Journey.open(show, {"mixture.composites.count": "0"})
    prepared = read_prepared(journey)
    assert with_composites(journey, prepared) is prepared


def test_a_packed_training_needs_no_pictures_of_them(show: Path, tmp_path: Path) -> None:
    Journey.open(show).pack(tmp_path / "job.tar", with_base=True)
    unpack(tmp_path / "job.tar", tmp_path / "job", None)
    assert not list((tmp_path / "job").rglob("*.png"))
    trained = Journey.open(tmp_path / "job").train()
    assert trained.data["finished"] and trained.data["step"] == 6
