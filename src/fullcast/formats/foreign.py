"""A picture of somebody else's dataset as it was found: what every reader in this room returns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fullcast.records import Box, Drop, Source
from fullcast.store.errors import UnreadableFile

STAGE = "import"

_ADDRESSES = ("url", "source", "post_url", "webpage_url", "file_url")
_ADDRESS_LINE = re.compile(r"^\s*(?:source|url)\s*:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
"""Grabber's."""


@dataclass(frozen=True)
class ForeignPerson:
    """Somebody whom the dataset says is in a picture."""

    character: str
    """A name, ``unknown``, or '' where a face was found and nobody was asked."""
    form: str = ""
    head: Box | None = None
    """xyxy as fractions of the picture; None: the dataset does not say where."""
    box: Box | None = None
    """Whole figure, xyxy as fractions of the picture."""
    tags: tuple[str, ...] = ()
    embedding: np.ndarray | None = field(default=None, compare=False)
    """(D,) float32, as the dataset holds it."""


@dataclass(frozen=True)
class ForeignPicture:
    """One picture with all that the dataset says of it."""

    path: Path
    """The picture's file, or the archive that holds it."""
    caption: str | None
    """None: there is none; '' is an empty one."""
    multiply: float = 1.0
    """Visits in one epoch by the rules of the format; 0: never."""
    tags: tuple[str, ...] = ()
    people: tuple[ForeignPerson, ...] = ()
    source: Source | None = None
    """None: the dataset does not say."""
    crop: str = ""
    """head | halfbody | person | face: which part of another picture it shows; '' for a whole one, or nobody says."""
    parent: Path | None = None
    """The picture that this one was cut from, where it lies in the dataset."""
    artist: str = ""
    licence: str = ""
    rating: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready: everything that the files beside it say, as it stands there."""
    span: tuple[int, int] | None = None
    """(offset, length) in bytes of the picture inside an archive at ``path``."""
    name: str = ""
    """POSIX, below the dataset's folder; unique in it."""

    @property
    def url(self) -> str:
        """Every address where the files beside it say that it was published, with spaces between them."""
        told = [self.facts, self.facts.get("seed")]
        said = [facts.get(key) for facts in told if isinstance(facts, Mapping) for key in _ADDRESSES]
        beside = self.facts.get("side_files")
        for text in beside.values() if isinstance(beside, Mapping) else ():
            said += _ADDRESS_LINE.findall(str(text))
        return " ".join(dict.fromkeys(url for url in said if isinstance(url, str) and "://" in url))

    def read_bytes(self) -> bytes:
        """The picture's file. Raises `UnreadableFile`."""
        try:
            if self.span is None:
                return self.path.read_bytes()
            with self.path.open("rb") as file:
                file.seek(self.span[0])
                return file.read(self.span[1])
        except OSError as error:
            raise UnreadableFile(self.path, "unreadable", f"cannot be read ({error.strerror or error})") from error

    @property
    def suffix(self) -> str:
        """Of the picture's own file name, in small letters."""
        return Path(self.name or self.path.name).suffix.lower()


@dataclass(frozen=True)
class ForeignDataset:
    """Everything that was found, and what the format's rules do with it that one would not expect."""

    pictures: tuple[ForeignPicture, ...]
    """Sorted by name."""
    notes: tuple[str, ...] = ()
    """"0.5 was dropped", "0 meant 1": one sentence each."""
    drops: tuple[Drop, ...] = ()
    """Files that could not be used, each with its reason."""
    others: Mapping[str, Path] = field(default_factory=dict)
    """Files about the dataset as a whole, by their POSIX path below it; read by nobody here, kept beside the import."""


def by_name(pictures: list[ForeignPicture]) -> tuple[ForeignPicture, ...]:
    return tuple(sorted(pictures, key=lambda picture: picture.name))
