"""References become the cast whatever lies among them, and no round of naming costs what an earlier one left."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from fullcast.journey import Journey, casting, new_workspace
from fullcast.journey.doors import Doors
from fullcast.journey.judged import hair_of_cast
from fullcast.journey.naming import read_references
from fullcast.journey.portraits import find_portraits, read_portraits
from fullcast.journey.references import References
from fullcast.journey.taking_in import take_in
from fullcast.people.clusters import ClusterRow
from fullcast.recognition.references import has_references
from fullcast.records import Cast, Character, Drop, Form, Image, Person, person_id
from fullcast.store.decisions import Decision, append, target_of
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import file_id, write_png
from fullcast.store.tables import read_records, write_records
from tests.recognition import drawn


@pytest.fixture
def journey(tmp_path: Path) -> Journey:
    new_workspace(tmp_path / "work")
    filters = {"ingest.filters.monochrome": "false", "ingest.filters.min_detail": "0"}
    return Journey.open(tmp_path / "work", filters)


def propose(journey: Journey, image: Image, x: float) -> None:
    """Clusters as `cast cluster` leaves them: c001 holds one figure of the picture."""
    box = (x, 0.0, x + 90, 90.0)
    person = Person(person_id(image.id, box), image.id, box, 0.9, embedding=np.ones(2, np.float32))
    show = journey.workspace.show_dir
    write_records(show / casting.TABLE, [ClusterRow(person.id, "c001", 1.0, 1.0)], ClusterRow)
    write_records(show / casting.PEOPLE, [person], Person)


@pytest.mark.parametrize("look", ["Hirasawa, Yui", "aoi/school@home"])
def test_a_cluster_gets_no_name_that_no_command_can_ask_for(look: str) -> None:
    with pytest.raises(FullcastError, match="signs in --cast; give a name without"):
        casting._refuse({"c001": look}, {"c001": []})


def test_a_later_round_replaces_no_reference_of_an_earlier_one(journey: Journey) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (320, 320, 3), np.uint8)
    write_png(journey.workspace.fanart_dir / "a.png", noise)
    (image,) = take_in(journey).images
    folder = journey.workspace.references_dir / "aoi"
    for round_number, x in enumerate((0.0, 200.0), 1):
        propose(journey, image, x)
        casting.name(journey, {"c001": "aoi"})
        assert len(list(folder.iterdir())) == round_number
    before = {path: path.read_bytes() for path in folder.iterdir()}
    casting.name(journey, {"c001": "aoi"})
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_whom_somebody_named_or_dropped_and_whom_a_dataset_names_is_not_proposed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_workspace(tmp_path / "work")
    options = {"ingest.filters.monochrome": "false", "ingest.filters.min_detail": "0", "people.min_cluster": "1"}
    journey = Journey.open(tmp_path / "work", options)
    noise = np.random.default_rng(0).integers(0, 255, (200, 400, 3), np.uint8)
    write_png(journey.workspace.fanart_dir / "a.png", noise)
    write_png(tmp_path / "set" / "b.png", noise[::-1])
    said = {"facepos": [[0.0, 0.0, 0.2, 0.4]], "characters": ["aoi"]}
    (tmp_path / "set" / "b.json").write_text(json.dumps(said))
    journey.import_dataset("seed", tmp_path / "set")
    drawn_here, imported = take_in(journey).images
    people = [figure(drawn_here, x, k) for k, x in enumerate((0.0, 100.0, 200.0))] + [figure(imported, 0.0, 3)]
    references = np.eye(6, dtype=np.float32)[5:]
    cast = Cast("show", (Character("aoi", "aoi", (Form("", references=references),)),), threshold=0.5)
    monkeypatch.setattr(casting, "find_all", lambda *_: (people, {}, []))
    monkeypatch.setattr(casting, "has_references", lambda _: True)
    monkeypatch.setattr(casting, "read_references", lambda *_: (cast, []))
    assert casting.propose(journey).data["people"] == 3, "the dataset's is named"
    relabelled = Decision("relabel", (target_of(drawn_here, people[0]),), character="aoi")
    append(journey.workspace.review_log, [relabelled, Decision("drop", (target_of(drawn_here, people[1]),))])
    casting.propose(journey)
    left = read_records(journey.workspace.show_dir / casting.PEOPLE, Person)
    assert [person.id for person in left] == [people[2].id]


def figure(image: Image, x: float, axis: int) -> Person:
    """Somebody unlike all others: a unit vector of (6,) numbers."""
    box, vector = (x, 0.0, x + 80, 160.0), np.eye(6, dtype=np.float32)[axis]
    return Person(person_id(image.id, box), image.id, box, 0.9, (x, 0.0, x + 80, 80.0), detector="d", embedding=vector)


def cast_of(journey: Journey, tmp_path: Path) -> tuple[Cast, list[Drop]]:
    return read_references(journey, "label", drawn.detector(tmp_path), drawn.embedder(tmp_path))


def test_references_in_a_linked_folder_are_seen_and_so_are_new_ones(journey: Journey, tmp_path: Path) -> None:
    references = journey.workspace.references_dir
    drawn.write_references(tmp_path / "disk", {"aoi": drawn.COLOURS["aoi"]})
    assert not has_references(references)
    (references / "aoi").symlink_to(tmp_path / "disk" / "aoi")
    drawn.write_references(references, {"mio": drawn.COLOURS["mio"]})
    assert has_references(references)
    assert len(cast_of(journey, tmp_path)[0].character("aoi").forms[0].references) == 4
    drawn.write_references(tmp_path / "disk", {"aoi": drawn.COLOURS["aoi"]}, 6)
    assert len(cast_of(journey, tmp_path)[0].character("aoi").forms[0].references) == 6


def test_references_that_cannot_be_had_are_drops(journey: Journey, tmp_path: Path) -> None:
    references = journey.workspace.references_dir
    drawn.write_references(references, {"aoi": drawn.COLOURS["aoi"], "mio": drawn.COLOURS["mio"]})
    (references / "aoi" / "gone.png").symlink_to(tmp_path / "unplugged.png")
    (references / "aoi" / os.fsdecode(b"caf\xe9.png")).write_text("x")
    cast, drops = cast_of(journey, tmp_path)
    assert {(d.item, d.reason) for d in drops} == {("aoi/gone.png", "unreadable"), (r"aoi/caf\xe9.png", "bad-name")}
    assert len(cast.character("aoi").forms[0].references) == 4
    doors = Doors(journey.workspace, journey.recipe)
    assert set(hair_of_cast(journey, cast, doors)) <= {"aoi", "mio"}
    find_portraits(journey, doors)
    assert {Path(image.path).name for image in read_portraits(journey.workspace)[0]} <= {f"{i}.png" for i in range(4)}


def test_nobody_learns_from_a_reference_of_whom_opted_out(journey: Journey, tmp_path: Path) -> None:
    references = journey.workspace.references_dir
    drawn.write_references(references, {"aoi": drawn.COLOURS["aoi"], "mio": drawn.COLOURS["mio"]})
    (references / "aoi" / "1.png.txt").write_text("artist: some_one")
    before, _ = cast_of(journey, tmp_path)
    sha256 = file_id(references / "mio" / "2.png")
    journey.workspace.opt_out_path.write_text(f"some one\n{sha256}\n")
    cast, drops = cast_of(journey, tmp_path)
    assert [(d.item, d.reason, d.detail) for d in drops] == [
        ("aoi/1.png", "opted-out", "artist some_one"),
        ("mio/2.png", "opted-out", sha256),
    ]
    assert [len(c.forms[0].references) for c in (*before.characters, *cast.characters)] == [4, 4, 3, 3]
    shown = References(journey.workspace).named()
    assert len(shown) == 6 and {"aoi/1.png", "mio/2.png"}.isdisjoint(f"{p.parent.name}/{p.name}" for p, _, _ in shown)
    find_portraits(journey, Doors(journey.workspace, journey.recipe))
    assert {image.id for image in read_portraits(journey.workspace)[0]}.isdisjoint({sha256})


def test_a_cast_of_whom_nothing_may_be_used_is_said(journey: Journey, tmp_path: Path) -> None:
    references = journey.workspace.references_dir
    drawn.write_references(references, {"aoi": drawn.COLOURS["aoi"]}, 1)
    journey.workspace.opt_out_path.write_text(file_id(references / "aoi" / "0.png"))
    with pytest.raises(FullcastError, match="the cast is empty"):
        cast_of(journey, tmp_path)


def test_names_are_found_however_their_letters_are_put_together(journey: Journey, tmp_path: Path) -> None:
    name = "\u304c\u304d"
    apart = unicodedata.normalize("NFD", name)
    references = journey.workspace.references_dir
    drawn.write_references(references, {apart: drawn.COLOURS["aoi"], "mio": drawn.COLOURS["mio"]})
    (references / "cast.toml").write_text(f'[characters."{name}"]\ntrigger_word = "gaki"\n')
    assert cast_of(journey, tmp_path)[0].character(name).trigger_word == "gaki"
    (references / name).mkdir()
    with pytest.raises(FullcastError, match=r"two folders .* put their pictures into one"):
        cast_of(journey, tmp_path)
