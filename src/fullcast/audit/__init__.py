"""`fullcast audit`: what prepare made of a show, against the truth about it. With `pocket`, the only reader of truth.

Nothing that prepares, trains, generates or judges imports this; it changes nothing and writes only its own table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
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
from fullcast.audit.gold import (
    LABELS,
    SHEET,
    GoldSample,
    blank_rows,
    confusion,
    confusion_lines,
    draw,
    is_right,
    measure_gold,
    read_rows,
    rows_from_truth,
    true_people,
    write_rows,
)
from fullcast.audit.measures import Kept, Measure, identity, match_kept, measure
from fullcast.audit.truth import Truth
from fullcast.judging.judgement import plain
from fullcast.judging.statistics import Estimate, share
from fullcast.models.base import PersonDetector
from fullcast.ports import Progress, silent
from fullcast.records import Box, Cast, Image, Person
from fullcast.store.atomic import write_json
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.pictures import file_id, read_picture
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
    kept = match_workspace(journey.workspace, Truth.read(truth))
    rows.append(open_set(kept))
    rows += review_yield(journey, kept)
    table = confusion(kept.pairs)
    data = {
        "truth": truth.name,
        "table": truth.name,
        "measures": [to_row(row) for row in rows],
        "notes": notes,
        "confusion": table,
    }
    write_json(journey.workspace.show_dir / RESULT, data)
    return Answer("\n".join([as_table(rows), *notes, *confusion_lines(table)]), data)


def draw_sample(journey: Journey, pictures: int = 120, seed: int = 0, truth: Path | None = None) -> Answer:
    """Draw pictures to be labelled into ``gold/``; ``truth``: a table that fills the answers in. An earlier sample
    that somebody has begun to label is not written over."""
    from fullcast.audit.labelling import write_gold_page
    from fullcast.journey import Answer
    from fullcast.journey.preparing import read_prepared
    from fullcast.journey.sheet import looks_of

    if pictures < 1:
        raise FullcastError(f"--pictures {pictures}: draw at least one; a hundred are labelled in half an hour")
    workspace, ready = journey.workspace, read_prepared(journey)
    folder = workspace.gold_dir
    if (folder / LABELS).exists() and any(row.name for row in read_rows(folder / LABELS, looks_of(ready)[:-1])):
        raise FullcastError(f"{folder} holds labels already; move the folder away to draw another sample")
    sample = draw(ready, pictures, seed, threshold_of(journey, ready.cast))
    rows = blank_rows(sample, ready)
    if truth is not None:
        rows = rows_from_truth(sample, ready, Truth.read(truth), video_names(workspace))
    sample.write(folder)
    write_rows(folder / LABELS, rows)
    write_gold_page(folder / SHEET, workspace, ready, rows)
    people = sum(row.found == "yes" for row in rows)
    lines = [
        f"{len(sample.pictures)} pictures with {people} figures, from {len(sample.sizes)} strata by "
        f"{', '.join(sample.axes) or 'nothing'}",
        f"Label them: {folder / SHEET} (or fill in {LABELS}), then run: fullcast audit gold",
    ]
    return Answer("\n".join(lines), {"pictures": len(sample.pictures), "strata": dict(sample.sizes)})


def audit_gold(journey: Journey) -> Answer:
    """Measure by the labelled gold sample; writes data/show/audit.json, which card and dataset card show."""
    from fullcast.journey import Answer
    from fullcast.journey.preparing import read_prepared
    from fullcast.journey.sheet import looks_of

    ready, folder = read_prepared(journey), journey.workspace.gold_dir
    sample = GoldSample.read(folder)
    labels = true_people(read_rows(folder / LABELS, looks_of(ready)[:-1]))
    rows, pairs, weights, notes = measure_gold(sample, labels, ready)
    table = confusion(pairs, weights)
    data = {"gold": len(labels), "measures": [to_row(row) for row in rows], "notes": notes, "confusion": table}
    write_json(journey.workspace.show_dir / RESULT, data)
    return Answer("\n".join([as_table(rows), *notes, *confusion_lines(table)]), data)


def threshold_of(journey: Journey, cast: Cast) -> float:
    own = journey.recipe.people.threshold
    return cast.threshold if own is None else own


def match_workspace(workspace: Workspace, truth: Truth) -> Kept:
    """The workspace's present tables, matched to truth."""
    images = read_records(workspace.show_dir / "images.parquet", Image)
    people = read_records(workspace.show_dir / "people.parquet", Person)
    return match_kept(images, people, truth, video_names(workspace))


