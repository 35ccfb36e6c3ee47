"""The JSON that gallery-dl writes beside a picture: one object, flat but for tags, whose keys depend on the site."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fullcast.ingest.tag_lines import FIELDS, Said, read_lines, split_tags
from fullcast.store.errors import UnreadableFile

_FLAT = ("tags", "tag_string")
_SORTED = ("tags_", "tag_string_")
"""Before the name of a category, as in ``tags_character``; other sites have them in one object under ``tags``."""
_ARTIST = ("artist", "artists")
_POSTED = ("author", "user", "uploader")
"""Who put the picture there. On a site for artists that is who drew it; on a board it is anybody."""
_BOARDS = frozenset(
    (
        *("3dbooru", "behoimi", "e621", "e6ai", "e926", "hypnohub", "idolcomplex", "konachan", "nozomi", "philomena"),
        *("rule34", "sankaku", "shimmie2", "tbib", "yandere", "zerochan"),
    )
)
"""gallery-dl's names of boards; of any other, "booru" is a part."""
_URL = ("source", "sources", "post_url", "webpage_url", "url", "file_url")
_PERSON_NAMES = ("name", "username", "account", "nick")
_ADULT = {"R-18": "explicit", "R-18G": "explicit"}


def read_gallery(value: Any, path: Path, said: Said) -> None:
    """Adds to `said` what the JSON `value` says. Raises UnreadableFile for what is no object; `path` is what it calls
    the file."""
    if not isinstance(value, Mapping):
        raise UnreadableFile(path, "damaged-metadata", "is JSON, but no object with the facts of one picture")
    _read_tags(value, said)
    for key in _ARTIST:
        said.take("artist", _person(value.get(key)))
    if not said.artists and not _is_board(value):
        said.take("artist", next((name for key in _POSTED if (name := _person(value.get(key)))), ""))
    rating = str(value.get("rating") or "")
    if value.get("x_restrict"):  # pixiv: 1 is R-18, 2 is R-18G
        rating = "explicit"
    said.take("rating", _ADULT.get(rating, rating))
    said.take("url", next((url for key in _URL if (url := _address(value.get(key)))), ""))
    said.take("licence", _person(value.get("license") or value.get("licence") or ""))


def _read_tags(value: Mapping[str, Any], said: Said) -> None:
    """Tags by category where there are any; else all in one, which has the artist's name among them too."""
    found = False
    for kind, names in _by_category(value):
        # Artists: a space is between two of them, and inside a name there is none.
        for name in names.split() if kind == "artist" and isinstance(names, str) else _names(names):
            said.take(kind, name)
            found = True
    for tags in (value.get(key) for key in _FLAT) if not found else ():
        if isinstance(tags, str):
            read_lines(tags, said)
        elif not isinstance(tags, Mapping):
            for name in _names(tags):
                field, colon, rest = name.partition(":")
                known = colon and field.lower() in FIELDS
                said.take(FIELDS[field.lower()] if known else "tags", rest if known else name)


def _by_category(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(kind of `FIELDS`, tags) for each category of tags that the object has."""
    for key, names in value.items():
        category = next((key.removeprefix(start) for start in _SORTED if key.startswith(start)), "")
        if category in FIELDS:
            yield FIELDS[category], names
    tags = value.get("tags")
    for category, names in tags.items() if isinstance(tags, Mapping) else ():
        yield FIELDS.get(str(category).lower(), "tags"), names


def _is_board(value: Mapping[str, Any]) -> bool:
    """Boards sort tags, or have all in one text; sites for artists have a list of them."""
    site = str(value.get("category") or "").lower()
    by_tags = isinstance(value.get("tags"), str | Mapping) or any(
        key.startswith(("tag_string", *_SORTED)) for key in value
    )
    return by_tags or "booru" in site or site in _BOARDS


def _names(value: Any) -> list[str]:
    """Tags of a text, or of a list of texts or of objects that have a name."""
    if isinstance(value, str):
        return split_tags(value)
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return [name for item in value if (name := _person(item))]
    return []


def _address(value: Any) -> str:
    """One address, or several with spaces between them."""
    if isinstance(value, list | tuple):
        return " ".join(item for item in value if isinstance(item, str))
    return value if isinstance(value, str) else ""


def _person(value: Any) -> str:
    """A name, written as text, as a list of texts, or as an object that has one."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, Mapping):
        return next((str(value[key]) for key in _PERSON_NAMES if value.get(key)), "")
    if isinstance(value, list | tuple):
        return ", ".join(name for item in value if (name := _person(item)))
    return ""
