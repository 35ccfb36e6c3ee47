"""Imports become records that prepare takes in, with nothing of the dataset lost and nothing of it run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fullcast.formats.imagefolder import export_imagefolder
from fullcast.formats.kohya import export_kohya
from fullcast.journey import Journey, new_workspace
from fullcast.journey.class_tokens import people_in_class
from fullcast.journey.given_names import with_given_names
from fullcast.journey.importing import Origin, imported_people
from fullcast.journey.taking_in import take_in
from fullcast.records import UNKNOWN, Box, Cast, Character, Form, Image, Person
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import file_id, picture_size, write_png
from fullcast.store.tables import read_records
from tests.formats.foreign_sets import EMBEDDING, FIRST, SECOND, write_first, write_pickled, write_second
from tests.formats.gallery import make_items, weights_of


@pytest.fixture
def journey(tmp_path: Path) -> Journey:
    new_workspace(tmp_path / "work")
    return Journey.open(tmp_path / "work")


def test_both_versions_of_the_seed_become_records(journey: Journey, tmp_path: Path) -> None:
    write_first(tmp_path / "old")
    write_second(tmp_path / "old")
    answer = journey.import_dataset("seed", tmp_path / "old")
    folder = journey.workspace.data_dir / "imports" / "old"
    images = {i.id: i for i in read_records(folder / "images.parquet", Image)}
    people = read_records(folder / "people.parquet", Person)
    origins = {o.file.removesuffix(".png"): o for o in read_records(folder / "origins.parquet", Origin)}
    assert answer.data["people"] == {"YukimuraAoi": 3, "KuraueHinata": 1, "KuraueHinata/Hairdown": 1} | {
        "Terakomari/red dress": 1,
        "Terakomari": 1,
        "Vill/twintails": 1,
    }
    assert set(origins) == {*FIRST, *SECOND} and len(images) == len(origins)
    for name, meta in {**FIRST, **SECOND}.items():
        facts = json.loads(origins[name].facts)
        assert {key: facts[key] for key in meta} == meta
        image = images[origins[name].image_id]
        stored = journey.workspace.root / image.path
        assert file_id(stored) == file_id(tmp_path / "old" / f"{name}.png") == image.id
        assert (image.width, image.height) == picture_size(stored)
    assert {i.source for i in images.values()} == {"screenshots", "fanart", "regularization", "crop"}
    crop = next(o for name, o in origins.items() if name.endswith("EP1_12_0"))
    whole = next(o for name, o in origins.items() if name.endswith("EP1_12"))
    cut, alone = images[crop.image_id], next(i for i in images.values() if i.crop == "person")
    assert (cut.parent, cut.source, cut.crop) == (whole.image_id, "crop", "face") and whole.multiply == 26.67
    assert (alone.parent, alone.source) == ("", "screenshots"), "its original is not in the dataset"
    first, second = (p for p in people if p.image_id == whole.image_id)
    assert first.head_xyxy == pytest.approx((60, 12, 80, 30)) and first.name == "YukimuraAoi"
    assert second.head_xyxy == pytest.approx((10, 15, 30, 33)) and second.name == "KuraueHinata/Hairdown"
    seen = next(p for p in people if p.form == "red dress")
    assert seen.embedding is not None and (seen.embedding == EMBEDDING).all() and seen.confidence == 1
    assert {p.confidence for p in people if p.character == "Vill"} == {0.0}, "nobody says where she stands"
    assert len({p.id for p in people}) == len(people)
    assert (folder / "others/training/core_tag.json").is_file() and (folder / "others/concept_weights.csv").is_file()

    taken = take_in(journey)
    assert {image.id for image in taken.images} == set(images)
    again = journey.import_dataset("waifuc", tmp_path / "old")
    assert again.data == answer.data and len(imported_people(journey.workspace, cast())) == len(people)


def test_a_file_about_the_dataset_that_cannot_be_read_is_counted(
    journey: Journey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_first(tmp_path / "old")
    write_second(tmp_path / "old")
    former = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path.name == "core_tag.json" and tmp_path / "old" in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return former(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    answer = journey.import_dataset("seed", tmp_path / "old")
    lost = {"item": "training/core_tag.json", "reason": "unreadable", "detail": "Permission denied"}
    assert lost in answer.data["drops"]
    assert sum(answer.data["pictures"].values()) == len({*FIRST, *SECOND})


def test_a_rating_in_the_metadata_reaches_the_filters(journey: Journey, tmp_path: Path) -> None:
    write_second(tmp_path / "old")
    path = next((tmp_path / "old").rglob(".123_pic_meta.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "rating": "explicit"}))
    journey.import_dataset("seed", tmp_path / "old")
    rated = [i for i in take_in(journey).images if "rating:explicit" in i.tags]
    assert [i.dropped for i in rated] == ["rating"]


def test_addresses_in_the_metadata_reach_the_opt_out(journey: Journey, tmp_path: Path) -> None:
    write_second(tmp_path / "old")
    write_png(tmp_path / "old" / "art.png", np.zeros((64, 64, 3), np.uint8))
    (tmp_path / "old" / "art.tags").write_text("source: https://example.org/b/2\ngeneral: hat")
    path = next((tmp_path / "old").rglob(".123_pic_meta.json"))
    facts = {**json.loads(path.read_text()), "url": "https://example.org/a/1", "source": "https://mirror.example/1"}
    path.write_text(json.dumps(facts))
    journey.workspace.opt_out_path.write_text("https://mirror.example\nhttps://example.org/b\n")
    journey.import_dataset("seed", tmp_path / "old")
    assert {i.url: i.dropped for i in take_in(journey).images if i.url} == {
        "https://example.org/a/1 https://mirror.example/1": "opted-out",
        "https://example.org/b/2": "opted-out",
    }


def test_links_of_a_dataset_whose_targets_are_away_are_counted(journey: Journey, tmp_path: Path) -> None:
    write_second(tmp_path / "old")
    (tmp_path / "old" / "gone.png").symlink_to(tmp_path / "unplugged")
    answer = journey.import_dataset("seed", tmp_path / "old")
    assert [(d["item"], d["reason"]) for d in answer.data["drops"]] == [("gone.png", "missing")]


def test_a_crop_of_the_second_version_finds_its_original_by_the_path_it_says(journey: Journey, tmp_path: Path) -> None:
    """Another folder, another suffix, a path of another system."""
    whole, cut = tmp_path / "old/2_characters/a_3.png", tmp_path / "old/1_character/a_3_person1.png"
    write_png(whole, np.full((60, 100, 3), 40, np.uint8))
    write_png(cut, np.full((60, 40, 3), 40, np.uint8))
    meta = {"path": "C:\\raw\\a_3.webp", "crop": {"type": "halfbody", "score": 0.8}, "characters": []}
    cut.with_name(".a_3_person1_meta.json").write_text(json.dumps(meta))
    journey.import_dataset("seed", tmp_path / "old")
    images = read_records(journey.workspace.data_dir / "imports/old/images.parquet", Image)
    assert [(i.source, i.crop) for i in images] == [("fanart", ""), ("crop", "halfbody")]
    assert images[1].parent == images[0].id


def test_our_own_crops_come_back_as_crops(journey: Journey, tmp_path: Path) -> None:
    (item, *_) = make_items(1)
    item = replace(item, sample=replace(item.sample, kind="head", rating="sensitive"))
    export_imagefolder([item], tmp_path / "set")
    journey.import_dataset("dataset", tmp_path / "set")
    (image,) = read_records(journey.workspace.data_dir / "imports/set/images.parquet", Image)
    assert (image.source, image.crop) == (item.sample.source, "head") and "rating:sensitive" in image.tags


def test_a_pickle_refuses_the_whole_import(journey: Journey, tmp_path: Path) -> None:
    write_second(tmp_path / "old")
    write_pickled(tmp_path / "old", tmp_path / "witness")
    with pytest.raises(FullcastError, match=r"holds a pickle .* nothing was imported"):
        journey.import_dataset("seed", tmp_path / "old")
    assert not (journey.workspace.data_dir / "imports").exists()
    answer = journey.import_dataset("seed", tmp_path / "old", skip_pickles=True)
    assert [drop["reason"] for drop in answer.data["drops"]] == ["pickle"]
    assert not (tmp_path / "witness").exists()


def test_a_pickle_in_a_file_that_belongs_to_no_picture_is_refused_too(journey: Journey, tmp_path: Path) -> None:
    write_pickled(tmp_path / "old", tmp_path / "witness")
    (tmp_path / "old/training/screenshots/trap_1.png").rename(tmp_path / "old/other.png")
    with pytest.raises(FullcastError, match="holds a pickle"):
        journey.import_dataset("seed", tmp_path / "old", skip_pickles=True)


def test_kohya_folders_become_records(journey: Journey, tmp_path: Path) -> None:
    items = make_items(20)
    exported = export_kohya(items, weights_of(items), tmp_path / "set")
    (tmp_path / "set/img/3_aoi girl").mkdir()
    found = next((tmp_path / "set/img").rglob("*.png"))
    (tmp_path / "set/img/3_aoi girl/twice.png").write_bytes(found.read_bytes())
    (tmp_path / "set/img/3_aoi girl/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (journey.workspace.references_dir / "Aoi").mkdir()
    (tmp_path / "set/dataset.toml").unlink()
    answer = journey.import_dataset("kohya", tmp_path / "set", name="数, 1", source="screenshots")
    folder = journey.workspace.data_dir / "imports" / "数, 1"
    origins = {Path(o.file).stem: o for o in read_records(folder / "origins.parquet", Origin)}
    assert {d["reason"] for d in answer.data["drops"]} == {"same-file", "truncated"}
    assert answer.data["pictures"] == {"screenshots": exported.num_images}
    for item in items:
        if exported.visits[item.name]:
            assert origins[item.name].caption == item.caption
            assert origins[item.name].multiply == exported.visits[item.name]
    assert origins["twice"].image_id in {o.image_id for name, o in origins.items() if name != "twice"}
    assert origins["twice"].caption == "aoi girl" and origins["twice"].multiply == 3


def test_class_tokens_name_who_is_in_the_cast_whenever_there_is_one(journey: Journey, tmp_path: Path) -> None:
    items = make_items(1)
    export_kohya(items, weights_of(items), tmp_path / "set")
    (tmp_path / "set/img").rename(tmp_path / "img")
    next((tmp_path / "img").iterdir()).rename(tmp_path / "img/5_Yukimura_Aoi hairdown girl")
    answer = journey.import_dataset("kohya", tmp_path / "img")
    assert "prepare looks for the cast" in answer.text
    assert imported_people(journey.workspace, cast("mio")) == []
    (person,) = imported_people(journey.workspace, cast("mio", **{"yukimura aoi": ("", "hairdown")}))
    assert (person.name, person.confidence) == ("yukimura aoi/hairdown", 0.0)


@pytest.mark.parametrize(
    ("tokens", "named"),
    [
        ("yukimura aoi girl", ["yukimura aoi"]),
        ("YUKIMURA_AOI, mio hair-down", ["yukimura aoi", "mio/hair down"]),
        ("aoi girl", ["aoi"]),
        ("aoi and yukimura_aoi", ["yukimura aoi", "aoi"]),
        ("yaoi", ["yukimura aoi"]),
        ("mio school uniform hair down", ["mio/school uniform, hair down"]),
        ("mionette aoiyama", []),
    ],
)
def test_a_class_names_whose_words_stand_side_by_side(tokens: str, named: list[str]) -> None:
    mio = Character("mio", "mio", tuple(Form(f, "") for f in ("", "hair down", "school uniform, hair down")))
    others = Character("yukimura aoi", "yaoi", (Form("", ""),)), Character("aoi", "aoi", (Form("", ""),))
    found = people_in_class(tokens, Cast("show", (*others, mio)))
    assert ["/".join(filter(None, (p.character, p.form))) for p in found] == named


def test_a_box_that_holds_nothing_of_the_picture_is_counted_and_the_name_kept(journey: Journey, tmp_path: Path) -> None:
    """NaN, sides exchanged, outside; what reaches over the edge ends there."""
    write_png(tmp_path / "old/a.png", np.zeros((60, 100, 3), np.uint8))
    faces = [[-0.05, 0.1, 0.5, 1.5], [float("nan"), 0.1, 0.5, 0.5], [0.6, 0.6, 0.2, 0.2], [3, 3, 4, 4]]
    meta = {"facepos": faces, "characters": ["aoi", "mio", "unknown", "rin"]}
    (tmp_path / "old/a.json").write_text(json.dumps(meta))
    answer = journey.import_dataset("seed", tmp_path / "old")
    people = {p.character: p for p in imported_people(journey.workspace, cast())}
    assert people.keys() == {"aoi", "mio", "rin"}
    assert people["aoi"].head_xyxy == people["aoi"].xyxy == (0, 6, 50, 60)
    assert {(p.confidence, p.head_xyxy, p.xyxy) for n, p in people.items() if n != "aoi"} == {
        (0.0, None, (0, 0, 100, 60))
    }
    assert [(d["item"], d["reason"]) for d in answer.data["drops"]] == [("a.png", "damaged-metadata")] * 3
    assert "the box [nan, 0.1, 0.5, 0.5] of mio holds nothing of the picture" in answer.data["drops"][0]["detail"]


def test_another_folder_of_the_same_name_replaces_no_import(journey: Journey, tmp_path: Path) -> None:
    """Nor do show.v1 and show.v2 have one name."""
    folders = [tmp_path / name for name in ("one/training", "two/training", "show.v1", "show.v2")]
    for shade, folder in enumerate(folders):
        write_png(folder / "a.png", np.full((60, 100, 3), shade, np.uint8))
    for folder in (folders[0], *folders[2:], folders[0]):
        journey.import_dataset("seed", folder)
    imports = journey.workspace.data_dir / "imports"
    assert {path.name for path in imports.iterdir()} == {"training", "show.v1", "show.v2"}
    with pytest.raises(FullcastError, match=r"data/imports/training was imported from another folder .* --name"):
        journey.import_dataset("seed", folders[1])
    (kept,) = read_records(imports / "training/images.parquet", Image)
    assert kept.id == file_id(folders[0] / "a.png")
    assert str(tmp_path) not in (imports / "training/import.json").read_text()
    journey.import_dataset("seed", folders[1], name="training")
    (replaced,) = read_records(imports / "training/images.parquet", Image)
    assert replaced.id == file_id(folders[1] / "a.png")


@pytest.mark.parametrize(
    ("what", "options", "said"),
    [
        ("coco", {}, "nothing is called 'coco'"),
        ("seed", {"source": "internet"}, "a source is one of"),
        ("seed", {}, "has no picture"),
    ],
)
def test_wrong_words_are_answered(
    journey: Journey, tmp_path: Path, what: str, options: dict[str, str], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FullcastError, match=said):
        journey.import_dataset(what, tmp_path / "empty", **options)


def cast(*names: str, **forms: tuple[str, ...]) -> Cast:
    looks = {name: ("",) for name in names} | forms
    return Cast("show", tuple(Character(n, n, tuple(Form(f, f) for f in own)) for n, own in looks.items()))


def figure(image: str, x: float, character: str = UNKNOWN) -> Person:
    return Person(f"{image}/{x}", image, (x, 0, x + 20, 80), 0.9, (x, 0, x + 20, 20), character=character)


def said(image: str, character: str, box: Box | None = None) -> Person:
    whole = (0.0, 0.0, 100.0, 80.0)
    return Person(f"{image}/{character}", image, box or whole, 1.0 if box else 0.0, box, character=character)


def test_names_of_the_dataset_are_put_on_the_figures_at_their_place() -> None:
    """Faces lie inside heads; a wrong name of ours gives way, and nobody stands in a picture twice."""
    people = [figure("a", 0, "mio"), figure("a", 40), figure("a", 70, "aoi"), figure("b", 0, "mio")]
    given = [
        *(said("a", "hinata", (4, 4, 16, 16)), said("a", "aoi", (44, 4, 56, 16)), said("a", UNKNOWN, (74, 4, 86, 16))),
        said("c", "mio", (1, 1, 9, 9)),
    ]
    named = with_given_names(people, given, cast("aoi", "hinata", "mio"))
    found = {(p.image_id, p.place_xy[0]): p.character for p in named.people}
    assert found == {("b", 10): "mio", ("a", 10): "hinata", ("a", 50): "aoi", ("a", 80): UNKNOWN, ("c", 5): "mio"}
    assert named.drops == []


def test_a_name_without_a_place_is_given_when_one_figure_is_left() -> None:
    people = [figure("a", 0), figure("b", 0), figure("b", 40), figure("c", 0, "aoi"), figure("c", 40)]
    given = [said("a", "aoi"), said("b", "aoi"), said("c", "aoi"), said("c", "hinata"), said("a", "stranger")]
    named = with_given_names(people, given, cast("aoi", "hinata"))
    found = {p.id: p.character for p in named.people}
    assert found == {"a/0": "aoi", "b/0": UNKNOWN, "b/40": UNKNOWN, "c/0": "aoi", "c/40": "hinata"}
    assert [(d.item, d.reason) for d in named.drops] == [("a", "not-in-cast"), ("b", "name-without-place")]


@pytest.mark.parametrize(
    ("form", "forms", "seen", "known"),
    [
        ("hairdown, uniform", ("", "hairdown"), "", "hairdown"),
        ("uniform, hairdown", ("", "hairdown"), "", "hairdown"),
        ("swimsuit", ("", "hairdown"), "hairdown", ""),
        ("", ("hairdown", "ponytail"), "ponytail", "ponytail"),
        ("swimsuit", ("hairdown", "ponytail"), "", "hairdown"),
    ],
)
def test_a_look_that_the_cast_lacks_is_counted_and_another_stands_for_it(
    form: str, forms: tuple[str, ...], seen: str, known: str
) -> None:
    found = replace(figure("a", 0, "aoi"), form=seen)
    given = [replace(said(image, "aoi", (0, 0, 20, 20) if image == "a" else None), form=form) for image in "ab"]
    named = with_given_names([found, figure("b", 0)], given, cast(aoi=forms))
    assert named.people[0].form == known and named.people[1].form in forms
    detail = f"aoi/{form}" if form else "aoi"
    assert [(d.item, d.reason, d.detail) for d in named.drops] == [(i, "form-not-in-cast", detail) for i in "ab"]


def test_a_look_of_several_folders_of_references_is_known_by_its_parts() -> None:
    given = [replace(said("a", "aoi", (0, 0, 20, 20)), form="hairdown, uniform")]
    looks = cast(aoi=("", "hairdown", "hairdown uniform"))
    named = with_given_names([figure("a", 0)], given, looks)
    assert named.people[0].name == "aoi/hairdown uniform" and named.drops == []


def test_a_figure_of_the_datasets_own_has_no_vector_of_another_network() -> None:
    """It would stand in a table of our embedder's, which has other dimensions."""
    given = [replace(said("a", "aoi", (0, 0, 20, 20)), form="uniform", embedding=np.ones(3, np.float32))]
    (added,) = with_given_names([], given, cast(aoi=("", "hairdown"))).people
    assert added.embedding is None and added.name == "aoi"
