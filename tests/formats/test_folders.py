"""Exports are read back by the documented rules of those who read them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fullcast.formats.everydream import export_everydream, read_everydream
from fullcast.formats.imagefolder import export_imagefolder, read_imagefolder
from fullcast.formats.items import Item
from fullcast.records import Person, Sample
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import read_picture

CAPTIONS = ["2people, aoi, hinata", "あおい、公園", "a, " * 100 + "end", ""]


def items() -> list[Item]:
    """Four pictures of 160x96 made from crops twice that size; two people, one without a head, in the first."""
    made = []
    for i, caption in enumerate(CAPTIONS):
        people = (
            Person("im/1", "im", (20, 10, 120, 190), 0.9, (50, 20, 90, 60), character="aoi", tags=("smile", "hat")),
            Person("im/2", "im", (200, 10, 300, 190), 0.9, None, character="hinata", form="down"),
        )
        sample = Sample(f"絵{i}_full", f"im{i}", "x.png", (0, 0, 320, 192), "screenshots", people if i == 0 else ())
        pixels = np.full((96, 160, 3), 40 * i, np.uint8)
        pixels[i, i] = 255
        made.append(
            Item(sample, pixels, caption, weight=[3.0, 1.0, 0.5, 0.0][i], folder=["a, b/1_people", "あ", "あ", "c"][i])
        )
    return made


def test_imagefolder_keeps_pictures_words_and_people(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert export_imagefolder(items(), out) == 4
    rows = read_imagefolder(out)
    assert [row["text"] for row in rows] == CAPTIONS
    for row, item in zip(rows, items(), strict=True):
        assert (read_picture(row["file_name"]) == item.pixels).all()
    assert rows[0]["objects"] == {
        "character": ["aoi", "hinata"],
        "form": ["", "down"],
        "xyxy": [[10, 5, 60, 95], [100, 5, 150, 95]],
        "head_xyxy": [[25, 10, 45, 30], []],
        "tags": ["smile, hat", ""],
    }
    keys = {tuple(json.loads(line)) for line in (out / "train/metadata.jsonl").read_text(encoding="utf-8").splitlines()}
    assert len(keys) == 1, "one schema"
    assert export_imagefolder(items()[:2], out) == 2 and len(read_imagefolder(out)) == 2, "written over as a whole"


def test_everydream2_sees_the_weights(tmp_path: Path) -> None:
    """By its own rules: copies by the folder's multiply, captions beside, a multiply never 0."""
    made = items()
    weights = np.array([item.weight for item in made])
    report = export_everydream(made, weights, tmp_path / "out")
    assert (report.num_images, report.num_skipped, report.num_folders) == (3, 1, 3)
    images = read_everydream(tmp_path / "out")
    by_name = {image.path.stem: image for image in images}
    total = sum(image.multiply for image in images)
    assert total == pytest.approx(report.epoch_size)
    for item in made[:3]:
        seen = by_name[item.name]
        assert seen.caption == item.caption
        assert seen.multiply / total == pytest.approx(item.weight / 4.5, abs=1e-3)
        assert (read_picture(seen.path) == item.pixels).all()
        assert seen.path.parent.parent.relative_to(tmp_path / "out").as_posix() == item.folder
    assert report.share_error < 1e-3


def test_everydream_1_and_2_differ_as_documented(tmp_path: Path) -> None:
    for name, multiply in {"half": "0.5", "zero": "0", "more": " 2.9\n", "none": None}.items():
        (tmp_path / name / "below").mkdir(parents=True)
        for folder in (tmp_path / name, tmp_path / name / "below"):
            (folder / f"{name}_1.png").write_bytes(b"")
        if multiply is not None:
            (tmp_path / name / "multiply.txt").write_text(multiply)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.png").write_bytes(b"")
    for version, expected in ((1, [0, 0, 2, 1]), (2, [0.5, 1, 2.9, 1])):
        found = {i.path.relative_to(tmp_path).as_posix(): i for i in read_everydream(tmp_path, version)}
        assert len(found) == 8
        assert [found[f"{name}/{name}_1.png"].multiply for name in ("half", "zero", "more", "none")] == expected
        assert all(found[f"{name}/below/{name}_1.png"].multiply == 1 for name in ("half", "zero", "more", "none"))
        assert found["half/half_1.png"].caption == "half"
    (tmp_path / "half" / "multiply.txt").write_text("often")
    with pytest.raises(FullcastError, match="one number; the file says 'often'"):
        read_everydream(tmp_path)


def test_nothing_of_others_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(FullcastError, match="no export wrote"):
        export_imagefolder(items(), tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "precious"
    with pytest.raises(FullcastError, match="nothing to export"):
        export_imagefolder([], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(FullcastError, match="two samples are called"):
        export_imagefolder([items()[0], items()[0]], tmp_path / "out")


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(FullcastError, match="no imagefolder"):
        read_imagefolder(tmp_path)
    with pytest.raises(FullcastError, match="is no folder"):
        read_everydream(tmp_path / "gone")
