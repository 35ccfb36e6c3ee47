"""The best of several pictures of a scene, and its wrong figures drawn anew: for who wants one picture that is right.

Those that labelled look, never the judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.journey.doors import Doors
from fullcast.ports import Progress, silent
from fullcast.records import Picture
from fullcast.store.atomic import write_bytes
from fullcast.store.pictures import bytes_id

if TYPE_CHECKING:
    from fullcast.generation.config import GenerationConfig
    from fullcast.journey import Journey
    from fullcast.journey.making import Checkpoint
    from fullcast.judging.rows import Row
    from fullcast.models.stable_diffusion.family import StableDiffusion
    from fullcast.recognition.look import CastLook

CANDIDATES, MENDED = "candidates", "mended"
"""Folders beside the pictures that are given: all that were drawn, and what became of wrong figures."""


@dataclass(frozen=True)
class Chosen:
    """A picture that is given, and what the networks that chose it see in it."""

    picture: Picture
    """Its path is relative to the folder of all."""
    failures: tuple[str, ...] = ()
    """Kinds of `verdict.FAILURES`; (): all are there, as asked."""
    num_candidates: int = 1
    num_mended: int = 0
    """Figures that were drawn anew, each for the better."""


def choose(
    journey: Journey,
    model: StableDiffusion,
    checkpoint: Checkpoint,
    candidates: Sequence[Picture],
    drawn: Path,
    folder: Path,
    config: GenerationConfig,
    best_of: int,
    repairs: int,
) -> list[Chosen]:
    """One of each `best_of` neighbours in ``candidates`` (paths relative to `drawn`): the one with the fewest faults,
    after at most `repairs` of its wrong figures were drawn anew. Copied into `folder`; a file of that name with another
    content stays, and the new one has the first digits of its content's id in its name.
    """
    from fullcast.judging.best_of import pick

    scorer = scorer_of(journey, checkpoint)
    seen = _seen(journey, scorer, candidates, drawn, journey.progress)
    chosen = []
    journey.progress.start("choosing", len(candidates) // best_of)
    for start in range(0, len(candidates), best_of):
        best = pick([seen[picture.id] for picture in candidates[start : start + best_of]])
        picture = next(p for p in candidates if p.id == best.verdict.picture_id)
        done = Chosen(replace(picture, path=str(drawn / picture.path)), best.failures, best_of)
        for mended in _mend(journey, model, checkpoint, scorer, done, folder, config, repairs):
            done = mended
        chosen.append(replace(done, picture=replace(done.picture, path=_copied(done.picture, picture.path, folder))))
        journey.progress.advance()
    journey.progress.done()
    return chosen


def scorer_of(journey: Journey, checkpoint: Checkpoint) -> CastLook:
    """The networks that labelled, over the checkpoint's cast; where other ones labelled for it, over the same cast as
    today's see it. FullcastError where neither is there: prepare again."""
    from fullcast.recognition.castfile import read_cast

    doors, cast = Doors(journey.workspace, journey.recipe), checkpoint.cast
    today = journey.workspace.show_dir / "cast.json"
    if cast.embedder != doors.embedder.name and today.exists() and (now := read_cast(today)).names == cast.names:
        cast = now
    return doors.scorer(cast)


def _seen(
    journey: Journey, scorer: CastLook, pictures: Sequence[Picture], folder: Path, progress: Progress = silent
) -> dict[str, Row]:
    """Picture id -> what the networks that labelled say of it."""
    from fullcast.judging.judge import Entry, judge

    entries = [Entry(p.id, folder / p.path, p.scene, p.seed) for p in pictures]
    judged = judge(entries, scorer, scorer.cast, journey.recipe.judging, progress)
    return {row.verdict.picture_id: row for row in judged.rows}


def _mend(
    journey: Journey,
    model: StableDiffusion,
    checkpoint: Checkpoint,
    scorer: CastLook,
    given: Chosen,
    folder: Path,
    config: GenerationConfig,
    repairs: int,
) -> Iterator[Chosen]:
    """Better and better, one figure at a time; ends where nothing is wrong or nothing better was found."""
    from fullcast.generation.repair import repair

    now = given
    for turn in range(1, repairs + 1):
        if not now.failures:
            return
        name = f"{MENDED}/{Path(given.picture.path).stem}-{turn}.png"
        scene = given.picture.scene
        path, out = folder / now.picture.path, folder / name
        done = repair(model, path, scene, checkpoint.cast, scorer, config, out, checkpoint=checkpoint.name)
        if done.picture is None:
            return
        picture = replace(done.picture, path=name, scene=scene)
        [row] = _seen(journey, scorer, [picture], folder).values()
        now = replace(now, picture=picture, failures=row.failures, num_mended=turn)
        yield now


def _copied(picture: Picture, name: str, folder: Path) -> str:
    """The name under which it lies in `folder` now."""
    data = (folder / picture.path).read_bytes()
    target = folder / name
    if target.exists() and target.read_bytes() != data:
        target = target.with_name(f"{target.stem}-{bytes_id(data)[:6]}.png")
    write_bytes(target, data)
    return target.name
