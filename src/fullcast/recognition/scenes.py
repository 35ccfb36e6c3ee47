"""Scenes as people write them, in TOML or one JSON object a line: one reader and one set of checks for all who ask.

A file for any cast names roles instead of characters, ``@0`` to ``@7``, and forms by number, ``@1``: the characters of
a cast take the roles in their order.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from fullcast.recognition.words import COLUMNS, ROWS
from fullcast.records import GRID, UNKNOWN, Box, Cast, Drop, Placement, Scene
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.given import composed

ROLE = "@"
"""Before the number of a character or a form in scenes for any cast."""

STAGE, NOT_IN_CAST = "scenes", "not-in-cast"
"""Of drops."""

_SCENE_KEYS = ("id", "prompt", "negative_prompt", "size", "width", "height", "seed", "people")
_PEOPLE_KEYS = ("character", "form", "cell", "box", "prompt", "negative_prompt")
_EXAMPLE = '{"prompt": "park", "people": [{"character": "aoi"}]}'


def read_scenes(path: Path, cast: Cast | None = None) -> list[Scene]:
    """The scenes of a file, in its order: ``.toml``, or any other name for one JSON object a line with the same keys.

        [[scene]]
        id = "park"                          # optional
        prompt = "park, night"
        size = [160, 96]                     # optional; or width and height
        seed = 7                             # optional: of the first picture's noise
        [[scene.people]]
        character = "aoi"                    # left out, or unknown: anybody who is nobody of the cast
        form = "hairdown"                    # optional
        cell = [1, 1]                        # the head's, or "left upper"; or box = [x0, y0, x1, y1] in [0, 1]
        prompt = "smiling"                   # optional

    With a cast its characters take the roles, and names are checked. Raises FullcastError for the first thing wrong.
    """
    return _each_id_once(path, [_scene(told, cast) for told in _told(path)])


def sift_scenes(path: Path, cast: Cast) -> tuple[list[Scene], list[Drop]]:
    """The scenes that this cast can be asked for, and the others by id as drops: ``malformed`` or ``not-in-cast``.

    Raises FullcastError for a file that cannot be read, an id that is there twice, and where no scene is left.
    """
    scenes: list[Scene] = []
    drops: list[Drop] = []
    for told in _told(path):
        try:
            scenes.append(_scene(told, cast))
        except FullcastError as error:
            reason = NOT_IN_CAST if isinstance(error, NotInCast) else "malformed"
            drops.append(Drop(_name(told), STAGE, reason, str(error)))
    if not scenes:
        raise FullcastError(f"no scene in {path} can be asked for; the first of {len(drops)}: {drops[0].detail}")
    return _each_id_once(path, scenes), drops


class NotInCast(FullcastError):
    """A name, form or role that the cast does not hold."""


def check_scene(scene: Scene, cast: Cast) -> None:
    """Raises NotInCast, naming the cast, when a scene asks for somebody or for a form that it does not hold."""
    for number, placement in enumerate(scene.people, 1):
        _check(placement, cast, f"scene {scene.id}, person {number}: ")


def check_placement(placement: Placement, cast: Cast) -> None:
    """As `check_scene`, for one of its people; who has no name is in every cast."""
    _check(placement, cast, "")


def bind_scene(scene: Scene, cast: Cast) -> Scene:
    """Roles (``@3``, form ``@1``) given to the cast's characters; a scene with names comes back as it is. Raises
    NotInCast for a role that the cast is too small for."""
    return replace(scene, people=tuple(_bind(placement, cast) for placement in scene.people))


def parse_cell(value: Any) -> tuple[int, int]:
    """(column, row), each 0 to 4, from [3, 1], "3:1", "right upper" or "far left" (whose row is the upper one)."""
    if isinstance(value, str) and (words := _cell_of_words(value)):
        return words
    parts = re.split(r"[:,x]", value) if isinstance(value, str) else value
    try:
        column, row = (int(part) for part in parts)
    except (TypeError, ValueError, OverflowError):
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


# --- files


@dataclass(frozen=True, slots=True)
class _Told:
    """One scene as it stands in its file."""

    where: str
    """ "scenes.jsonl, line 3"."""
    default_id: str
    load: Callable[[], Any]
    """Its values; raises ValueError for what is no JSON."""


def _told(path: Path) -> Sequence[_Told]:
    try:
        text = composed(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UnreadableFile(path, "missing", "there is no such scene file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFile(path, "unreadable", f"is no scene file that can be read ({error})") from error
    told = list((_told_in_toml if path.suffix == ".toml" else _told_in_lines)(path, text))
    if not told:
        raise UnreadableFile(path, "empty", "holds no scene; give one JSON object a line")
    return told


def _told_in_toml(path: Path, text: str) -> Iterator[_Told]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UnreadableFile(path, "unreadable", f"is no TOML file: {error}") from error
    scenes = tables.get("scene")
    if set(tables) != {"scene"} or not isinstance(scenes, list) or not scenes:
        held = f"it holds {sorted(tables) or 'nothing'}"
        raise UnreadableFile(path, "unreadable", f"should hold [[scene]] tables and nothing else; {held}")
    for number, scene in enumerate(scenes, 1):
        yield _Told(f"{path}, scene {number}", f"scene-{number:03d}", partial(dict, scene))


def _told_in_lines(path: Path, text: str) -> Iterator[_Told]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield _Told(f"{path}, line {number}", f"scene-{number:04d}", partial(json.loads, line))


def _each_id_once(path: Path, scenes: list[Scene]) -> list[Scene]:
    twice = sorted(name for name, count in Counter(scene.id for scene in scenes).items() if count > 1)
    if twice:
        raise UnreadableFile(path, "unreadable", f"the ids {', '.join(twice)} are used twice; each scene needs its own")
    return scenes


def _name(told: _Told) -> str:
    """The scene's id, whatever else is wrong with it."""
    try:
        return str(told.load()["id"])
    except (ValueError, TypeError, KeyError):
        return told.default_id


