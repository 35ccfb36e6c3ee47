"""No picture is looked at twice by the same networks over the same cast: what they saw is kept beside the verdicts.

A verdict is a pure function of what was seen, of the scene and of the settings, and costs microseconds. Kept is the
dear part, what detector and embedder saw; so a picture judged for another scene, or with other settings, or by a later
version of the verdict, is not looked at again, and the answer for the same question is the same to the bit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullcast.records import Cast, Found
from fullcast.store.errors import UnreadableFile
from fullcast.store.tables import read_records, write_records

VERSION = 4
"""Raised when the same networks would be asked in another way, or `Sight` changes."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What the judge's networks saw in one picture."""

    sha256: str
    """First 20 hex digits, of the picture's file."""
    width: int
    height: int
    found: tuple[Found, ...]
    hair: tuple[tuple[float, ...], ...] = ()
    """(L, a, b) of each figure's hair, see `hair`; () where it has no head."""


def question_key(look: str, cast: Cast) -> str:
    """20 hex digits over the networks (``look``, with the hashes of their weights), the cast's names, references with
    their views, threshold and way of naming, and `VERSION`."""
    asked = [VERSION, look, cast.embedder, cast.threshold, repr(cast.naming)]
    digest = hashlib.sha256(json.dumps(asked).encode())
    for character in cast.characters:
        for form in character.forms:
            digest.update(json.dumps([character.name, form.name]).encode())
            for vectors in (form.references, form.views):
                if vectors is not None:
                    digest.update(np.ascontiguousarray(vectors, dtype=np.float32).tobytes())
    return digest.hexdigest()[:20]


class Sights:
    """The sights of one question in ``folder``: Parquet files that are only ever added, each whole or not there."""

    def __init__(self, folder: Path | None, key: str) -> None:
        """``folder`` None keeps nothing beyond the process."""
        self.folder = folder / key if folder is not None else None
        self._known: dict[str, Sight] = {}
        self._fresh: list[Sight] = []
        for path in sorted(self.folder.glob("*.parquet")) if self.folder is not None and self.folder.is_dir() else []:
            try:
                self._known.update((sight.sha256, sight) for sight in read_records(path, Sight))
            except UnreadableFile:
                continue  # looked at again; a damaged cache must not stop anybody

    def __len__(self) -> int:
        return len(self._known)

    def get(self, sha256: str) -> Sight | None:
        return self._known.get(sha256)

    def add(self, sights: Sequence[Sight]) -> None:
        self._known.update((sight.sha256, sight) for sight in sights)
        self._fresh += sights

    def save(self) -> None:
        """What was added since, as one more file; its name is the hash of its pictures."""
        if self._fresh and self.folder is not None:
            name = hashlib.sha256("".join(sight.sha256 for sight in self._fresh).encode()).hexdigest()[:20]
            write_records(self.folder / f"{name}.parquet", self._fresh, Sight)
        self._fresh = []
