"""What is most doubtful comes first, every verb of a decision, and what goes with one character too often."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fullcast.captions.count import CountCheck
from fullcast.journey import Journey, doubting, new_workspace, reviewing
from fullcast.journey.attributes import attributes, warnings
from fullcast.journey.preparing import Prepared
from fullcast.recognition.castfile import write_cast
from fullcast.records import UNKNOWN, Cast, Character, Drop, Form, Image, Person
from fullcast.store.atomic import write_json
from fullcast.store.decisions import HAND, read_log
from fullcast.store.decisions import PEOPLE as PEOPLE_ARE_RIGHT
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import write_png
from fullcast.store.tables import write_records


def vector(*values: float) -> np.ndarray:
    out = np.array(values, np.float32)
    return out / np.linalg.norm(out)


CAST = Cast(
    "show",
    (
        Character(
            "aoi",
            "aoi",
            (Form("", references=vector(1, 0, 0)[None]), Form("up", "up", references=vector(1, 1, 0)[None])),
        ),
        Character("mio", "mio", (Form("", references=vector(0, 0, 1)[None]),)),
    ),
    threshold=0.5,
)
IMAGES = [
    Image(f"{n}" * 20, f"data/{n}.png", 200, 100, "screenshots", video_id="v", shot_id=f"s{n}", pts=n) for n in range(8)
]


def person(frame: int, name: str, score: float, margin: float, x: float = 0, track: str = "", **more: object) -> Person:
    character, _, form = name.partition("/")
    p = Person(
        *(f"{IMAGES[frame].id}/{x:g}", IMAGES[frame].id, (x, 10.0, x + 40, 90.0), 0.99),
        head_xyxy=(x + 10, 10, x + 30, 30),
        **{"detector": "yolo", "track_id": track, "character": character, "form": form},
        identity_score=score,
        identity_margin=margin,
    )
    return replace(p, **more)  # type: ignore[arg-type]


PEOPLE = [
    person(0, "mio", 0.9, 0.4),  # sure
    person(1, "mio", 0.52, 0.4),  # near the threshold
    person(2, "mio", 0.9, 0.05),  # near the next character
    person(3, UNKNOWN, 0.47, 0.1),  # nearly known
    person(4, "aoi", 0.9, 0.4, track="t", embedding=vector(1, 0.4, 0)),  # which look?
    person(5, "aoi", 0.9, 0.4, track="t", embedding=vector(1, 0.4, 0)),
    person(6, "mio", 0.9, 0.4),  # twice in one picture
    person(6, "mio", 0.95, 0.4, x=100),
    person(7, "mio", 0.9, 0.4, confidence=0.3),  # is it a person?
]
READY = Prepared(tuple(IMAGES), tuple(PEOPLE), CAST, {}, (), ())
COUNTS = [CountCheck(IMAGES[0].id, 1, 2, 2, 0.8, ("2girls",)), CountCheck(IMAGES[1].id, 1, 1, 1, 0.9, ("1girl",))]


def test_the_doubtful_come_first_each_with_its_reason() -> None:
    items = doubting.rank(READY, COUNTS, ())
    by_ref = {item.ref: item for item in items}
    assert [item.number for item in items] == list(range(1, len(items) + 1))
    assert [item.doubt for item in items] == sorted((item.doubt for item in items), reverse=True)
    assert items[0].reason == "mio is here 2 times" and items[1].reason == "1 people found, the tags say 2: 2girls"
    assert "threshold" in by_ref[PEOPLE[1].id].reason and "next character" in by_ref[PEOPLE[2].id].reason
    assert "under the threshold" in by_ref[PEOPLE[3].id].reason
    assert by_ref["track:t"].pictures == (IMAGES[4].id, IMAGES[5].id) and "look" in by_ref["track:t"].reason
    assert "weak detection" in by_ref[PEOPLE[8].id].reason
    assert items[-1].ref in (PEOPLE[0].id, PEOPLE[6].id, PEOPLE[7].id) and items[-1].doubt < 0.01
    assert not any(IMAGES[1].id in item.ref and item.scope == "picture" for item in items), "counts agree there"


def test_what_was_looked_at_is_no_question_any_more() -> None:
    gone = {PEOPLE[1].id, PEOPLE[4].id, PEOPLE[5].id, IMAGES[0].id, IMAGES[6].id}
    refs = {item.ref for item in doubting.rank(READY, COUNTS, gone)}
    assert PEOPLE[1].id not in refs and "track:t" not in refs and not any(ref.startswith("picture:") for ref in refs)


@pytest.fixture
def journey(tmp_path: Path) -> Journey:
    new_workspace(tmp_path / "show")
    journey = Journey.open(tmp_path / "show")
    show = journey.workspace.show_dir
    write_records(show / "images.parquet", IMAGES, Image)
    write_records(show / "people.parquet", PEOPLE, Person)
    write_records(show / "drops.parquet", [], Drop)
    write_records(show / "counts.parquet", COUNTS, CountCheck)
    write_cast(show / "cast.json", CAST)
    write_json(show / "scenes.json", {"tags": {}, "settings": []})
    for image in IMAGES[:7]:  # the eighth is missing: the sheet says so and goes on
        write_png(journey.workspace.absolute(image.path), np.full((100, 200, 3), 90, np.uint8))
    return journey


def test_by_number_by_id_and_by_track(journey: Journey) -> None:
    answer = reviewing.look(journey)
    numbers = {item["ref"]: str(item["number"]) for item in answer.data["items"]}
    reviewing.decide(journey, "relabel", [numbers["track:t"]], name="aoi/up")
    reviewing.decide(journey, "keep", [PEOPLE[1].id[:8]], by="somebody")
    reviewing.decide(journey, "drop", [numbers[f"picture:{IMAGES[6].id}"]], note="a mirror")
    reviewing.decide(journey, "relabel", [PEOPLE[2].id, PEOPLE[3].id], name="mio", scope="cluster")
    reviewing.decide(journey, "relabel", ["track:t"], name=UNKNOWN)
    track, kept, dropped, cluster, _ = read_log(journey.workspace.review_log).decisions
    assert (track.scope, track.character, track.form, len(track.targets)) == ("track", "aoi", "up", 2)
    assert (kept.action, kept.character, kept.by) == ("keep", "mio", "somebody")
    assert (dropped.scope, dropped.targets[0].xyxy, dropped.note) == ("picture", None, "a mirror")
    assert (cluster.scope, len(cluster.targets)) == ("cluster", 2)
    assert "taken back" in reviewing.undo(journey).text
    assert [d.id for d in read_log(journey.workspace.review_log).active] == [track.id, kept.id, dropped.id, cluster.id]
    refs = {item.ref for item in doubting.queue(journey)}
    assert "track:t" not in refs and PEOPLE[1].id not in refs
    assert reviewing.show_log(journey).text.count("- ") == 1


def test_keep_writes_down_which_question_it_answers(journey: Journey) -> None:
    reasons = ["near-duplicate", "opted-out"]
    dropped = [replace(image, dropped=reason) for image, reason in zip(IMAGES, reasons, strict=False)]
    write_records(journey.workspace.show_dir / "images.parquet", [*dropped, *IMAGES[2:]], Image)
    reviewing.decide(journey, "keep", [f"picture:{IMAGES[n].id}" for n in (0, 2)])
    with pytest.raises(FullcastError, match=r"opt-out\.txt"):
        reviewing.decide(journey, "keep", [f"picture:{IMAGES[1].id}"])
    assert [d.answers for d in read_log(journey.workspace.review_log).decisions] == ["near-duplicate", PEOPLE_ARE_RIGHT]


def test_who_is_added_stands_beside_everybody_who_was_there(journey: Journey) -> None:
    """Also beside a figure that was dropped, and is in no table any more."""
    reviewing.decide(journey, "drop", [PEOPLE[6].id])
    write_records(journey.workspace.show_dir / "people.parquet", [p for p in PEOPLE if p is not PEOPLE[6]], Person)
    reviewing.add(journey, IMAGES[6].id, (4, 10, 44, 90), "aoi")
    _, added = read_log(journey.workspace.review_log).decisions
    assert set(added.beside) == {PEOPLE[6].xyxy, PEOPLE[7].xyxy}
    hers = Person("h", IMAGES[6].id, (4, 10, 44, 90), 1.0, detector=HAND, character="aoi")
    write_records(journey.workspace.show_dir / "people.parquet", [PEOPLE[7], hers], Person)
    reviewing.add(journey, IMAGES[6].id, (4, 10, 44, 90), "aoi", (10, 10, 30, 30))
    assert read_log(journey.workspace.review_log).decisions[-1].beside == (PEOPLE[7].xyxy, PEOPLE[6].xyxy)


def test_looks_of_a_dataset_that_the_cast_lacks_have_no_gap() -> None:
    strange = [person(0, "aoi/uniform", 0.9, 0.4, embedding=vector(1, 0, 0))]
    assert doubting.form_gaps([*PEOPLE, *strange], CAST).keys() == {PEOPLE[4].id, PEOPLE[5].id}
    assert doubting.form_gaps(strange, CAST) == {}


@pytest.mark.parametrize(
    ("refs", "name", "said"),
    [
        (["zz"], "mio", "no figures have an id that begins with 'zz'"),
        (["99"], "mio", "the last list has no item 99"),
        (["track:x"], "mio", "no figure belongs to track:x"),
        ([f"picture:{IMAGES[0].id}"], "mio", "a picture has no name"),
        ([PEOPLE[0].id], "emi", "nobody in the cast is called 'emi'"),
        ([PEOPLE[0].id], "mio/up", "mio has no form 'up'"),
        ([PEOPLE[0].id], "", "relabel wants a name"),
        ([], "mio", "nothing was named"),
    ],
)
def test_what_is_not_there_is_said(journey: Journey, refs: list[str], name: str, said: str) -> None:
    with pytest.raises(FullcastError, match=said):
        reviewing.decide(journey, "relabel", refs, name=name)
    assert not journey.workspace.review_log.exists()


def test_the_contact_sheet_saves_what_apply_takes(journey: Journey, tmp_path: Path) -> None:
    answer = reviewing.look(journey)
    page = Path(answer.data["page"]).read_text()
    assert page.count("data:image/jpeg") >= 8 and "file missing" in page
    data = json.loads(re.search(r'type="application/json">(.*?)</script>', page, re.S)[1].replace("<\\/", "</"))  # type: ignore[index]
    number = next(str(item["number"]) for item in answer.data["items"] if item["ref"] == "track:t")
    # What the page's script makes of a choice in the list of names, and of the button "right".
    chosen = [{**d, "action": "relabel", "character": "aoi", "form": "up"} for d in data[number]["drop"]]
    file = tmp_path / "decisions.json"
    file.write_text(json.dumps([*chosen, *data["1"]["keep"]]))
    reviewing.apply_file(journey, file, by="somebody")
    named, kept = read_log(journey.workspace.review_log).decisions
    assert (named.action, named.character, named.form, len(named.targets)) == ("relabel", "aoi", "up", 2)
    assert (kept.action, kept.scope, kept.by, kept.answers) == ("keep", "picture", "somebody", PEOPLE_ARE_RIGHT)
    assert not any("answers" in drop for drop in data["1"]["drop"])
    file.write_text('[{"action": "explode"}]')
    with pytest.raises(FullcastError, match="is no list of decisions"):
        reviewing.apply_file(journey, file)


def test_white_shirts_and_school_uniforms() -> None:
    """Mio wears white in 9 of 10 shots; everybody wears a uniform. Frames of a shot count once."""
    images, people = [], []
    for shot in range(10):
        for frame in range(5 if shot == 0 else 1):
            image = Image(f"{shot}-{frame}", "x.png", 200, 100, "screenshots", shot_id=f"s{shot}")
            images.append(image)
            shirt = ("white shirt",) if shot else ()
            at = {"image_id": image.id, "xyxy": (0.0, 0.0, 40.0, 90.0), "confidence": 0.9}
            people.append(Person(f"m{image.id}", **at, character="mio", tags=("uniform", *shirt, "red hair")))  # type: ignore[arg-type]
            other = Image(f"o{image.id}", "y.png", 200, 100, "screenshots", shot_id=f"o{shot}")
            images.append(other)
            people.append(Person(f"a{image.id}", other.id, (0, 0, 40, 90), 0.9, character="aoi", tags=("uniform",)))
    found = {(a.name, a.attribute): a for a in attributes(people, images, {i.id: ("park",) for i in images})}
    shirt = found["mio", "white shirt"]
    assert shirt.share.value == pytest.approx(0.9) and shirt.share.n == 10 and shirt.too_often
    assert not found["mio", "uniform"].too_often and not found["mio", "park"].too_often, "others have them as well"
    assert ("mio", "red hair") not in found, "a name is meant to absorb hair"
    (told,) = warnings(found.values())
    assert told == "mio wears or does white shirt in 90% of 10 shots (95 %: 60% to 98%), others in 0%"
