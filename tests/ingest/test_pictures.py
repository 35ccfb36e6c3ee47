"""Folders of pictures with their tags; what is bad is counted."""

from __future__ import annotations

import json
import struct
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fullcast.ingest.config import IngestConfig
from fullcast.ingest.pictures import collect_pictures
from fullcast.ingest.sidecars import read_sidecar
from fullcast.ingest.tag_lines import split_tags
from fullcast.store.pictures import write_png


def art(seed: int, size: int = 96) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (size, size + 20, 3), np.uint8)


def bomb() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "絵"
    write_png(root / "b" / "同じ.png", art(1))
    write_png(root / "a" / "同じ.png", art(2))
    write_png(root / "a" / "twin.png", art(1))
    write_png(root / "tiny.png", art(3, 20))
    (root / "empty.png").touch()
    whole = (root / "a" / "同じ.png").read_bytes()
    (root / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "bomb.png").write_bytes(bomb())
    (root / "words.jpg").write_text("no picture")
    (root / "notes.md").write_text("not looked at")
    return root


def test_good_pictures_are_taken_in_order_and_bad_ones_counted(folder: Path) -> None:
    result = collect_pictures(folder, "fanart", IngestConfig())
    assert [i.path for i in result.images] == ["a/twin.png", "a/同じ.png"]
    assert [f.image_id for f in result.fingerprints] == [i.id for i in result.images]
    assert Counter(d.reason for d in result.drops) == {
        "same-file": 1, "too-small": 1, "empty": 1, "truncated": 1, "too-large": 1, "not-a-picture": 1,
    }  # fmt: skip
    assert {d.item for d in result.drops} >= {"b/同じ.png", "bomb.png"}


def test_every_suffix_of_jpeg_counts_and_what_is_no_picture_is_counted(tmp_path: Path) -> None:
    for seed, name in enumerate(("a.jfif", "b.JPE", "._c.png", "d.png")):
        write_png(tmp_path / name, art(seed))
    for name in ("d.txt", "d.png.json", "d.caption"):
        (tmp_path / name).write_text("{}")
    for name in ("e.psd", "f.zip"):
        (tmp_path / name).write_text("x")
    result = collect_pictures(tmp_path, "fanart", IngestConfig())
    assert [i.path for i in result.images] == ["a.jfif", "b.JPE", "d.png"]
    assert [(d.item, d.reason) for d in result.drops] == [("e.psd", "other-file"), ("f.zip", "other-file")]


