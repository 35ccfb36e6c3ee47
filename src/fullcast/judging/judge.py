"""Pictures in, verdicts out: any folder of pictures with a scene file, whatever drew them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullcast.formats.a1111 import read_record
from fullcast.judging.cache import Sight, Sights, question_key
from fullcast.judging.config import JudgingConfig
from fullcast.judging.hair import hair_color
from fullcast.judging.rows import Row, row_of, write_rows
from fullcast.judging.verdict import judge_picture
from fullcast.ports import Look, Progress, silent
from fullcast.recognition.scenes import NOT_IN_CAST, NotInCast, check_scene
from fullcast.records import Cast, Drop, Picture, Scene, Verdict
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.pictures import PICTURE_SUFFIXES, file_id, read_picture

STAGE = "judge"
SAVED_BATCHES = 16
"""After as many batches what was seen is put on disk: a kill costs no more than that."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture that waits for its verdict."""

    picture_id: str
    path: Path
    scene: Scene
    seed: int = -1
    """Of its noise; -1: not known."""


@dataclass(frozen=True, slots=True)
class Judged:
    rows: tuple[Row, ...]
    drops: tuple[Drop, ...]
    """Pictures that could not be judged, each with its reason."""
    look: str
    """The networks that judged."""
    num_looked: int = 0
    """Pictures that networks had to look at; the others were known."""
    names: tuple[str, ...] = ()
    """The cast's, in the order of every figure's scores."""
    question: str = ""
    """`cache.question_key` of networks and cast."""

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return tuple(row.verdict for row in self.rows)

    def write(self, path: Path) -> None:
        """One row a picture as Parquet: every figure can be computed again from it."""
        names = json.dumps(self.names, ensure_ascii=False)
        write_rows(path, self.rows, {"look": self.look, "names": names, "question": self.question})


def judge(
    entries: Sequence[Entry],
    look: Look,
    cast: Cast,
    config: JudgingConfig | None = None,
    progress: Progress = silent,
    sights: Sights | None = None,
    **facts: object,
) -> Judged:
    """Rows in the order of ``entries``. A damaged picture becomes a Drop, and so does one whose scene names somebody
    outside the cast; raises FullcastError before any picture is looked at when all scenes do.

    ``sights``: what was seen before; nothing in it is looked at again. ``facts``: fields that all rows share, such as
    ``series``.
    """
    config = config or JudgingConfig()
    drops: list[Drop] = []
    entries = list(_in_cast(entries, cast, drops))
    question = question_key(look.name, cast)
    known = sights if sights is not None else Sights(None, question)
    rows: list[Row] = []
    looked = 0
    progress.start("judging pictures", len(entries))
    for start in range(0, len(entries), config.batch_size):
        batch = entries[start : start + config.batch_size]
        named = list(_named(batch, drops))
        looked += _look_at(named, look, known, drops)
        for entry, sha in named:
            if (sight := known.get(sha)) is not None:
                rows.append(_row(entry, sight, cast, config, facts))
        progress.advance(len(batch))
        if start // config.batch_size % SAVED_BATCHES == SAVED_BATCHES - 1:
            known.save()
    known.save()
    progress.done()
    return Judged(tuple(rows), tuple(drops), look.name, looked, cast.names, question)


def _in_cast(entries: Sequence[Entry], cast: Cast, drops: list[Drop]) -> Iterator[Entry]:
    """Those whose scene can be asked of the cast."""
    wrong: dict[str, NotInCast] = {}
    for scene in {entry.scene.id: entry.scene for entry in entries}.values():
        try:
            check_scene(scene, cast)
        except NotInCast as error:
            wrong[scene.id] = error
    if entries and all(entry.scene.id in wrong for entry in entries):
        raise wrong[entries[0].scene.id]
    for entry in entries:
        if told := wrong.get(entry.scene.id):
            drops.append(Drop(entry.picture_id, STAGE, NOT_IN_CAST, str(told)))
        else:
            yield entry


