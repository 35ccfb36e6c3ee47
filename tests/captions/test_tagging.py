"""Tags reach whom they are about: figures theirs, pictures theirs; core traits are found and absorbed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from fullcast.captions.config import CaptionsConfig
from fullcast.captions.core import count_traits, own_tags, with_core_tags
from fullcast.captions.tagging import Words, figure_crop, scene_tags, tag_partition, tagged_people
from fullcast.captions.vocabulary import kind_of, without_overlaps
from fullcast.models.wd_tagger import WdTagger
from fullcast.records import UNKNOWN, Box, Cast, Character, Form, Image, Person
from tests import onnx_graphs

CONFIG = CaptionsConfig()
CAST = Cast("show", (Character("aoi", "aoi", (Form(""), Form("hairdown", "hairdown"))), Character("mio", "mio")))


def person(
    image: str, name: str, tags: tuple[str, ...] = (), form: str = "", head: Box | None = None, k: int = 0
) -> Person:
    return Person(f"{image}/{k}", image, (0, 0, 100, 200), 0.9, head_xyxy=head, character=name, form=form, tags=tags)


def image(name: str, tags: tuple[str, ...] = ()) -> Image:
    return Image(name, f"{name}.png", 96, 48, "screenshots", tags=tags)


@pytest.mark.parametrize(
    ("kind", "tags"),
    {
        "trait": [
            "brown hair",
            "ponytail",
            "blue eyes",
            "hair ornament",
            "round glasses",
            "crew cut",
            "pale skin",
            "bun",
        ],
        "own": [
            "smile",
            "eyes closed",
            "one eye closed",
            "elbow gloves",
            "red shirt",
            "armchair",
            "sailor collar",
            "sad",
            "looking at viewer",
            "hand on another's head",
            "person",
            "...",
        ],
        "light": ["night", "dusk", "night sky"],
        "setting": ["park", "outdoors", "train station"],
        "count": ["2girls", "1boy", "6+girls", "no people", "1 person", "3 people", "solo", "multiple girls"],
        "medium": ["monochrome", "white background", "upper body", "artist:some one", "general:smile", "meta:x"],
        "sentence": [
            "person at left upper long brown hair smiling",
            "person smiling",
            "aoi at far right",
            "a girl smiling",
            "girl with long hair",
            "hair is brown",
            "long brown hair in morning light outside",
            "night.",
        ],
    }.items(),
)
def test_kinds_go_by_whole_words(kind: str, tags: list[str]) -> None:
    assert {tag: kind_of(tag) for tag in tags} == dict.fromkeys(tags, kind)


def test_the_general_word_goes_beside_the_exact_one_and_only_by_whole_words() -> None:
    tags = ("shirt", "white shirt", "bow", "elbow gloves", "tail", "ponytail", "long hair", "very long hair")
    assert without_overlaps(tags) == ("white shirt", "bow", "elbow gloves", "tail", "ponytail", "very long hair")


def test_what_is_cut_out_for_the_tagger() -> None:
    y, x = np.mgrid[0:200, 0:300]
    picture = np.stack([x % 256, y, x * 0], axis=2).astype(np.uint8)
    crop = figure_crop(picture, person("a", "aoi", head=(100, 50, 130, 90)), CONFIG)  # 40 high: 68 wide about 115
    assert crop is not None and crop.shape == (104, 68, 3)
    assert tuple(crop[0, 0]) == (81, 36, 0)  # 50 - 0.35 * 40 = 36
    corner = figure_crop(picture, person("a", "aoi", head=(0, 0, 30, 40)), CONFIG)
    assert corner is not None and corner.shape == (90, 49, 3)
    assert figure_crop(picture, person("a", "aoi", head=(0, 0, 9, 9)), CONFIG) is None
    whole = figure_crop(picture, person("a", "aoi"), CONFIG)
    assert whole is not None and whole.shape == (200, 100, 3)


def test_pictures_and_figures_are_tagged_through_the_real_door(tmp_path: Path) -> None:
    """Tags by mean colour (blue: night, green: smile, red: red hair) of a red figure in a blue picture on white."""
    (tmp_path / "selected_tags.csv").write_text("name,category\nnight,0\nsmile,0\nred_hair,0\n")
    tagger = WdTagger(onnx_graphs.mean_tagger(tmp_path / "model.onnx", 8, np.eye(3) / 16, np.full(3, -6.0)), threads=1)
    picture = np.zeros((48, 96, 3), np.uint8)
    picture[:] = (0, 0, 220)
    picture[0:48, 0:34] = (255, 0, 0)
    Pillow.fromarray(picture).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    figure = person("a", "aoi", head=(7, 7, 27, 27))
    found = tag_partition([image("a"), image("b")], [figure], tmp_path, tagger, CONFIG)
    words = {entry.item: entry.tags for entry in found.words}
    assert words == {"a": ("night", "red hair", "smile"), "a/0": ("red hair",)}
    assert scene_tags([image("a")], found.words, CONFIG) == {"a": ("night",)}
    assert [(d.item, d.reason) for d in found.drops] == [("b", "empty")]
    (tagged,) = tagged_people([figure], found.words)
    assert tagged.tags == ("red hair",)


def test_figures_get_no_scene_words_and_pictures_no_figures_words() -> None:
    words = [
        Words("a", ("2 people", "smile", "street", "park", "night", "dusk", "red hair"), ()),
        Words("a/0", ("night", "red_hair", "smile", "1girl", "park"), ()),
    ]
    people = tagged_people([person("a", "aoi"), person("a", "mio", k=1)], words, [image("a", ("blush",))])
    assert [p.tags for p in people] == [("red hair", "smile"), ()]  # two figures: the file's words are nobody's
    assert scene_tags([image("a"), image("b", ("beach", "long_hair"))], words, CONFIG) == {
        "a": ("street", "night"),
        "b": ("beach",),
    }


def test_words_that_came_with_the_file_go_to_its_only_figure() -> None:
    (alone,) = tagged_people([person("a", "aoi")], [Words("a/0", ("smile",))], [image("a", ("blush", "1girl", "park"))])
    assert alone.tags == ("smile", "blush")


def test_what_tagger_and_file_both_say_comes_first_and_words_about_the_file_are_nobodys() -> None:
    """Boards sort by the alphabet, and captions keep the first six."""
    file = ("absurdres", "blush", "bow", "highres", "masterpiece", "best_quality", "smile", "zipper")
    (alone,) = tagged_people([person("a", "aoi")], [Words("a/0", ("open mouth", "smile"))], [image("a", file)])
    assert alone.tags == ("smile", "open mouth", "blush", "bow", "zipper")


def test_captions_beside_pictures_are_no_words_of_a_figure() -> None:
    caption = ("1 person", "person at left upper long brown hair smiling", "park", "day", "hat")
    (alone,) = tagged_people([person("a", "aoi")], [], [image("a", caption)])
    assert alone.tags == ("hat",)
    assert scene_tags([image("a", caption)], [], CONFIG) == {"a": ("park", "day")}


def test_a_picture_that_holds_others_by_its_words_lends_none_to_the_one_who_was_found() -> None:
    two = image("a", ("2girls", "blonde hair", "black hair"))
    (found,) = tagged_people([person("a", "aoi")], [Words("a/0", ("smile",))], [two], miscounted={"a"})
    assert found.tags == ("smile",)


def crops() -> list[Person]:
    """Ten of aoi alone (brown hair always, twintails in four, ribbon in three, smile always), others in company."""
    people = []
    for i in range(10):
        tags = ["brown hair", "smile", *(["twintails"] if i < 4 else []), *(["ribbon"] if i < 3 else [])]
        people.append(person(f"a{i}", "aoi", tuple(tags)))
    people += [person(f"m{i}", "mio", ("green hair",)) for i in range(3)]  # too few
    for i in range(20):
        people += [person(f"p{i}", "aoi", ("ribbon", "green hair"), k=0), person(f"p{i}", "mio", ("green hair",), k=1)]
    people += [person(f"u{i}", UNKNOWN, ("blonde hair",)) for i in range(9)]
    return people


def test_core_traits_are_those_of_figures_seen_alone() -> None:
    traits = {(t.character, t.tag): (t.seen, t.crops, t.core) for t in count_traits(crops(), CONFIG)}
    assert traits == {
        ("aoi", "brown hair"): (10, 10, True),
        ("aoi", "twintails"): (4, 10, True),
        ("aoi", "ribbon"): (3, 10, False),
        ("mio", "green hair"): (3, 3, False),
    }
    cast = with_core_tags(CAST, count_traits(crops(), CONFIG))
    assert cast.character("aoi").form("").tags == ("brown hair", "twintails")
    assert cast.character("aoi").form("hairdown").tags == () == cast.character("mio").form("").tags


def test_a_name_absorbs_its_traits_and_nothing_else() -> None:
    cast = with_core_tags(CAST, count_traits(crops(), CONFIG))
    tags = ("hair", "long brown hair", "brown jacket", "twintails", "blue hair", "smile")
    assert own_tags(person("x", "aoi", tags), cast, CONFIG) == ("brown jacket", "blue hair", "smile")
    assert own_tags(person("x", "aoi", tags), cast, CaptionsConfig(prune="traits")) == ("brown jacket", "smile")
    assert own_tags(person("x", "aoi", tags), cast, CaptionsConfig(prune="none")) == tags[1:]
    assert own_tags(person("x", "aoi", tags, "hairdown"), cast, CONFIG) == tags[1:]
    assert own_tags(person("x", UNKNOWN, tags), cast, CaptionsConfig(prune="traits")) == tags[1:]
    assert own_tags(person("x", UNKNOWN, tags), cast, CaptionsConfig(max_own_tags=2)) == tags[1:3]


def test_names_among_the_tags_of_a_file_are_no_words_of_a_figure() -> None:
    """Boards tag who is shown; a caption says it once, by the name of the record, and of strangers not at all."""
    file = ("aoi", "aoi (show)", "character:rin", "rating:g", "aoi_hair", "kuraue_aoi", "artist:x", "meta:y", "smile")
    art = Image("a", "a.png", 100, 100, "fanart", tags=file)
    (person,) = tagged_people([Person("a/0", "a", (0, 0, 50, 100), 0.9)], (), [art], {"aoi"})
    assert person.tags == ("smile",)


def test_of_a_plain_list_only_what_boards_say_of_anybody_is_lent() -> None:
    """Other characters, the show and the artist stand unmarked between the rest."""
    names = ("kantai_artist", "kuraue_hinata", "one_piece", "red", "sailor_moon", "yama_no_susume")
    general = ("^_^", "hand_on_another's_shoulder", "one-piece_swimsuit", "red_hat", "sailor_collar", "trekking_pole")
    art = image("a", (*names, *general, "qipao"))
    (alone,) = tagged_people([person("a", "aoi")], [], [art])
    assert alone.tags == tuple(tag.replace("_", " ") for tag in general)
    elsewhere = Words("b/0", ("qipao", "kimono"), (0.9, 0.8))  # what a tagger says anywhere is no name
    (alone,) = tagged_people([person("a", "aoi")], [elsewhere], [art])
    assert "qipao" in alone.tags and not {"yama no susume", "kuraue hinata"} & set(alone.tags)
