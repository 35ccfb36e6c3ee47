"""One model asked for scenes in one way, or a folder of pictures from anywhere: pictures, then the judge's rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fullcast.journey.doors import Doors
from fullcast.journey.making import BASE, Checkpoint, find_checkpoint, generation_config, open_model, scenes_in
from fullcast.journey.naming import judge_cast_path
from fullcast.records import Cast, Drop, Picture, Scene
from fullcast.store.errors import FullcastError
from fullcast.store.partitions import cached, partition_key
from fullcast.store.tables import read_records, write_records

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.judging.cache import Sights
    from fullcast.judging.judge import Judged
    from fullcast.judging.rows import Row
    from fullcast.ports import Look

Kind = Literal["main", "placed", "base"]

NAMES: dict[Kind, str] = {"main": "Prompts only", "placed": "With places given", "base": "Before training"}

SETTINGS = ("park", "street")
"""Where scenes play when nothing is known of the show's places."""

VERDICTS, SCORED, PICTURES = "verdicts.parquet", "scored.parquet", "pictures.parquet"

VERSION = 3


@dataclass(frozen=True)
class Asked:
    """One model asked in one way; its results lie in a folder of their own."""

    kind: Kind
    checkpoint: Checkpoint
    folder: Path

    @property
    def name(self) -> str:
        return NAMES[self.kind]

    @property
    def step(self) -> int:
        """Training steps of the checkpoint, by its name; -1: it does not say."""
        found = re.search(r"step-(\d+)", self.checkpoint.name)
        return int(found[1]) if found else -1

    def row(self) -> dict[str, str]:
        """What the card needs to find it again."""
        return {"kind": self.kind, "name": self.name, "folder": self.folder.name, "checkpoint": self.checkpoint.name}


def way_of(journey: Journey, given: str, kind: Kind) -> Asked:
    """A checkpoint ('' the newest, ``base``, or a folder) asked in one way."""
    from fullcast.models.stable_diffusion.folder import folder_sha256

    chosen = find_checkpoint(journey, given)
    words = "places" if kind == "placed" else "prompts"
    return Asked(kind, chosen, journey.workspace.judging_dir / f"{folder_sha256(chosen.folder)[:10]}-{words}")


def ways_of(journey: Journey, checkpoint: str, base: bool) -> Iterator[Asked]:
    """Prompts only and with places; the base beside it."""
    yield way_of(journey, checkpoint, "main")
    yield way_of(journey, checkpoint, "placed")
    if base and checkpoint != BASE:
        yield way_of(journey, BASE, "base")


def judge_cast(journey: Journey) -> Cast:
    """The cast as the judge's embedder sees it."""
    from fullcast.recognition.castfile import read_cast

    return read_cast(judge_cast_path(journey.workspace))


def scenes_for(journey: Journey, given: Path | None, cast: Cast) -> list[Scene]:
    """The scenes of a file, or held-out ones for this cast: as many of each number of people as the settings say."""
    from fullcast.journey.preparing import read_prepared
    from fullcast.judging.benchmark import make_scenes
    from fullcast.judging.counterfactual import with_swaps

    config = journey.recipe.judging
    if given is not None:
        scenes = scenes_in(given, cast)
    else:
        places = read_prepared(journey).settings or SETTINGS
        most = min(config.max_people, len(cast.characters))
        scenes = make_scenes(cast, config.pictures_per_count, journey.recipe.seed, places, most)
    return with_swaps(scenes) if config.swapped_scenes else scenes


def draw_and_judge(journey: Journey, way: Asked, scenes: Sequence[Scene], cast: Cast) -> list[Row]:
    """Pictures of all scenes, then their rows; what is there already from the same model and scenes stays."""
    from fullcast.judging.rows import read_rows

    config, generation = journey.recipe.judging, journey.recipe.generation
    asked = list(scenes) if way.kind == "placed" else [scene.without_places() for scene in scenes]
    doors = Doors(journey.workspace, journey.recipe)
    about = {"judging": config.model_dump(mode="json"), "generation": generation.model_dump(mode="json")}
    networks = [doors.judge_detector.name, doors.judge_embedder.name]
    inputs = [way.folder.name, str(journey.recipe.seed), *(repr(scene) for scene in scenes)]
    key = partition_key(inputs, about, networks, VERSION)

    def make(path: Path) -> None:
        drawn = _draw(journey, way, asked)
        write_records(way.folder / PICTURES, drawn, Picture)
        _judge_drawn(journey, way, drawn, scenes, doors.look(cast), cast).write(path)
        (way.folder / SCORED).unlink(missing_ok=True)

    cached(way.folder / VERDICTS, key, make)
    return read_rows(way.folder / VERDICTS)


