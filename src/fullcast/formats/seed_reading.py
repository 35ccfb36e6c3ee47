"""The folders of the seed pipeline, read: its first version (``X.json``) and its second (``.X_meta.json``).

First version: ``facepos`` holds faces as fractions, ``characters`` (later ``character``) one name per face in the same
order. Its script that corrects names from folders sorts them, and then names and faces no longer belong together: where
their numbers differ, faces stay without a name and names without a place. Second version: ``characters`` holds
``name|appearance|outfit`` and there is no box: in a person crop of one character the figure is the picture, in others
nobody knows where they stand. Everything in the files is kept as it stands in ``facts``; see `sidecars` for what is
refused.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fullcast.formats.foreign import STAGE, ForeignDataset, ForeignPerson, ForeignPicture, by_name
from fullcast.formats.imagefolder import SOURCES, described_picture
from fullcast.formats.items import MARK
from fullcast.formats.seed import MULTIPLY
from fullcast.formats.sidecars import PickledFile, number_of, read_json, read_text, read_vector
from fullcast.records import UNKNOWN, Box, Drop, Source
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.pictures import PICTURE_SUFFIXES

SECOND = "_meta.json"
"""Behind a dot and the picture's stem."""

NOBODY = frozenset({"", UNKNOWN, "ood", "none", "noise"})
"""Names of people whom the classifiers did not know."""

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
FIGURE_CROPS = frozenset({"person", "halfbody", "head"})
"""Kinds of the second version's crops that show one figure."""

FACE = "face"
"""What the first version cuts: the largest square with the face in its middle."""

_GRABBER = re.compile(r"^(character|copyright|artist|general|rating|score)\s*:\s*(.*)$", re.IGNORECASE)
_CROP_OF = re.compile(r"^(?P<parent>.+)_(?P<index>\d+)$")
_SEPARATORS = re.compile(r"[\\/]")
"""In paths of whatever system the dataset was made on."""


