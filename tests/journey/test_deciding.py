"""What a person decided takes effect in names, drops, words, captions; and lives through detectors and undo."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fullcast.journey import Journey
from fullcast.journey.deciding import (
    decide_images,
    decide_people,
    decide_tags,
    decided_ids,
    own_captions,
    question_of,
)
from fullcast.journey.planning import make_plan
from fullcast.journey.preparing import Prepared, read_prepared
from fullcast.journey.wording import caption_source
from fullcast.records import UNKNOWN, Cast, Character, Form, Image, Person
from fullcast.store.decisions import HAND, PEOPLE, Decision, Log, append, target_of
from fullcast.store.errors import FullcastError
from tests.journey.drawn_show import make_workspace, open_journey

CAST = Cast("show", (Character("aoi", "aoi", (Form(""), Form("hairdown"))), Character("mio", "mio")))
FRAMES = [Image(f"f{n}", f"{n}.png", 200, 100, "screenshots", video_id="v", shot_id="s", pts=n) for n in range(3)]


def person(frame: int, x: float, name: str, track: str = "") -> Person:
    box = (x, 10.0, x + 40, 90.0)
    return Person(f"f{frame}/{x}", f"f{frame}", box, 0.9, detector="yolo", track_id=track, character=name)


def log(*decisions: Decision) -> Log:
    return Log(tuple(replace(d, id=f"{n:010x}", time=f"{n:03d}") for n, d in enumerate(decisions)))


def about(action: str, who: Person, **more: object) -> Decision:
    return Decision(action, (target_of(FRAMES[int(who.image_id[1])], who),), **more)  # type: ignore[arg-type]


def names(people: tuple[Person, ...]) -> dict[str, str]:
    return {p.id: p.name for p in people}


def test_one_figure_is_renamed_and_its_track_is_not() -> None:
    people = [person(0, 0, "mio", "t"), person(1, 0, "mio", "t")]
    decided = decide_people(people, FRAMES, CAST, log(about("relabel", people[0], character="aoi", form="hairdown")))
    assert names(decided.people) == {"f0/0": "aoi/hairdown", "f1/0": "mio"}
    assert decided_ids(decided) == {"f0/0"}


def test_a_tracks_name_goes_to_frames_that_were_found_later() -> None:
    people = [person(n, 0, "mio", "t") for n in range(3)]
    said = Decision("relabel", tuple(target_of(FRAMES[n], people[n]) for n in range(2)), scope="track", character="aoi")
    decided = decide_people(people, FRAMES, CAST, log(said))
    assert set(names(decided.people).values()) == {"aoi"} and decided_ids(decided) == {p.id for p in people}
    other = about("relabel", people[1], scope="track", character="mio")
    decided = decide_people(
        people, FRAMES, CAST, log(about("relabel", people[0], scope="track", character="aoi"), other)
    )
    assert names(decided.people) == {"f0/0": "aoi", "f1/0": "mio", "f2/0": "mio"}, "what disagrees is not spread"


def test_a_name_given_by_hand_is_nobody_elses_in_that_picture() -> None:
    people = [person(0, 0, "mio"), person(0, 100, "aoi", "t"), person(1, 100, "aoi", "t"), person(2, 0, "aoi", "u")]
    decided = decide_people(people, FRAMES, CAST, log(about("relabel", people[0], character="aoi")))
    assert names(decided.people) == {"f0/0": "aoi", "f0/100": UNKNOWN, "f1/100": UNKNOWN, "f2/0": "aoi"}
    assert decided.yielded == {"f0/100", "f1/100"}, "a track has one name; another shot's is left alone"


def test_a_drop_is_counted_and_taken_back_by_a_later_word() -> None:
    people = [person(0, 0, "mio"), person(0, 100, "aoi")]
    drop = about("drop", people[0], note="a poster")
    decided = decide_people(people, FRAMES, CAST, log(drop))
    assert names(decided.people) == {"f0/100": "aoi"} and len(decided.seen) == 2
    assert [(d.item, d.stage, d.reason, d.detail) for d in decided.drops] == [("f0/0", "review", "by-hand", "a poster")]
    assert len(decide_people(people, FRAMES, CAST, log(drop, about("keep", people[0], character="mio"))).people) == 2
    assert len(decide_people(people, FRAMES, CAST, log(drop, Decision("undo", undoes="0000000000"))).people) == 2


def test_a_kept_label_survives_another_embedder() -> None:
    seen, now = person(0, 0, "mio"), person(0, 0, "aoi")
    decided = decide_people([now], FRAMES, CAST, log(about("keep", seen, character="mio")))
    assert names(decided.people) == {"f0/0": "mio"}


def test_a_name_that_left_the_cast_is_listed() -> None:
    people = [person(0, 0, "mio")]
    decided = decide_people(people, FRAMES, CAST, log(about("relabel", people[0], character="emi")))
    assert names(decided.people) == {"f0/0": "mio"}
    assert [h.reason for h in decided.homeless] == ["nobody in the cast is emi"]


def test_words_of_figures_and_captions_of_pictures() -> None:
    people = [replace(person(0, 0, "mio"), tags=("smile", "hoodie"))]
    edit = about("edit", people[0], add_tags=("angry",), remove_tags=("smile",))
    sentence = Decision("edit", (target_of(FRAMES[0]),), "picture", caption="mio waits")
    decided = decide_people(people, FRAMES, CAST, log(edit, sentence))
    assert decide_tags(decided.people, decided)[0].tags == ("angry", "hoodie")
    assert own_captions(decided) == {"f0": "mio waits"}
    assert not decided_ids(decided), "who changes a word has not said that the name is right"


def test_pictures_are_dropped_and_kept_against_the_stages() -> None:
    repeated = replace(FRAMES[0], dropped="near-duplicate")
    said = log(
        Decision("keep", (target_of(repeated),), "picture"), Decision("drop", (target_of(FRAMES[1]),), "picture")
    )
    assert [i.dropped for i in decide_images([repeated, *FRAMES[1:]], said)] == ["", "by-hand", ""]


def dropped_after(reason: str, *said: Decision) -> str:
    (image,) = decide_images([replace(FRAMES[0], dropped=reason)], log(*said))
    return image.dropped


def test_a_kept_picture_overrules_the_one_reason_that_it_was_kept_against() -> None:
    people, again, undropped, old = (
        Decision("keep", (target_of(FRAMES[0]),), "picture", answers=answers)
        for answers in (PEOPLE, "near-duplicate", "by-hand", "")
    )
    drop = Decision("drop", (target_of(FRAMES[0]),), "picture")
    assert dropped_after("rating", people) == "rating", "who says that the count is right has not spoken of the rating"
    assert dropped_after("near-duplicate", again) == "" and dropped_after("rating", again) == "rating"
    assert dropped_after("near-duplicate", again, people) == "", "both were said, and both count"
    assert dropped_after("", drop, people) == "by-hand" and dropped_after("", drop, undropped) == ""
    assert dropped_after("near-duplicate", again, drop, undropped) == ""
    assert dropped_after("rating", old) == "", "entries of before mean what they meant"
    assert dropped_after("rating", old, drop) == "by-hand" and dropped_after("rating", drop, old) == ""


@pytest.mark.parametrize("answers", ["", PEOPLE, "near-duplicate", "opted-out"])
def test_who_opted_out_stays_out_whatever_was_said(answers: str) -> None:
    kept = Decision("keep", (target_of(FRAMES[0]),), "picture", answers=answers)
    assert dropped_after("opted-out", kept) == "opted-out"
    assert dropped_after("opted-out", Decision("drop", (target_of(FRAMES[0]),), "picture")) == "opted-out"
    with pytest.raises(FullcastError, match=r"stands in opt-out\.txt"):
        question_of(replace(FRAMES[0], dropped="opted-out"))


@pytest.mark.parametrize(("answers", "settled"), [("", True), (PEOPLE, True), ("near-duplicate", False)])
def test_a_duplicate_that_is_used_again_has_not_been_counted(answers: str, settled: bool) -> None:
    kept = Decision("keep", (target_of(FRAMES[0]),), "picture", answers=answers)
    assert (FRAMES[0].id in decided_ids(decide_people([], FRAMES, CAST, log(kept)))) == settled


def test_a_neighbour_of_somebody_added_keeps_name_and_box() -> None:
    image = Image("p", "p.png", 800, 800, "screenshots")
    aoi = Person("p/aoi", "p", (300, 50, 700, 700), 0.9, detector="yolo", character="aoi")
    target = replace(target_of(image), xyxy=(380, 60, 760, 700), detector=HAND)
    added = Decision("add", (target,), character="mio", beside=(aoi.xyxy,))
    decided = decide_people([aoi], [image], CAST, log(added))
    assert {(p.character, p.xyxy) for p in decided.people} == {("aoi", aoi.xyxy), ("mio", target.xyxy)}


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_workspace(tmp_path_factory.mktemp("show") / "show")
    open_journey(root).prepare()
    return root


def alone(ready: Prepared, name: str) -> tuple[Image, Person]:
    """A used frame in which this character is alone."""
    for image in ready.images:
        people = [p for p in ready.people if p.image_id == image.id]
        if image.source == "screenshots" and not image.dropped and [p.name for p in people] == [name]:
            return image, people[0]
    raise AssertionError(f"no frame of {name} alone")


def captions_of(journey: Journey, image_id: str) -> list[str]:
    planned = make_plan(journey)
    source = caption_source(journey, planned.prepared.cast, planned.mixture.samples)
    return [source.caption(s.id, 0) for s in planned.mixture.samples if s.image_id == image_id and s.kind == "full"]


def test_decisions_go_through_prepare_into_samples_and_captions(show: Path, tmp_path: Path) -> None:
    root = tmp_path / "show"
    shutil.copytree(show, root)
    journey = open_journey(root, **{"mixture__crops__min_full_head_px": "0"})  # whole pictures, small heads or not
    image, aoi = alone(read_prepared(journey), "aoi")
    path = journey.workspace.review_log
    box = (8.0, 8.0, 72.0, 200.0)
    said = append(
        path,
        [
            Decision("relabel", (target_of(image, aoi),), character="rin"),
            Decision(
                "add", (replace(target_of(image), xyxy=box, detector=HAND),), character="mio", head_xyxy=(8, 8, 72, 72)
            ),
            Decision("edit", (target_of(image),), "picture", add_tags=("beach",), remove_tags=("park",)),
        ],
    )
    answer = journey.prepare()
    assert "3 decisions of people taken up" in answer.text and answer.data["decisions"]["homeless"] == 0
    ready = read_prepared(journey)
    assert sorted(p.name for p in ready.people if p.image_id == image.id) == ["mio", "rin"]
    assert ready.scene_tags[image.id] == ("beach",)
    mio = next(p for p in ready.people if p.image_id == image.id and p.name == "mio")
    assert "smile" in mio.tags, "the tagger has looked at who was added"
    texts = captions_of(journey, image.id)
    assert texts and all("mio" in t and "rin" in t and t.startswith("2 people") for t in texts)
    append(path, [Decision("edit", (target_of(image),), "picture", caption="a quiet day")])
    append(path, [Decision("undo", undoes=d.id) for d in said])
    journey.prepare()
    assert [p.name for p in read_prepared(journey).people if p.image_id == image.id] == ["aoi"]
    assert captions_of(journey, image.id) == ["a quiet day"]
