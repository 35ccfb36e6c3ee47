"""What a person asks for -> a Scene: `"3 people, park" --cast aoi,hinata/hairdown@3:1,mio`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fullcast.recognition.scenes import check_placement, parse_cell
from fullcast.records import UNKNOWN, Cast, Placement, Scene
from fullcast.store.errors import FullcastError

_COUNT = re.compile(r"^\s*(\d+|no|one|two|three|four|five|six)\s+(?:people|persons|person)\b", re.IGNORECASE)
_NUMBERS = {"no": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}


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
    counted = _COUNT.match(prompt)
    if counted and people:
        word = counted[1].lower()
        asked = _NUMBERS[word] if word in _NUMBERS else int(word)
        if asked < len(people):
            raise FullcastError(
                f"the prompt asks for {asked} people and {len(people)} are named ({', '.join(names)}); "
                "name fewer or ask for more"
            )
        people += [Placement(UNKNOWN)] * (asked - len(people))
    return Scene(scene_id, prompt.strip(), tuple(people), negative_prompt, *size)


def parse_name(text: str, cast: Cast | None = None) -> Placement:
    """ "aoi/hairdown@3:1" -> who, in which form, head in which cell. Checked against the cast if one is given."""
    found = re.fullmatch(r"\s*([^/@]+?)\s*(?:/\s*([^/@]*?)\s*)?(?:@\s*(.+?)\s*)?", text)
    if not found:
        raise FullcastError(f"{text!r} names nobody; write name, name/form, or name/form@column:row")
    character, form, cell = found[1], found[2] or "", found[3]
    placement = Placement(character, form, cell=None if cell is None else parse_cell(cell))
    if cast is not None:
        check_placement(placement, cast)
    return placement
