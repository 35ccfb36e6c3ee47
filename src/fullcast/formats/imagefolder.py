"""Hugging Face imagefolder: ``train/*.png`` and ``train/metadata.jsonl``; ``datasets.load_dataset("imagefolder",
data_dir=...)`` opens it, and the diffusers training scripts read its columns ``image`` and ``text``.

People are one column, ``objects``, of parallel lists, as in the object detection sets of the hub. A trainer that knows
no column ``weight`` sees every picture once in an epoch, and the report says what that does to the shares.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fullcast.formats.foreign import STAGE, ForeignDataset, ForeignPerson, ForeignPicture, by_name
from fullcast.formats.items import Exported, Item, Names, export_dir, leave_report, share_error
from fullcast.formats.sidecars import PickledFile, find_pickle, number_of, read_text
from fullcast.ports import Progress, silent
from fullcast.records import Box, Drop, Source
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.pictures import write_png

METADATA = "metadata.jsonl"
SOURCES: Mapping[str, Source] = {
    "screenshots": "screenshots",
    "fanart": "fanart",
    "booru": "fanart",
    "regularization": "regularization",
    "reference": "reference",
    "crop": "crop",
    "composite": "composite",
}
"""What datasets call a source, and what we do."""

CROPS = ("head", "person")
"""Kinds of our own samples that captions call cropped; a group is a picture framed anew."""


def export_imagefolder(
    items: Iterable[Item], out_dir: Path, split: str = "train", progress: Progress = silent
) -> Exported:
    """Writes all items, atomically; weights stand in the column ``weight``."""
    lines: list[str] = []
    weights: list[float] = []
    names = Names()
    with export_dir(out_dir) as folder:
        for item in items:
            name = f"{names.take(item.name)}.png"
            write_png(folder / split / name, item.pixels)
            lines.append(json.dumps({"file_name": name, **item.described()}, ensure_ascii=False))
            weights.append(item.weight)
            progress.advance()
        if not lines:
            raise FullcastError("there is nothing to export; prepare some pictures first")
        (folder / split / METADATA).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return leave_report(folder, unweighted("imagefolder", names, weights, 1, 'the column "weight"'))


def unweighted(name: str, names: Names, weights: Sequence[float], folders: int, where: str) -> Exported:
    """The report of a format whose readers see every picture once in an epoch."""
    asked = np.asarray(weights, dtype=np.float64)
    notes = [f"each picture comes once in an epoch; weights stand in {where}, for trainers that read it"]
    if zeros := int((asked == 0).sum()):
        notes.append(f"{zeros} pictures of weight 0 are in it: leave them out of a training that ignores weights")
    error = share_error(np.ones(len(asked)), asked) if asked.sum() > 0 else 0.0
    visits = dict.fromkeys(names, 1.0)
    return Exported(name, len(asked), 0, folders, float(len(asked)), error, visits, tuple(notes))


def read_imagefolder(data_dir: Path, split: str = "") -> ForeignDataset:
    """Every split (or one) of an imagefolder, ours or another's: ``metadata.jsonl``, ``.csv`` or ``.parquet`` with any
    columns, ``text`` as caption.

    A row that names no picture, or says what cannot be, is a drop; a table that is none is a sentence and the end.
    """
    folders = [data_dir, *sorted(path for path in data_dir.glob(split or "*") if path.is_dir())]
    tables = [folder / name for folder in folders[bool(split) :] for name in TABLES if (folder / name).is_file()]
    if not tables:
        raise FullcastError(f"{data_dir} is no imagefolder: it needs {split or 'train'}/{METADATA}, .csv or .parquet")
    drops: list[Drop] = []
    pictures = [picture for table in tables for picture in _pictures(table, data_dir, drops)]
    return ForeignDataset(by_name(pictures), (), tuple(drops))


def _pictures(table: Path, root: Path, drops: list[Drop]) -> Iterator[ForeignPicture]:
    for number, row in READERS[table.suffix](table):
        where = f"{table.relative_to(root).as_posix()}:{number}"
        if (pickled := find_pickle(row)) is not None:
            raise PickledFile(table, f"line {number}, under {pickled}")
        path = table.parent / str(row.get("file_name") or "")
        if not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
            drops.append(Drop(where, STAGE, "missing", f"{row.get('file_name')!r} is no picture in the folder"))
            continue
        try:
            yield described_picture(path, path.relative_to(root).as_posix(), row)
        except UnreadableFile as error:
            drops.append(Drop(where, STAGE, error.reason, error.detail))


def _json_lines(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    # Not splitlines(): a caption may hold one of the line separators that JSON does not escape.
    for number, line in enumerate(read_text(table).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UnreadableFile(table, "unreadable", f"line {number} is no JSON: {error.msg}") from error
        if not isinstance(row, dict):
            raise UnreadableFile(table, "unreadable", f"line {number} should hold names and values")
        yield number, row


def _csv_rows(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(read_text(table), newline=""))
    try:
        for row in reader:
            yield reader.line_num, {name: value for name, value in row.items() if name is not None}
    except csv.Error as error:
        raise UnreadableFile(table, "unreadable", f"is no CSV ({error})") from None


def _parquet_rows(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow
    import pyarrow.parquet

    try:
        yield from enumerate(pyarrow.parquet.read_table(table).to_pylist(), 1)
    except (pyarrow.ArrowException, OSError) as error:
        raise UnreadableFile(table, "unreadable", f"is no Parquet ({' '.join(str(error).split())})") from None


READERS: Mapping[str, Callable[[Path], Iterator[tuple[int, dict[str, Any]]]]] = {
    ".jsonl": _json_lines,
    ".csv": _csv_rows,
    ".parquet": _parquet_rows,
}
TABLES = tuple(f"metadata{suffix}" for suffix in READERS)


def described_picture(
    path: Path, name: str, row: Mapping[str, Any], caption: str | None = None, span: tuple[int, int] | None = None
) -> ForeignPicture:
    """A picture from the columns that `Item.described` writes; of other tables what has the same names."""
    text = row.get("text", caption)
    if isinstance(text, list):  # diffusers' scripts draw one of several; all of them stay in facts
        text = text[0] if text else None
    weight = row.get("weight")
    return ForeignPicture(
        path,
        str(text) if text is not None else None,
        1.0 if weight in (None, "") else number_of(weight, path, "a weight"),
        _words(row.get("tags")),
        _people(row, path),
        SOURCES.get(str(row.get("source", ""))),
        crop=str(row.get("kind", "")) if row.get("kind") in CROPS else "",
        artist=str(row.get("artist") or ""),
        licence=str(row.get("licence") or row.get("license") or ""),
        rating=str(row.get("rating") or ""),
        facts=dict(row),
        span=span,
        name=name,
    )


def _people(row: Mapping[str, Any], path: Path) -> tuple[ForeignPerson, ...]:
    """From the parallel lists of ``objects``; none from sets that mean something else by it."""
    objects, width, height = row.get("objects"), row.get("width"), row.get("height")
    if not isinstance(objects, dict) or not {"character", "xyxy"} <= objects.keys() or not width or not height:
        return ()
    characters = objects["character"]
    try:
        people = []
        for i in range(len(characters)):
            form, head, box, tags = (_at(objects, column, i) for column in ("form", "head_xyxy", "xyxy", "tags"))
            places = _fractions(head, width, height), _fractions(box, width, height)
            people.append(ForeignPerson(str(characters[i]), str(form or ""), *places, _words(tags)))
        return tuple(people)
    except (TypeError, ValueError):
        detail = f"objects should be lists of names and of boxes in pixels; it is {str(objects)[:60]}"
        raise UnreadableFile(path, "damaged-metadata", detail) from None


def _words(value: Any) -> tuple[str, ...]:
    """Tags: a list, or a text with commas."""
    listed = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else ()
    return tuple(word for tag in listed if (word := str(tag).strip()))


def _at(objects: Mapping[str, Any], column: str, index: int) -> Any:
    values = objects.get(column)
    return values[index] if isinstance(values, list) and index < len(values) else None


def _fractions(box: Any, width: float, height: float) -> Box | None:
    if not isinstance(box, list | tuple) or len(box) != 4:
        return None
    x0, y0, x1, y1 = (float(v) for v in box)
    return x0 / width, y0 / height, x1 / width, y1 / height
