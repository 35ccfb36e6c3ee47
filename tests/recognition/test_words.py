"""The grammar that captions and prompts share."""

from __future__ import annotations

import pytest

from fullcast.recognition.words import Phrase, prompt_for, sentence, trigger_words, who_words
from fullcast.records import Cast, Character, Form, Placement, Scene
from fullcast.store.errors import FullcastError

CAST = Cast(
    "show",
    (
        Character("Aoi", "aoi", (Form(""), Form("Hair Down", "hairdown"))),
        Character("Mio", "mio"),
        Character("Rin", "rin"),
    ),
)


def test_the_sentence_word_for_word() -> None:
    phrases = [
        Phrase("aoi hairdown", (0, 1), True, ("smiling",)),
        Phrase("person", (2, 2), False, ("red shirt", "sad")),
        Phrase("mio"),
    ]
    assert sentence(phrases, ["park", "night", "aniscreen"]) == (
        "3 people, aoi hairdown at far left upper smiling, person at center red shirt sad, mio, park, night, aniscreen"
    )
    assert sentence(phrases[2:]) == "1 person, mio"
    assert sentence([], ["park", ""]) == "no people, park"


def test_prompts_use_the_same_words_from_left_to_right() -> None:
    scene = Scene(
        "s",
        "3 people, park, night",
        (
            Placement("Mio", cell=(4, 2)),
            Placement("Aoi", "Hair Down", box=(0.0, 0.2, 0.2, 1.0), prompt="smiling, red shirt"),
            Placement("unknown"),
        ),
    )
    assert prompt_for(scene, CAST) == (
        "3 people, aoi hairdown at far left upper smiling red shirt, person, mio at far right middle, park, night"
    )
    assert (
        prompt_for(scene.without_places(), CAST) == "3 people, mio, aoi hairdown smiling red shirt, person, park, night"
    )
    assert prompt_for(scene, CAST, rows=False).startswith("3 people, aoi hairdown at far left smiling")
    assert prompt_for(Scene("s", "3 people, park"), CAST) == "3 people, park"
    assert prompt_for(Scene("s", "", (Placement("Rin"),)), CAST) == "1 person, rin"
    assert prompt_for(Scene("s", "One person in a park", (Placement("Rin"),)), CAST) == "1 person, rin, in a park"


def test_unknown_names_are_refused_with_the_cast() -> None:
    with pytest.raises(ValueError, match="nobody in the cast is called 'emi'; the cast is: Aoi, Mio, Rin"):
        prompt_for(Scene("s", "park", (Placement("emi"),)), CAST)
    with pytest.raises(ValueError, match="Mio has no form 'Hair Down'"):
        who_words(CAST, "Mio", "Hair Down")


def test_trigger_words_are_lowercase_letters_and_all_different() -> None:
    names = ["Kuraue Hinata", "Zoë", "girl 1", "girl 2", "あおい", "ひなた", "left", "person"]
    words = trigger_words(names)
    assert words["Kuraue Hinata"] == "kurauehinata" and words["Zoë"] == "zoe"
    assert (words["girl 1"], words["girl 2"]) == ("girl", "girlb")
    assert (words["あおい"], words["ひなた"]) == ("chara", "charab")
    assert words["left"] == "leftb" and words["person"] == "personb"
    assert len(set(words.values())) == len(names)
    assert trigger_words(["a", "b"], {"b": "a"}) == {"b": "a", "a": "ab"}
    with pytest.raises(FullcastError, match="trigger word 'A1' of x cannot be used"):
        trigger_words(["x"], {"x": "A1"})


def test_who_has_only_named_looks_is_said_by_name_where_none_is_asked_for() -> None:
    school = Cast("show", (Character("emi", "emi", (Form("school", "uniform"),)),))
    assert who_words(school, "emi") == "emi" and who_words(school, "emi", "school") == "emi uniform"
    with pytest.raises(ValueError, match="has no form 'winter'"):
        who_words(school, "emi", "winter")
