"""What people type and write down becomes scenes, or one clear sentence."""

import pytest

from fullcast.generation.prompt import as_counted, parse_name, scene_from_prompt
from fullcast.generation.regions import negatives_beside, regions_of
from fullcast.recognition.words import prompt_for
from fullcast.records import UNKNOWN, Cast, Character, Form, Placement, Scene
from fullcast.store.errors import FullcastError

CAST = Cast(
    "show",
    (
        Character("aoi", "aoi", (Form(""), Form("hairdown", "hairdown"))),
        Character("hinata", "hinata"),
        Character("mio", "mio"),
    ),
)


def test_prompt_and_names():
    scene = scene_from_prompt("3 people, park", ["aoi/hairdown@3:1", "hinata", "mio@far left"], CAST)
    assert scene.people == (Placement("aoi", "hairdown", (3, 1)), Placement("hinata"), Placement("mio", "", (0, 1)))
    assert prompt_for(scene, CAST).startswith("3 people, mio at far left")


def test_more_people_than_names_are_somebody():
    scene = scene_from_prompt("two people, night", ["aoi"], CAST)
    assert [p.character for p in scene.people] == ["aoi", UNKNOWN]


@pytest.mark.parametrize(("word", "count"), [("seven", 7), ("Ten", 10), ("12", 12)])
def test_counts_in_words_are_read_beyond_six_and_said_once(word, count):
    scene = scene_from_prompt(f"{word} people, night", ["aoi"], CAST)
    assert scene.num_people == count
    assert prompt_for(scene, CAST) == f"{count} people, aoi, {'person, ' * (count - 1)}night"


def test_another_count_asks_for_more_or_fewer_extras_and_never_takes_the_named():
    somebody, there = Placement(UNKNOWN), Placement(UNKNOWN, cell=(3, 1))
    people = (somebody, Placement("aoi"), there, somebody)
    assert as_counted(people, "3 people, park") == (somebody, Placement("aoi"), there)
    assert as_counted(people, "2 people") == (Placement("aoi"), there)
    assert as_counted(people, "five people") == (*people, somebody)
    assert as_counted(people, "park") == people and as_counted((), "2 people") == ()
    with pytest.raises(FullcastError, match=r"asks for 1 people and 2 are named \(aoi, unknown\)"):
        as_counted(people, "1 person, park")


@pytest.mark.parametrize(
    ("prompt", "names", "says"),
    [
        ("1 person, park", ["aoi", "mio"], "asks for 1 people and 2 are named"),
        ("park", ["kaede"], "nobody in the cast is called 'kaede'; the cast is: aoi, hinata, mio"),
        ("park", ["aoi/swimsuit"], "aoi has no form 'swimsuit'"),
        ("park", ["aoi@7:1"], "'7:1' is no place"),
        ("park", ["/x"], "names nobody"),
    ],
)
def test_wrong_requests_are_said(prompt, names, says):
    with pytest.raises(FullcastError, match=says):
        scene_from_prompt(prompt, names, CAST)


def test_a_name_in_pieces_is_the_same_name():
    assert parse_name("\u304b\u3099\u304d/\u304b\u3099") == Placement("\u304c\u304d", "\u304c")


def test_a_name_may_carry_a_cell():
    assert parse_name("aoi @ 1:2").cell == (1, 2)


def test_regions_meet_half_way_and_speak_of_one_each():
    scene = Scene("s", "2 people, park", (Placement("mio", "", (3, 1)), Placement("aoi", "hairdown", (1, 2))))
    left, right = regions_of(scene, CAST)
    assert left.prompt == "1 person, aoi hairdown at left middle, park"
    assert right.prompt == "1 person, mio at right upper, park"
    assert left.box[2] == pytest.approx(0.5) and right.box[0] == pytest.approx(0.5)
    assert left.box[1] == pytest.approx(0.5 - 0.15) and left.box[3] == 1.0


def test_regions_of_boxes_crowds_and_nobody():
    box = (0.1, 0.2, 0.4, 0.9)
    scene = Scene("s", "park", (Placement("aoi", box=box), Placement("mio"), Placement(UNKNOWN, cell=(4, 0))))
    first, second = regions_of(scene, CAST)
    assert first.box == box and second.prompt == ""
    assert regions_of(scene.without_places(), CAST) == []
    crowd = Scene("s", "", (Placement("aoi", cell=(2, 1)), Placement("mio", cell=(2, 1))))
    for region in regions_of(crowd, CAST):
        assert region.box[2] - region.box[0] >= 0.2


def test_negatives_of_people_without_a_region_are_left_for_the_whole_picture():
    aoi = Placement("aoi", cell=(0, 1), negative_prompt="hat")
    scene = Scene("s", "park", (aoi, Placement("mio", negative_prompt="scarf"), Placement("hinata")))
    assert negatives_beside(scene, True) == ["scarf"]
    assert negatives_beside(scene, False) == ["hat", "scarf"]
