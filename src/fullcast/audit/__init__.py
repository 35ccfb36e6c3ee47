"""`fullcast audit`: what prepare made of a show, against the truth about it. With `pocket`, the only reader of truth.

Nothing that prepares, trains, generates or judges imports this; it changes nothing and writes only its own table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fullcast.audit.baselines import (
    SMALL,
    Reference,
    ShotLumas,
    background_recall,
    hash_duplicates,
    name_pairs,
)
from fullcast.audit.measures import Kept, Measure, identity, match_kept, measure
from fullcast.audit.truth import Truth
from fullcast.judging.statistics import Estimate
from fullcast.models.base import PersonDetector
from fullcast.ports import Progress, silent
from fullcast.records import Box, Image, Person
from fullcast.store.atomic import write_json
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.pictures import PICTURE_SUFFIXES, file_id, read_picture
from fullcast.store.tables import read_records
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.journey import Answer, Journey

RESULT = "audit.json"

FindHead = Callable[[np.ndarray], Box | None]
"""(H, W, 3) uint8 -> the head in it; None: none was found, the whole picture stands for it."""


def audit(journey: Journey, truth: Path, baselines: bool = True) -> Answer:
    """The verb: measures the workspace's tables against the table at ``truth``; writes data/show/audit.json."""
    from fullcast.journey import Answer
    from fullcast.journey.doors import Doors

    find_head = head_finder(Doors(journey.workspace, journey.recipe).detector) if baselines else None
    rows, notes = audit_workspace(journey.workspace, truth, find_head, journey.progress)
    data = {"truth": truth.name, "measures": [to_row(row) for row in rows], "notes": notes}
    write_json(journey.workspace.show_dir / RESULT, data)
    return Answer("\n".join([as_table(rows), *notes]), data)


def audit_workspace(
    workspace: Workspace, truth_path: Path, find_head: FindHead | None, progress: Progress = silent
) -> tuple[list[Measure], list[str]]:
    """The rows of the table, and what a reader should know about them; ``find_head`` None: without baselines."""
    truth = Truth.read(truth_path)
    images = read_records(workspace.show_dir / "images.parquet", Image)
    people = read_records(workspace.show_dir / "people.parquet", Person)
    names = video_names(workspace)
    kept = match_kept(images, people, truth, names)
    if not kept.images:
        raise FullcastError(
            f"{truth_path} tells of {', '.join(sorted(truth.by_video)) or 'no episode'}, but no kept frame is of "
            f"these; the workspace's episodes are {', '.join(sorted(names.values())) or 'none'}"
        )
    rows = measure(kept, truth)
    notes = [f"{len(kept.images)} kept frames, {len(kept.pairs)} people matched."]
    if kept.unplaced:
        notes.append(f"{kept.unplaced} kept frames are of no frame that the truth knows and are left out.")
    if find_head is not None:
        rows = with_baselines(rows, kept, truth, workspace, find_head, progress)
    return rows, notes


def with_baselines(
    rows: Sequence[Measure],
    kept: Kept,
    truth: Truth,
    workspace: Workspace,
    find_head: FindHead,
    progress: Progress = silent,
) -> list[Measure]:
    """The same rows, each with the best simple baseline beside it; rows of their own for what has two."""
    videos = {path.name: read_lumas(path, progress) for path in episodes(workspace) if path.name in truth.by_video}
    references = read_references(workspace, find_head)
    paths = {image.id: workspace.absolute(image.path) for image in kept.images}
    beside: dict[str, tuple[str, Estimate]] = {
        "person recall": ("background difference", background_recall(kept, truth, videos))
    }
    hashed = hash_duplicates(truth, videos)
    n = len(kept.images)
    beside["true duplicates among kept"] = ("pHash, 80 % of views kept", _plain(hashed.repeats, n))
    rows = [_beside(row, *beside[row.name]) if row.name in beside else row for row in rows]
    rows.append(Measure("pHash: duplicate pairs, F1 at its best threshold", _plain(hashed.pair_f1, n)))
    if references:
        colours, thumbs = name_pairs(kept.pairs, references, paths, read_picture)
        by_index = {id(pair): index for index, pair in enumerate(kept.pairs)}
        colour = identity(kept.pairs, lambda pair: colours[by_index[id(pair)]])
        thumb = identity(kept.pairs, lambda pair: thumbs[by_index[id(pair)]])
        best = max((("colour histogram", colour), ("16x16 head", thumb)), key=lambda item: item[1].ours.value)
        rows = [_beside(r, best[0], best[1].ours) if r.name.startswith("identity") else r for r in rows]
        rows.append(replace(colour, name="identity by colour histogram of the true box"))
        rows.append(replace(thumb, name="identity by the true head at 16x16"))
    return list(rows)


