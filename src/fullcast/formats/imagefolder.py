"""Hugging Face imagefolder: ``train/*.png`` and ``train/metadata.jsonl``; ``datasets.load_dataset("imagefolder",
data_dir=...)`` opens it, and the diffusers training scripts read its columns ``image`` and ``text``.

People are one column, ``objects``, of parallel lists, as in the object detection sets of the hub. A trainer that knows
no column ``weight`` sees every picture once in an epoch, and the report says what that does to the shares.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fullcast.formats.foreign import ForeignDataset, ForeignPerson, ForeignPicture, by_name
from fullcast.formats.items import Exported, Item, Names, export_dir, leave_report, share_error
from fullcast.formats.sidecars import PickledFile, find_pickle, read_text
from fullcast.ports import Progress, silent
from fullcast.records import Box, Source
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
    """Every split (or one) of an imagefolder, ours or another's: any columns, ``text`` as caption.

    A row that names no picture, or is no JSON, is a sentence and the end: the table is one file.
    """
    tables = sorted(data_dir.glob(f"{split or '*'}/{METADATA}"))
    if not split and (data_dir / METADATA).is_file():
        tables.append(data_dir / METADATA)
    if not tables:
        raise FullcastError(f"{data_dir} is no imagefolder: it needs {split or 'train'}/{METADATA}")
    return ForeignDataset(by_name([p for table in tables for p in _rows(table, data_dir)]))


def _rows(table: Path, root: Path) -> list[ForeignPicture]:
    pictures = []
    for number, line in enumerate(read_text(table).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UnreadableFile(table, "unreadable", f"line {number} is no JSON: {error.msg}") from error
        path = table.parent / str(row.get("file_name", "")) if isinstance(row, dict) else table.parent
        if not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
            raise UnreadableFile(table, "incomplete", f"line {number} names no picture in the folder")
        if (where := find_pickle(row)) is not None:
            raise PickledFile(table, f"line {number}, under {where}")
        pictures.append(described_picture(path, path.relative_to(root).as_posix(), row))
    return pictures


def described_picture(
    path: Path, name: str, row: Mapping[str, Any], caption: str | None = None, span: tuple[int, int] | None = None
) -> ForeignPicture:
    """A picture from the columns that `Item.described` writes; of other tables what has the same names."""
    text = row.get("text", caption)
    if isinstance(text, list):  # diffusers' scripts draw one of several; all of them stay in facts
        text = text[0] if text else None
    weight = row.get("weight", 1.0)
    return ForeignPicture(
        path,
        str(text) if text is not None else None,
        float(weight) if isinstance(weight, int | float) else 1.0,
        tuple(str(tag) for tag in row.get("tags") or ()),
        _people(row),
        SOURCES.get(str(row.get("source", ""))),
        artist=str(row.get("artist") or ""),
        licence=str(row.get("licence") or row.get("license") or ""),
        rating=str(row.get("rating") or ""),
        facts=dict(row),
        span=span,
        name=name,
    )


def _people(row: Mapping[str, Any]) -> tuple[ForeignPerson, ...]:
    """From the parallel lists of ``objects``; none from sets that mean something else by it."""
    objects, width, height = row.get("objects"), row.get("width"), row.get("height")
    if not isinstance(objects, dict) or not {"character", "xyxy"} <= objects.keys() or not width or not height:
        return ()
    people = []
    for i, character in enumerate(objects["character"]):
        form, head, tags = (_at(objects, column, i) for column in ("form", "head_xyxy", "tags"))
        words = tuple(tag.strip() for tag in str(tags or "").split(",") if tag.strip())
        people.append(
            ForeignPerson(
                str(character),
                str(form or ""),
                _fractions(head, width, height),
                _fractions(objects["xyxy"][i], width, height),
                words,
            )
        )
    return tuple(people)


def _at(objects: Mapping[str, Any], column: str, index: int) -> Any:
    values = objects.get(column)
    return values[index] if isinstance(values, list) and index < len(values) else None


def _fractions(box: Any, width: float, height: float) -> Box | None:
    if not isinstance(box, list | tuple) or len(box) != 4:
        return None
    x0, y0, x1, y1 = (float(v) for v in box)
    return x0 / width, y0 / height, x1 / width, y1 / height
