"""Hugging Face imagefolder: ``train/*.png`` and ``train/metadata.jsonl``; ``datasets.load_dataset("imagefolder",
data_dir=...)`` opens it, and the diffusers training scripts read its columns ``image`` and ``text``.

People are one column, ``objects``, of parallel lists, as in the object detection sets of the hub.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fullcast.formats.items import Item, export_dir
from fullcast.ports import Progress, silent
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.pictures import write_png

METADATA = "metadata.jsonl"


def export_imagefolder(items: Iterable[Item], out_dir: Path, split: str = "train", progress: Progress = silent) -> int:
    """Writes all items, atomically, and returns how many; weights stand in the column ``weight``."""
    lines: list[str] = []
    seen: set[str] = set()
    with export_dir(out_dir, "imagefolder") as folder:
        for item in items:
            if item.name in seen:
                raise FullcastError(f"two samples are called {item.name!r}; an export needs different names")
            seen.add(item.name)
            write_png(folder / split / f"{item.name}.png", item.pixels)
            lines.append(json.dumps(_row(item), ensure_ascii=False))
            progress.advance()
        if not lines:
            raise FullcastError("there is nothing to export; prepare some pictures first")
        (folder / split / METADATA).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)


def read_imagefolder(data_dir: Path, split: str = "train") -> list[dict[str, Any]]:
    """The rows of ``metadata.jsonl`` with ``file_name`` made a path; every picture that it names must be there."""
    path = data_dir / split / METADATA
    if not path.is_file():
        raise FullcastError(f"{data_dir} is no imagefolder: it needs {split}/{METADATA}")
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UnreadableFile(path, "unreadable", f"line {number} is no JSON: {error.msg}") from error
        if not isinstance(row, dict) or not (path.parent / str(row.get("file_name", ""))).is_file():
            raise UnreadableFile(path, "incomplete", f"line {number} names no picture in the folder")
        rows.append({**row, "file_name": path.parent / row["file_name"]})
    return rows


def _row(item: Item) -> dict[str, Any]:
    sample = item.sample
    height, width = item.pixels.shape[:2]
    people = sample.people
    return {
        "file_name": f"{item.name}.png",
        "text": item.caption,
        "width": width,
        "height": height,
        "weight": item.weight,
        "source": sample.source,
        "kind": sample.kind,
        "rating": sample.rating,
        "num_people": sample.num_people,
        "image_id": sample.image_id,
        "shot_id": sample.shot_id,
        "crop_xyxy": [round(float(v), 2) for v in sample.crop],
        "tags": list(sample.tags),
        "objects": {
            "character": [p.character for p in people],
            "form": [p.form for p in people],
            "xyxy": [item.scaled(p.xyxy) for p in people],
            # A person without a head has an empty list: null would give the column another type in some files.
            "head_xyxy": [item.scaled(p.head_xyxy) if p.head_xyxy else [] for p in people],
            "tags": [", ".join(p.tags) for p in people],
        },
    }