def test_pictures_outside_the_workspace_are_copied(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    result = collect_pictures(folder, "fanart", IngestConfig(), root=root, copy_to=root / "fanart")
    for image in result.images:
        assert (root / image.path).exists() and not Path(image.path).is_absolute()
    with pytest.raises(ValueError, match="copy_to"):
        collect_pictures(folder, "fanart", IngestConfig(), root=root)


def test_sidecars_of_every_kind(tmp_path: Path) -> None:
    picture = tmp_path / "x.png"
    (tmp_path / "x.png.txt").write_text("1girl, long hair, smile\n")
    (tmp_path / "x.txt").write_text("artist: some one\nrating: safe\nlicence: CC-BY-4.0\n")
    (tmp_path / "x.tags").write_text("long_hair blue_eyes ^_^ fate/stay_night\n")
    side = read_sidecar(picture)
    assert side.tags == ("1girl", "long hair", "smile", "blue eyes", "^_^", "fate/stay night")
    assert (side.artist, side.rating, side.licence) == ("some one", "safe", "CC-BY-4.0")


def test_tags_with_a_colon_are_no_fields() -> None:
    assert split_tags("a, b_c ,, d") == ["a", "b c", "d"]
    assert split_tags("re:zero smile") == ["re:zero", "smile"]


def test_a_caption_without_commas_is_not_cut_into_words() -> None:
    assert split_tags("A girl with a hat") == ["A girl with a hat"]
    assert split_tags("a girl in a park, smiling") == ["a girl in a park", "smiling"]
    assert split_tags("1girl looking_at_viewer hand_on_own_hip") == ["1girl", "looking at viewer", "hand on own hip"]


def test_facts_reach_the_record(tmp_path: Path) -> None:
    write_png(tmp_path / "x.png", art(1))
    (tmp_path / "x.png.tags").write_text("general: smile, hat\nartist: a b\nrating: explicit\nlicence: CC0\n")
    (image,) = collect_pictures(tmp_path, "regularization", IngestConfig()).images
    assert image.tags == ("smile", "hat", "rating:explicit")
    assert (image.artist, image.licence, image.source) == ("a b", "CC0", "regularization")


def test_what_gallery_dl_says_of_pictures_from_three_kinds_of_sites(tmp_path: Path) -> None:
    """Boards with sorted tags, sites with a list of tags and a user, boards with one text of tags."""
    sorted_tags = {"tag_string_general": "1girl long_hair ^_^", "tag_string_artist": "some_one", "rating": "s"}
    sorted_tags |= {"tag_string": "1girl long_hair ^_^ some_one", "source": "https://example.org/1"}
    listed = {"tags": [{"name": "two_people"}, "hat"], "user": {"name": "絵師", "account": "x"}, "x_restrict": 1}
    plain = {"tags": "smile blue_eyes", "rating": "questionable", "license": "CC-BY-4.0", "author": {"username": "u"}}
    for name, facts in {"a": sorted_tags, "b": listed, "c": plain}.items():
        (tmp_path / f"{name}.png.json").write_text(json.dumps(facts), encoding="utf-8")
    a, b, c = (read_sidecar(tmp_path / f"{name}.png") for name in "abc")
    assert (a.tags, a.artist, a.rating) == (("1girl", "long hair", "^_^"), "some_one", "s")
    assert a.url == "https://example.org/1"
    assert (b.tags, b.artist, b.rating) == (("two people", "hat"), "絵師", "explicit")
    assert (c.tags, c.artist, c.licence) == (("smile", "blue eyes"), "", "CC-BY-4.0")


def test_grabber_lines_keep_whole_words_and_what_is_no_tag_out(tmp_path: Path) -> None:
    """The seed's reader stripped letters of the field's name from the tags: "long hair" became "ong hair"."""
    lines = [
        "general: long_hair open_mouth",
        "character: aoi_(show)",
        "artist: a_b",
        "score: 12",
        "source: https://example.org/a:b",
        "re:zero",
    ]
    (tmp_path / "x.png.txt").write_text("\n".join(lines))
    side = read_sidecar(tmp_path / "x.png")
    assert side.tags == ("long hair", "open mouth", "character:aoi (show)", "re:zero")
    assert (side.artist, side.url) == ("a_b", "https://example.org/a:b")


def test_a_line_of_tags_may_begin_with_a_fact(tmp_path: Path) -> None:
    for lines in (
        ["rating:safe, artist:x, 1girl, smile"],
        ["rating:safe 1girl smile", "artist:x"],
        ["artist:x, 1girl, smile", "rating: safe"],
    ):
        (tmp_path / "x.txt").write_text("\n".join(lines))
        side = read_sidecar(tmp_path / "x.png")
        assert (side.rating, side.artist, side.tags) == ("safe", "x", ("1girl", "smile")), lines


def test_after_a_space_commas_are_between_artists_and_names_may_have_spaces(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("artist: some one, another\nlicence:CC BY 4.0")
    side = read_sidecar(tmp_path / "x.png")
    assert (side.artist, side.licence) == ("some one, another", "CC BY 4.0")


@pytest.mark.parametrize("key", ["tags_artist", "tag_string_artist"])
def test_artists_tags_are_several_artists_and_no_board_says_who_drew_it_elsewhere(tmp_path: Path, key: str) -> None:
    (tmp_path / "x.json").write_text(json.dumps({key: "some_one another", "user": "not asked"}))
    assert read_sidecar(tmp_path / "x.png").artist == "some_one, another"
    (tmp_path / "x.json").write_text(json.dumps({key: "", "user": "some one"}))
    assert read_sidecar(tmp_path / "x.png").artist == ""


def test_a_picture_whose_facts_cannot_be_read_is_counted_not_used(tmp_path: Path) -> None:
    write_png(tmp_path / "x.png", art(1))
    (tmp_path / "x.png.json").write_text("{broken")
    write_png(tmp_path / "y.png", art(2))
    (tmp_path / "y.json").write_text(json.dumps({"extra": {"__type": "bytes", "base64": "gASV"}}))
    result = collect_pictures(tmp_path, "fanart", IngestConfig())
    assert result.images == [] and [d.reason for d in result.drops] == ["damaged-metadata", "pickle"]
