"""Import: datasets of other tools as records, with nothing of them lost and nothing in them run.

An import is the folder ``data/imports/NAME``: copies of the pictures under their hash, `Image` and `Person` tables as
every stage reads them, and ``origins.parquet`` with all that has no word of ours: the file's name, its caption, its
visits in an epoch, and everything that its metadata says. `prepare` takes imported pictures in like fan art, and gives
their people the names that the dataset gave them.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from fullcast.journey.answers import Answer, drop_lines
from fullcast.journey.class_tokens import TOKENS, people_in_class
from fullcast.journey.foreign_people import as_records
from fullcast.journey.taking_in import Partition
from fullcast.records import UNKNOWN, Cast, Drop, Image, Person, Source
from fullcast.store.atomic import TEMPORARY, replacing_dir, write_bytes, write_json
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.given import files_below
from fullcast.store.partitions import partition_key, stored_key
from fullcast.store.pictures import bytes_id, decode_picture
from fullcast.store.tables import read_records, write_records
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.formats.foreign import ForeignDataset, ForeignPerson, ForeignPicture
    from fullcast.ingest.fingerprint import Fingerprint
    from fullcast.journey import Journey

VERSION = 4
"""Raised when the same files would give other records. 2: ratings reach the filters, crops are no originals; 3: so do
addresses, and names are composed; 4: boxes end at the picture's edge, crops find originals that lie elsewhere."""

STAGE = "import"
FORMATS = ("seed", "kohya", "everydream1", "everydream2", "dataset", "webdataset")
ALIASES = {"everydream": "everydream2", "imagefolder": "dataset", "v1": "seed", "v2": "seed", "waifuc": "seed"}
PARTITION = "import-"
"""Before an import's name: the partition's name in later stages."""

_KEY = "partition.key"


@dataclass(frozen=True, slots=True)
class Origin:
    """One file of the dataset as it was found. The same picture in two files has two origins and one Image."""

    image_id: str
    file: str
    """POSIX, below the dataset's folder."""
    has_caption: bool
    """False: none at all, which is not an empty one."""
    caption: str
    multiply: float
    """Visits in one epoch by the rules of the format."""
    rating: str = ""
    facts: str = "{}"
    """JSON: everything that the files beside the picture say, as it stands there."""


@dataclass(frozen=True)
class Records:
    """What became of a dataset."""

    images: list[Image]
    people: list[Person]
    origins: list[Origin]
    fingerprints: list[Fingerprint]
    drops: list[Drop]


def import_dataset(
    journey: Journey,
    what: str,
    given: Path,
    *,
    name: str = "",
    source: str = "fanart",
    skip_pickles: bool = False,
) -> Answer:
    """`what`: one of FORMATS. name: of the import; the folder's own by default. source: of pictures whose dataset does
    not say it. skip_pickles: pictures whose metadata holds a pickle become drops; else the whole import is refused.

    An import of the same name is replaced; by another folder only where `name` says so.
    """
    what = ALIASES.get(what, what)
    if what not in FORMATS:
        raise FullcastError(f"nothing is called {what!r} that could be imported; there are: {', '.join(FORMATS)}")
    if source not in get_args(Source):
        raise FullcastError(f"a source is one of {', '.join(get_args(Source))}; got {source!r}")
    if not given.exists():
        raise FullcastError(f"there is no {given}; give the folder of a dataset")
    folder = _folder_for(journey.workspace, given, name)
    dataset = _read(what, given, skip_pickles)
    if not dataset.pictures:
        reasons = "; ".join(line.strip() for line in drop_lines(dataset.drops))
        raise FullcastError(
            f"{given} has no picture that can be imported as {what}" + (f": {reasons}" if reasons else "")
        )
    records = _write(journey, dataset, folder, source, what, _mark_of(given))
    return _answer(journey.workspace, folder, records, dataset, what)


def imports_dir(workspace: Workspace) -> Path:
    return workspace.data_dir / "imports"


def _folder_for(workspace: Workspace, given: Path, name: str) -> Path:
    """Where the import will lie. Raises FullcastError where another folder's import lies there and nobody named it."""
    from fullcast.formats.items import safe_part

    resolved = given.resolve()
    folder = imports_dir(workspace) / safe_part(name or (resolved.name if resolved.is_dir() else resolved.stem))
    if not name and stored_key(folder) and _about(folder).get("given", _mark_of(given)) != _mark_of(given):
        raise FullcastError(
            f"{workspace.relative(folder)} was imported from another folder than {given}; give this one a name of its "
            f"own with --name, or replace the other with --name {folder.name}"
        )
    return folder


def _mark_of(given: Path) -> str:
    """20 hex digits that tell one dataset's place from another's: no path is written into a workspace."""
    return hashlib.sha256(str(given.resolve()).encode(errors="surrogateescape")).hexdigest()[:20]


def _about(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "import.json").read_text(encoding="utf-8")))


