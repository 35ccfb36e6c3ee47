"""Crops as pictures of their own: where they lie, who is in them, what is too small, and that they are no originals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fullcast.captions.config import CaptionsConfig
from fullcast.captions.source import Captions
from fullcast.journey import Journey, new_workspace
from fullcast.journey.cropping import crop_all
from fullcast.journey.taking_in import Partition, TakenIn
from fullcast.mixture.config import MixtureConfig
from fullcast.mixture.samples import make_samples
from fullcast.mixture.shares import field_values
from fullcast.people import crops
from fullcast.people.config import PeopleConfig
from fullcast.people.crops import Cut, people_of, plan_cuts, write_crops
from fullcast.records import Cast, Character, Image, Person
from fullcast.store.pictures import read_picture, write_png
from fullcast.store.tables import read_records

FRAME = Image("f" * 20, "f.png", 1280, 720, "screenshots", shot_id="v:0001", artist="studio", licence="CC0")
AOI = Person(f"{FRAME.id}/a", FRAME.id, (200, 100, 480, 700), 0.9, head_xyxy=(260, 100, 400, 260), character="aoi")
MIO = Person(f"{FRAME.id}/b", FRAME.id, (760, 160, 1000, 700), 0.9, head_xyxy=(820, 160, 940, 300), character="mio")
ALL = PeopleConfig(crops=("head", "halfbody", "person", "face"))


def test_four_crops_of_each_and_each_holds_its_head() -> None:
    cuts, drops = plan_cuts([FRAME], [AOI, MIO], ALL)
    assert not drops and sorted(c.kind for c in cuts) == ["face"] * 2 + ["halfbody"] * 2 + ["head"] * 2 + ["person"] * 2
    by_kind = {(c.kind, c.xyxy[0] > 500): c.xyxy for c in cuts}
    for (kind, right), (x0, y0, x1, y1) in by_kind.items():
        head = (MIO if right else AOI).head_xyxy
        assert head is not None and x0 <= head[0] and y0 <= head[1] and x1 >= head[2] and y1 >= head[3], kind
    head = by_kind["head", False]
    assert head[2] - head[0] == 1.5 * 160 and head[1] == 60
    face = next(c.xyxy for c in cuts if c.kind == "face")
    assert face[2] - face[0] == face[3] - face[1] == 720  # the largest square, as the seed cut it
    half, whole = by_kind["halfbody", False], by_kind["person", False]
    assert half[3] - half[1] < 0.95 * (whole[3] - whole[1])


def test_pictures_of_one_person_dropped_ones_and_crops_are_not_cut() -> None:
    assert plan_cuts([FRAME], [AOI], ALL) == ([], [])
    assert plan_cuts([replace(FRAME, dropped="by-hand")], [AOI, MIO], ALL) == ([], [])
    assert plan_cuts([replace(FRAME, parent="x")], [AOI, MIO], ALL) == ([], [])
    small = replace(MIO, xyxy=(800, 200, 860, 320), head_xyxy=(810, 200, 850, 240))
    cuts, drops = plan_cuts([FRAME], [AOI, small], PeopleConfig(crops=("head",)))
    assert len(cuts) == 1 and [(d.item, d.reason) for d in drops] == [(small.id, "crop-too-small")]


def test_records_keep_their_parent_and_everybody_whose_head_is_shown(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)
    write_png(tmp_path / "f.png", picture)
    cuts, _ = plan_cuts([FRAME], [AOI, MIO], ALL)
    out = tmp_path / "crops"
    images, places, drops = write_crops(cuts, {FRAME.id: FRAME}, tmp_path, out, "crops")
    assert not drops and len(images) == len(cuts) and {i.source for i in images} == {"crop"}
    for image, place in zip(images, places, strict=True):
        x0, y0, x1, y1 = (int(v) for v in place.xyxy)
        assert (read_picture(tmp_path / image.path) == picture[y0:y1, x0:x1]).all()
        assert image.parent == FRAME.id
        inside = people_of(image, place.xyxy, [AOI, MIO])
        assert inside and all(p.image_id == image.id and 0 <= p.xyxy[0] < p.xyxy[2] <= image.width for p in inside)
    face = next(i for i, p in zip(images, places, strict=True) if i.crop == "face")
    both = people_of(face, next(p.xyxy for p in places if p.kind == "face"), [AOI, MIO])
    assert len({p.id for p in both}) == len(both)


def test_two_figures_at_one_corner_have_a_file_each_and_a_second_equal_crop_is_counted(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)
    write_png(tmp_path / "f.png", picture)
    boxes = [(0.0, 0.0, 200.0, 300.0), (0.0, 0.0, 300.0, 400.0)]
    cuts = [*(Cut(FRAME.id, "person", box) for box in boxes), Cut(FRAME.id, "halfbody", boxes[0])]
    images, places, drops = write_crops(cuts, {FRAME.id: FRAME}, tmp_path, tmp_path / "crops", "crops")
    assert [p.xyxy for p in places] == boxes
    for image, (_, _, x1, y1) in zip(images, boxes, strict=True):
        assert (read_picture(tmp_path / image.path) == picture[: int(y1), : int(x1)]).all()
    assert [(d.item, d.reason) for d in drops] == [(f"{FRAME.id}-halfbody-0-0-200-300.png", "same-file")]


def test_crops_are_told_by_what_their_originals_say_today(tmp_path: Path) -> None:
    """The crop is kept, its pixels are not cut again; artist, licence and address are those of a corrected sidecar."""
    new_workspace(tmp_path / "w")
    journey = Journey.open(tmp_path / "w", {"people.crops": '["head"]'})
    write_png(journey.workspace.root / "f.png", np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8))
    partition = Partition("fanart", "key", tmp_path, (FRAME,))
    for artist in ("studio", "somebody else"):
        image = replace(FRAME, artist=artist, licence=artist, url=artist)
        taken = TakenIn((partition,), (image,), (), (), ())
        assert crop_all(journey, taken, [AOI, MIO], {FRAME.id: ("park",)}) == []
        made = read_records(journey.workspace.show_dir / "crops.parquet", Image)
        assert {(c.artist, c.licence, c.url, c.tags) for c in made} == {(artist, artist, artist, ("park",))}
        assert len(made) == 2


def test_what_somebody_drops_cuts_no_other_picture_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is left is what a show that never had it would have, to the byte."""
    read: list[str] = []
    monkeypatch.setattr(crops, "read_picture", lambda path: read.append(path.name) or read_picture(path))
    noise = np.random.default_rng(0).integers(0, 255, (2, 720, 1280, 3), np.uint8)
    images = [replace(FRAME, id=f"{n:020d}", path=f"{n}.png") for n in range(2)]
    people = [replace(p, id=f"{i.id}/{p.character}", image_id=i.id) for i in images for p in (AOI, MIO)]

    def cut(root: Path, images: Sequence[Image]) -> dict[str, bytes]:
        if not root.exists():
            new_workspace(root)
            for image, pixels in zip(images, noise, strict=True):
                write_png(root / image.path, pixels)
        journey = Journey.open(root, {"people.crops": '["head", "face"]', "executor": "here"})
        crop_all(
            journey, TakenIn((Partition("fanart", "k", root, tuple(images)),), tuple(images), (), (), ()), people, {}
        )
        files = (path for path in journey.workspace.crops_dir.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}

    whole = cut(tmp_path / "w", images)
    assert len(whole) > 8 and read == ["0.png", "1.png"]
    without = [replace(images[0], dropped="by-hand"), images[1]]
    read.clear()
    left = cut(tmp_path / "w", without)
    assert read == [] and len(left) < len(whole)
    assert left == cut(tmp_path / "other", without)


