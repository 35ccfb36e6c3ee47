"""truth.parquet: every person in every frame, and each frame's drawing and camera box. For audits and tests only."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fullcast.pocket.film import FrameTruth
from fullcast.pocket.script import FRAME_RATE
from fullcast.store.atomic import replacing

COLUMNS = [
    ("video", pa.string()),
    ("frame_index", pa.int32()),
    ("pts_s", pa.float64()),
    ("shot", pa.int32()),
    ("shot_kind", pa.string()),
    ("drawing", pa.string()),
    *[(f"camera_{c}", pa.float64()) for c in ("x0", "y0", "x1", "y1")],
    ("people", pa.int32()),
    ("person_index", pa.int32()),
    ("character", pa.string()),
    ("form", pa.string()),
    *[(c, pa.float64()) for c in ("x0", "y0", "x1", "y1")],
    *[(f"head_{c}", pa.float64()) for c in ("x0", "y0", "x1", "y1")],
    ("visible", pa.float64()),
    ("head_visible", pa.float64()),
]
"""One row for each person of each frame; a frame without people has one row whose person_index is -1."""


def write_truth(path: Path, videos: dict[str, list[FrameTruth]]) -> None:
    rows = [row for video in sorted(videos) for truth in videos[video] for row in _rows(video, truth)]
    columns = list(zip(*rows, strict=True))
    arrays = [pa.array(c, kind) for c, (_, kind) in zip(columns, COLUMNS, strict=True)]
    with replacing(path) as temporary:
        pq.write_table(pa.table(arrays, [name for name, _ in COLUMNS]), temporary)


def _rows(video: str, truth: FrameTruth):
    start = (
        video, truth.frame_index, truth.frame_index / FRAME_RATE, truth.shot, truth.shot_kind, truth.drawing,
        *map(float, truth.camera), len(truth.seen),
    )  # fmt: skip
    if not truth.seen:
        yield (*start, -1, "", "", *[0.0] * 10)
    for index, seen in enumerate(truth.seen):
        name = seen.figure.name or "unknown"
        boxes = (*map(float, seen.xyxy), *map(float, seen.head_xyxy))
        yield (*start, index, name, seen.figure.form, *boxes, float(seen.visible), float(seen.head_visible))
