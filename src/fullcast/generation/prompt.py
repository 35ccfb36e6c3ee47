"""What a person asks for -> a Scene: `"3 people, park" --cast aoi,hinata/hairdown@3:1,mio`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fullcast.recognition.scenes import check_placement, parse_cell
from fullcast.recognition.words import counted_people
from fullcast.records import UNKNOWN, Cast, Placement, Scene
from fullcast.store.errors import FullcastError
from fullcast.store.given import composed

EXTRA = Placement(UNKNOWN)
"""Somebody whom only the count of a prompt asks for."""


def scene_from_prompt(
    prompt: str,
    names: Sequence[str] = (),
    cast: Cast | None = None,
    *,
    negative_prompt: str = "",
    size: tuple[int, int] = (0, 0),
    scene_id: str = "prompt",
) -> Scene:
    """A scene of the words of `prompt` and of the people named: "aoi", "aoi/hairdown", "aoi@1:2" (column:row, 0 to 4).

    A count at the head of the prompt may ask for more people than are named: the others are nobody in particular.
    """
    people = [parse_name(name, cast) for name in names if name.strip()]
    _check_count(prompt, people)
    return Scene(scene_id, prompt.strip(), as_counted(people, prompt), negative_prompt, *size)


def as_counted(people: Sequence[Placement], prompt: str) -> tuple[Placement, ...]:
    """The people with as many extras as the count at the head of `prompt` leaves room for, more or fewer than before.

    Without people, or without a count, they are as they were. FullcastError for more named ones than the count.
    """
    asked = counted_people(prompt)
    if asked is None or not people:
        return tuple(people)
    named = [p for p in people if p != EXTRA]
    _check_count(prompt, named)
    spare = asked - len(named)
    kept = [p for i, p in enumerate(people) if p != EXTRA or people[: i + 1].count(EXTRA) <= spare]
    return (*kept, *[EXTRA] * (asked - len(kept)))


def _check_count(prompt: str, people: Sequence[Placement]) -> None:
    asked = counted_people(prompt)
    if people and asked is not None and asked < len(people):
        raise FullcastError(
            f"the prompt asks for {asked} people and {len(people)} are named "
            f"({', '.join(p.character for p in people)}); name fewer or ask for more"
        )


def parse_name(text: str, cast: Cast | None = None) -> Placement:
    """ "aoi/hairdown@3:1" -> who, in which form, head in which cell. Checked against the cast if one is given."""
    found = re.fullmatch(r"\s*([^/@]+?)\s*(?:/\s*([^/@]*?)\s*)?(?:@\s*(.+?)\s*)?", composed(text))
    if not found:
        raise FullcastError(f"{text!r} names nobody; write name, name/form, or name/form@column:row")
    character, form, cell = found[1], found[2] or "", found[3]
    placement = Placement(character, form, cell=None if cell is None else parse_cell(cell))
    if cast is not None:
        check_placement(placement, cast)
    return placement
