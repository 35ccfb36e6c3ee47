"""Captions drawn at every visit: exact sentences, stated chances, determinism, agreement with prompts, the budget."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from fullcast.captions.config import CaptionsConfig
from fullcast.captions.source import Captions
from fullcast.ports import CaptionSource
from fullcast.recognition.words import COLUMNS, ROWS, prompt_for
from fullcast.records import UNKNOWN, Cast, Character, Form, Person, Placement, Sample, Scene

CAST = Cast(
    "show",
    (
        Character("Aoi", "aoi", (Form("", tags=("brown hair",)), Form("Hair Down", "hairdown"))),
        Character("Mio", "mio"),
    ),
)
ALWAYS = CaptionsConfig(keep_own_tag=1, say_row=1, omit_places=0)


def person(x: float, y: float, name: str = UNKNOWN, form: str = "", tags: tuple[str, ...] = ()) -> Person:
    """Head centred at (x, y) of a picture of 100x100."""
    head = (x - 5, y - 5, x + 5, y + 5)
    return Person(f"i/{x}", "i", (x - 9, y - 5, x + 9, 100), 0.9, head_xyxy=head, character=name, form=form, tags=tags)


SAMPLE = Sample(
    "s1",
    "i",
    "i.png",
    (0, 0, 100, 100),
    "screenshots",
    people=(
        person(90, 50, "Mio", tags=("sad", "hoodie")),
        person(5, 25, "Aoi", "Hair Down", ("smile",)),
        person(50, 70, tags=("red hair",)),
    ),
    tags=("park", "night"),
)
EMPTY = Sample("s2", "j", "j.png", (0, 0, 100, 100), "regularization", tags=("beach",))
CROP = Sample(
    "s3", "i", "i.png", (0, 0, 50, 50), "fanart", (person(25, 25, "Aoi", tags=("brown hair", "angry")),), "head"
)


def captions(
    config: CaptionsConfig, sample: Sample = SAMPLE, visits: int = 1, seed: int = 7, **more: object
) -> list[str]:
    source: CaptionSource = Captions([sample], CAST, config, seed, **more)  # type: ignore[arg-type]
    return [source.caption(sample.id, visit) for visit in range(visits)]


def sorted_tail(text: str, words: int) -> str:
    """The last `words` parts, whose order is drawn, in alphabetical order."""
    parts = text.split(", ")
    return ", ".join([*parts[:-words], *sorted(parts[-words:])])


def test_the_sentence_is_the_one_that_the_base_was_trained_on() -> None:
    assert sorted_tail(captions(ALWAYS)[0], 3) == (
        "3 people, aoi hairdown at far left upper smile, person at center lower red hair, "
        "mio at far right middle sad hoodie, aniscreen, night, park"
    )
    assert captions(ALWAYS, EMPTY) == ["no people, beach"]
    assert sorted_tail(captions(ALWAYS, CROP)[0], 2) == "1 person, aoi at center middle angry, cropped, fanart"


def test_places_are_those_inside_the_crop() -> None:
    """The head at (25, 25) is in the middle of the crop of 50, and upper left in the whole picture."""
    whole = replace(CROP, crop=(0, 0, 100, 100), kind="full")
    assert "aoi at left upper" in captions(ALWAYS, whole)[0]


def test_the_other_grammars_word_for_word() -> None:
    def only(name: str) -> CaptionsConfig:
        return ALWAYS.model_copy(update={"grammars": {name: 1.0}})

    assert captions(only("layout")) == [
        "3 people, aoi hairdown at far left upper, person at center lower, mio at far right middle"
    ]
    words = captions(only("plain"))[0].split(", ")
    assert words[:4] == ["3 people", "aoi hairdown", "person", "mio"]
    assert sorted(words[4:]) == sorted(["smile", "red hair", "sad", "hoodie", "park", "night", "aniscreen"])
    seed = captions(only("seed"))[0].split(", ")
    assert seed[:4] == ["3people", "aoi hairdown mio", "aniscreen", "fhll fvmt fhmd fvmb fhri fvmd"]
    assert sorted(seed[4:]) == sorted(["smile", "red hair", "sad", "hoodie", "park", "night"])
    crowd = replace(SAMPLE, people=tuple(person(10 * k + 5, 50) for k in range(6)))
    assert captions(only("seed"), crowd)[0].startswith("manypeople, aniscreen, fhll")


def test_chances_are_those_of_the_settings() -> None:
    texts = captions(CaptionsConfig(), visits=4000)
    placed = [t for t in texts if " at " in t]
    assert abs(len(placed) / len(texts) - 0.75) < 0.025
    assert all(t.count(" at ") in (0, 3) for t in texts)
    rows = np.mean([bool(re.search(r"far right middle", t)) for t in placed])
    assert abs(rows - 0.4) < 0.03
    for tag in ("smile", "sad", "hoodie", "red hair"):
        assert abs(np.mean([tag in t for t in texts]) - 0.5) < 0.03, tag
    for word in ("park", "night", "aniscreen"):
        assert abs(np.mean([t.endswith(word) for t in texts]) - 1 / 3) < 0.03, word
    assert len(set(texts)) > 300


def test_a_mix_of_grammars_by_stage() -> None:
    config = CaptionsConfig(grammars={"bound": 0.75, "layout": 0.25}, stages={"second": {"seed": 1.0}})
    share = np.mean(["park" not in t for t in captions(config, visits=2000)])
    assert abs(share - 0.25) < 0.03
    assert all(t.startswith("3people") for t in captions(config, visits=20, stage="second"))
    with pytest.raises(
        ValidationError, match="there is no grammar 'poem'; the grammars are bound, layout, plain, seed"
    ):
        CaptionsConfig(grammars={"poem": 1})
    with pytest.raises(ValidationError, match="at least one must be positive"):
        CaptionsConfig(stages={"x": {"seed": 0}})


def test_a_visit_has_the_same_words_in_any_order_and_process() -> None:
    source = Captions([SAMPLE, EMPTY, CROP], CAST, CaptionsConfig(), 7)
    forward = [source.caption("s1", v) for v in range(20)]
    again = pickle.loads(pickle.dumps(source))
    assert [again.caption("s1", v) for v in reversed(range(20))] == forward[::-1]
    assert captions(CaptionsConfig(), visits=20) == forward
    assert captions(CaptionsConfig(), visits=20, seed=8) != forward


def test_prompts_say_it_as_captions_do() -> None:
    """A scene with the same people and cells has the words of the caption, up to the order of scene words."""
    scene = Scene(
        "x",
        "aniscreen, night, park",
        (
            Placement("Aoi", "Hair Down", cell=(0, 1), prompt="smile"),
            Placement(UNKNOWN, cell=(2, 3), prompt="red hair"),
            Placement("Mio", cell=(4, 2), prompt="sad, hoodie"),
        ),
    )
    assert prompt_for(scene, CAST) == sorted_tail(captions(ALWAYS)[0], 3)
    bare = CaptionsConfig(keep_own_tag=0, omit_places=1)
    assert sorted_tail(captions(bare)[0], 3) == "3 people, aoi hairdown, person, mio, aniscreen, night, park"


def count_words(text: str) -> int:
    return len(text.replace(",", " ,").split())


def test_long_captions_lose_own_words_first_and_names_and_places_never() -> None:
    full = captions(ALWAYS)[0]
    for limit in range(count_words(full), 8, -1):
        text = captions(ALWAYS, count_tokens=count_words, token_limit=limit)[0]
        assert text.startswith("3 people, aoi hairdown at far left upper")
        assert "mio at far right middle" in text and "person at center lower" in text
        if limit >= count_words(full) - 4:
            assert all(word in text for word in ("park", "night", "aniscreen")), limit
    survey = Captions([SAMPLE, EMPTY], CAST, ALWAYS, 7, count_tokens=count_words, token_limit=28).survey()
    assert (survey.captions, survey.shortened, survey.cut_off) == (2, 1, 0)
    assert survey.longest == count_words(full) and survey.token_limit == 28
    assert Captions([SAMPLE], CAST, ALWAYS, 7, count_tokens=count_words, token_limit=9).survey().cut_off == 1
    own = ALWAYS.model_copy(update={"token_budget": 20})
    assert Captions([SAMPLE], CAST, own, 7, count_tokens=count_words, token_limit=75).token_limit == 20
    wide = ALWAYS.model_copy(update={"token_budget": 150})
    assert Captions([SAMPLE], CAST, wide, 7, count_tokens=count_words, token_limit=75).token_limit == 75, (
        "no more is read"
    )


def test_a_name_outside_the_cast_is_refused() -> None:
    stranger = replace(SAMPLE, people=(person(5, 5, "emi"),))
    with pytest.raises(ValueError, match="nobody in the cast is called 'emi'"):
        Captions([stranger], CAST, ALWAYS, 0)


def test_words_for_places_are_five_by_five() -> None:
    assert len(COLUMNS) == len(ROWS) == 5


def test_regions_say_each_figure_alone_where_it_stands():
    source = Captions([SAMPLE, EMPTY], CAST, ALWAYS, 7)
    first, second, third = source.regions("s1", 0)
    words = source.caption("s1", 0).split(", ")[-3:]
    assert first[1] == ", ".join(["1 person", "aoi hairdown at far left upper smile", *words])
    assert second[1] == ", ".join(["1 person", "person at center lower red hair", *words])
    assert third[1] == ", ".join(["1 person", "mio at far right middle sad hoodie", *words])
    assert [box[0] for box, _ in (first, second, third)] == pytest.approx([0.0, 0.275, 0.7])
    assert first[0][1] == pytest.approx(0.1) and first[0][3] == 1.0  # from above the head to the bottom
    assert source.regions("s2", 0) == []


def test_a_region_says_its_place_where_the_caption_says_none():
    silent = ALWAYS.model_copy(update={"omit_places": 1.0})
    source = Captions([SAMPLE], CAST, silent, 7)
    assert " at " not in source.caption("s1", 0)
    assert [words for _, words in source.regions("s1", 0)] == [
        words for _, words in Captions([SAMPLE], CAST, ALWAYS, 7).regions("s1", 0)
    ]


def test_regions_are_those_of_a_prompt_for_the_same_people():
    from fullcast.generation.regions import regions_of

    config = CaptionsConfig(keep_own_tag=0, say_row=1, omit_places=0, medium={})
    people = (person(30, 30, "Aoi", "Hair Down"), person(70, 50, "Mio"), person(90, 50))
    sample = replace(SAMPLE, people=people, tags=("park",))
    said = Captions([sample], CAST, config, 7).regions("s1", 0)
    scene = Scene("s", "park", tuple(Placement(p.character, p.form, p.cell(100, 100)) for p in people))
    asked = [(r.box, r.prompt) for r in regions_of(scene, CAST) if r.prompt]
    assert [words for _, words in said] == [words for _, words in asked]
    for (trained, _), (drawn, _) in zip(said, asked, strict=True):
        assert trained == pytest.approx(drawn)


def test_captions_that_bind_nothing_have_no_regions():
    source = Captions([SAMPLE], CAST, CaptionsConfig(grammars={"plain": 1.0}), 7)
    assert source.regions("s1", 0) == []
    by_hand = Captions([SAMPLE], CAST, ALWAYS, 7, own={"i": "aoi and mio at the lake"})
    assert by_hand.regions("s1", 0) == []


def test_the_fingerprint_is_of_all_that_words_come_from() -> None:
    def told(config: CaptionsConfig = ALWAYS, sample: Sample = SAMPLE, **given: object) -> str:
        return Captions([sample], CAST, config, 7, **given).fingerprint()  # type: ignore[arg-type]

    assert told() == told()
    others = [
        told(ALWAYS.model_copy(update={"keep_own_tag": 0.3})),
        told(sample=replace(SAMPLE, tags=("beach",))),
        told(sample=replace(SAMPLE, people=SAMPLE.people[:1])),
        told(token_limit=20),
        told(own={SAMPLE.image_id: "in words of my own"}),
    ]
    assert len({told(), *others}) == 6
