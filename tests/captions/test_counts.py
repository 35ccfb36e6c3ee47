"""People counted twice, captions that keep silent where the counts disagree, sentences, and CLIP's own 75 tokens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fullcast.captions.config import GRAMMARS, CaptionsConfig
from fullcast.captions.count import check_counts, count_in, disagreement
from fullcast.captions.source import Captions
from fullcast.captions.tagging import Words
from fullcast.models.stable_diffusion.tokenizer import clip_tokenizer
from fullcast.records import Image, Person
from tests.captions.test_captions import ALWAYS, CAST, CROP, SAMPLE, captions


@pytest.mark.parametrize(
    ("tags", "low", "high"),
    [
        ({"1girl": 0.9, "solo": 0.8}, 1, 1),
        ({"2girls": 0.9, "multiple girls": 0.95}, 2, 2),
        ({"1girl": 0.9, "1boy": 0.8}, 2, 2),
        ({"1girl": 0.5, "2girls": 0.7}, 2, 2),
        ({"multiple girls": 0.9}, 2, -1),
        ({"6+girls": 0.9, "1boy": 0.6}, 7, -1),
        ({"no humans": 0.9, "1girl": 0.4}, 0, 0),
        ({"crowd": 0.9, "1girl": 0.5}, 3, -1),
        ({"2people": 1.0}, 2, 2),
    ],
)
def test_what_tags_say_of_the_number(tags: dict[str, float], low: int, high: int) -> None:
    told = count_in(tags)
    assert told is not None and told[:2] == (low, high)


def test_solo_focus_is_said_of_one_among_several() -> None:
    assert count_in({"solo focus": 0.9}) is None
    assert count_in({"2girls": 0.8, "solo focus": 1.0}) == (2, 2, 0.8, ("2girls",))


def test_words_without_a_number_say_nothing() -> None:
    assert count_in({"girl": 0.9, "long hair": 0.9, "1980s": 0.9, "2girls1cup": 0.9}) is None


def test_pictures_whose_counts_disagree_until_somebody_looks() -> None:
    images = [Image(n, f"{n}.png", 100, 100, "screenshots") for n in "abc"]
    images[2] = replace(images[2], source="fanart", tags=("2girls",))
    people = [Person(f"{n}/0", n, (0, 0, 9, 9), 0.9) for n in "abc"]
    words = [Words("a", ("1girl",), (0.9,)), Words("b", ("2girls",), (0.7,)), Words("c", ("1girl",), (0.9,))]
    checks = {check.image_id: check for check in check_counts(images, people, words)}
    assert {n: disagreement(check) for n, check in checks.items()} == {"a": 0.0, "b": 0.7, "c": 1.0}
    looked = {check.image_id: check for check in check_counts(images, people, words, {"b"})}
    assert looked["b"].agrees and not looked["c"].agrees


def test_captions_do_not_state_a_number_that_is_in_doubt() -> None:
    (doubted,) = check_counts(
        [Image("i", "i.png", 100, 100, "screenshots")],
        SAMPLE.people,
        [Words("i", ("multiple girls", "2girls"), (0.9, 0.8))],
    )
    for grammar in ("bound", "layout", "plain", "sentences"):
        config = ALWAYS.model_copy(update={"grammars": {grammar: 1.0}})
        text = captions(config, counts=[doubted])[0]
        assert "3 people" not in text and "3 people" in captions(config)[0], grammar
        assert "aoi hairdown" in text.lower() and "mio" in text.lower()
    said = ALWAYS.model_copy(update={"doubtful_count": "say"})
    assert captions(said, counts=[doubted])[0].startswith("3 people")
    seed = ALWAYS.model_copy(update={"grammars": {"seed": 1.0}})
    assert captions(seed, counts=[doubted])[0].split(", ")[4] == "2girls", "the seed's order: numbers before other tags"


def test_sentences() -> None:
    config = ALWAYS.model_copy(update={"grammars": {"sentences": 1.0}})
    texts = set(captions(config, visits=200))
    first = (
        "There are 3 people. In the upper far left is aoi hairdown, smiling. A person with red hair is in the lower "
    )
    assert any(text.startswith(first) for text in texts)
    assert all(text.endswith(".") and ".." not in text for text in texts)
    assert any("Mio with hoodie is in the middle far right, looking sad." in text for text in texts)
    bare = config.model_copy(update={"omit_places": 1.0, "keep_own_tag": 0.0})
    assert captions(bare)[0].startswith("There are 3 people. There is aoi hairdown. There is a person. There is mio.")
    one = config.model_copy(update={"say_row": 0.0})
    assert captions(one, CROP)[0].startswith("There is 1 person.") and "in the center" in captions(one, CROP)[0].lower()


def test_a_caption_in_somebodys_own_words_stands_for_the_whole_picture_only() -> None:
    crop = replace(CROP, image_id="i")
    source = Captions([SAMPLE, crop], CAST, CaptionsConfig(), 7, own={"i": "a quiet day"})
    assert [source.caption("s1", v) for v in range(3)] == ["a quiet day"] * 3
    assert source.caption("s3", 0) != "a quiet day"


def test_no_caption_is_longer_than_what_clip_reads() -> None:
    """Five people with six words each are far too long for 75 tokens of CLIP's real tokenizer."""
    tokenizer = clip_tokenizer()

    def count(text: str) -> int:
        return len(tokenizer(text, truncation=False).input_ids) - 2

    tags = ("red hair", "school uniform", "plaid skirt", "holding umbrella", "looking at viewer", "open mouth")
    crowd = replace(
        SAMPLE,
        people=tuple(replace(p, id=f"{p.id}{k}", tags=tags) for k in range(2) for p in SAMPLE.people[: 3 - k]),
    )
    for grammar in GRAMMARS:
        config = ALWAYS.model_copy(update={"grammars": {grammar: 1.0}})
        source = Captions([crowd], CAST, config, 7, count_tokens=count, token_limit=75)
        survey = source.survey(4)
        texts = [source.caption("s1", visit) for visit in range(4)]
        assert max(map(count, texts)) <= 75 and survey.cut_off == 0, grammar
        assert survey.shortened == (4 if survey.longest > 75 else 0)
        if grammar in ("bound", "sentences"):
            assert survey.longest > 75 and all(text.lower().count("aoi hairdown") == 2 for text in texts)
