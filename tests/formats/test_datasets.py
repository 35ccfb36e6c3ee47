"""Exports are read back by the documented rules of those who read them, and deliver what their report said."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from fullcast.formats.everydream import export_everydream, read_everydream
from fullcast.formats.foreign import ForeignDataset
from fullcast.formats.imagefolder import export_imagefolder, read_imagefolder
from fullcast.formats.items import MARK, Exported, Item, safe_part
from fullcast.formats.kohya import export_kohya, read_kohya, reg_visits
from fullcast.formats.seed import export_seed, folder_multiplies
from fullcast.formats.seed_reading import read_seed
from fullcast.formats.webdataset import export_webdataset, read_webdataset
from fullcast.formats.whole import whole_repeats
from fullcast.records import Person, Sample
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import decode_picture
from tests.formats import peers
from tests.formats.gallery import CAPTIONS, make_items, weights_of

Export = Callable[[list[Item], Path], Exported]
EXPORTS: dict[str, Export] = {
    "dataset": lambda items, out: export_imagefolder(items, out),
    "webdataset": lambda items, out: export_webdataset(items, out, max_bytes=40_000),
    "everydream1": lambda items, out: export_everydream(items, weights_of(items), out, 1),
    "everydream2": lambda items, out: export_everydream(items, weights_of(items), out, 2),
    "kohya": lambda items, out: export_kohya(items, weights_of(items), out),
    "seed": lambda items, out: export_seed(items, [i.sample for i in items], weights_of(items), out),
}
READERS: dict[str, Callable[[Path], ForeignDataset]] = {
    "dataset": read_imagefolder,
    "webdataset": read_webdataset,
    "everydream1": lambda path: read_everydream(path, 1),
    "everydream2": lambda path: read_everydream(path, 2),
    "kohya": read_kohya,
    "seed": read_seed,
}
PEERS: dict[str, Callable[[Path], dict[tuple[str, str], float]]] = {
    "dataset": peers.imagefolder_epoch,
    "webdataset": peers.webdataset_epoch,
    "everydream1": peers.everydream1_epoch,
    "kohya": lambda path: peers.kohya_toml_epoch(path / "dataset.toml"),
    "seed": peers.seed_epoch,
}


@pytest.mark.parametrize("what", PEERS)
def test_the_peer_delivers_what_the_report_says(what: str, tmp_path: Path) -> None:
    """Picture by picture: visits in an epoch and the caption; and the report's share error is that of the visits."""
    items = make_items()
    exported = EXPORTS[what](items, tmp_path / "out")
    seen = PEERS[what](tmp_path / "out")
    assert {stem: count for (stem, _), count in seen.items()} == {n: v for n, v in exported.visits.items() if v}
    captions = {stem: caption for stem, caption in seen}
    assert all(captions[item.name] == item.caption for item in items if exported.visits[item.name])
    total, asked = sum(seen.values()), weights_of(items) / weights_of(items).sum()
    given = np.array([exported.visits[item.name] / total for item in items])
    assert exported.share_error == pytest.approx(np.abs(given - asked).sum() / 2, abs=1e-9)
    assert exported.epoch_size == pytest.approx(total)
    report = json.loads((tmp_path / "out" / MARK).read_text(encoding="utf-8"))
    assert report["share_error"] == exported.share_error and report["visits"] == exported.visits


def test_everydream2_draws_the_fractions_that_were_planned(tmp_path: Path) -> None:
    """Its draw is biased inside a folder; over many epochs the folders have their shares, as the report says."""
    items = make_items(120, decades=1.0)
    exported = EXPORTS["everydream2"](items, tmp_path)
    visits: Counter[str] = Counter()
    epochs, images = 200, peers.everydream2_list(tmp_path)
    for epoch in range(epochs):
        for (stem, _), count in peers.everydream2_epoch(images, epoch).items():
            visits[stem] += count
    for low, high in ((0, 40), (40, 80), (80, 120)):
        names = [item.name for item in items[low:high]]
        wanted = sum(exported.visits[n] for n in names)
        assert sum(visits[n] for n in names) / epochs == pytest.approx(wanted, rel=0.03)
    assert set(visits) == {name for name, count in exported.visits.items() if count}
    assert exported.share_error < 1e-3
    assert any("EveryDream1 would cut" in note for note in exported.notes)