def imported_partitions(workspace: Workspace) -> Iterator[Partition]:
    """Every import as `taking_in` reads partitions, by name."""
    for folder in _imports(workspace):
        yield Partition(
            PARTITION + folder.name,
            stored_key(folder),
            folder,
            tuple(read_records(folder / "images.parquet", Image)),
            drops=(*read_records(folder / "drops.parquet", Drop), *_outdated(workspace, folder)),
        )


def _outdated(workspace: Workspace, folder: Path) -> Iterator[Drop]:
    """Counted in every `prepare`: the dataset lies elsewhere, so that nobody but its owner can import it again."""
    if _about(folder).get("version", 1) < VERSION:
        detail = (
            "an earlier Fullcast did not pass on all that it says (ratings, crops, addresses, boxes beyond the edge); "
            f"import it again with --name {folder.name}"
        )
        yield Drop(workspace.relative(folder), STAGE, "old-import", detail)


def imported_people(workspace: Workspace, cast: Cast) -> list[Person]:
    """Everybody whom the imported datasets name or show, as they said it; of the cast also those whom only the class of
    a kohya folder names."""
    people: list[Person] = []
    for folder in _imports(workspace):
        said = read_records(folder / "people.parquet", Person)
        people += [*said, *_named_by_class(folder, cast, {person.image_id for person in said})]
    return people


def _named_by_class(folder: Path, cast: Cast, told: Set[str]) -> Iterator[Person]:
    """Looked for at every `prepare`: there may have been no cast yet when the dataset was imported. told: ids of the
    pictures whose people the dataset lists itself."""
    named: dict[str, dict[str, ForeignPerson]] = defaultdict(dict)
    for origin in read_records(folder / "origins.parquet", Origin):
        if TOKENS in origin.facts and origin.image_id not in told:
            for person in people_in_class(str(json.loads(origin.facts).get(TOKENS) or ""), cast):
                named[origin.image_id].setdefault(person.character, person)
    if named:
        images = {image.id: image for image in read_records(folder / "images.parquet", Image)}
        for image_id, people in named.items():
            yield from as_records(tuple(people.values()), "", images[image_id])[0]


def _imports(workspace: Workspace) -> list[Path]:
    parent = imports_dir(workspace)
    if not parent.is_dir():
        return []
    return sorted(p for p in parent.iterdir() if stored_key(p) and not p.name.startswith(TEMPORARY))


# --- reading


def _read(what: str, given: Path, skip_pickles: bool) -> ForeignDataset:
    from fullcast.formats.everydream import read_everydream
    from fullcast.formats.imagefolder import read_imagefolder
    from fullcast.formats.kohya import read_kohya
    from fullcast.formats.seed_reading import read_seed
    from fullcast.formats.sidecars import PickledFile, read_json
    from fullcast.formats.webdataset import read_webdataset

    readers: dict[str, Callable[[], ForeignDataset]] = {
        "seed": lambda: read_seed(given, skip_pickles),
        "kohya": lambda: read_kohya(given),
        "everydream1": lambda: read_everydream(given, 1),
        "everydream2": lambda: read_everydream(given, 2),
        "dataset": lambda: read_imagefolder(given),
        "webdataset": lambda: read_webdataset(given),
    }
    try:
        dataset = readers[what]()
        for path in dataset.others.values():
            if path.suffix.lower() == ".json":
                _refuse_pickle(path, read_json)
    except PickledFile as error:
        way = "; with --skip-pickles such pictures are left out and counted" if what == "seed" else ""
        raise FullcastError(
            f"{error}; Fullcast opens no pickles, so nothing was imported: take it out of the file{way}"
        ) from None
    _, lost = files_below(given)
    gone = (Drop(Path(e.path).relative_to(given).as_posix(), STAGE, e.reason, e.detail) for e in lost)
    return replace(dataset, drops=(*dataset.drops, *gone))


def _refuse_pickle(path: Path, read_json: Callable[[Path], object]) -> None:
    """A file about the whole dataset is copied unread; one with a pickle in it is not even that."""
    from fullcast.formats.sidecars import PickledFile

    try:
        read_json(path)
    except PickledFile:
        raise
    except UnreadableFile:
        return


# --- writing


def _write(journey: Journey, dataset: ForeignDataset, folder: Path, source: str, what: str, given: str) -> Records:
    """Makes the import, atomically; one of that name is replaced as a whole. `given`: `_mark_of` the dataset."""
    from fullcast.ingest.fingerprint import Fingerprint

    with replacing_dir(folder) as out:
        records = _records(journey, dataset, out, journey.workspace.relative(folder), source)
        write_records(out / "images.parquet", records.images, Image)
        write_records(out / "people.parquet", records.people, Person, {"embedder": "", "import": what})
        write_records(out / "origins.parquet", records.origins, Origin)
        write_records(out / "fingerprints.parquet", records.fingerprints, Fingerprint)
        for name, path in dataset.others.items():
            try:
                write_bytes(out / "others" / name, path.read_bytes())
            except OSError as error:
                records.drops.append(Drop(name, STAGE, "unreadable", error.strerror or str(error)))
        write_records(out / "drops.parquet", records.drops, Drop)
        about = {"format": what, "notes": dataset.notes, "source": source, "version": VERSION, "given": given}
        write_json(out / "import.json", about)
        inputs = {origin.file: f"{origin.image_id} {origin.facts}" for origin in records.origins}
        key = partition_key(inputs, [what, source], version=VERSION)
        (out / _KEY).write_text(key + "\n", encoding="utf-8")
    return records