def score(journey: Journey, way: Asked, scenes: Sequence[Scene]) -> list[Row]:
    """The same pictures as the networks see them that pick the best of several: those that labelled."""
    from fullcast.judging.rows import read_rows

    path = way.folder / SCORED
    if not path.exists():
        look = Doors(journey.workspace, journey.recipe).scorer(way.checkpoint.cast)
        drawn = read_records(way.folder / PICTURES, Picture)
        _judge_drawn(journey, way, drawn, scenes, look, way.checkpoint.cast).write(path)
    return read_rows(path)


def judge_folder(
    journey: Journey, folder: Path, scenes: Sequence[Scene], cast: Cast, name: str
) -> tuple[Judged, list[Drop]]:
    """Pictures from any tool; rows in data/judging, what could not be judged as drops."""
    from fullcast.judging.judge import entries_in, judge

    entries, drops = entries_in(folder, scenes)
    doors = Doors(journey.workspace, journey.recipe)
    look, config = doors.look(cast), journey.recipe.judging
    judged = judge(entries, look, cast, config, journey.progress, sights_of(journey, look, cast), series=name)
    rows = tuple(replace(row, path=_told_path(journey, Path(row.path))) for row in judged.rows)
    judged = replace(judged, rows=rows)
    judged.write(journey.workspace.judging_dir / f"folder-{name.replace('/', '-')}" / VERDICTS)
    return judged, [*drops, *judged.drops]


def sights_of(journey: Journey, look: Look, cast: Cast) -> Sights:
    """What these networks saw before, over this cast; no picture is looked at twice."""
    from fullcast.judging.cache import Sights, question_key

    return Sights(journey.workspace.judging_dir / "seen", question_key(look.name, cast))


def _draw(journey: Journey, way: Asked, scenes: Sequence[Scene]) -> list[Picture]:
    """Paths relative to the workspace; each scene's noise is the same for every model."""
    from fullcast.generation.generate import generate
    from fullcast.judging.benchmark import seed_of

    model = open_model(journey, way.checkpoint.folder)
    folder = way.folder / "pictures"
    repeated = [(scene, i) for scene in scenes for i in range(journey.recipe.judging.pictures_per_scene)]
    pictures = generate(
        model,
        [scene for scene, _ in repeated],
        _cast_of(journey, way),
        generation_config(journey),
        folder,
        seeds=[seed_of(scene, journey.recipe.seed, i) for scene, i in repeated],
        checkpoint=way.checkpoint.name,
        progress=journey.progress,
        painters=Doors(journey.workspace, journey.recipe).painters(way.checkpoint.folder),
    )
    return [replace(p, path=journey.workspace.relative(folder / p.path)) for p in pictures]


def _cast_of(journey: Journey, way: Asked) -> Cast:
    """The words of the prompts: the trained model's own; the base is asked in the same ones."""
    return find_checkpoint(journey, BASE).cast if way.kind == "base" else way.checkpoint.cast


def _judge_drawn(
    journey: Journey, way: Asked, pictures: Sequence[Picture], scenes: Sequence[Scene], look: Look, cast: Cast
) -> Judged:
    """On the scenes with their places, so that places are measured whether or not they were asked for."""
    from fullcast.judging.judge import Entry, judge

    by_id = {scene.id: scene for scene in scenes}
    entries = [Entry(p.id, journey.workspace.absolute(p.path), by_id[p.scene.id], p.seed) for p in pictures]
    judged = judge(
        entries,
        look,
        cast,
        journey.recipe.judging,
        journey.progress,
        sights_of(journey, look, cast),
        series=way.name,
        checkpoint=way.checkpoint.name,
        step=way.step,
    )
    return replace(judged, rows=tuple(replace(r, path=_told_path(journey, Path(r.path))) for r in judged.rows))


def _told_path(journey: Journey, path: Path) -> str:
    """Relative to the workspace where the picture lies in it, else as given."""
    try:
        return journey.workspace.relative(path)
    except (ValueError, FullcastError):
        return path.resolve().as_posix()
