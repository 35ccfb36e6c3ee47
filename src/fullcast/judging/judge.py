"""Pictures in, verdicts out: any folder of pictures with a scene file, whatever drew them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullcast.formats.a1111 import read_parameters, read_record
from fullcast.judging.cache import Sight, Sights, question_key
from fullcast.judging.config import JudgingConfig
from fullcast.judging.counterfactual import SWAPPED, with_swaps
from fullcast.judging.hair import hair_color
from fullcast.judging.hybrids import settled
from fullcast.judging.rows import Row, row_of, write_rows
from fullcast.judging.verdict import judge_picture
from fullcast.ports import Look, Progress, silent
from fullcast.recognition.scenes import NOT_IN_CAST, NotInCast, check_scene
from fullcast.records import Cast, Drop, Picture, Scene, Verdict
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.given import composed
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
    config = settled(config or JudgingConfig(), cast)
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
    "n3-0007-seed42.png"); the longest id wins, and one that Fullcast drew and nobody renamed says its scene itself. A
    scene's swapped one (`counterfactual.with_swaps`) is a scene of its own, whether ``scenes`` holds it or not.
    Pictures without a scene become drops. Their noise is known where the file itself tells its seed.
    """
    if not folder.is_dir():
        raise FullcastError(f"{folder} is no folder; give the folder that holds the pictures")
    by_id = _with_swapped(scenes)
    entries, drops = [], []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES):
        name = path.relative_to(folder).as_posix()
        drawn_for, seed = _told_by(path)
        scene_id = _scene_of(composed(path.stem), drawn_for, by_id)
        scene = by_id.get(scene_id)
        if scene is None:
            drops.append(Drop(name, STAGE, "no-scene", _why_no_scene(scene_id, by_id)))
        else:
            entries.append(Entry(name, path, scene, seed))
    if not entries:
        known = ", ".join(sorted(scene.id for scene in scenes)[:3])
        raise FullcastError(
            f"no picture in {folder} belongs to a scene; begin names with a scene's id, such as {known}"
        )
    return entries, drops


def _with_swapped(scenes: Sequence[Scene]) -> dict[str, Scene | None]:
    """By id, each with its swapped one; None for that of a scene in which nobody can change places."""
    plain = [scene for scene in scenes if not scene.id.endswith(SWAPPED)]
    none: dict[str, Scene | None] = {scene.id + SWAPPED: None for scene in plain}
    return none | {scene.id: scene for scene in (*with_swaps(plain), *scenes)}


def _scene_of(name: str, drawn_for: str, known: Collection[str]) -> str:
    """An id of ``known``, or ``drawn_for`` where the file still begins with it; "" for none."""
    if drawn_for and _begins(name, drawn_for):
        return drawn_for
    return max((i for i in known if _begins(name, i)), key=len, default="")


def _begins(name: str, scene_id: str) -> bool:
    return name == scene_id or (name.startswith(scene_id) and name[len(scene_id)] in "-_. ")


def _why_no_scene(scene_id: str, known: Collection[str]) -> str:
    if not scene_id:
        return "its name does not begin with a scene's id"
    if scene_id in known:
        return f"it is of {scene_id}, and nobody in {scene_id.removesuffix(SWAPPED)} has a place to change"
    return f"it was drawn for the scene {scene_id}, which is not among those given"


def _told_by(path: Path) -> tuple[str, int]:
    """(id of the scene that it was drawn for, seed of its noise), as far as the file says, whichever tool wrote it: "",
    -1. Damaged: looking at it says so. Drawn over another picture: its noise is not its own."""
    try:
        if (record := read_record(path)) is not None:
            return record.scene.id, -1 if record.parent else record.seed
        told = read_parameters(path, before_pixels=True)
        return "", -1 if told is None else _seed_in(told.settings)
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", -1


def _seed_in(settings: Mapping[str, str]) -> int:
    """-1 where the seed is not all of the noise: mixed with another one's, or over a picture that was given."""
    over = "Denoising strength" in settings and not any(name.startswith("Hires") for name in settings)
    seed = settings.get("Seed", "")
    known = seed.isdecimal() and not over and "Variation seed" not in settings
    return int(seed) if known and int(seed) < 2**63 else -1