def test_both_ways_into_kohya_deliver_the_same(tmp_path: Path) -> None:
    EXPORTS["kohya"](make_items(), tmp_path / "out")
    assert peers.kohya_folders_epoch(tmp_path / "out/img") == peers.kohya_toml_epoch(tmp_path / "out/dataset.toml")


@pytest.mark.parametrize("what", EXPORTS)
def test_a_round_trip_keeps_pictures_captions_and_weights(what: str, tmp_path: Path) -> None:
    items = make_items()
    exported = EXPORTS[what](items, tmp_path / "out")
    found = {Path(p.name).stem: p for p in READERS[what](tmp_path / "out").pictures}
    kept = [item for item in items if exported.visits[item.name]]
    assert set(found) == {item.name for item in kept}
    for item in kept:
        picture = found[item.name]
        assert (picture.caption or "") == item.caption
        assert (decode_picture(picture.read_bytes()) == item.pixels).all()
        expected = item.weight if what in ("dataset", "webdataset") else exported.visits[item.name]
        assert picture.multiply == pytest.approx(expected)
    if what in ("dataset", "webdataset", "seed"):
        _people_are_kept(kept, found)


def _people_are_kept(items: list[Item], found: dict) -> None:  # type: ignore[type-arg]
    for item in items:
        people, sample = found[item.name].people, item.sample
        assert [(p.character, p.form, p.tags) for p in people] == [(p.character, p.form, p.tags) for p in sample.people]
        assert found[item.name].tags == sample.tags and found[item.name].source == sample.source
        for said, person in zip(people, sample.people, strict=True):
            assert (said.head is None) == (person.head_xyxy is None)
            assert said.box == pytest.approx(
                [v / s for v, s in zip(person.xyxy, (64, 48, 64, 48), strict=True)], abs=5e-3
            )


def test_everydream_1_and_2_differ_as_documented(tmp_path: Path) -> None:
    for name, multiply in {"half": "0.5", "zero": "0", "more": " 2.9\n", "none": None}.items():
        (tmp_path / name / "below").mkdir(parents=True)
        for folder in (tmp_path / name, tmp_path / name / "below"):
            (folder / f"{name}_1.png").write_bytes(b"")
        if multiply is not None:
            (tmp_path / name / "multiply.txt").write_text(multiply)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.png").write_bytes(b"")
    (tmp_path / "none" / "LOUD.PNG").write_bytes(b"")
    visits = {}
    for version, expected in ((1, [0, 0, 2, 1]), (2, [0.5, 1, 2.9, 1])):
        found = {p.name: p for p in read_everydream(tmp_path, version).pictures}
        visits[version] = {Path(name).stem + name: p.multiply for name, p in found.items()}
        assert [found[f"{name}/{name}_1.png"].multiply for name in ("half", "zero", "more", "none")] == expected
        assert all(found[f"{name}/below/{name}_1.png"].multiply == 1 for name in ("half", "zero", "more", "none"))
        assert found["half/half_1.png"].caption == "half"
        assert (".hidden/x.png" in found) == (version == 1) and ("none/LOUD.PNG" in found) == (version == 2)
    first, second = (" | ".join(read_everydream(tmp_path, version).notes) for version in (1, 2))
    assert "0.5 was dropped (1 pictures)" in first and "2.9 counted as 2" in first and ".JPG" in first
    assert "0 meant 1 (1 pictures)" in second and "begin with a dot" in second
    assert sum(peers.everydream1_epoch(tmp_path / "more").values()) == 3, "the peer agrees: 2 and 1 below"
    (tmp_path / "half" / "below" / "multiply.txt").write_text("2")
    for said in ("often", "nan", "inf", "-1", "2,5", ""):
        (tmp_path / "half" / "multiply.txt").write_text(said)
        for version in (1, 2):
            found = read_everydream(tmp_path, version)
            assert [(d.item, d.reason) for d in found.drops] == [("half/half_1.png", "damaged-metadata")]
            assert f"it says {said!r}" in found.drops[0].detail and "one number of 0 or more" in found.drops[0].detail
            assert {p.name: p.multiply for p in found.pictures}["half/below/half_1.png"] == 2, "below it all is well"


