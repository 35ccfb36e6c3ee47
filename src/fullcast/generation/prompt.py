"""What a person asks for -> Scenes: `"3 people, park" --cast aoi,hinata/hairdown@3:1,mio`, or a TOML file of scenes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fullcast.recognition.words import COLUMNS, ROWS
from fullcast.records import GRID, UNKNOWN, Box, Cast, Placement, Scene
from fullcast.store.errors import FullcastError

_COUNT = re.compile(r"^\s*(\d+|no|one|two|three|four|five|six)\s+(?:people|persons|person)\b", re.IGNORECASE)
_NUMBERS = {"no": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_SCENE_KEYS = ("id", "prompt", "negative_prompt", "size", "people")
_PEOPLE_KEYS = ("character", "form", "cell", "box", "prompt", "negative_prompt")


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
    return _known(Placement(character, form, cell=None if cell is None else parse_cell(cell)), cast)


def parse_cell(value: Any) -> tuple[int, int]:
    """(column, row), each 0 to 4, from [3, 1], "3:1", "right upper" or "far left" (whose row is the upper one)."""
    if isinstance(value, str) and (words := _cell_of_words(value)):
        return words
    parts = re.split(r"[:,x]", value) if isinstance(value, str) else value
    try:
        column, row = (int(part) for part in parts)
    except (TypeError, ValueError):
        column = row = -1
    if not (0 <= column < GRID and 0 <= row < GRID):
        raise FullcastError(
            f"{value!r} is no place; give column and row of the head, each 0 to {GRID - 1} (3:1 or [3, 1]), "
            f"or a column of {', '.join(COLUMNS)} and a row of {', '.join(ROWS)}"
        )
    return column, row


def _cell_of_words(text: str) -> tuple[int, int] | None:
    text = " ".join(text.lower().split())
    for row, row_word in enumerate(ROWS):
        for column, column_word in enumerate(COLUMNS):
            if text == f"{column_word} {row_word}":
                return column, row
    return (COLUMNS.index(text), 1) if text in COLUMNS else None


def read_scenes(path: Path, cast: Cast | None = None) -> list[Scene]:
    """The scenes of a TOML file, in its order:

        [[scene]]
        id = "park"                          # optional
        prompt = "park, night"
        size = [160, 96]                     # optional
        [[scene.people]]
        character = "aoi"
        form = "hairdown"                    # optional
        cell = [1, 1]                        # the head's, or "left upper"; or box = [x0, y0, x1, y1] in [0, 1]
        prompt = "smiling"                   # optional

    Raises FullcastError for what cannot be read, unknown keys and names outside the cast.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FullcastError(f"{path}: there is no such scene file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FullcastError(f"{path} is no TOML file: {error}") from error
    scenes = told.get("scene")
    if set(told) != {"scene"} or not isinstance(scenes, list) or not scenes:
        raise FullcastError(
            f"{path} should hold [[scene]] tables and nothing else; it holds {sorted(told) or 'nothing'}"
        )
    found = [_scene(scene, f"{path}, scene {i + 1}", f"scene-{i + 1:03d}", cast) for i, scene in enumerate(scenes)]
    twice = {s.id for s in found if sum(o.id == s.id for o in found) > 1}
    if twice:
        raise FullcastError(f"{path}: the ids {', '.join(sorted(twice))} are used twice; each scene needs its own")
    return found


def _scene(told: Mapping[str, Any], where: str, default_id: str, cast: Cast | None) -> Scene:
    _only(told, _SCENE_KEYS, where)
    people = tuple(_placement(p, f"{where}, person {i + 1}", cast) for i, p in enumerate(told.get("people", ())))
    size = told.get("size", [0, 0])
    if not (isinstance(size, list) and len(size) == 2 and all(isinstance(v, int) and v >= 0 for v in size)):
        raise FullcastError(f"{where}: size is {size!r}; give [width, height] in pixels")
    scene_id = str(told.get("id", default_id))
    if not re.fullmatch(r"[^\s/\\:*?\"<>|]+", scene_id):
        raise FullcastError(f"{where}: the id {scene_id!r} names a file; use letters, digits, - and _")
    return Scene(scene_id, str(told.get("prompt", "")), people, str(told.get("negative_prompt", "")), *size)


def _placement(told: Mapping[str, Any], where: str, cast: Cast | None) -> Placement:
    _only(told, _PEOPLE_KEYS, where)
    if "cell" in told and "box" in told:
        raise FullcastError(f"{where}: give a cell or a box, not both")
    placement = Placement(
        str(told.get("character", UNKNOWN)),
        str(told.get("form", "")),
        parse_cell(told["cell"]) if "cell" in told else None,
        _box(told["box"], where) if "box" in told else None,
        str(told.get("prompt", "")),
        str(told.get("negative_prompt", "")),
    )
    try:
        return _known(placement, cast)
    except FullcastError as error:
        raise FullcastError(f"{where}: {error}") from error


def _box(value: Any, where: str) -> Box:
    try:
        x0, y0, x1, y1 = (float(v) for v in value)
    except (TypeError, ValueError):
        x0 = y0 = x1 = y1 = -1.0
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise FullcastError(f"{where}: box is {value!r}; give [x0, y0, x1, y1] as fractions of the picture, 0 to 1")
    return x0, y0, x1, y1


def _known(placement: Placement, cast: Cast | None) -> Placement:
    if cast is not None and placement.character not in ("", UNKNOWN):
        try:
            cast.character(placement.character).form(placement.form)
        except ValueError as error:
            raise FullcastError(str(error)) from error
    return placement


def _only(told: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    if unknown := sorted(set(told) - set(known)):
        raise FullcastError(f"{where}: {', '.join(unknown)} is not known; known are {', '.join(known)}")