# --- values


def _scene(told: _Told, cast: Cast | None) -> Scene:
    where = told.where
    try:
        values = told.load()
    except ValueError as error:
        raise FullcastError(f"{where} is no scene ({error}); needed: {_EXAMPLE}") from error
    values = _table(values, _SCENE_KEYS, where)
    people = values.get("people", [])
    if not isinstance(people, list):
        raise FullcastError(f"{where}: people is {people!r}; give a list, such as {_EXAMPLE}")
    scene = Scene(
        _id(values.get("id", told.default_id), where),
        _text(values, "prompt", where),
        tuple(_placement(person, f"{where}, person {number}") for number, person in enumerate(people, 1)),
        _text(values, "negative_prompt", where),
        *_size(values, where),
        _seed(values, where),
    )
    return scene if cast is None else _in_cast(scene, cast, where)


def _placement(told: Any, where: str) -> Placement:
    values = _table(told, _PEOPLE_KEYS, where)
    if "cell" in values and "box" in values:
        raise FullcastError(f"{where}: give a cell or a box, not both")
    try:
        cell = parse_cell(values["cell"]) if "cell" in values else None
    except FullcastError as error:
        raise FullcastError(f"{where}: {error}") from error
    return Placement(
        _text(values, "character", where) or UNKNOWN,
        _text(values, "form", where),
        cell,
        _box(values["box"], where) if "box" in values else None,
        _text(values, "prompt", where),
        _text(values, "negative_prompt", where),
    )


def _table(told: Any, known: Sequence[str], where: str) -> dict[str, Any]:
    """Without what is null."""
    if not isinstance(told, Mapping):
        raise FullcastError(f"{where} is no scene ({told!r} is no table); needed: {_EXAMPLE}")
    if unknown := sorted(set(told) - set(known)):
        raise FullcastError(f"{where}: {', '.join(unknown)} is not known; known are {', '.join(known)}")
    return {key: value for key, value in told.items() if value is not None}


def _text(values: Mapping[str, Any], key: str, where: str) -> str:
    value = values.get(key, "")
    if not isinstance(value, str):
        raise FullcastError(f"{where}: {key} is {value!r}; give text")
    return value


def _id(value: Any, where: str) -> str:
    if not isinstance(value, str | int) or not re.fullmatch(r"[^\s/\\:*?\"<>|]+", str(value)):
        raise FullcastError(f"{where}: the id {value!r} names a file; use letters, digits, - and _")
    return str(value)


def _size(values: Mapping[str, Any], where: str) -> tuple[int, int]:
    size = values.get("size", [values.get("width", 0), values.get("height", 0)])
    if not (isinstance(size, list) and len(size) == 2 and all(isinstance(v, int) and v >= 0 for v in size)):
        raise FullcastError(f"{where}: size is {size!r}; give [width, height] in pixels")
    return size[0], size[1]


def _seed(values: Mapping[str, Any], where: str) -> int:
    seed = values.get("seed", -1)
    if isinstance(seed, bool) or not isinstance(seed, int) or not (0 <= seed < 2**32 or "seed" not in values):
        raise FullcastError(f"{where}: seed is {seed!r}; give a whole number from 0 to {2**32 - 1}")
    return seed


def _box(value: Any, where: str) -> Box:
    try:
        x0, y0, x1, y1 = (float(v) for v in value)
    except (TypeError, ValueError):
        x0 = y0 = x1 = y1 = -1.0
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise FullcastError(f"{where}: box is {value!r}; give [x0, y0, x1, y1] as fractions of the picture, 0 to 1")
    return x0, y0, x1, y1


# --- names


def _in_cast(scene: Scene, cast: Cast, where: str) -> Scene:
    try:
        scene = bind_scene(scene, cast)
        for number, placement in enumerate(scene.people, 1):
            _check(placement, cast, f"person {number}: ")
    except NotInCast as error:
        raise NotInCast(f"{where}, {error}") from error
    return scene


def _check(placement: Placement, cast: Cast, before: str) -> None:
    if placement.is_named:
        try:
            known = cast.character(placement.character)
            if placement.form:  # none asked for: any will do, also where there is no plain look
                known.form(placement.form)
        except ValueError as error:
            raise NotInCast(f"{before}{error}") from None


def _bind(placement: Placement, cast: Cast) -> Placement:
    if not placement.character.startswith(ROLE):
        return placement
    role = _number(placement.character)
    if role >= len(cast.characters):
        raise NotInCast(
            f"the role {placement.character} needs {role + 1} characters or more; the cast of {cast.show!r} has "
            f"{len(cast.characters)}: make scenes of its own with make_scenes"
        )
    character = cast.characters[role]
    form = placement.form
    if form.startswith(ROLE):
        form = character.forms[_number(form) % len(character.forms)].name
    return replace(placement, character=character.name, form=form)


def _number(role: str) -> int:
    if not re.fullmatch(rf"{ROLE}[0-9]+", role):
        raise NotInCast(f"{role!r} is no role; write {ROLE}0 for the first character of any cast, or a name")
    return int(role[len(ROLE) :])
