"""Fields before a colon wherever they stand, gallery-dl's tags by category, and what both mean for who opted out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fullcast.ingest.config import IngestConfig
from fullcast.ingest.filters import OptOut, sift
from fullcast.ingest.sidecars import Sidecar, read_sidecar
from fullcast.records import Image


def said(tmp_path: Path, text: str, suffix: str = ".txt") -> Sidecar:
    (tmp_path / "x").with_suffix(suffix).write_text(text, encoding="utf-8")
    return read_sidecar(tmp_path / "x.png")


@pytest.mark.parametrize(
    ("line", "tags", "artist", "rating"),
    [
        ("artist:foo_bar 1girl smile rating:explicit", ("1girl", "smile"), "foo_bar", "explicit"),
        ("meta:highres artist:foo_bar 1girl rating:q", ("1girl",), "foo_bar", "q"),
        ("score:5 1girl rating:explicit", ("1girl",), "", "explicit"),
        ("1girl, artist:foo bar, smile", ("1girl", "smile"), "foo bar", ""),
        ("1girl, artist: foo bar, long hair, rating: e", ("1girl", "long hair"), "foo bar", "e"),
        ("artist:a general:1girl character:c smile", ("1girl", "character:c", "smile"), "a", ""),
        ("creator:a artist:b series:c re:zero", ("copyright:c", "re:zero"), "a, b", ""),
        ("rating:safe 1girl rating:Questionable", ("1girl",), "", "questionable"),
        ("rating:safe, long hair", ("long hair",), "", "safe"),
        ("artist: a_b c_d", (), "a_b, c_d", ""),
        ("a girl beside the light source: a lamp", ("a girl beside the light source: a lamp",), "", ""),
    ],
)
def test_a_field_is_read_wherever_it_stands(tmp_path: Path, line: str, tags: tuple, artist: str, rating: str) -> None:
    side = said(tmp_path, line)
    assert (side.tags, side.artist, side.rating, side.url) == (tags, artist, rating, "")


@pytest.mark.parametrize("between", [" ", "\n"])
def test_where_every_tag_has_its_field_tags_and_names_may_have_spaces(tmp_path: Path, between: str) -> None:
    words = ["artist:some one", "general:long hair", "general:hand on hip", "character:aoi (show)", "meta:high res"]
    side = said(tmp_path, between.join(words))
    assert (side.tags, side.artist) == (("long hair", "hand on hip", "character:aoi (show)"), "some one")


def test_files_beside_one_picture_add_up_to_every_artist_and_the_boldest_rating(tmp_path: Path) -> None:
    said(tmp_path, "artist:some_one rating:s 1girl")
    side = said(tmp_path, json.dumps({"tags": {"artist": ["Some One", "another"]}, "rating": "q"}), ".json")
    assert (side.artist, side.rating) == ("some_one, another", "q")


def test_tags_in_an_object_by_category_are_read_like_sorted_ones(tmp_path: Path) -> None:
    tags = {"general": ["long_hair", "smile"], "artist": ["foo_bar", "x"], "character": "aoi", "meta": ["hi_res"]}
    facts = {"tags": tags, "rating": "e", "sources": ["https://a.org/1", "https://b.org/2"]}
    side = said(tmp_path, json.dumps(facts), ".json")
    assert side.tags == ("long hair", "smile", "character:aoi")
    assert (side.artist, side.rating, side.url) == ("foo_bar, x", "e", "https://a.org/1 https://b.org/2")


@pytest.mark.parametrize("tags", [["artist:foo_bar", "rating:e", "smile"], "artist:foo_bar rating:e smile"])
def test_fields_in_a_flat_list_of_tags_are_fields(tmp_path: Path, tags: list[str] | str) -> None:
    side = said(tmp_path, json.dumps({"tags": tags}), ".json")
    assert (side.tags, side.artist, side.rating) == (("smile",), "foo_bar", "e")


@pytest.mark.parametrize(
    ("facts", "artist"),
    [
        ({"tags": "smile hat", "author": "uploader"}, ""),
        ({"tags": ["smile"], "category": "safebooru", "uploader": "u"}, ""),
        ({"tags_artist": ["drew_it"], "user": "u"}, "drew_it"),
        ({"tags": "smile", "artist": "drew it", "author": "u"}, "drew it"),
        ({"tags": ["smile"], "category": "pixiv", "user": {"name": "drew it"}}, "drew it"),
    ],
)
def test_who_uploaded_to_a_board_did_not_draw_it(tmp_path: Path, facts: dict, artist: str) -> None:
    assert said(tmp_path, json.dumps(facts), ".json").artist == artist


@pytest.mark.parametrize("tag", ["foo bar", "Foo_Bar", "foo bar (artist)", "artist:foo_bar", "creator:foo bar"])
def test_who_opted_out_is_left_out_by_a_tag_too(tag: str) -> None:
    image = Image("a" * 20, "a.png", 9, 9, "fanart", tags=("1girl", tag))
    listed = OptOut(frozenset({"foo bar"}))
    ((found,), details) = sift([image], {}, IngestConfig(), listed)
    assert found.dropped == "opted-out" and details[image.id] == f"artist {tag}"
    other = Image("b" * 20, "b.png", 9, 9, "fanart", tags=("foo bar baz", "character:foo bar"))
    assert not listed.why(other)