def episodes(workspace: Workspace) -> list[Path]:
    from fullcast.ingest.decode import list_videos

    return list_videos(workspace.episodes_dir)


def video_names(workspace: Workspace) -> dict[str, str]:
    """Video id (of the file's bytes) -> file name."""
    return {file_id(path): path.name for path in episodes(workspace)}


def read_lumas(path: Path, progress: Progress = silent) -> ShotLumas:
    """Every frame of a video as small grey picture: 14 kB a frame, 20 MB a minute."""
    from PIL import Image as Pillow

    from fullcast.ingest.config import IngestConfig
    from fullcast.ingest.decode import VideoReader
    from fullcast.ingest.planes import plane

    reader = VideoReader(path, IngestConfig())
    # By whole numbers first: averaging 8x8 pixels takes half a millisecond, a resampler twenty.
    factor = max(1, min(reader.width // SMALL[0], reader.height // SMALL[1]))
    progress.start(f"baselines on {path.name}", max(1, reader.expected_frames))
    times, lumas = [], []
    for frame in reader.frames():
        small = Pillow.fromarray(plane(frame.picture, 0)).reduce(factor).resize(SMALL, Pillow.Resampling.BILINEAR)
        times.append(frame.time_s)
        lumas.append(np.asarray(small))
        progress.advance()
    progress.done()
    stack = np.stack(lumas) if lumas else np.zeros((0, SMALL[1], SMALL[0]), np.uint8)
    return ShotLumas(times, stack, reader.width, reader.height)


def read_references(workspace: Workspace, find_head: FindHead) -> list[Reference]:
    """The reference pictures by folder (``NAME/*.png``, ``NAME/FORM/*.png``), each with its head."""
    out = []
    for path in sorted(p for p in workspace.references_dir.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES):
        folders = path.relative_to(workspace.references_dir).parts[:-1]
        if not folders:
            continue
        try:
            picture = read_picture(path)
        except UnreadableFile:
            continue  # prepare has counted it as a drop
        whole = (0.0, 0.0, float(picture.shape[1]), float(picture.shape[0]))
        form = folders[1] if len(folders) > 1 else ""
        out.append(Reference(folders[0], form, picture, find_head(picture) or whole))
    return out


def head_finder(detector: PersonDetector) -> FindHead:
    """The surest head of a picture, so that the baseline compares heads with heads."""

    def find(picture: np.ndarray) -> Box | None:
        heads = [d for d in detector.detect([picture])[0] if d.label in ("head", "face")]
        return max(heads, key=lambda d: d.confidence).xyxy if heads else None

    return find


def to_row(row: Measure) -> dict[str, Any]:
    """JSON-ready."""
    return asdict(row)


def as_table(rows: Sequence[Measure]) -> str:
    """The rows as aligned text: name, value, interval, n, the baseline beside it."""
    cells = [("measure", "value", "95 % interval", "n", "baseline")]
    for row in rows:
        e = row.ours
        beside = f"{row.baseline_value.value:.3f} ({row.baseline})" if row.baseline_value else ""
        cells.append((row.name, f"{e.value:.3f}", f"{e.low:.3f} to {e.high:.3f}", str(e.n), beside))
    widths = [max(len(line[i]) for line in cells) for i in range(5)]
    return "\n".join("  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip() for line in cells)


def _beside(row: Measure, name: str, value: Estimate) -> Measure:
    return replace(row, baseline=name, baseline_value=value)


def _plain(value: float, n: int) -> Estimate:
    """A figure without an interval of its own."""
    return Estimate(value, value, value, n)


__all__ = ["as_table", "audit", "audit_workspace", "to_row"]
