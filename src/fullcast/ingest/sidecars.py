"""Files beside pictures that say what boards and their downloaders know: tags, artist, licence, rating, address.

Three habits are read: plain tags files and Grabber's fields (`tag_lines.py`), and the JSON that gallery-dl writes
(`gallery.py`). Several files beside one picture add up: every artist counts, and the boldest rating; of licences and
addresses the first is believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fullcast.formats.sidecars import read_json
from fullcast.ingest.gallery import read_gallery
from fullcast.ingest.tag_lines import Said, read_lines
from fullcast.store.errors import UnreadableFile


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What the files beside a picture say of it."""

    tags: tuple[str, ...] = ()
    artist: str = ""
    """Several have commas between them."""
    licence: str = ""
    rating: str = ""
    url: str = ""
    """Where the picture was published."""


def read_sidecar(path: Path) -> Sidecar:
    """Of the picture ``x.png``: ``x.png.txt``, ``x.txt``, the same with ``.tags``, ``x.png.json`` and ``x.json``.

    Raises UnreadableFile for a file that cannot be read and for JSON that is damaged or holds a pickle: what it says of
    rating and licence is unknown then, and the picture must not be used as if nothing had been said.
    """
    said = Said()
    for suffix in (".txt", ".tags", ".json"):
        for file in (path.with_name(path.name + suffix), path.with_suffix(suffix)):
            if file.is_dir() or not (file.is_symlink() or file.exists()):
                continue
            if suffix == ".json":
                read_gallery(read_json(file), file, said)
            else:
                read_lines(_text(file), said)
    tags, artists = dict.fromkeys(said.tags), dict.fromkeys(said.artists)
    return Sidecar(tuple(tags), ", ".join(artists), said.licence, said.rating, said.url)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise UnreadableFile(file, "unreadable", f"cannot be read ({error.strerror or error})") from error
