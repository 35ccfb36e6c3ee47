"""Tags files: plain tags, and Grabber's fields before a colon, which fill a line or stand before a single tag in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from fullcast.ingest.filters import BETWEEN_ARTISTS, boldest, folded

FIELDS = {
    "artist": "artist",
    "artists": "artist",
    "creator": "artist",
    "creators": "artist",
    "contributor": "artist",
    "circle": "artist",
    "licence": "licence",
    "license": "licence",
    "rating": "rating",
    "source": "url",
    "url": "url",
    "tags": "tags",
    "general": "tags",
    "species": "tags",
    "character": "character",
    "characters": "character",
    "copyright": "copyright",
    "copyrights": "copyright",
    "series": "copyright",
    "meta": "",
    "metadata": "",
    "lore": "",
    "invalid": "",
    "score": "",
    "md5": "",
    "id": "",
    "date": "",
}
"""Words before a colon (Grabber's habit) and what they make of what follows; '' is no tag and no fact. Any other
word is part of a tag ("re:zero"). Characters and copyrights are tags with a mark, ``character:aoi``: names come from
people, not from tags."""

_NAMES = "|".join(FIELDS)
_FIELD = re.compile(rf"(?:^({_NAMES})\s*|(?<=[\s,])({_NAMES})):(?!//)(\s*)", re.IGNORECASE)
_GENERAL = re.compile(r"(?:^|[\s,])general:\S", re.IGNORECASE | re.MULTILINE)
_UNDERSCORE = re.compile(r"[A-Za-z0-9]_[A-Za-z0-9(]")
_FACE = re.compile(r"^\W*_\W*$")
"""Emoticons such as ^_^ keep their underscore."""

_PROSE = frozenset(
    ("a", "an", "the", "is", "are", "was", "were", "and", "with", "of", "in", "on", "at", "by", "his", "her", "their")
)
"""Words that are no tags by themselves: they stand alone between spaces only in captions."""

_NAME_WORDS = 3
"""Of more words no name is: ``artist:a_b 1girl smile hat`` is a line of tags that begins with one."""


@dataclass(slots=True)
class Said:
    """What the files beside one picture say, gathered word by word."""

    tags: list[str] = field(default_factory=list)
    artists: list[str] = field(default_factory=list)
    licence: str = ""
    rating: str = ""
    url: str = ""

    def take(self, kind: str, words: str) -> None:
        """One tag, or one fact; `kind`: of FIELDS."""
        words = words.strip()
        if kind == "tags" and words:
            self.tags.append(_spaced(words))
        elif kind in ("character", "copyright") and words:
            self.tags.append(f"{kind}:{_spaced(words)}")
        elif kind == "artist":
            known = {folded(artist) for artist in self.artists}
            self.artists += [a for a in BETWEEN_ARTISTS.split(words) if a and folded(a) not in known]
        elif kind == "rating":
            self.rating = boldest((self.rating, words.lower()))
        elif kind == "licence":
            self.licence = self.licence or words
        elif kind == "url":
            self.url = self.url or words


def read_lines(text: str, said: Said) -> None:
    """Tags and fields of a tags file. Where general tags have their field too, every tag has one, and what stands
    between two fields is one tag: ``artist:some one general:long hair general:smile``."""
    spaced = len(_GENERAL.findall(text)) > 1 and not _UNDERSCORE.search(text)
    for line in text.splitlines():
        _read_line(line.strip(), spaced, said)


def _read_line(line: str, spaced: bool, said: Said) -> None:
    commas = "," in line
    fields = [found for found in _FIELD.finditer(line) if not found[3] or _may_be_apart(found, line)]
    starts = [found.start() for found in fields] + [len(line)]
    _take_tags(line[: starts[0]], commas, said)
    for found, end in zip(fields, starts[1:], strict=True):
        name = (found[1] or found[2]).lower()
        alone = starts[0] == 0 and len(fields) == 1
        own, rest = _parted(name, line[found.end() : end], found, commas, spaced, alone)
        for words in own:
            said.take(FIELDS[name], words)
        _take_tags(rest, commas, said)


def _take_tags(words: str, commas: bool, said: Said) -> None:
    for tag in split_tags(words, commas):
        said.take("tags", tag)


def _may_be_apart(found: re.Match[str], line: str) -> bool:
    """``artist: x``, with a space: at a line's beginning, after a comma, or where the line begins with a field. In "the
    light source: a lamp" it is prose."""
    return found.start() == 0 or line[: found.start()].rstrip().endswith(",") or bool(_FIELD.match(line))


def _parted(
    name: str, words: str, found: re.Match[str], commas: bool, spaced: bool, alone: bool
) -> tuple[list[str], str]:
    """What is the field's own, and the tags that follow it: ``rating:safe, 1girl`` and ``artist:x 1girl``.

    With a space after the colon a line is the field's own as far as the next field; else one tag is, which ends at a
    comma, or in a line without commas at a space. alone: no other field is in the line, which it begins.
    """
    kind, glued = FIELDS[name], not found[3]
    if kind == "rating":
        return _first(words, r"[\s,]+")
    if kind == "url" and glued:
        own, rest = _first(words, r"\s+")
        return [word.rstrip(",") for word in own], rest
    if not glued and (found.start() == 0 or not commas):
        return _listed(kind, words.strip(" \t,")), ""
    if commas:
        return _first(words, r"\s*,\s*")
    if spaced or name == "date" or (kind == "licence" and found.start() == 0) or (alone and _is_name(kind, words)):
        return [words], ""
    return _first(words, r"\s+")


def _first(words: str, between: str) -> tuple[list[str], str]:
    first, *rest = re.split(between, words.strip(), maxsplit=1)
    return [first], "".join(rest)


def _listed(kind: str, words: str) -> list[str]:
    """What fills a line: one fact, or several tags; artists as boards write them are tags."""
    if kind in ("tags", "character", "copyright"):
        return split_tags(words)
    return words.split() if kind == "artist" and "," not in words and _UNDERSCORE.search(words) else [words]


def _is_name(kind: str, words: str) -> bool:
    """Whether ``some one`` is one name rather than two tags, in a line that has nothing else."""
    split = words.split()
    as_tags = any("_" in word or word[0].isdigit() for word in split)
    return kind in ("artist", "character", "copyright") and len(split) <= _NAME_WORDS and not as_tags


def split_tags(words: str, commas: bool = False) -> list[str]:
    """``long hair, smile`` or ``long_hair smile`` to words with spaces: commas separate where there are any, or where
    the line has `commas` elsewhere.

    A caption without commas ("a girl with a hat") stays in one piece, so that whoever reads it can tell that it is one.
    """
    spaced = words.split()
    if commas or "," in words or not _PROSE.isdisjoint(word.lower() for word in spaced):
        spaced = words.split(",")
    return [_spaced(part.strip()) for part in spaced if part.strip()]


def _spaced(tag: str) -> str:
    return tag if _FACE.match(tag) else tag.replace("_", " ")
