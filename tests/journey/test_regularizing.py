"""Regularization pictures: no name in their captions, nobody of the cast in them, drawn once; filters in `prepare`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fullcast.ingest.sidecars import read_sidecar
from fullcast.journey.preparing import read_prepared
from fullcast.journey.regularizing import nameless_captions, refuse_names, regularize
from fullcast.records import Cast, Character, Drop, Image
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import read_picture, write_png
from fullcast.store.tables import read_records
from tests.journey.drawn_show import make_workspace, open_journey
from tests.recognition.drawn import COLOURS, picture

CAST = Cast("show", (Character("Aoi Yukimura", "aoi"), Character("mio", "mio")))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn show; one artist opted out, one picture is rated, one regularization picture shows aoi."""
    root = make_workspace(tmp_path_factory.mktemp("regularizing") / "w")
    names = sorted(p.name for p in (root / "fanart").glob("*.png"))
    (root / "fanart" / f"{names[0]}.json").write_text('{"artist": "Some One", "tags": "smile"}')
    (root / "fanart" / f"{names[1]}.tags").write_text("rating: explicit\n")
    (root / "opt-out.txt").write_text("some one\n")
    shown = picture({(300, 148): COLOURS["aoi"]})
    shown[:40, :40] = 90
    write_png(root / "regularization" / "aoi.png", shown)
    open_journey(root, ingest__filters__monochrome="false", ingest__filters__min_detail="0").prepare()
    return root


def test_pictures_are_left_out_with_their_reasons(root: Path) -> None:
    drops = {d.reason: d for d in read_records(root / "data/show/drops.parquet", Drop) if d.stage == "filters"}
    assert drops.keys() == {"opted-out", "rating", "target-in-regularization"}
    assert drops["opted-out"].detail == "artist Some One" and drops["target-in-regularization"].detail == "aoi"
    images = {i.id: i for i in read_records(root / "data/show/images.parquet", Image)}
    assert all(images[d.item].dropped == reason for reason, d in drops.items())
    assert read_prepared(open_journey(root)).ratings == {drops["rating"].item: "explicit"}, "the tagger rates nothing"


def test_captions_without_names_still_say_places_and_what_names_had_absorbed(root: Path) -> None:
    journey = open_journey(root)
    ready = read_prepared(journey)
    said, passed_over = nameless_captions(journey, ready, 24, seed=1)
    assert (said, 0) == nameless_captions(journey, ready, 24, seed=1) and len(set(said)) > 6
    assert not passed_over
    refuse_names(said, ready.cast)
    assert any("person at" in caption for caption in said)


def test_captions_that_say_a_name_all_the_same_are_passed_over_and_counted(root: Path) -> None:
    """A word of a file, or of a person's edit, that has a name in it."""
    journey = open_journey(root)
    ready = read_prepared(journey)
    people = [replace(p, tags=("smile", "mio cosplay")) if n % 2 else p for n, p in enumerate(ready.people)]
    said, passed_over = nameless_captions(journey, replace(ready, people=tuple(people)), 60, seed=1)
    refuse_names(said, ready.cast)
    assert len(said) == 60 and passed_over > 5
    named = {image.id: ("park", "mio") for image in ready.images}
    with pytest.raises(FullcastError, match="somebody of the cast; give a file"):
        nameless_captions(journey, replace(ready, scene_tags=named), 3, seed=1)


def test_no_subtitles_are_asked_for(root: Path) -> None:
    journey = open_journey(root)
    ready = read_prepared(journey)
    spoilt = replace(ready, scene_tags={image.id: ("park", "subtitled") for image in ready.images})
    said, _ = nameless_captions(journey, spoilt, 12, seed=1)
    assert all("park" in caption and "subtitled" not in caption for caption in said)


def test_a_name_in_a_caption_is_refused_as_a_word_only() -> None:
    refuse_names(["a person in the park, amiono"], CAST)
    for caption in ("mio at left", "Aoi Yukimura, park", "AOI"):
        with pytest.raises(FullcastError, match="of the cast"):
            refuse_names(["park", caption], CAST)


def test_pictures_are_drawn_once_with_their_captions_and_targets_left_out(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journey = open_journey(root)
    answer = regularize(journey, 3, None, seed=4, checkpoint="")
    made = sorted((root / "regularization/made").glob("*.png"))
    assert [root / path for path in answer.data["pictures"]] == made and len(made) == 3
    captions = [path.with_suffix(".caption").read_text().strip() for path in made]
    assert not read_sidecar(made[0]).tags, "a caption is no list of tags"
    made[0].with_suffix(".txt").write_text("1 person, person smiling\n")  # of a run before captions had their own name
    refuse_names(captions, read_prepared(journey).cast)
    before = [path.stat().st_mtime_ns for path in made]
    assert len(regularize(journey, 3, None, seed=4, checkpoint="").data["pictures"]) == 3
    assert not made[0].with_suffix(".txt").exists()
    assert [path.stat().st_mtime_ns for path in made] == before
    from fullcast.recognition.look import CastLook

    look = CastLook.look

    def sees_mio(self, images):
        return [[replace(f, character="mio") for f in found] or found for found in look(self, [SHOWN for _ in images])]

    monkeypatch.setattr(CastLook, "look", sees_mio)
    answer = regularize(journey, 3, None, seed=4, checkpoint="")
    assert not answer.data["pictures"] and [r["who"] for r in answer.data["refused"]] == ["mio"] * 3
    assert not list((root / "regularization/made").iterdir())


SHOWN = picture({(300, 148): COLOURS["mio"]})


def test_a_file_of_captions_is_used_and_an_empty_one_is_refused(root: Path, tmp_path: Path) -> None:
    journey = open_journey(root)
    (tmp_path / "c.txt").write_text("a person in the park\n\na street at night\n")
    regularize(journey, 3, tmp_path / "c.txt", seed=9, checkpoint="")
    said = [p.read_text().strip() for p in sorted((root / "regularization/made").glob("*.caption"))]
    assert said == ["a person in the park", "a street at night", "a person in the park"]
    made = {p.name: p.read_bytes() for p in (root / "regularization/made").glob("*.png")}
    drawn = {read_picture(root / "regularization/made" / name).tobytes() for name in made}
    assert len(drawn) == 3, "one caption twice is two pictures"
    regularize(journey, 4, tmp_path / "c.txt", seed=9, checkpoint="")
    more = {p.name: p.read_bytes() for p in (root / "regularization/made").glob("*.png")}
    assert len(more) == 4 and made.items() <= more.items()
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(FullcastError, match="no caption"):
        regularize(journey, 1, tmp_path / "none.txt", seed=1, checkpoint="")