def _named(batch: Sequence[Entry], drops: list[Drop]) -> Iterator[tuple[Entry, str]]:
    """Each picture with the hash of its file."""
    for entry in batch:
        try:
            yield entry, file_id(entry.path)
        except UnreadableFile as error:
            drops.append(Drop(entry.picture_id, STAGE, error.reason, error.detail))


def _look_at(named: Sequence[tuple[Entry, str]], look: Look, known: Sights, drops: list[Drop]) -> int:
    """Has the networks look at what they have not seen; how many pictures that were."""
    fresh: dict[str, np.ndarray] = {}
    for entry, sha in named:
        if known.get(sha) is None and sha not in fresh:
            try:
                fresh[sha] = read_picture(entry.path)
            except UnreadableFile as error:
                drops.append(Drop(entry.picture_id, STAGE, error.reason, error.detail))
    if fresh:
        seen = look.look(list(fresh.values()))
        known.add(
            [
                Sight(
                    sha,
                    image.shape[1],
                    image.shape[0],
                    tuple(found),
                    tuple(hair_color(image, figure.head_xyxy) for figure in found),
                )
                for (sha, image), found in zip(fresh.items(), seen, strict=True)
            ]
        )
    return len(fresh)


def _row(entry: Entry, sight: Sight, cast: Cast, config: JudgingConfig, facts: dict[str, object]) -> Row:
    verdict = judge_picture(
        sight.found,
        entry.scene,
        cast,
        width=sight.width,
        height=sight.height,
        picture_id=entry.picture_id,
        config=config,
    )
    # The verdict keeps the figures that count, in its own order: their hair goes with their boxes.
    hair = dict(zip((figure.xyxy for figure in sight.found), sight.hair, strict=True))
    about = {"path": str(entry.path), "sha256": sight.sha256, "seed": entry.seed, **facts}
    return row_of(entry.scene, verdict, hair=tuple(hair.get(f.xyxy, ()) for f in verdict.found), **about)


def entries_of(pictures: Sequence[Picture], root: Path, places: bool = True) -> list[Entry]:
    """Entries for pictures that Fullcast made; ``root``: the folder that their paths are relative to."""
    return [Entry(p.id, root / p.path, p.scene if places else p.scene.without_places(), p.seed) for p in pictures]


def entries_in(folder: Path, scenes: Sequence[Scene]) -> tuple[list[Entry], list[Drop]]:
    """Entries for a folder of pictures from anywhere.

    A file belongs to the scene whose id its name is, or begins with before one of ``-_. `` ("n3-0007.png",
    "n3-0007-seed42.png"); the longest id wins. Pictures without a scene become drops. Its noise is known where the file
    itself says that Fullcast drew it from one.
    """
    if not folder.is_dir():
        raise FullcastError(f"{folder} is no folder; give the folder that holds the pictures")
    by_id = {scene.id: scene for scene in scenes}
    entries, drops = [], []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES):
        name = path.relative_to(folder).as_posix()
        scene = _scene_of(path.stem, by_id)
        if scene is None:
            drops.append(Drop(name, STAGE, "no-scene", "its name does not begin with a scene's id"))
        else:
            entries.append(Entry(name, path, scene, _seed_in(path)))
    if not entries:
        known = ", ".join(sorted(by_id)[:3])
        raise FullcastError(
            f"no picture in {folder} belongs to a scene; begin names with a scene's id, such as {known}"
        )
    return entries, drops


def _seed_in(path: Path) -> int:
    """-1: not of ours, damaged (looking at it says so), or drawn over another picture, whose noise is not its own."""
    try:
        record = read_record(path)
    except (ValueError, KeyError, TypeError, AttributeError):
        return -1
    return -1 if record is None or record.parent else record.seed


def _scene_of(stem: str, by_id: dict[str, Scene]) -> Scene | None:
    if stem in by_id:
        return by_id[stem]
    begins = [i for i in by_id if stem.startswith(i) and stem[len(i)] in "-_. "]
    return by_id[max(begins, key=len)] if begins else None
