"""The words that training captions and prompts share: who, where, how many. One grammar, or names bind to nothing.

It lies below the rooms because captions and generation both speak it and may not import each other. The default
grammar, on which the pocket base is trained::

    2 people, aoi hairdown at far left upper smiling, person at center red shirt, park, night, aniscreen
    {n} people, {who} at {column}[ {row}][ {own tags}], ..., {setting}, {light}, {medium words}

A figure is one comma-separated phrase, so that its name, place and own tags stand side by side.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fullcast.records import GRID, UNKNOWN, Cast, Placement, Scene, cell_of
from fullcast.store.errors import FullcastError

COLUMNS = ("far left", "left", "center", "right", "far right")
ROWS = ("top", "upper", "middle", "lower", "bottom")
SOMEBODY = "person"
"""Stands for everybody who has no name: extras, unknown people."""
CROPPED = "cropped"
"""Said of a picture that shows a part of another one."""
SUBTITLED = "subtitled"
"""Said of a picture with burned-in subtitles."""
SUBTITLES_BELOW = 0.86
"""Of a picture's height; a part that ends above shows none of them."""

SEED_COLUMNS = ("fhll", "fhml", "fhmd", "fhmr", "fhri")
SEED_ROWS = ("fvtp", "fvmt", "fvmd", "fvmb", "fvbt")
"""The seed model's 5x5 grid tokens (data-preparation.md 1.2)."""

RESERVED = frozenset(
    {SOMEBODY, "people", "no", "at", "left", "right", "far", "center", CROPPED, UNKNOWN, "many", *ROWS}
)
"""Words of the grammar, which cannot be anybody's trigger word."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """One figure in words."""

    who: str
    """Trigger words of character and form, or ``person``."""
    cell: tuple[int, int] | None = None
    """(column, row), each 0 to 4; None: its place is not said."""
    row: bool = False
    """Whether the row is said too."""
    own: tuple[str, ...] = ()
    """Words about this figure alone, or a prompt of its own."""

    def text(self) -> str:
        place = "" if self.cell is None else f"at {place_words(self.cell, self.row)}"
        return " ".join(word for word in (self.who, place, *self.own) if word)


def count_words(num_people: int) -> str:
    """ "no people", "1 person", "2 people" and so on."""
    if num_people == 0:
        return "no people"
    return "1 person" if num_people == 1 else f"{num_people} people"


def place_words(cell: tuple[int, int], row: bool = False) -> str:
    """ "far left", or "far left upper" with the row; cell: (column, row), each 0 to 4."""
    column = COLUMNS[cell[0]]
    return f"{column} {ROWS[cell[1]]}" if row else column


def who_words(cast: Cast, character: str, form: str = "") -> str:
    """Trigger words of a character in a form; ``person`` for '' and unknown. Raises ValueError for any other name.
    Without a form the plain look, or where somebody has none the character's own word alone."""
    if character in ("", UNKNOWN):
        return SOMEBODY
    found = cast.character(character)
    has_look = form or any(not own.name for own in found.forms)
    return " ".join(word for word in (found.trigger_word, found.form(form).trigger_word if has_look else "") if word)


def sentence(phrases: Sequence[Phrase], scene_words: Sequence[str] = ()) -> str:
    """The whole caption: count, figures from left to right as given, words about the picture."""
    return join([count_words(len(phrases)), *(phrase.text() for phrase in phrases), *scene_words])


def words_of_part(tags: Sequence[str], bottom: float) -> tuple[str, ...]:
    """Words about a picture that hold for a part of it too, which ends at ``bottom`` (share of the height)."""
    return tuple(tag for tag in tags if tag != SUBTITLED or bottom > SUBTITLES_BELOW)


def join(parts: Sequence[str]) -> str:
    return ", ".join(part for part in parts if part)


# --------------------------------------------------------------------------------------------------- prompts

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_COUNT = re.compile(rf"^\s*(\d+|{'|'.join(_NUMBERS)})\s+(?:people|persons|person)\b[\s,]*", re.IGNORECASE)