def open_set(kept: Kept) -> Measure:
    """Of everybody found who is there, how many are named right, `unknown` being a name like any other."""
    return Measure("open-set accuracy", share(sum(map(is_right, kept.pairs)), len(kept.pairs)))


def review_yield(journey: Journey, kept: Kept) -> list[Measure]:
    """How many of all wrong names stand in the first tenth and fifth of the review's list: is its order worth anything?

    In brackets in ``more``: the share of people that this part of the list holds, which is what no order would find.
    """
    from fullcast.journey.doubting import queue

    wrong = {pair.found.id for pair in kept.pairs if not is_right(pair)}
    known = {pair.found.id for pair in kept.pairs}
    items = [item for item in queue(journey) if set(item.people) & known]
    rows = []
    for part in (0.1, 0.2):
        seen = {who for item in items[: round(part * len(items))] for who in item.people}
        more = {"share of people in it": len(seen & known) / max(1, len(known))}
        rows.append(
            Measure(f"wrong names in the first {part:.0%} of the review", share(len(seen & wrong), len(wrong)), more)
        )
    return rows


def audit_workspace(
    workspace: Workspace, truth_path: Path, find_head: FindHead | None, progress: Progress = silent
) -> tuple[list[Measure], list[str]]:
    """The rows of the table, and what a reader should know about them; ``find_head`` None: without baselines."""
    truth = Truth.read(truth_path)
    kept = match_workspace(workspace, truth)
    if not kept.images:
        names = video_names(workspace)
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
    """The reference pictures of the cast that may be used, each with its head."""
    from fullcast.journey.references import References

    references, out = References(workspace), []
    for path, character, form in references.named():
        try:
            picture = references.read(path)
        except UnreadableFile:
            continue  # prepare has counted it as a drop
        whole = (0.0, 0.0, float(picture.shape[1]), float(picture.shape[0]))
        out.append(Reference(character, form, picture, find_head(picture) or whole))
    return out


def head_finder(detector: PersonDetector) -> FindHead:
    """The surest head of a picture, so that the baseline compares heads with heads."""

    def find(picture: np.ndarray) -> Box | None:
        heads = [d for d in detector.detect([picture])[0] if d.label in ("head", "face")]
        return max(heads, key=lambda d: d.confidence).xyxy if heads else None

    return find


def to_row(row: Measure) -> dict[str, Any]:
    """JSON-ready; null for what has no value."""
    return plain(row)


def _figure(value: float) -> str:
    return f"{value:.3f}" if value == value else "–"


def as_table(rows: Sequence[Measure]) -> str:
    """The rows as aligned text: name, value, interval, n, the baseline beside it."""
    cells = [("measure", "value", "95 % interval", "n", "baseline")]
    for row in rows:
        e = row.ours
        beside = f"{_figure(row.baseline_value.value)} ({row.baseline})" if row.baseline_value else ""
        told = (_figure(e.value), f"{e.low:.3f} to {e.high:.3f}") if e.value == e.value else ("–", "–")
        cells.append((row.name, *told, str(e.n), beside))
    widths = [max(len(line[i]) for line in cells) for i in range(5)]
    return "\n".join("  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip() for line in cells)


def _beside(row: Measure, name: str, value: Estimate) -> Measure:
    return replace(row, baseline=name, baseline_value=value)


def _plain(value: float, n: int) -> Estimate:
    """A figure without an interval of its own."""
    return Estimate(value, value, value, n)


__all__ = ["as_table", "audit", "audit_gold", "audit_workspace", "draw_sample", "to_row"]
