"""What is given twice, dropped late, or not to be had: nothing is lost without a word, no copy hides what was said."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from fullcast.journey import Journey, casting, new_workspace, taking_in
from fullcast.journey.doors import Doors
from fullcast.journey.importing import imported_partitions, imports_dir
from fullcast.journey.naming import find_all
from fullcast.journey.taking_in import Duplicate, TakenIn, after_late_drops, take_in
from fullcast.people.clusters import ClusterRow
from fullcast.records import Image, Person
from fullcast.store.decisions import Decision, Target, append
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.partitions import stored_key
from fullcast.store.pictures import file_id, write_png
from fullcast.store.tables import read_records, write_records
from tests.formats.foreign_sets import write_second


@pytest.fixture
def journey(tmp_path: Path) -> Journey:
    new_workspace(tmp_path / "work")
    filters = {"ingest.filters.monochrome": "false", "ingest.filters.min_detail": "0"}
    return Journey.open(tmp_path / "work", filters)


def art(seed: int, side: int = 320) -> np.ndarray:
    """(side, side, 3): large shapes that differ from seed to seed and stay themselves at another size."""
    blocks = np.random.default_rng(seed).integers(0, 255, (5, 5, 3), np.uint8)
    return cv2.resize(blocks, (side, side), interpolation=cv2.INTER_NEAREST)


def state(taken: TakenIn) -> dict[str, tuple[str, str]]:
    """File name -> (source, why it is not used)."""
    return {Path(image.path).name: (image.source, image.dropped) for image in taken.images}


def test_a_file_in_two_folders_is_one_picture_and_what_is_said_of_either_counts(journey: Journey) -> None:
    fanart, regularization = journey.workspace.fanart_dir, journey.workspace.regularization_dir
    (journey.workspace.opt_out_path).write_text("two\nhttps://example.org/b\n")
    for seed, name in enumerate(("rated", "opted", "by-address", "free")):
        write_png(fanart / f"{name}.png", art(seed))
        shutil.copy(fanart / f"{name}.png", regularization / f"{name}-again.png")
    (fanart / "rated.txt").write_text("rating: general\nartist: one")
    (regularization / "rated-again.txt").write_text("rating: explicit")
    (fanart / "opted.txt").write_text("artist: one")
    (regularization / "opted-again.txt").write_text("artist: two")
    (fanart / "by-address.txt").write_text("source: https://example.org/a")
    (regularization / "by-address-again.txt").write_text("source: https://example.org/b")
    taken = take_in(journey)
    assert state(taken) == {
        "rated.png": ("fanart", "rating"),
        "opted.png": ("fanart", "opted-out"),
        "by-address.png": ("fanart", "opted-out"),
        "free.png": ("fanart", ""),
    }
    assert Counter(d.reason for d in taken.drops) == {"same-file": 4}
    first, second = (p for p in taken.partitions if p.name in ("fanart", "regularization"))
    assert len(first.images) == 4 and not second.images, "map stages see every picture once"
    (fanart / "free.png").unlink()
    later = next(p for p in take_in(journey).partitions if p.name == "regularization")
    assert len(later.images) == 1 and later.key != second.key, "results without the picture are no results with it"


def test_copies_inside_one_folder_add_up_too(journey: Journey) -> None:
    fanart = journey.workspace.fanart_dir
    write_png(fanart / "a.png", art(1))
    shutil.copy(fanart / "a.png", fanart / "b.png")
    (fanart / "b.txt").write_text("rating: explicit\nartist: one")
    taken = take_in(journey)
    assert state(taken) == {"a.png": ("fanart", "rating")} and taken.images[0].artist == "one"


def test_a_regularization_copy_gives_way_to_an_imported_one(journey: Journey, tmp_path: Path) -> None:
    write_png(tmp_path / "set" / "x.png", art(1))
    shutil.copy(tmp_path / "set" / "x.png", journey.workspace.regularization_dir / "x.png")
    journey.import_dataset("seed", tmp_path / "set")
    taken = take_in(journey)
    assert [image.source for image in taken.images] == ["fanart"]


def test_fan_art_is_not_lost_to_a_larger_regularization_copy(journey: Journey) -> None:
    write_png(journey.workspace.fanart_dir / "small.png", art(1, 320))
    write_png(journey.workspace.regularization_dir / "large.png", art(1, 640))
    assert state(take_in(journey)) == {
        "small.png": ("fanart", ""),
        "large.png": ("regularization", "near-duplicate"),
    }


def test_a_picture_dropped_by_hand_stands_for_no_other(journey: Journey) -> None:
    fanart = journey.workspace.fanart_dir
    write_png(fanart / "small.png", art(1, 320))
    write_png(fanart / "large.png", art(1, 640))
    assert state(take_in(journey)) == {"large.png": ("fanart", ""), "small.png": ("fanart", "near-duplicate")}
    drop = Decision("drop", (Target(file_id(fanart / "large.png")),), "picture")
    append(journey.workspace.review_log, [drop])
    assert state(take_in(journey)) == {"large.png": ("fanart", "by-hand"), "small.png": ("fanart", "")}


def test_a_late_drop_gives_its_place_back(journey: Journey) -> None:
    fanart = journey.workspace.fanart_dir
    for name, side in {"small.png": 320, "middle.png": 480, "large.png": 640}.items():
        write_png(fanart / name, art(1, side))
    write_png(fanart / "other.png", art(2))
    taken = take_in(journey)
    late = [replace(i, dropped="rating") if i.path.endswith("large.png") else i for i in taken.images]
    after = {name: why for name, (_, why) in state(after_late_drops(journey, taken, late)).items()}
    assert after == {"large.png": "rating", "middle.png": "", "small.png": "near-duplicate", "other.png": ""}
    pairs = read_records(journey.workspace.show_dir / "duplicates.parquet", Duplicate)
    assert [(p.image_id, p.kept_id) for p in pairs] == [(file_id(fanart / "small.png"), file_id(fanart / "middle.png"))]


def test_crops_share_the_fate_of_their_originals(journey: Journey, tmp_path: Path) -> None:
    for name, meta in {"a": {"cropped": False, "rating": "explicit"}, "a_0": {"cropped": True}}.items():
        write_png(tmp_path / "set" / f"{name}.png", art(len(name)))
        (tmp_path / "set" / f"{name}.json").write_text(json.dumps(meta))
    journey.import_dataset("seed", tmp_path / "set")
    assert [(i.source, i.dropped) for i in take_in(journey).images] == [("fanart", "rating"), ("crop", "rating")]


def test_what_cannot_be_had_is_counted(journey: Journey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = journey.workspace
    (workspace.episodes_dir / "01.mkv").symlink_to(tmp_path / "unplugged" / "01.mkv")
    (workspace.episodes_dir / "02.mkv").write_text("x")
    (workspace.fanart_dir / "gone.png").symlink_to(tmp_path / "unplugged" / "gone.png")
    write_png(workspace.fanart_dir / "closed.png", art(1))
    write_png(tmp_path / "disk" / "linked.png", art(2))
    (workspace.fanart_dir / "linked.png").symlink_to(tmp_path / "disk" / "linked.png")
    write_png(workspace.fanart_dir / "unsaid.png", art(3))
    (workspace.fanart_dir / "unsaid.txt").symlink_to(tmp_path / "unplugged" / "unsaid.txt")
    closed = [workspace.episodes_dir / "02.mkv"]

    def hashed(path: Path) -> str:
        if path in closed:
            raise UnreadableFile(path, "unreadable", "cannot be read (Permission denied)")
        return file_id(path)

    monkeypatch.setattr(taking_in, "file_id", hashed)
    taken = take_in(journey)
    assert {(d.item, d.reason) for d in taken.drops} == {
        ("episodes/01.mkv", "missing"),
        ("episodes/02.mkv", "unreadable"),
        ("gone.png", "missing"),
        ("unsaid.txt", "missing"),
        ("unsaid.png", "unreadable"),
    }
    assert set(state(taken)) == {"closed.png", "linked.png"}
    key = next(p.key for p in taken.partitions if p.name == "fanart")
    closed.append(workspace.fanart_dir / "closed.png")
    assert next(p.key for p in take_in(journey).partitions if p.name == "fanart") != key


def test_a_name_that_is_no_utf8_is_counted_and_stops_nothing(journey: Journey) -> None:
    name = os.fsdecode(b"caf\xe9")
    (journey.workspace.episodes_dir / f"{name}.mkv").write_text("x")
    write_png(journey.workspace.fanart_dir / "good.png", art(1))
    shutil.copy(journey.workspace.fanart_dir / "good.png", journey.workspace.fanart_dir / f"{name}.png")
    taken = take_in(journey)
    assert {(d.item, d.reason) for d in taken.drops} == {
        (r"episodes/caf\xe9.mkv", "bad-name"),
        (r"caf\xe9.png", "bad-name"),
    }
    assert set(state(taken)) == {"good.png"}


def test_a_folder_of_nothing_but_archives_is_counted(journey: Journey) -> None:
    (journey.workspace.fanart_dir / "all.zip").write_text("x")
    (journey.workspace.regularization_dir / "notes.txt").write_text("x")
    taken = take_in(journey)
    assert [(d.item, d.reason) for d in taken.drops] == [("all.zip", "other-file")] and not taken.images


def test_leftovers_of_a_killed_import_are_no_imports_and_old_ones_are_told(journey: Journey, tmp_path: Path) -> None:
    write_second(tmp_path / "old")
    journey.import_dataset("seed", tmp_path / "old")
    folder = imports_dir(journey.workspace) / "old"
    shutil.copytree(folder, folder.with_name(".partial-4194999-old-old"))
    assert [p.name for p in imported_partitions(journey.workspace)] == ["import-old"]
    about = json.loads((folder / "import.json").read_text())
    (folder / "import.json").write_text(json.dumps(about | {"version": 1}))
    assert [(d.item, d.reason) for d in take_in(journey).drops] == [("data/imports/old", "old-import")]


def test_clusters_of_pictures_that_are_gone_are_refused(journey: Journey) -> None:
    show = journey.workspace.show_dir
    person = Person("i/a", "i", (0, 0, 9, 9), 0.9, embedding=np.ones(2, np.float32))
    write_records(show / casting.TABLE, [ClusterRow("i/a", "c001", 1.0, 1.0)], ClusterRow)
    write_records(show / casting.PEOPLE, [person], Person)
    with pytest.raises(FullcastError, match=r"another state of the show: .* 1 of their 1 people .* cast cluster"):
        casting.name(journey, {"c001": "aoi"})


def test_a_story_that_is_seen_again_is_no_repeat(journey: Journey) -> None:
    """Both frames of two shots are one drawing; the one that was kept is dropped late."""
    from fullcast.ingest.fingerprint import Fingerprint, make_fingerprint
    from fullcast.records import Shot

    folder = journey.workspace.frames_dir / "v"
    prints = [make_fingerprint(name, art(1)) for name in "ab"]
    write_records(folder / "fingerprints.parquet", prints, Fingerprint)
    images = [Image(name, f"{name}.png", 320, 320, "screenshots", shot_id=f"v:{name}") for name in "ab"]
    shots = (Shot("v:a", "v", 0, 0, 1), Shot("v:b", "v", 1, 1, 2, "repeat"))
    partition = taking_in.Partition("v", "k", folder, tuple(images), shots)
    write_records(journey.workspace.show_dir / "duplicates.parquet", [Duplicate("b", "a")], Duplicate)
    late = [replace(images[0], dropped="text"), replace(images[1], dropped="near-duplicate")]
    after = after_late_drops(journey, TakenIn((partition,), tuple(images), shots, (), ()), late)
    assert [i.dropped for i in after.images] == ["text", ""] and [s.kind for s in after.shots] == ["story", "story"]


def test_a_licence_is_put_on_when_tables_are_read_and_a_corrected_tag_moves_no_box(journey: Journey) -> None:
    fanart = journey.workspace.fanart_dir
    for seed, name in enumerate(("own", "plain")):
        write_png(fanart / f"{name}.png", art(seed))
    (fanart / "own.txt").write_text("licence: CC BY 4.0")

    def taken(licence: str) -> tuple[TakenIn, str, str]:
        settings = {"ingest.filters.monochrome": "false", "ingest.filters.min_detail": "0", "ingest.licence": licence}
        again = Journey.open(journey.workspace.root, settings)
        found = take_in(again)
        _, keys, _ = find_all(again, Doors(again.workspace, again.recipe), found)
        return found, keys["fanart"], stored_key(again.workspace.measures_dir / "fanart")

    (first, *keys), (second, *others) = taken(""), taken("CC0")
    assert {i.licence for i in first.images} == {"CC BY 4.0", ""}
    assert {i.licence for i in second.images} == {"CC BY 4.0", "CC0"}
    assert [p.fresh for p in second.partitions] == [False] and keys == others
    (fanart / "plain.txt").write_text("smile")
    third, *keys = taken("CC0")
    assert [p.fresh for p in third.partitions] == [True] and keys == others
