"""What kind of word a tag is: about the count, a trait, the light, the setting, or whatever a figure does and wears.
What is no tag at all but a piece of a caption is a sentence.

By whole words: "bow" is not in "elbow gloves" nor "hair" in "chair". The lists hold what taggers of the Danbooru family
say of most pictures of shows; a word that is in none of them is about the figure it was seen on (clothes, expression,
pose), and on a whole picture it is not used.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal

from fullcast.recognition.words import COLUMNS

Kind = Literal["count", "trait", "light", "setting", "medium", "own", "sentence"]


def _list(text: str) -> frozenset[str]:
    """Tags separated by commas."""
    return frozenset(" ".join(tag.split()) for tag in text.split(",") if tag.strip())


_COUNT = re.compile(
    r"(no|\d+\+?|multiple|many) ?(girl|boy|other|person|people|human)s?|solo|solo focus|crowd|group|male focus"
)

TRAIT_WORDS = _list("""
    hair, bangs, ponytail, twintails, twintail, braid, braids, bun, ahoge, sidelocks, afro, mohawk, bob, dreadlocks,
    undercut, drills, bald, eyes, eye, pupils, heterochromia, eyelashes, eyebrows, skin, freckles, mole, scar, beard,
    mustache, stubble, goatee, sideburns, glasses, eyewear, sunglasses, eyepatch, ribbon, headband, hairband, hairclip,
    hairpin, scrunchie, flower, earring, earrings, piercing, turban, horn, horns, tail, halo, fang, ears
""")
"""Any of these words makes a tag a trait: hair, eyes, skin, beard, what is worn on the head."""

TRAIT_TAGS = _list("crew cut, bowl cut, hime cut, side shave")

NOT_TRAITS = _list("""
    eyes closed, closed eyes, one eye closed, half-closed eyes, wide-eyed, rolling eyes, crying with eyes open,
    wet hair, hand in own hair, covering own eyes, adjusting hair, adjusting eyewear, hair blowing, shiny hair,
    shiny skin, empty eyes, holding flower, hands on own ears
""")
"""Expressions, actions and light that name a trait's word."""

LIGHTS = _list("""
    day, daytime, dusk, night, evening, sunset, sunrise, dawn, morning, twilight, night sky, dark, sunlight, moonlight,
    backlighting, dim lighting
""")

SETTINGS = _list("""
    park, street, classroom, beach, bedroom, mountain, mountains, indoors, outdoors, forest, city, cityscape, school,
    kitchen, room, bathroom, library, office, hallway, rooftop, stage, ocean, sea, river, lake, pool, snow, rain, field,
    grass, garden, bridge, train, train interior, bus, car interior, shop, restaurant, cafe, temple, shrine, castle,
    ruins, desert, sky, blue sky, cloudy sky, starry sky, space, house, building, stairs, road, festival, train station,
    hospital, gym, store, convenience store, alley, playground, balcony, church, cave, island, waterfall, tent, camp,
    living room, crosswalk, school hallway, poolside, onsen
""")

MEDIUMS = _list("""
    monochrome, greyscale, comic, sketch, lineart, traditional media, photorealistic, realistic, screencap, chibi, 3d,
    pixel art, aniscreen, fanart, composite, parody, anime coloring, fake screenshot, subtitled, letterboxed, watermark,
    signature, artist name, english text, text, logo, simple background, white background, black background,
    grey background, gradient background, blurry, blurry background, upper body, lower body, full body, cowboy shot,
    portrait, close-up, from side, from behind, from above, from below, depth of field, border,
    masterpiece, best quality, good quality, normal quality, low quality, worst quality, highres, absurdres, lowres,
    incredibly absurdres, official art, commentary, commentary request, translated, translation request, tagme, bad id,
    bad pixiv id, bad twitter id, md5 mismatch, third-party edit, game cg, scan, jpeg artifacts, duplicate, revision
""")
"""How the picture and its file are made and framed. Said by nobody: what we know of it is said in words of our own."""


SAID_APART = ("rating:", "character:", "copyright:", "artist:", "creator:", "meta:", "general:")
"""How sidecars and datasets mark words that are about the file, or say who somebody is: captions take neither from
them."""


MAX_TAG_WORDS = 5
"""Of more words no tag is made that boards use often."""

_SENTENCE_WORDS = _list("a, an, the, is, are, was, were, has, there")
"""Articles and verbs, which tags leave out."""

_SENTENCE = re.compile(
    r"(person|people|girl|boy|woman|man|girls|boys|women|men|child|children) .*"  # somebody, and what is said of them
    rf"|.* at ({'|'.join(COLUMNS)})( .*)?"  # a figure of the captions' own grammar
    r"|.*[a-z]\."  # the end of a caption
)


def is_sentence(words: str) -> bool:
    """Whether what stands between two commas is a piece of a caption and no tag: "person at left smiling"."""
    words = words.lower()
    split = words.split()
    return len(split) > MAX_TAG_WORDS or not _SENTENCE_WORDS.isdisjoint(split) or bool(_SENTENCE.fullmatch(words))


def kind_of(tag: str) -> Kind:
    """The kind of a tag, written with spaces."""
    tag = tag.lower()
    if _COUNT.fullmatch(tag):
        return "count"
    if is_sentence(tag):
        return "sentence"
    if tag in LIGHTS:
        return "light"
    if tag in SETTINGS:
        return "setting"
    if tag in MEDIUMS or tag.startswith(SAID_APART):
        return "medium"
    if tag in TRAIT_TAGS or (tag not in NOT_TRAITS and TRAIT_WORDS & set(tag.split())):
        return "trait"
    return "own"


def names_pattern(names: Collection[str]) -> re.Pattern[str] | None:
    """Finds any of these names as a whole word, in capitals or not; None where there are none."""
    words = sorted((re.escape(name) for name in names if name), key=lambda word: (-len(word), word))
    return re.compile(rf"(?<!\w)({'|'.join(words)})(?!\w)", re.IGNORECASE) if words else None


def without_overlaps(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Tags whose words are all in another, longer tag are dropped: "shirt" beside "white shirt". Order stays."""
    sets = [frozenset(tag.split()) for tag in tags]
    return tuple(tag for tag, words in zip(tags, sets, strict=True) if not any(words < other for other in sets))