def test_a_crop_above_the_subtitles_is_not_called_subtitled(tmp_path: Path) -> None:
    new_workspace(tmp_path / "w")
    journey = Journey.open(tmp_path / "w", {"people.crops": '["head", "person"]'})
    write_png(journey.workspace.root / "f.png", np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8))
    taken = TakenIn((Partition("fanart", "key", tmp_path, (FRAME,)),), (FRAME,), (), (), ())
    crop_all(journey, taken, [replace(AOI, xyxy=(220, 80, 400, 715)), MIO], {FRAME.id: ("park", "subtitled")})
    crops = read_records(journey.workspace.show_dir / "crops.parquet", Image)
    assert {c.tags for c in crops if c.crop == "head"} == {("park",)}
    assert [c.tags for c in crops if c.crop == "person" and c.height > 640] == [("park", "subtitled")]


def test_a_crop_is_captioned_as_cropped_and_counts_as_its_original() -> None:
    crop = Image("c" * 20, "c.png", 320, 320, "crop", FRAME.id, crop="halfbody", tags=("park",))
    inside = people_of(crop, (200.0, 60.0, 520.0, 380.0), [AOI, MIO])
    assert [p.character for p in inside] == ["aoi"]
    config = MixtureConfig(area_px=128 * 128)
    samples = make_samples([FRAME, crop], [AOI, MIO, *inside], config)
    own = next(s for s in samples if s.path == "c.png")
    assert (own.image_id, own.source, own.shot_id, own.kind) == (FRAME.id, "screenshots", "v:0001", "person")
    cast = Cast("show", (Character("aoi", "aoi"), Character("mio", "mio")))
    captions = Captions([own], cast, CaptionsConfig(), seed=1)
    said = [captions.caption(own.id, visit) for visit in range(8)]
    assert all("aoi" in text and "mio" not in text for text in said)
    assert sum("cropped" in text for text in said) >= 7
    assert not any(s.path == "c.png" for s in make_samples([crop], inside, config))  # its original is not used


def test_a_crop_without_its_original_is_captioned_as_cropped_and_not_cut_again() -> None:
    alone = replace(FRAME, source="fanart", crop="halfbody")
    assert plan_cuts([alone], [AOI, MIO], ALL) == ([], [])
    whole = make_samples([alone], [AOI, MIO], MixtureConfig(area_px=128 * 128))[0]
    assert (whole.kind, whole.source, whole.image_id) == ("person", "fanart", FRAME.id)
    assert make_samples([replace(alone, crop="face")], [], MixtureConfig())[0].kind == "head"


def test_crops_have_their_originals_rating_and_quality() -> None:
    whole = replace(FRAME, tags=("Best_Quality", "1girl"))
    crop = Image("c" * 20, "c.png", 320, 320, "crop", FRAME.id, crop="head")
    config = MixtureConfig(area_px=128 * 128)
    samples = make_samples([whole, crop], [AOI, MIO], config, {FRAME.id: ("park",)}, {FRAME.id: "sensitive"})
    assert {(s.rating, s.quality) for s in samples} == {("sensitive", "best quality")} and len(samples) > 2
    assert "best quality" not in samples[0].tags, "captions say none of it"
    assert field_values(samples[0], "rating") == ("sensitive",) and field_values(samples[0], "quality") == (
        "best quality",
    )
    unrated = make_samples([FRAME], [], config)[0]
    assert unrated.rating == unrated.quality == "", "nothing is claimed of what nobody rated"
    assert field_values(unrated, "rating") == field_values(unrated, "quality") == ("unrated",)
