"""Which pictures are not used and why: reasons, their order, who opted out, and what the measures see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from fullcast.ingest.config import FilterConfig, IngestConfig
from fullcast.ingest.filters import (
    OptOut,
    boldest,
    final_ratings,
    merged,
    rating_of,
    read_opt_out,
    sift,
    sift_known,
    too_bold,
    why_not,
)
from fullcast.ingest.measuring import Eyes, Measure, colour, covered, detail, measure_partition
from fullcast.models.base import Detection
from fullcast.records import Image
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import write_png

ART = Image("a" * 20, "fanart/a.png", 200, 200, "fanart", artist="Some One", url="https://www.example.org/art/7")
FINE = Measure(ART.id, colour=20, detail=0.9)


def drawing(side: int = 256) -> np.ndarray:
    """(side, side, 3): coloured shapes with hard edges."""
    picture = np.full((side, side, 3), (250, 240, 220), np.uint8)
    cv2.circle(picture, (side // 2, side // 2), side // 4, (40, 90, 200), -1)
    cv2.rectangle(picture, (20, 30), (90, 120), (200, 50, 60), -1)
    for k in range(0, side, 16):
        cv2.line(picture, (k, 0), (side - k, side), (20, 20, 20), 1)
    return picture


def test_ratings_of_every_board_are_understood_and_unknown_ones_taken_for_the_boldest() -> None:
    config = FilterConfig()
    assert [too_bold(r, config) for r in ("", "g", "general", "safe", "s", "sensitive")] == [False] * 6
    assert [too_bold(r, config) for r in ("q", "questionable", "e", "explicit", "R-18".lower(), "odd")] == [True] * 6
    assert rating_of(("smile", "Rating:Explicit")) == "explicit" and rating_of(("rating",)) == ""


@pytest.mark.parametrize(
    ("changes", "measure", "reason"),
    [
        ({}, {}, ""),
        ({"tags": ("rating:questionable",)}, {}, "rating"),
        ({}, {"colour": 0.5}, "monochrome"),
        ({}, {"detail": 0.4}, "blurred"),
        ({}, {"image_class": "comic", "class_probability": 0.8}, "class"),
        ({}, {"image_class": "illustration", "class_probability": 0.8}, ""),
        ({}, {"text": 0.4, "num_texts": 5}, "text"),
        ({"source": "screenshots"}, {"colour": 0.5, "detail": 0.1}, ""),
        ({"source": "screenshots"}, {"text": 0.4}, "text"),
        ({"source": "screenshots", "tags": ("rating:explicit",)}, {}, "rating"),
    ],
)
def test_each_reason_and_whom_it_is_asked_of(changes: dict, measure: dict, reason: str) -> None:
    found, detail_words = why_not(replace(ART, **changes), replace(FINE, **measure), IngestConfig(), OptOut())
    assert found == reason and bool(detail_words) == bool(reason)


@pytest.mark.parametrize(("setting", "reason"), [("say", ""), ("ignore", ""), ("drop", "subtitled")])
def test_subtitles_drop_a_picture_only_where_the_recipe_says_so(setting: str, reason: str) -> None:
    config = IngestConfig(filters=FilterConfig(subtitles=setting))
    for image in (replace(ART, tags=("smile", "subtitled")), replace(ART, source="screenshots", tags=("subtitled",))):
        assert why_not(image, None, config, OptOut())[0] == reason
    assert IngestConfig().filters.subtitles == "say" and why_not(ART, None, config, OptOut())[0] == ""
    assert config.read_by_videos() == IngestConfig().read_by_videos(), "another setting decodes nothing again"


def test_quality_is_asked_only_where_a_network_rates() -> None:
    config = IngestConfig(filters=FilterConfig(min_quality=0.5))
    assert why_not(ART, FINE, config, OptOut())[0] == ""
    assert why_not(ART, replace(FINE, quality=0.2), config, OptOut())[0] == "quality"


def test_who_opted_out_is_left_out_by_name_address_or_picture(tmp_path: Path) -> None:
    path = tmp_path / "opt-out.txt"
    path.write_text(f"# asked on 1 May\nartist: some_one  # by mail\nhttps://example.org/art\n{'b' * 64}\n\n", "utf-8")
    listed = read_opt_out(path)
    assert listed.why(ART) and listed.why(replace(ART, artist="x, SOME ONE", url=""))
    assert listed.why(replace(ART, artist="")) == "example.org/art"
    assert listed.why(replace(ART, artist="", url="", id="b" * 20))
    assert not listed.why(replace(ART, artist="Someone Else", url="https://elsewhere.org/example.org/art"))
    assert not read_opt_out(tmp_path / "missing.txt").why(ART)


def test_the_strictest_of_several_ratings_counts_and_copies_add_up() -> None:
    assert rating_of(("rating:general", "rating:q", "rating:s")) == "q" and boldest(("", "odd", "safe")) == "odd"
    copy = replace(ART, tags=("smile", "rating:e"), artist="Two; Some One", licence="CC0", url="https://example.org/b")
    both = merged(replace(ART, tags=("rating:g",), licence="own"), copy)
    assert (both.artist, both.licence) == ("Some One, Two", "own; CC0")
    assert merged(both, copy) == both
    assert why_not(both, FINE, IngestConfig(), OptOut())[0] == "rating"
    for listed in (
        OptOut(frozenset({"two"})),
        OptOut(addresses=("example.org/art",)),
        OptOut(addresses=("example.org/b",)),
    ):
        assert why_not(both, FINE, IngestConfig(), listed)[0] == "opted-out"


def test_an_opt_out_that_cannot_be_read_forbids_going_on(tmp_path: Path) -> None:
    path = tmp_path / "opt-out.txt"
    path.write_bytes("Zoë".encode("latin-1"))
    with pytest.raises(FullcastError, match=r"opt-out.txt is no UTF-8 text .* save it again as UTF-8"):
        read_opt_out(path)
    path.unlink()
    path.symlink_to(tmp_path / "unplugged")
    with pytest.raises(FullcastError, match="is there and cannot be read"):
        read_opt_out(path)


def test_the_files_rating_goes_before_the_taggers_and_boards_words_are_spelt_out() -> None:
    images = [
        ART,
        replace(ART, id="b", tags=("rating:s",)),
        replace(ART, id="c"),
        replace(ART, id="d", tags=("rating:x",)),
    ]
    found = final_ratings(images, {ART.id: "sensitive", "b": "explicit"})
    assert found == {ART.id: "sensitive", "b": "sensitive", "d": "x"}


def test_what_is_dropped_already_keeps_its_reason_and_others_get_a_detail() -> None:
    images = [replace(ART, dropped="by-hand"), replace(ART, id="c" * 20, tags=("rating:e",)), replace(ART, id="d" * 20)]
    sifted, details = sift(images, {}, IngestConfig(), OptOut())
    assert [image.dropped for image in sifted] == ["by-hand", "rating", ""] and list(details) == ["c" * 20]


def test_the_tagger_rates_what_nobody_rated_and_a_target_is_no_regularization() -> None:
    rated = replace(ART, tags=("rating:g",))
    reg = replace(ART, id="e" * 20, source="regularization")
    images = [ART, replace(rated, id="f" * 20), reg]
    again = replace(ART, dropped="near-duplicate")
    assert sift_known([again], {ART.id: "explicit"}, {}, FilterConfig())[0][0].dropped == "rating"
    said = dict.fromkeys((ART.id, "f" * 20), "explicit")
    sifted, details = sift_known(images, said, {reg.id: "aoi/hairdown", ART.id: "aoi"}, FilterConfig())
    assert [i.dropped for i in sifted] == ["rating", "", "target-in-regularization"]
    assert details[reg.id] == "aoi/hairdown"
    allowed = FilterConfig(targets_in_regularization=True, max_rating="explicit")
    assert [i.dropped for i in sift_known(images, said, {reg.id: "aoi"}, allowed)[0]] == ["", "", ""]


def test_colour_is_what_brightness_does_not_explain() -> None:
    picture = drawing()
    grey = np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    sepia = (grey * (1.0, 0.85, 0.6)).astype(np.uint8)
    assert colour(picture) > 10 and colour(grey) < 0.5 and colour(sepia) < 2


def test_detail_falls_when_a_picture_is_enlarged_or_blurred() -> None:
    picture = drawing()
    half = cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA)
    enlarged = cv2.resize(half, (256, 256), interpolation=cv2.INTER_CUBIC)
    least = FilterConfig().min_detail
    assert detail(picture) > least > detail(enlarged) and detail(cv2.GaussianBlur(picture, (0, 0), 2)) < least


class Reader:
    name = "text:drawn"

    def detect(self, images):
        return [[Detection((0, 0, 100, 50), 0.9, "text"), Detection((50, 0, 150, 50), 0.9, "text")] for _ in images]


def test_boxes_of_text_that_overlap_count_once(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", drawing(200))
    image = replace(ART, path="a.png")
    lost = replace(ART, id="9" * 20, path="gone.png")
    found = measure_partition([image, lost], tmp_path, Eyes(texts=Reader()))
    assert [(row.num_texts, row.text) for row in found.rows] == [(2, pytest.approx(150 * 50 / 200**2))]
    assert [drop.item for drop in found.drops] == [lost.id]
    assert covered([(-5, -5, 20, 20)], (10, 10, 3)) == 1