def counted_people(prompt: str) -> int | None:
    """The count at the head of a prompt: 3 of "3 people, park" and of "three people, park"; None: it has none."""
    found = _COUNT.match(prompt)
    if found is None:
        return None
    word = found[1].lower()
    return _NUMBERS.index(word) if word in _NUMBERS else int(word)


def prompt_for(scene: Scene, cast: Cast, *, rows: bool = True) -> str:
    """The text for a scene, in the words of the captions.

    A count at the head of the scene's own prompt ("3 people, park") is left to the people who are listed; a scene that
    lists nobody is taken as it is written. Figures are said from left to right; one without a place keeps its turn in
    the list. `rows`: whether a cell's row is said as well as its column.
    """
    if not scene.people:
        return scene.prompt.strip()
    own = [part.strip() for part in _COUNT.sub("", scene.prompt).split(",")]
    return sentence([phrase_for(p, cast, rows=rows) for p in left_to_right(scene.people)], own)


def phrase_for(placement: Placement, cast: Cast, *, rows: bool = True) -> Phrase:
    """A placement in words; its own prompt stands where a caption has the figure's own tags."""
    own = " ".join(word.strip() for word in placement.prompt.split(",") if word.strip())
    who = who_words(cast, placement.character, placement.form)
    return Phrase(who, placement_cell(placement), rows, (own,) if own else ())


def placement_cell(placement: Placement) -> tuple[int, int] | None:
    """The cell that was asked for, or that of the head of a box: the middle of its upper fifth, as in `Person`."""
    if placement.cell is not None or placement.box is None:
        return placement.cell
    x0, y0, x1, y1 = placement.box
    return cell_of((x0 + x1) / 2, y0 + (y1 - y0) / 5)


def left_to_right(placements: Sequence[Placement]) -> list[Placement]:
    """Sorted by x; whoever has no place is taken to stand where an even row in the given order would put him."""
    return [placements[i] for i in order_from_left(placements)]


def order_from_left(placements: Sequence[Placement]) -> list[int]:
    """Indices of the placements in the order of `left_to_right`."""
    count = len(placements)

    def x(index: int) -> float:
        placement = placements[index]
        if placement.box is not None and placement.cell is None:
            return (placement.box[0] + placement.box[2]) / 2
        return (index + 0.5) / count if placement.cell is None else (placement.cell[0] + 0.5) / GRID

    return sorted(range(count), key=lambda i: (x(i), i))


# --------------------------------------------------------------------------------------------- trigger words


def trigger_words(names: Sequence[str], given: Mapping[str, str] | None = None) -> dict[str, str]:
    """One trigger word per name: `given`, or the name in lowercase ASCII letters; no two alike, none of the grammar's.

    Accents are dropped ("Zoë" is zoe); what leaves nothing ("あおい", "42") becomes chara, and clashes get a letter
    at the end: girl 1 and girl 2 are girl and girlb. Raises FullcastError for a given word that cannot be used.
    """
    words: dict[str, str] = {}
    for name, word in (given or {}).items():
        if not re.fullmatch(r"[a-z]+( [a-z]+)*", word) or word in RESERVED or word in words.values():
            raise FullcastError(
                f"trigger word {word!r} of {name} cannot be used: wanted are lowercase ASCII letters, a word that "
                f"nobody else has and that captions do not need themselves ({', '.join(sorted(RESERVED))})"
            )
        words[name] = word
    for name in names:
        if name not in words:
            words[name] = _free(_letters(name), set(words.values()) | RESERVED)
    return words


def _letters(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z]", "", plain) or "chara"


def _free(word: str, taken: set[str] | frozenset[str]) -> str:
    for suffix in ("", *"bcdefghijklmnopqrstuvwxyz"):
        if word + suffix not in taken:
            return word + suffix
    return _free(word + "z", taken)
