"""Pictures in, verdicts out: any folder of pictures with a scene file, whatever drew them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullcast.judging.config import JudgingConfig
from fullcast.judging.verdict import check_scene, judge_picture
from fullcast.ports import Look, Progress, silent
from fullcast.records import Cast, Drop, Picture, Scene, Verdict
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.pictures import PICTURE_SUFFIXES, read_picture
from fullcast.store.tables import write_records

STAGE = "judge"


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture that waits for its verdict."""

    picture_id: str
    path: Path
    scene: Scene


@dataclass(frozen=True, slots=True)
class Judged:
    verdicts: tuple[Verdict, ...]
    drops: tuple[Drop, ...]
    """Pictures that could not be judged, each with its reason."""
    look: str
    """The networks that judged."""

    def write(self, path: Path) -> None:
        """Verdicts as Parquet, one row a picture: every figure can be computed again from it."""
        write_records(path, self.verdicts, Verdict, {"look": self.look})


def judge(
    entries: Sequence[Entry],
    look: Look,
    cast: Cast,
    config: JudgingConfig | None = None,
    progress: Progress = silent,
) -> Judged:
    """Verdicts in the order of ``entries``. A damaged picture becomes a Drop; a scene with a name outside the cast
    raises ValueError before any picture is looked at."""
    config = config or JudgingConfig()
    for scene in {entry.scene.id: entry.scene for entry in entries}.values():
        check_scene(scene, cast)
    verdicts: list[Verdict] = []
    drops: list[Drop] = []
    progress.start("judging pictures", len(entries))
    for start in range(0, len(entries), config.batch_size):
        batch = entries[start : start + config.batch_size]
        readable = list(_read(batch, drops))
        found = look.look([image for _, image in readable])
        for (entry, image), figures in zip(readable, found, strict=True):
            height, width = image.shape[:2]
            verdicts.append(
                judge_picture(
                    figures, entry.scene, cast, width=width, height=height, picture_id=entry.picture_id, config=config
                )
            )
        progress.advance(len(batch))
    progress.done()
    return Judged(tuple(verdicts), tuple(drops), look.name)


def entries_of(pictures: Sequence[Picture], root: Path, places: bool = True) -> list[Entry]:
    """Entries for pictures that Fullcast made; ``root``: the folder that their paths are relative to."""
    return [Entry(p.id, root / p.path, p.scene if places else p.scene.without_places()) for p in pictures]


def entries_in(folder: Path, scenes: Sequence[Scene]) -> tuple[list[Entry], list[Drop]]:
    """Entries for a folder of pictures from anywhere.

    A file belongs to the scene whose id its name is, or begins with before one of ``-_. `` ("n3-0007.png",
    "n3-0007-seed42.png"); the longest id wins. Pictures without a scene become drops.
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
            entries.append(Entry(name, path, scene))
    if not entries:
        known = ", ".join(sorted(by_id)[:3])
        raise FullcastError(
            f"no picture in {folder} belongs to a scene; begin names with a scene's id, such as {known}"
        )
    return entries, drops


def _read(batch: Sequence[Entry], drops: list[Drop]) -> Iterator[tuple[Entry, np.ndarray]]:
    for entry in batch:
        try:
            yield entry, read_picture(entry.path)
        except UnreadableFile as error:
            drops.append(Drop(entry.picture_id, STAGE, error.reason, error.detail))


def _scene_of(stem: str, by_id: dict[str, Scene]) -> Scene | None:
    if stem in by_id:
        return by_id[stem]
    begins = [i for i in by_id if stem.startswith(i) and stem[len(i)] in "-_. "]
    return by_id[max(begins, key=len)] if begins else None