def read_seed(root: Path, skip_pickles: bool = False) -> ForeignDataset:
    """Every picture below ``root`` with its side files, of either version, in one tree or mixed.

    skip_pickles: a picture whose metadata holds a pickle becomes a drop; otherwise `PickledFile` is raised.
    """
    if not root.is_dir():
        raise FullcastError(f"{root} is no folder; give the folder of a dataset of the seed pipeline")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    found = _Found(root, set(files), skip_pickles)
    pictures = [path for path in files if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")]
    read = [picture for path in pictures if (picture := found.read(path)) is not None]
    left = (path for path in files if path not in found.used and path.name != MARK)
    others = {path.relative_to(root).as_posix(): path for path in left}
    notes = _notes(read, found)
    return ForeignDataset(by_name(_with_forms(read)), notes, tuple(found.drops), others)


@dataclass
class _Found:
    root: Path
    files: set[Path]
    skip_pickles: bool
    used: set[Path] = field(default_factory=set)
    drops: list[Drop] = field(default_factory=list)
    multiplies: dict[Path, str | None] = field(default_factory=dict)
    by_stem: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    """Pictures."""
    unpaired: int = 0

    def __post_init__(self) -> None:
        for path in sorted(self.files):
            if path.suffix.lower() in PICTURE_SUFFIXES:
                self.by_stem[path.stem].append(path)

    def read(self, path: Path) -> ForeignPicture | None:
        self.used.add(path)
        try:
            return self._picture(path)
        except PickledFile as error:
            if not self.skip_pickles:
                raise
            self._drop(path, error)
        except UnreadableFile as error:
            self._drop(path, error)
        return None

    def _drop(self, path: Path, error: UnreadableFile) -> None:
        self.drops.append(Drop(path.relative_to(self.root).as_posix(), STAGE, error.reason, str(error)))

    def _picture(self, path: Path) -> ForeignPicture:
        second = self._beside(path.with_name(f".{path.stem}{SECOND}"))
        first = self._beside(path.with_suffix(".json"))
        side = dict(self._side_texts(path))
        embedding = None
        if (vector := self._beside(path.with_name(f".{path.stem}_ccip.npy"))) is not None:
            embedding = read_vector(vector)
        facts: dict[str, Any] = {"side_files": side} if side else {}
        multiply, said = self._multiply(path.parent)
        if said is not None:
            facts["multiply"] = said
        caption = side.get(".txt")
        if second is not None:
            picture = self._second(path, _mapping(second), embedding)
        elif first is not None:
            picture = self._first(path, _mapping(first))
        else:
            picture = ForeignPicture(path, None)
        return ForeignPicture(
            **{
                **vars(picture),
                "caption": picture.caption if caption is None else caption,
                "multiply": multiply,
                "tags": picture.tags or _words(side),
                "source": self._source(path, picture),
                "parent": self._parent(path, picture) if picture.crop else None,
                "artist": picture.artist or _grabber(side).get("artist", ""),
                "rating": picture.rating or _grabber(side).get("rating", ""),
                "facts": {**picture.facts, **facts},
                "name": path.relative_to(self.root).as_posix(),
            }
        )

    def _beside(self, path: Path) -> Path | None:
        if path not in self.files:
            return None
        self.used.add(path)
        return path

    def _side_texts(self, path: Path) -> Iterator[tuple[str, str]]:
        """Captions, tags, characters in files of their own, by what follows the stem."""
        for suffix in (".txt", ".tags", ".processed_tags", ".characters", f"{path.suffix}.tags", f"{path.suffix}.txt"):
            if (file := self._beside(path.with_name(path.stem + suffix))) is not None:
                yield suffix, read_text(file)

    def _multiply(self, folder: Path) -> tuple[float, str | None]:
        """Of the folder alone: what lies below has its own."""
        if folder not in self.multiplies:
            path = self._beside(folder / MULTIPLY)
            self.multiplies[folder] = None if path is None else read_text(path).strip()
        said = self.multiplies[folder]
        if said is None:
            return 1.0, None
        return number_of(said, folder / MULTIPLY), said

    def _source(self, path: Path, picture: ForeignPicture) -> Source | None:
        """What the metadata says, else the nearest folder that is called like a source."""
        said = SOURCES.get(str(picture.facts.get("type", "")))
        parts = reversed(path.relative_to(self.root.parent).parts[:-1])
        return said or picture.source or next((SOURCES[part] for part in parts if part in SOURCES), None)

    def _parent(self, path: Path, picture: ForeignPicture) -> Path | None:
        """The first version's crops are called ``{stem}_{k}``; they are cut beside their picture and then sorted by
        their own names, away from it. The second's say its ``path``, and it may lie anywhere, with another suffix."""
        match = _CROP_OF.match(path.stem)
        if match:
            beside = [path.with_name(match["parent"] + suffix) for suffix in (path.suffix, ".png")]
            if whole := next((p for p in beside if p in self.files), None):
                return whole
        said = Path(_SEPARATORS.split(str(picture.facts.get("path") or ""))[-1]).stem
        return self._only(said, path) or (self._only(match["parent"], path) if match else None)

    def _only(self, stem: str, path: Path) -> Path | None:
        """The one picture of that stem, wherever it lies; None for `path` itself, or where there are several."""
        named = self.by_stem.get(stem, ())
        return named[0] if len(named) == 1 and stem != path.stem else None

    def _first(self, path: Path, meta: Mapping[str, Any]) -> ForeignPicture:
        if isinstance(meta.get("fullcast"), dict):  # our own export: the same words and more
            return described_picture(path, "", {**meta["fullcast"], "seed": dict(meta)})
        faces = [_box(face, path) for face in _listed(meta.get("facepos"), path, "facepos")]
        said = meta.get("characters", meta.get("character"))
        names = [str(name) for name in ([said] if isinstance(said, str) else _listed(said, path, "characters"))]
        if len(faces) == len(names):
            people = [ForeignPerson(_name(name), head=face) for name, face in zip(names, faces, strict=True)]
        else:
            self.unpaired += bool(faces and names)
            people = [ForeignPerson("", head=face) for face in faces]
            people += [ForeignPerson(name) for name in names if name not in NOBODY]
        return ForeignPicture(
            path,
            None,
            tags=_tags(meta.get("tags")),
            people=tuple(people),
            crop=FACE if meta.get("cropped") else "",
            artist=_joined(meta.get("artist")),
            rating=_joined(meta.get("rating")),
            facts=dict(meta),
        )

    def _second(self, path: Path, meta: Mapping[str, Any], embedding: np.ndarray | None) -> ForeignPicture:
        said = _listed(meta.get("characters"), path, "characters")
        names = [str(name) for name in said if str(name).split("|")[0] not in NOBODY]
        said_crop = meta.get("crop")
        crop = str(said_crop.get("type", "")) if isinstance(said_crop, dict) else ""
        figure = crop in FIGURE_CROPS
        people: list[ForeignPerson] = []
        for name in names:
            character, *looks = name.split("|")
            form = ", ".join(look for look in looks if look and look != "none")
            alone = figure and len(names) == 1
            people.append(
                ForeignPerson(character, form, box=WHOLE if alone else None, embedding=embedding if alone else None)
            )
        if figure and not names:  # somebody, whom the clusters made noise
            people.append(ForeignPerson(UNKNOWN, box=WHOLE, embedding=embedding))
        return ForeignPicture(
            path,
            _joined(meta.get("caption")) if meta.get("caption") is not None else None,
            tags=_tags(meta.get("tags")),
            people=tuple(people),
            crop=crop if figure else "",
            artist=_joined(meta.get("artist")),
            rating=_joined(meta.get("rating")),
            facts={**meta, **({"ccip": embedding.tolist()} if embedding is not None and not _alone(people) else {})},
        )


def _alone(people: list[ForeignPerson]) -> bool:
    return len(people) == 1 and people[0].embedding is not None


def _with_forms(pictures: list[ForeignPicture]) -> list[ForeignPicture]:
    """ "KuraueHinata Hairdown" is a look of KuraueHinata where the dataset knows her by that name alone too."""
    plain = {p.character for picture in pictures for p in picture.people if " " not in p.character}
    return [
        ForeignPicture(**{**vars(picture), "people": tuple(_look(person, plain) for person in picture.people)})
        for picture in pictures
    ]


def _look(person: ForeignPerson, plain: set[str]) -> ForeignPerson:
    name, _, form = person.character.partition(" ")
    if not form or person.form or name not in plain:
        return person
    return ForeignPerson(name, form, person.head, person.box, person.tags, person.embedding)


def _notes(pictures: list[ForeignPicture], found: _Found) -> tuple[str, ...]:
    notes = []
    if found.unpaired:
        notes.append(f"{found.unpaired} pictures have another number of names than of faces: whose face is not known")
    groups = [names for p in pictures if len(names := _first_names(p)) > 1]
    in_order = sum(names == sorted(names) for names in groups)
    if groups:
        notes.append(
            f"{in_order} of {len(groups)} pictures of several people have their names in the order of the alphabet, as "
            "the seed's correction script leaves them: where that is so, faces may have been exchanged"
        )
    unplaced = sum(person.head is None and person.box is None for picture in pictures for person in picture.people)
    if unplaced:
        notes.append(f"{unplaced} names have no place in their picture")
    return tuple(notes)


def _first_names(picture: ForeignPicture) -> list[str]:
    """Different known names of faces, in the order of the faces."""
    names = [p.character for p in picture.people if p.head is not None and p.character not in NOBODY]
    return names if len(set(names)) == len(names) and "fullcast" not in picture.facts.get("seed", {}) else []


def _mapping(path: Path) -> Mapping[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise UnreadableFile(path, "damaged-metadata", "should hold names and values")
    return value


def _listed(value: Any, path: Path, what: str) -> list[Any]:
    """A list of the metadata; [] where it says nothing."""
    if value is None or value == "":
        return []
    if not isinstance(value, list | tuple):
        detail = f"{what} should be a list; it is {str(value)[:40]!r}"
        raise UnreadableFile(path, "damaged-metadata", detail)
    return list(value)


def _box(face: Any, path: Path) -> Box:
    try:
        x0, y0, x1, y1 = (float(v) for v in face)
    except (TypeError, ValueError, OverflowError):
        detail = f"a face in facepos is [left, top, right, bottom]; it has {str(face)[:60]}"
        raise UnreadableFile(path.with_suffix(".json"), "damaged-metadata", detail) from None
    return x0, y0, x1, y1


def _name(name: str) -> str:
    return UNKNOWN if name in NOBODY else name


def _tags(value: Any) -> tuple[str, ...]:
    """A list, a text with commas, or tags with their scores."""
    if isinstance(value, dict):
        return tuple(str(tag) for tag in sorted(value, key=lambda tag: -_score(value[tag])))
    if isinstance(value, str):
        return tuple(tag.strip() for tag in value.split(",") if tag.strip())
    return tuple(str(tag) for tag in value) if isinstance(value, list | tuple) else ()


def _score(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _words(side: Mapping[str, str]) -> tuple[str, ...]:
    """Of tags files: one line with commas, or Grabber's lines."""
    for name, text in side.items():
        if name.endswith(".tags"):
            general = _grabber({name: text}).get("general")
            return _tags(general if general is not None else ",".join(text.splitlines()))
    return ()


def _grabber(side: Mapping[str, str]) -> dict[str, str]:
    lines = (line for name, text in side.items() if name.endswith("tags") for line in text.splitlines())
    return {match[1].lower(): match[2].strip() for line in lines if (match := _GRABBER.match(line.strip()))}


def _joined(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(str(v) for v in value) if isinstance(value, list | tuple) else str(value)
