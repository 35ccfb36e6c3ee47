"""Files beside pictures that say what boards and their downloaders know: tags, artist, licence, rating, address.

Three habits are read: plain tags files, Grabber's lines with a field before a colon, and the JSON that gallery-dl
writes. Several files beside one picture add up; the first that names a fact is believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fullcast.formats.sidecars import read_json
from fullcast.store.errors import UnreadableFile

FACTS = ("artist", "licence", "rating", "url")

_FIELDS = {
    "artist": "artist",
    "artists": "artist",
    "licence": "licence",
    "license": "licence",
    "rating": "rating",
    "source": "url",
    "url": "url",
    "tags": "tags",
    "general": "tags",
    "character": "character",
    "characters": "character",
    "copyright": "copyright",
    "species": "tags",
    "meta": "",
    "score": "",
    "md5": "",
    "id": "",
    "date": "",
}
"""Lines that begin with one of these words and a colon (Grabber's habit); '' is no tag and no fact. All others are
tags. Characters and copyrights are tags with a mark, ``character:aoi``: names come from people, not from tags."""

_LINE = re.compile(r"^\s*([A-Za-z0-9]+)\s*:(?!//)(\s*)(.*)$")
_FACE = re.compile(r"^\W*_\W*$")
"""Emoticons such as ^_^ keep their underscore."""

_PROSE = frozenset(
    ("a", "an", "the", "is", "are", "was", "were", "and", "with", "of", "in", "on", "at", "by", "his", "her", "their")
)
"""Words that are no tags by themselves: they stand alone between spaces only in captions."""

_JSON_TAGS = (
    *(("tags_general", ""), ("tag_string_general", ""), ("tags_species", "")),
    *(("tags_character", "character:"), ("tag_string_character", "character:")),
    *(("tags_copyright", "copyright:"), ("tag_string_copyright", "copyright:"), ("tags", ""), ("tag_string", "")),
)
"""gallery-dl's names for tags with their mark, the particular ones first; `tags` and `tag_string` hold all of them
again."""
_JSON_ARTIST_TAGS = ("tags_artist", "tag_string_artist")
"""Tags: a space is between two artists, and inside a name there is none."""
_JSON_ARTIST = (*_JSON_ARTIST_TAGS, "artist", "artists", "author", "user", "uploader")
_JSON_URL = ("source", "post_url", "webpage_url", "url", "file_url")
_PERSON_NAMES = ("name", "username", "account", "nick")
_ADULT = {"R-18": "explicit", "R-18G": "explicit"}


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What the files beside a picture say of it."""

    tags: tuple[str, ...] = ()
    artist: str = ""
    licence: str = ""
    rating: str = ""
    url: str = ""
    """Where the picture was published."""


def read_sidecar(path: Path) -> Sidecar:
    """Of the picture ``x.png``: ``x.png.txt``, ``x.txt``, the same with ``.tags``, ``x.png.json`` and ``x.json``.

    Raises UnreadableFile for a file that cannot be read and for JSON that is damaged or holds a pickle: what it says of
    rating and licence is unknown then, and the picture must not be used as if nothing had been said.
    """
    tags: list[str] = []
    facts = dict.fromkeys(FACTS, "")
    for suffix in (".txt", ".tags", ".json"):
        for file in (path.with_name(path.name + suffix), path.with_suffix(suffix)):
            if file.is_dir() or not (file.is_symlink() or file.exists()):
                continue
            if suffix == ".json":
                _read_gallery(read_json(file), file, tags, facts)
            else:
                _read_lines(_text(file), tags, facts)
    return Sidecar(tuple(dict.fromkeys(tags)), **facts)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise UnreadableFile(file, "unreadable", f"cannot be read ({error.strerror or error})") from error


def _read_lines(text: str, tags: list[str], facts: dict[str, str]) -> None:
    for line in text.splitlines():
        match = _LINE.match(line)
        kind = _FIELDS.get(match.group(1).lower()) if match else None
        words = match.group(3).strip() if match and kind is not None else line.strip()
        if match and kind in facts:
            fact, rest = _parted(kind, words, glued=not match.group(2))
            facts[kind] = facts[kind] or fact
            _read_lines(rest, tags, facts)
        elif kind in ("character", "copyright"):
            tags.extend(f"{kind}:{tag}" for tag in split_tags(words))
        elif kind != "":
            tags.extend(split_tags(words))


def _parted(kind: str, words: str, glued: bool) -> tuple[str, str]:
    """A fact and what follows it: ``rating:safe, 1girl`` and ``artist:x, 1girl`` are lines of tags that begin with one.
    After ``artist: `` commas are between artists."""
    between = r"[\s,]+" if kind == "rating" else r"\s*,\s*" if glued and kind in ("artist", "licence") else ""
    if not between:
        return words, ""
    fact, *rest = re.split(between, words, maxsplit=1)
    return fact, "".join(rest)


def _read_gallery(value: Any, path: Path, tags: list[str], facts: dict[str, str]) -> None:
    """gallery-dl's metadata: one flat object whose keys depend on the site."""
    if not isinstance(value, Mapping):
        raise UnreadableFile(path, "damaged-metadata", "is JSON, but no object with the facts of one picture")
    for key, mark in _JSON_TAGS:
        if key in ("tags", "tag_string") and tags:
            continue  # they would bring the artist's name back among the tags
        tags.extend(mark + tag for tag in _tag_list(value.get(key)))
    artist = next((name for key in _JSON_ARTIST if (name := _artist(key, value.get(key)))), "")
    rating = str(value.get("rating") or "")
    rating = _ADULT.get(rating, rating)
    if value.get("x_restrict"):  # pixiv: 1 is R-18, 2 is R-18G
        rating = "explicit"
    url = next((u for key in _JSON_URL if (u := value.get(key)) and isinstance(u, str)), "")
    licence = value.get("license") or value.get("licence") or ""
    found = {"artist": artist, "rating": rating, "url": url, "licence": _person(licence)}
    for fact, words in found.items():
        facts[fact] = facts[fact] or words


def _tag_list(value: Any) -> list[str]:
    """A list of tags, or of objects that have a name; or one text with spaces between."""
    if isinstance(value, str):
        return split_tags(value)
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return [_spaced(name) for item in value if (name := _person(item))]
    return []


def _artist(key: str, value: Any) -> str:
    """Names with commas between them."""
    return _person(value.split() if key in _JSON_ARTIST_TAGS and isinstance(value, str) else value)


def _person(value: Any) -> str:
    """A name, written as text, as a list of texts, or as an object that has one."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, Mapping):
        return next((str(value[key]) for key in _PERSON_NAMES if value.get(key)), "")
    if isinstance(value, list | tuple):
        return ", ".join(name for item in value if (name := _person(item)))
    return ""


def split_tags(words: str) -> list[str]:
    """``long hair, smile`` or ``long_hair smile`` to words with spaces: commas separate where there are any.

    A caption without commas ("a girl with a hat") stays in one piece, so that whoever reads it can tell that it is one.
    """
    spaced = words.split()
    if "," in words or not _PROSE.isdisjoint(word.lower() for word in spaced):
        spaced = words.split(",")
    return [_spaced(part.strip()) for part in spaced if part.strip()]


def _spaced(tag: str) -> str:
    return tag if _FACE.match(tag) else tag.replace("_", " ")
