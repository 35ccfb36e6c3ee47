"""What a figure of the pocket world looks like: the traits that make an identity, and the words for them.

A `Look` is what stays the same in every drawing of a character in one form (style of drawing, hair, skin, accessory).
Clothes, expression and pose change from shot to shot and are not part of it. The traits of all possible looks are
split once, by a hash, into those that shows may use and those that the pocket models may be trained on, so that no
model has ever seen a member of a show's cast.
"""

from __future__ import annotations

import colorsys
import hashlib
from dataclasses import dataclass

import numpy as np

TRAINING_STYLES = ("toon-head", "adventurer", "big-smile", "personas")
UNSEEN_STYLE = "micah"
"""Never shown to any pocket model in training: shows drawn in it tell how far the models generalise."""
STYLES = (*TRAINING_STYLES, UNSEEN_STYLE)

HAIR_COLORS = {
    "black hair": "#2b2730",
    "brown hair": "#7a4a2b",
    "blonde hair": "#e8c15a",
    "red hair": "#b8302a",
    "orange hair": "#e8762d",
    "green hair": "#3f9a4f",
    "teal hair": "#2f9c97",
    "blue hair": "#3560c8",
    "purple hair": "#7b45b5",
    "pink hair": "#e88bb0",
    "white hair": "#e4e2ea",
}
SKINS = {"pale skin": "#f7d9c4", "tan skin": "#dba37c", "dark skin": "#8a5a3c"}

HAIR: dict[str, dict[str, str]] = {
    "toon-head": {
        f"{front}+{rear}": f"{front_tag} {rear_tag}".strip()
        for front, front_tag in (
            ("bun", "bun"),
            ("sideComed", "swept bangs"),
            ("spiky", "spiky hair"),
            ("undercut", "crew cut"),
        )
        for rear, rear_tag in (
            ("", "short hair"),
            ("longStraight", "long hair"),
            ("longWavy", "wavy hair"),
            ("neckHigh", "bob hair"),
            ("shoulderHigh", "medium hair"),
        )
    },
    "adventurer": {
        **{f"long{i:02d}": "long hair" for i in (1, 3, 5, 7, 9, 17, 20, 22, 24, 26)},
        **{f"long{i:02d}": "hair up" for i in (10, 11, 13, 23)},
        **{f"long{i:02d}": "twintails" for i in (14, 15)},
        **{f"long{i:02d}": "ponytail" for i in (16, 19)},
        **{f"short{i:02d}": "short hair" for i in (1, 2, 4, 6, 10, 11)},
        **{f"short{i:02d}": "curly hair" for i in (3, 8, 17)},
        **{f"short{i:02d}": "spiky hair" for i in (15, 16)},
    },
    "big-smile": {
        "bangs": "bob hair",
        "bowlCutHair": "short hair",
        "bunHair": "bun",
        "curlyBob": "curly hair",
        "curlyShortHair": "curly hair",
        "froBun": "hair up",
        "mohawk": "spiky hair",
        "shortHair": "short hair",
        "straightHair": "long hair",
        "wavyBob": "wavy hair",
    },
    "personas": {
        "bobBangs": "bob hair",
        "bobCut": "bob hair",
        "bunUndercut": "bun",
        "curly": "curly hair",
        "curlyBun": "hair up",
        "curlyHighTop": "curly hair",
        "extraLong": "long hair",
        "long": "medium hair",
        "mohawk": "spiky hair",
        "pigtails": "twintails",
        "shortCombover": "short hair",
        "sideShave": "ponytail",
        "straightBun": "bun",
    },
    "micah": {
        "dannyPhantom": "medium hair",
        "fonze": "short hair",
        "full": "long hair",
        "mrT": "spiky hair",
        "pixie": "bob hair",
        "turban": "turban",
    },
}
ACCESSORIES = ("", "round glasses", "square glasses", "ribbon", "headband", "flower", "hairclip")
"""Drawn by us, so that every style has them; '' for none."""


@dataclass(frozen=True, slots=True)
class Look:
    """The fixed traits of one figure. Hex colours; `hair` is a key of ``HAIR[style]``."""

    style: str
    hair: str
    hair_color: str
    hair_color_word: str
    skin: str
    accessory: str = ""
    accessory_color: str = "#d8342c"

    @property
    def tags(self) -> tuple[str, ...]:
        """Words that are true of the look, most telling first."""
        words = [self.hair_color_word, *split_hair_words(HAIR[self.style][self.hair])]
        if self.accessory:
            words.append(self.accessory)
        words.append(next(word for word, color in SKINS.items() if color == self.skin))
        return tuple(words)

    @property
    def traits(self) -> tuple[str, ...]:
        """What is compared when two looks must differ in exactly one thing."""
        return self.style, self.hair, self.hair_color_word, self.skin, self.accessory

    @property
    def for_shows(self) -> bool:
        """True for the quarter of all trait combinations that only shows use (sha256 over the traits)."""
        digest = hashlib.sha256("|".join(self.traits).encode()).digest()
        return digest[0] < 64


def split_hair_words(words: str) -> tuple[str, ...]:
    """'swept bangs long hair' -> ('swept bangs', 'long hair'): tags are at most two words."""
    for first in ("bun", "swept bangs", "spiky hair", "crew cut"):
        if words.startswith(first + " "):
            return first, words[len(first) + 1 :]
    return (words,)


def random_look(rng: np.random.Generator, style: str, for_shows: bool) -> Look:
    """A look of one half of the split, uniform over its traits."""
    while True:
        word = str(rng.choice(list(HAIR_COLORS)))
        look = Look(
            style=style,
            hair=str(rng.choice(list(HAIR[style]))),
            hair_color=jitter(rng, HAIR_COLORS[word]),
            hair_color_word=word,
            skin=str(rng.choice(list(SKINS.values()), p=(0.5, 0.3, 0.2))),
            accessory=str(rng.choice(ACCESSORIES, p=(0.46, 0.09, 0.09, 0.09, 0.09, 0.09, 0.09))),
            accessory_color=str(rng.choice(("#d8342c", "#2b59c3", "#f2b632", "#ffffff"))),
        )
        if look.for_shows == for_shows:
            return look


def jitter(rng: np.random.Generator, color: str, amount: float = 0.04) -> str:
    """The colour moved a little in HLS, so that two red-haired people are not the same red."""
    r, g, b = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    h, l, s = colorsys.rgb_to_hls(r, g, b)
    h = (h + rng.uniform(-amount, amount) / 3) % 1
    l = float(np.clip(l + rng.uniform(-amount, amount), 0, 1))
    s = float(np.clip(s + rng.uniform(-amount, amount), 0, 1))
    return "#" + "".join(f"{round(v * 255):02x}" for v in colorsys.hls_to_rgb(h, l, s))


def shade(color: str, factor: float) -> str:
    """The colour times a factor (below 1: darker), clipped."""
    return "#" + "".join(f"{min(255, round(int(color[i : i + 2], 16) * factor)):02x}" for i in (1, 3, 5))