def _records(journey: Journey, dataset: ForeignDataset, out: Path, stored: str, source: str) -> Records:
    from fullcast.ingest.filters import merged
    from fullcast.ingest.fingerprint import make_fingerprint
    from fullcast.ingest.planes import mean_laplacian

    records = Records([], [], [], [], list(dataset.drops))
    seen: dict[str, tuple[int, str]] = {}
    known: dict[Path, Image] = {}
    journey.progress.start("import", len(dataset.pictures))
    # Whole pictures before their crops, so that a crop finds its parent's id.
    for picture in sorted(dataset.pictures, key=lambda p: (p.parent is not None, p.name)):
        journey.progress.advance()
        try:
            data = picture.read_bytes()
            pixels = decode_picture(data, picture.name)
        except UnreadableFile as error:
            records.drops.append(Drop(picture.name, STAGE, error.reason, error.detail))
            continue
        image_id = bytes_id(data)
        records.origins.append(_origin(picture, image_id))
        path = f"pictures/{image_id}{picture.suffix}"
        fingerprint = make_fingerprint(image_id, pixels)
        sharpness = round(mean_laplacian(fingerprint.luma_array), 4)
        height, width = pixels.shape[:2]
        image = Image(image_id, f"{stored}/{path}", width, height, source, sharpness=sharpness)  # type: ignore[arg-type]
        known[picture.path] = image = _told(image, picture, known)
        if image_id in seen:
            index, first = seen[image_id]
            records.images[index] = merged(records.images[index], image)
            records.drops.append(Drop(picture.name, STAGE, "same-file", f"the same bytes as {first}"))
            continue
        seen[image_id] = len(records.images), picture.name
        write_bytes(out / path, data)
        records.fingerprints.append(fingerprint)
        records.images.append(image)
        people, drops = as_records(picture.people, picture.name, image)
        records.people.extend(people)
        records.drops.extend(drops)
    journey.progress.done()
    records.origins.sort(key=lambda origin: origin.file)
    return records


def _told(image: Image, picture: ForeignPicture, known: Mapping[Path, Image]) -> Image:
    """The image with what the dataset says of it. One that was cut from a picture of the dataset (`known`: those before
    it) is its crop; a crop whose original nobody has keeps its source, and says that it is cropped."""
    whole = known.get(picture.parent) if picture.parent else None
    parent = (whole.parent or whole.id) if whole else ""
    source: Source = picture.source or image.source
    crop = picture.crop or ("person" if parent or source == "crop" else "")
    return replace(
        image,
        source="crop" if parent else "fanart" if source == "crop" else source,
        parent=parent,
        tags=(*picture.tags, f"rating:{picture.rating}") if picture.rating else picture.tags,
        artist=picture.artist,
        licence=picture.licence,
        url=picture.url,
        crop=crop,
    )


def _origin(picture: ForeignPicture, image_id: str) -> Origin:
    facts = json.dumps(picture.facts, ensure_ascii=False, sort_keys=True, default=str)
    return Origin(
        *(image_id, picture.name, picture.caption is not None, picture.caption or "", picture.multiply),
        picture.rating,
        facts,
    )


# --- saying


def _answer(workspace: Workspace, folder: Path, records: Records, dataset: ForeignDataset, what: str) -> Answer:
    sources = Counter(image.source for image in records.images)
    names = Counter(p.name for p in records.people if p.character not in ("", UNKNOWN))
    unplaced = sum(person.confidence == 0 for person in records.people)
    captions = sum(origin.has_caption for origin in records.origins)
    classes = any(TOKENS in origin.facts for origin in records.origins)
    lines = [
        f"{len(records.images)} pictures ({', '.join(f'{n} {source}' for source, n in sorted(sources.items()))}), "
        f"{captions} captions, {len(records.people)} people: {workspace.relative(folder)}",
        *(f"  {name}: {count}" for name, count in names.most_common()),
        *(f"  {note}" for note in dataset.notes),
        *(["  the classes of its folders: prepare looks for the cast in them"] if classes else []),
        *drop_lines(records.drops),
        "Then: fullcast prepare",
    ]
    data = {
        "path": workspace.relative(folder),
        "format": what,
        "pictures": dict(sources),
        "captions": captions,
        "people": dict(names),
        "people_without_place": unplaced,
        "notes": list(dataset.notes),
        "others": len(dataset.others),
        "drops": [{"item": d.item, "reason": d.reason, "detail": d.detail} for d in records.drops],
    }
    return Answer("\n".join(lines), data)