def test_everydream2_yaml_is_read(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for path in (tmp_path / "a.png", tmp_path / "below/b.png", tmp_path / "below/c.png"):
        path.write_bytes(b"")
    (tmp_path / "global.yaml").write_text("multiply: 3\ncond_dropout: 0.1\n")
    (tmp_path / "local.yml").write_text("flip_p: 0.5\n")
    (tmp_path / "below/loss_scale.txt").write_text("0.25\n")
    (tmp_path / "below/c.yaml").write_text(
        "main_prompt: あおい\nmultiply: 1.5\ntags:\n  - tag: hat\n    weight: 0.5\n  - 空\n"
    )
    found = {p.name: p for p in read_everydream(tmp_path).pictures}
    assert [found[n].multiply for n in ("a.png", "below/b.png", "below/c.png")] == [3, 3, 1.5]
    assert found["below/c.png"].caption == "あおい, hat, 空" and found["below/c.png"].tags == ("hat", "空")
    assert found["a.png"].facts["flip_p"] == 0.5 and "flip_p" not in found["below/b.png"].facts
    assert found["below/b.png"].facts["loss_scale"] == "0.25" and found["below/b.png"].facts["cond_dropout"] == 0.1


def test_whole_repeats_come_as_near_as_the_epoch_allows() -> None:
    exact = whole_repeats(np.array([3.0, 1.0, 1.0, 0.0]))
    assert exact.repeats.tolist() == [3, 1, 1, 0] and exact.share_error == 0
    hard = np.array([10_000.0, *[1.0] * 99])
    near, nearer = whole_repeats(hard, max_mean=5), whole_repeats(hard, max_mean=200)
    assert near.repeats.min() == 1 and near.repeats.mean() <= 5 and near.raised.sum() == 99
    assert nearer.share_error < 0.01 < near.share_error
    assert whole_repeats(np.ones(1000)).repeats.tolist() == [1] * 1000


def test_kohya_says_what_rounding_does(tmp_path: Path) -> None:
    items = make_items(decades=4.0)
    exported = export_kohya(items, weights_of(items), tmp_path / "out", max_mean=4)
    assert exported.share_error > 0.01
    assert any("less than half a visit have 1 repeat" in note for note in exported.notes)
    two_lines = [Item(items[0].sample, items[0].pixels, "one\ntwo", 1.0)]
    exported = export_kohya(two_lines, np.ones(1), tmp_path / "two")
    assert {caption for _, caption in peers.kohya_toml_epoch(tmp_path / "two/dataset.toml")} == {"one two"}
    assert any("1 captions of several lines" in note for note in exported.notes)


def test_kohya_datasets_of_others_are_read(tmp_path: Path) -> None:
    for path in ("img/10_aoi girl/a.png", "img/0_none/b.png", "img/notes/c.png", "reg/1_1girl/d.png", "deep/e.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    (tmp_path / "img/10_aoi girl/a.caption").write_text("first line\nsecond line\n")
    found = read_kohya(tmp_path)
    pictures = {p.name: p for p in found.pictures}
    assert set(pictures) == {"img/10_aoi girl/a.png", "reg/1_1girl/d.png"}
    aoi, reg = pictures["img/10_aoi girl/a.png"], pictures["reg/1_1girl/d.png"]
    assert aoi.multiply == 10 and aoi.caption == "first line" and aoi.facts["class_tokens"] == "aoi girl"
    assert aoi.facts["caption_file"] == "first line\nsecond line\n", "what kohya does not read is kept"
    assert reg.caption == "1girl" and reg.source == "regularization"
    assert any(note.startswith("notes was dropped") for note in found.notes)
    assert any(note.startswith("0_none: num_repeats 0 was dropped") for note in found.notes)
    (tmp_path / "meta.json").write_text(json.dumps({"deep/e": {"caption": "あおい", "tags": "hat, 空"}}))
    toml = tmp_path / "d.toml"
    toml.write_text('[general]\nnum_repeats = 2\n[[datasets]]\n[[datasets.subsets]]\nmetadata_file = "meta.json"\n')
    (picture,) = read_kohya(toml).pictures
    assert (picture.name, picture.multiply, picture.caption) == ("deep/e.png", 2, "あおい, hat, 空")
    assert picture.tags == ("hat", "空")


def test_kohya_gives_regularization_as_many_visits_as_all_others(tmp_path: Path) -> None:
    """Once through with their repeats, then one more of each in turn; those behind the last one needed never come."""
    assert reg_visits([1, 1, 1], 8) == [3, 3, 2]
    assert reg_visits([5, 5, 5], 8) == [5, 5, 0]
    assert reg_visits([2, 1], 3) == [2, 1] and reg_visits([1, 1], 0) == [0, 0]
    for path in ("img/a/1.png", "img/a/2.png", "reg/1.png", "reg/2.png", "reg/3.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    toml = tmp_path / "d.toml"
    subsets = '[[datasets.subsets]]\nimage_dir = "img/a"\nnum_repeats = 4\n'
    subsets += '[[datasets.subsets]]\nimage_dir = "reg"\nis_reg = true\nnum_repeats = 7\n'
    toml.write_text("[[datasets]]\n" + subsets)
    found = read_kohya(toml)
    assert {p.name: p.multiply for p in found.pictures if p.source} == {"reg/1.png": 7, "reg/2.png": 7, "reg/3.png": 0}
    assert found.notes == (
        "is_reg: 3 regularization pictures come 14 times in an epoch, as often as all others together, whatever their "
        "num_repeats; 1 of them never",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("datasets = [1]\n", r"datasets should be tables, \[\[datasets\]\]"),
        ('general = "x"\n[[datasets]]\n', r"general should be a table, \[general\]"),
        ("[[datasets]]\nsubsets = 3\n", r"subsets should be tables"),
        (
            '[[datasets]]\n[[datasets.subsets]]\nimage_dir = "a"\nnum_repeats = "3"\n',
            "num_repeats is a whole number; it says '3'",
        ),
        ('[[datasets]]\n[[datasets.subsets]]\nimage_dir = "a"\nnum_repeats = 2.5\n', "num_repeats is a whole number"),
        ("[general]\n", "has no"),
        ("a =", "is no TOML"),
    ],
)
def test_a_wrong_kohya_toml_is_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "d.toml").write_text(text)
    with pytest.raises(FullcastError, match=said):
        read_kohya(tmp_path / "d.toml")


def test_imagefolders_of_others_are_read_from_any_table(tmp_path: Path) -> None:
    """JSON lines, CSV and Parquet; a row that names no picture, or says what cannot be, is a drop."""
    row = {"text": "あおい, 公園\u2028で", "weight": 2.5, "tags": ["hat"]}
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/山, 1.png").write_bytes(b"")
    lines = [{"file_name": "山, 1.png", **row}, {"file_name": "gone.png"}, {"file_name": "山, 1.png", "weight": -1}]
    lines.append({"file_name": "../../x.png"})
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    (tmp_path / "pictures/metadata.jsonl").write_text(text, encoding="utf-8")
    for kind in ("jsonl", "csv", "parquet"):
        found = read_imagefolder(tmp_path)
        (picture,) = found.pictures
        assert (picture.name, picture.caption, picture.multiply) == ("pictures/山, 1.png", row["text"], 2.5), kind
        assert picture.tags == ("hat",)
        assert [d.reason for d in found.drops] == ["missing", "damaged-metadata", "missing"], kind
        (tmp_path / "pictures" / f"metadata.{kind}").unlink()
        if kind == "jsonl":
            with (tmp_path / "pictures/metadata.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, ["file_name", "text", "weight", "tags"])
                writer.writeheader()
                writer.writerows({**line, "tags": "hat"} for line in lines)
        elif kind == "csv":
            columns = [{"text": None, "weight": None, "tags": ["hat"], **line} for line in lines]
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(columns), tmp_path / "pictures/metadata.parquet")
    (tmp_path / "pictures/metadata.csv").write_bytes(b"PAR1")
    assert read_imagefolder(tmp_path).pictures == ()
    (tmp_path / "pictures/metadata.parquet").write_bytes(b"PAR1")
    with pytest.raises(FullcastError, match="is no Parquet"):
        read_imagefolder(tmp_path)


def test_one_bad_archive_among_several_is_a_drop(tmp_path: Path) -> None:
    items = make_items(60)
    exported = export_webdataset(items, tmp_path / "out", max_bytes=40_000)
    assert exported.num_folders > 2
    shard = sorted((tmp_path / "out").glob("*.tar"))[1]
    shard.write_bytes(shard.read_bytes()[:700])
    found = read_webdataset(tmp_path / "out")
    assert 0 < len(found.pictures) < 60 and [(d.item, d.reason) for d in found.drops] == [(shard.name, "unreadable")]
    with pytest.raises(FullcastError, match="no plain tar"):
        read_webdataset(shard)


def test_the_seeds_worked_example_comes_out_number_by_number() -> None:
    """The eight folders that its real code was run on: weights are target / pictures, multiplies what it wrote."""
    given = {"Aoi": (600, 0.05), "Hinata": (300, 0.05), "Aoi+Hinata": (60, 0.4 / 3), "character_others": (5, 0.2 / 3)}
    given |= {"fan/Aoi": (80, 0.1), "fan/Hinata": (40, 0.1), "hands": (500, 0.05), "style": (4500, 0.45)}
    folders = [name for name, (count, _) in given.items() for _ in range(count)]
    weights = np.array([share / count for count, share in given.values() for _ in range(count)])
    multiplies, clipped = folder_multiplies(folders, weights)
    assert list(multiplies.values()) == [1.0, 2.0, 26.67, 100.0, 15.0, 30.0, 1.2, 1.2]
    assert clipped == ["character_others"]


def test_captions_that_are_not_there_are_not_invented(tmp_path: Path) -> None:
    """The file name, or the folder's, would be a caption in EveryDream and kohya."""
    for what in ("everydream1", "kohya"):
        EXPORTS[what](make_items(), tmp_path / what)
        captions = {caption for _, caption in PEERS[what](tmp_path / what)}
        assert captions == set(CAPTIONS)


def test_nothing_of_others_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    items = make_items(2)
    for what in EXPORTS:
        with pytest.raises(FullcastError, match="no export wrote"):
            EXPORTS[what](items, tmp_path)
        with pytest.raises(FullcastError, match="nothing to export"):
            EXPORTS[what]([], tmp_path / "out")
        assert not (tmp_path / "out").exists()
        with pytest.raises(FullcastError, match="two samples are called"):
            EXPORTS[what]([items[0], items[0]], tmp_path / "out")
    assert (tmp_path / "mine.txt").read_text() == "precious"
    EXPORTS["kohya"](items, tmp_path / "out")
    assert EXPORTS["kohya"](items[:1], tmp_path / "out").num_images == 1, "an export is written over as a whole"
    assert len(peers.kohya_toml_epoch(tmp_path / "out/dataset.toml")) == 1


def test_long_names_stay_different_and_fit(tmp_path: Path) -> None:
    long = "山" * 200
    assert safe_part(long) != safe_part(long + "川") and len(safe_part(long).encode()) <= 120
    assert safe_part("a, b") == "a, b" and safe_part("..hidden?. ") == "hidden_"
    people = tuple(Person(str(i), "im", (0, 0, 9, 9), 1, (0, 0, 9, 9), character=f"{i}{'山' * 40}") for i in range(3))
    sample = Sample("x", "im", "x.png", (0, 0, 16, 16), "screenshots", people)
    export_seed([Item(sample, np.zeros((16, 16, 3), np.uint8), "")], [sample], np.ones(1), tmp_path / "out")
    assert next((tmp_path / "out").rglob("x.png")).parts[-3] == "character_others"


def test_folders_that_are_none_are_said(tmp_path: Path) -> None:
    for what, said in {"dataset": "no imagefolder", "webdataset": "no .tar", "kohya": "no kohya"}.items():
        with pytest.raises(FullcastError, match=said):
            READERS[what](tmp_path)
    for what in ("everydream2", "seed"):
        with pytest.raises(FullcastError, match="is no folder"):
            READERS[what](tmp_path / "gone")
