"""Compositions that a model was trained on, told from new ones: people, forms, cells; success of each kind."""

from __future__ import annotations

import json
from dataclasses import replace

from fullcast.judging.judgement import figures, make_judgement, recount, write_judgement
from fullcast.judging.measures import Known
from fullcast.judging.novelty import Trained, by_novelty, composition, novelty_of
from fullcast.records import UNKNOWN, Placement, Scene
from tests.judging.cases import CAST, perfect, row

AOI_LEFT = ("aoi", "", (1, 2))
HINATA_RIGHT = ("hinata", "", (3, 2))
TRAINED = Trained(frozenset({composition([HINATA_RIGHT, AOI_LEFT]), composition([AOI_LEFT])}))


def scene(name: str, *people: Placement) -> Scene:
    return Scene(name, "park", people)


def at(character: str, *cell: int, form: str = "") -> Placement:
    return Placement(character, form, (cell[0], cell[1]) if cell else None)


def test_people_forms_and_cells_make_a_composition():
    kinds = {
        "same": (scene("a", at("aoi", 1, 2), at("hinata", 3, 2)), "seen"),
        "other order": (scene("b", at("hinata", 3, 2), at("aoi", 1, 2)), "seen"),
        "changed places": (scene("c", at("aoi", 3, 2), at("hinata", 1, 2)), "moved"),
        "no places": (scene("d", at("aoi"), at("hinata")), "seen"),
        "one of them": (scene("e", at("hinata", 3, 2)), "new"),
        "another form": (scene("f", at("aoi", 1, 2, form="hairdown"), at("hinata", 3, 2)), "new"),
        "somebody more": (scene("g", at("aoi", 1, 2), at("hinata", 3, 2), at(UNKNOWN, 4, 2)), "new"),
    }
    assert {name: TRAINED.novelty(one) for name, (one, _) in kinds.items()} == {k: v for k, (_, v) in kinds.items()}


def test_places_that_were_not_asked_for_make_nothing_new():
    moved = scene("c", at("aoi", 3, 2), at("hinata", 1, 2))
    rows = [row(moved, perfect(moved))]
    assert novelty_of(rows, TRAINED) == {"c": "moved"}
    assert novelty_of(rows, TRAINED, places=False) == {"c": "seen"}


def test_success_by_kind_is_counted_apart():
    seen, new = scene("s1", at("aoi", 1, 2)), scene("n1", at("hinata", 1, 2))
    rows = [row(seen, perfect(seen)), row(new, []), row(replace(new, id="n2"), perfect(new))]
    novelty = novelty_of(rows, TRAINED)
    [one] = by_novelty(rows, novelty)
    assert one.num_people == 1 and one.scenes == {"seen": 1, "new": 2}
    assert one.success["seen"].value == 1.0 and one.success["new"].value == 0.5
    assert by_novelty(rows, {}) == ()


def test_the_table_is_shown_and_counted_again_from_the_files(tmp_path):
    seen, new = scene("s1", at("aoi", 1, 2)), scene("n1", at("hinata", 1, 2))
    rows = [replace(row(s, perfect(s)), series="mine", path=f"{s.id}.png") for s in (seen, new)]
    made = make_judgement(rows, CAST, known=Known(novelty={"mine": novelty_of(rows, TRAINED)}))
    write_judgement(made, tmp_path, tmp_path)
    assert "Compositions that were trained on" in (tmp_path / "judge.html").read_text(encoding="utf-8")
    told = json.loads((tmp_path / "judge.json").read_text(encoding="utf-8"))
    assert told["series"]["mine"]["novelty"][0]["scenes"] == {"seen": 1, "new": 1}
    assert recount(tmp_path) == figures(made)
