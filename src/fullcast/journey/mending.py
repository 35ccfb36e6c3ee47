"""A few failed pictures of the judge mended by inpainting: the seed author's answer to a wrong character."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.journey.choosing import scorer_of
from fullcast.journey.doors import Doors
from fullcast.journey.making import Checkpoint, generation_config, open_model
from fullcast.records import Cast, Picture, Verdict
from fullcast.store.partitions import cached, partition_key, stored_key
from fullcast.store.tables import read_records, write_records

if TYPE_CHECKING:
    from fullcast.journey import Journey

MENDED = "mended.parquet"

MOST = 4
"""Pictures that are tried: enough to show what inpainting does, a minute with the pocket model."""

VERSION = 2


@dataclass(frozen=True)
class Mended:
    """One attempt at one picture."""

    before: str
    """Path in the workspace."""
    character: str
    """Whom one figure should have been."""
    tries: int
    after: str = ""
    """'': no better picture was found, and the old one stays."""
    note: str = ""
    """What the judge says of the new one; it took no part in choosing it."""


def mend(journey: Journey, folder: Path, checkpoint: Checkpoint, judge_cast: Cast) -> None:
    """Pictures in which one figure is the wrong one, with prompts only; those that labelled look, the judge judges.

    Results go to `folder`/mended.parquet and are kept while its verdicts stay.
    """
    key = partition_key([stored_key(folder / "verdicts.parquet")], version=VERSION)

    def make(path: Path) -> None:
        rows = [row for picture in _failed(folder) if (row := _mend(journey, picture, folder, checkpoint, judge_cast))]
        write_records(path, rows, Mended)

    cached(folder / MENDED, key, make)


def _failed(folder: Path) -> list[Picture]:
    """Right number of people, one of them missing: in the order in which they were judged."""
    from fullcast.judging.rows import read_rows

    verdicts = {row.verdict.picture_id: row.verdict for row in read_rows(folder / "verdicts.parquet")}
    pictures = [p for p in read_records(folder / "pictures.parquet", Picture) if p.id in verdicts]
    wrong = [p for p in pictures if len(verdicts[p.id].missing) == 1 and not _miscounted(verdicts[p.id])]
    return wrong[:MOST]


def _miscounted(verdict: Verdict) -> bool:
    return verdict.num_found != verdict.num_asked


def _mend(journey: Journey, picture: Picture, folder: Path, checkpoint: Checkpoint, judge_cast: Cast) -> Mended | None:
    from fullcast.generation.repair import repair
    from fullcast.judging.verdict import judge_picture
    from fullcast.store.pictures import read_picture

    workspace = journey.workspace
    out = folder / "mended" / Path(picture.path).name
    done = repair(
        open_model(journey, checkpoint.folder),
        workspace.absolute(picture.path),
        picture.scene,
        checkpoint.cast,
        scorer_of(journey, checkpoint),
        generation_config(journey),
        out,
        checkpoint=checkpoint.name,
    )
    if not done.tries:
        return None  # those that labelled see nothing wrong
    row = Mended(picture.path, done.character, done.tries)
    if done.picture is None:
        return row
    image = read_picture(out)
    [found] = Doors(workspace, journey.recipe).look(judge_cast).look([image])
    height, width = image.shape[:2]
    verdict = judge_picture(found, picture.scene, judge_cast, width=width, height=height, config=journey.recipe.judging)
    return replace(row, after=workspace.relative(out), note="" if verdict.success else "the judge still sees a fault")
