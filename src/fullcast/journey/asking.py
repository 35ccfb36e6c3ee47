"""One model asked for scenes in one way, or a folder of pictures from anywhere: pictures, then the judge's rows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fullcast.journey.choosing import choose, scorer_of
from fullcast.journey.doors import Doors
from fullcast.journey.making import BASE, Checkpoint, find_checkpoint, generation_config, open_model
from fullcast.journey.naming import judge_cast_path
from fullcast.recognition.scenes import NotInCast, check_scene, sift_scenes
from fullcast.records import Cast, Drop, Picture, Scene
from fullcast.store.errors import FullcastError
from fullcast.store.partitions import cached, partition_key, stored_key
from fullcast.store.pictures import file_id
from fullcast.store.tables import read_records, write_records

if TYPE_CHECKING:
    from fullcast.generation.config import GenerationConfig
    from fullcast.journey import Journey
    from fullcast.judging.cache import Sights
    from fullcast.judging.judge import Judged
    from fullcast.judging.rows import Row
    from fullcast.models.stable_diffusion.family import StableDiffusion
    from fullcast.ports import Look

Kind = Literal["main", "mended", "placed", "base"]

NAMES: dict[Kind, str] = {
    "main": "Prompts only",
    "mended": "Prompts only",
    "placed": "With places given",
    "base": "Before training",
}
PLANNED = ", places planned by Fullcast"
"""Said of prompts only where the recipe gives places to people who have none: regions bind there too."""

SETTINGS = ("park", "street")
"""Where scenes play when nothing is known of the show's places."""

STEP = re.compile(r"step-(\d+)")
"""In the name of a checkpoint of a training."""

VERDICTS, SCORED, PICTURES = "verdicts.parquet", "scored.parquet", "pictures.parquet"

VERSION = 5


@dataclass(frozen=True)
class Asked:
    """One model asked in one way; its results lie in a folder of their own."""

    kind: Kind
    checkpoint: Checkpoint
    folder: Path
    plans_places: bool = False
    """generation.plan_places: whoever is asked for without a place gets one drawn."""
    best_of: int = 1
    repairs: int = 0

    @property
    def name(self) -> str:
        told = PLANNED if self.kind in ("main", "mended") and self.plans_places else ""
        if self.kind == "mended":
            told += f", best of {self.best_of}" * (self.best_of > 1)
            told += f", up to {self.repairs} figures drawn anew" * (self.repairs > 0)
        return NAMES[self.kind] + told

    @property
    def step(self) -> int:
        """Training steps of the checkpoint, by its name; -1: it does not say."""
        found = STEP.search(self.checkpoint.name)
        return int(found[1]) if found else -1

    def row(self) -> dict[str, str]:
        """What the card needs to find it again."""
        return {"kind": self.kind, "name": self.name, "folder": self.folder.name, "checkpoint": self.checkpoint.name}


def way_of(journey: Journey, given: str, kind: Kind) -> Asked:
    """A checkpoint ('' the newest, ``base``, or a folder) asked in one way."""
    from fullcast.models.stable_diffusion.folder import folder_sha256

    chosen = find_checkpoint(journey, given)
    words = {"placed": "places", "mended": "mended"}.get(kind, "prompts")
    folder = journey.workspace.judging_dir / f"{folder_sha256(chosen.folder)[:10]}-{words}"
    asked = Asked(kind, chosen, folder, journey.recipe.generation.plan_places)
    config = journey.recipe.judging
    return replace(asked, best_of=config.best_of, repairs=config.repairs) if kind == "mended" else asked


def ways_of(journey: Journey, checkpoint: str, base: bool) -> Iterator[Asked]:
    """Prompts only, the best and mended of them if the settings say so, and with places; the base beside it."""
    yield way_of(journey, checkpoint, "main")
    if journey.recipe.judging.best_of > 1 or journey.recipe.judging.repairs:
        yield way_of(journey, checkpoint, "mended")
    yield way_of(journey, checkpoint, "placed")
    if base and checkpoint != BASE:
        yield way_of(journey, BASE, "base")


def judge_cast(journey: Journey) -> Cast:
    """The cast as the judge's embedder sees it."""
    from fullcast.recognition.castfile import read_cast

    return read_cast(judge_cast_path(journey.workspace))


def check_judge(journey: Journey) -> Cast:
    """`judge_cast`, after both of the judge's networks were opened once. FullcastError for one that is not there, is
    none, or is not the one that saw this cast."""
    cast = judge_cast(journey)
    Doors(journey.workspace, journey.recipe).look(cast)
    return cast


def scenes_for(journey: Journey, given: Path | None, cast: Cast) -> tuple[list[Scene], list[Drop]]:
    """The scenes of a file that this cast can be asked for, and the others as drops; or held-out ones for this cast: as
    many of each number of people as the settings say."""
    from fullcast.journey.preparing import read_prepared
    from fullcast.judging.benchmark import make_scenes
    from fullcast.judging.counterfactual import with_swaps

    config = journey.recipe.judging
    drops: list[Drop] = []
    if given is not None:
        scenes, drops = sift_scenes(given, cast)
    else:
        places = read_prepared(journey).settings or SETTINGS
        most = min(config.max_people, len(cast.characters))
        scenes = make_scenes(cast, config.pictures_per_count, config.seed, places, most)
    return with_swaps(scenes) if config.swapped_scenes else scenes, drops


def draw_and_judge(journey: Journey, way: Asked, scenes: Sequence[Scene], cast: Cast) -> list[Row]:
    """Pictures of all scenes, then their rows; what is there already from the same model, words and scenes stays.

    Another judge, or another cast in the judge's eyes, judges the pictures that are there anew.
    """
    from fullcast.judging.cache import question_key

    config, generation = journey.recipe.judging, journey.recipe.generation
    asked = list(scenes) if way.kind == "placed" else [scene.without_places() for scene in scenes]
    doors = Doors(journey.workspace, journey.recipe)
    about = {"judging": config.model_dump(mode="json"), "generation": generation.model_dump(mode="json")}
    taught = [file_id(path) for path in doors.textual_inversions]
    del about["generation"]["textual_inversions"]  # their content counts, and verdicts from before are kept
    del about["judging"]["best_of"], about["judging"]["repairs"]
    if way.kind == "mended":
        about["choosing"] = {
            "best_of": way.best_of,
            "repairs": way.repairs,
            "scorer": scorer_of(journey, way.checkpoint).name,
        }
    question = question_key(doors.look(cast).name, cast)
    words = _words(way, asked, _cast_of(journey, way), generation)
    seeds = [f"{scene.id} seed {scene.seed}" for scene in scenes if scene.seed >= 0]
    inputs = [way.folder.name, *(repr(scene) for scene in scenes), *seeds, *words, *taught]
    key = partition_key(inputs, about, [question], VERSION)

    def make(path: Path) -> None:
        drawn = (_choose if way.kind == "mended" else _draw)(journey, way, asked)
        write_records(way.folder / PICTURES, drawn, Picture)
        _judge_drawn(journey, way, drawn, scenes, doors.look(cast), cast).write(path)

    cached(way.folder / VERDICTS, key, make)
    return _rows(way, way.folder / VERDICTS)


def _words(way: Asked, scenes: Sequence[Scene], cast: Cast, config: GenerationConfig) -> list[str]:
    """All that pictures take from the cast of the prompts: its words, those of the regions too, and, where places are
    drawn, its layouts."""
    from fullcast.generation.layout import with_places
    from fullcast.generation.regions import negatives_beside, regions_of
    from fullcast.recognition.words import prompt_for

    try:
        for scene in scenes:
            check_scene(scene, cast)
    except NotInCast as error:
        raise FullcastError(
            f"{way.checkpoint.name} cannot be asked for all scenes: {error}; train it on today's cast, or give scenes "
            "of those it knows (--scenes FILE)"
        ) from error
    words = [prompt_for(scene, cast) for scene in scenes]
    for scene in scenes:
        # Places are drawn from each picture's seed; those of one seed stand for all.
        placed = with_places(scene, cast, 0) if config.plan_places else scene
        if config.region_steps > 0:
            words += [region.prompt for region in regions_of(placed, cast)]
        words += negatives_beside(placed, config.region_steps > 0)
    return [*words, repr(sorted(cast.layout.items()))] if config.plan_places else words


def _rows(way: Asked, path: Path) -> list[Row]:
    """A table's rows under the names of this way: the same model may have been asked in the same words as another."""
    from fullcast.judging.rows import read_rows

    checkpoint = way.checkpoint.name
    return [replace(row, series=way.name, checkpoint=checkpoint, step=way.step) for row in read_rows(path)]


def score(journey: Journey, way: Asked, scenes: Sequence[Scene]) -> list[Row]:
    """The pictures that `draw_and_judge` left as the networks see them that pick the best of several: those that
    labelled."""
    from fullcast.judging.cache import question_key

    scorer = scorer_of(journey, way.checkpoint)
    question = question_key(scorer.name, scorer.cast)
    key = partition_key([stored_key(way.folder / VERDICTS)], models=[question], version=VERSION)

    def make(path: Path) -> None:
        drawn = read_records(way.folder / PICTURES, Picture)
        _judge_drawn(journey, way, drawn, scenes, scorer, scorer.cast).write(path)

    cached(way.folder / SCORED, key, make)
    return _rows(way, way.folder / SCORED)


def judge_folder(
    journey: Journey, folder: Path, scenes: Sequence[Scene], left_out: Sequence[Drop], cast: Cast, name: str
) -> tuple[Judged, list[Drop]]:
    """Pictures from any tool; rows in data/judging, what could not be judged as drops. Raises FullcastError when none
    can be read.

    ``left_out``: scenes that cannot be asked for, by id; a picture of one belongs to no other whose id is shorter.
    """
    from fullcast.judging.judge import STAGE, entries_in, judge

    reasons = {drop.item: drop.detail for drop in left_out}
    entries, drops = entries_in(folder, [*scenes, *(Scene(scene_id, "") for scene_id in reasons)])
    out = [entry for entry in entries if entry.scene.id in reasons]
    drops += [Drop(entry.picture_id, STAGE, "scene-left-out", reasons[entry.scene.id]) for entry in out]
    if len(out) == len(entries):
        raise FullcastError(f"all pictures in {folder} are of scenes that cannot be asked for: {drops[-1].detail}")
    entries = [entry for entry in entries if entry.scene.id not in reasons]
    doors = Doors(journey.workspace, journey.recipe)
    look, config = doors.look(cast), journey.recipe.judging
    judged = judge(entries, look, cast, config, journey.progress, sights_of(journey, look, cast), series=name)
    if not judged.rows:
        first = judged.drops[0]
        raise FullcastError(
            f"no picture in {folder} can be read; {len(judged.drops)} were tried, the first, {first.item}: "
            f"{first.detail}; put whole ones in their place"
        )
    rows = tuple(replace(row, path=_told_path(journey, Path(row.path))) for row in judged.rows)
    judged = replace(judged, rows=rows)
    judged.write(journey.workspace.judging_dir / f"folder-{name.replace('/', '-')}" / VERDICTS)
    return judged, [*drops, *judged.drops]


def score_folder(journey: Journey, judged: Judged, name: str) -> list[Row]:
    """The pictures that `judge_folder` judged as those networks see them that labelled; [] where no scene has several,
    and where the cast that they know is not the one that was judged over."""
    from fullcast.judging.judge import Entry, judge
    from fullcast.recognition.castfile import read_cast

    path = journey.workspace.show_dir / "cast.json"
    if len({row.scene.id for row in judged.rows}) == len(judged.rows) or not path.exists():
        return []
    cast, doors = read_cast(path), Doors(journey.workspace, journey.recipe)
    if set(cast.names) != set(judged.names):
        return []
    root, look = journey.workspace.root, doors.scorer(cast)
    entries = [Entry(row.verdict.picture_id, root / row.path, row.scene, row.seed) for row in judged.rows]
    sights = sights_of(journey, look, cast)
    return list(judge(entries, look, cast, journey.recipe.judging, journey.progress, sights, series=name).rows)


def sights_of(journey: Journey, look: Look, cast: Cast) -> Sights:
    """What these networks saw before, over this cast; no picture is looked at twice."""
    from fullcast.judging.cache import Sights, question_key

    return Sights(journey.workspace.judging_dir / "seen", question_key(look.name, cast))


def _draw(journey: Journey, way: Asked, scenes: Sequence[Scene]) -> list[Picture]:
    """Paths relative to the workspace; each scene's noise is the same for every model."""
    folder = way.folder / "pictures"
    model = open_model(journey, way.checkpoint.folder)
    pictures = _generate(journey, way, model, scenes, journey.recipe.judging.pictures_per_scene, folder)
    return [replace(p, path=journey.workspace.relative(folder / p.path)) for p in pictures]


def _choose(journey: Journey, way: Asked, scenes: Sequence[Scene]) -> list[Picture]:
    """One picture of each scene, chosen and mended by those that labelled; the first to choose from is that of
    `main`, in whose folder they lie."""
    drawn, folder = way_of(journey, str(way.checkpoint.folder), "main").folder / "pictures", way.folder / "pictures"
    model = open_model(journey, way.checkpoint.folder)
    pictures = _generate(journey, way, model, scenes, way.best_of, drawn)
    if folder.exists():
        shutil.rmtree(folder)  # of other settings; nothing in it is more than a copy or a repair
    config = generation_config(journey)
    chosen = choose(journey, model, way.checkpoint, pictures, drawn, folder, config, way.best_of, way.repairs)
    return [replace(one.picture, path=journey.workspace.relative(folder / one.picture.path)) for one in chosen]


def _generate(
    journey: Journey, way: Asked, model: StableDiffusion, scenes: Sequence[Scene], each: int, folder: Path
) -> list[Picture]:
    from fullcast.generation.generate import generate
    from fullcast.judging.benchmark import seed_of

    repeated = [(scene, i) for scene in scenes for i in range(each)]
    return generate(
        model,
        [scene for scene, _ in repeated],
        _cast_of(journey, way),
        generation_config(journey),
        folder,
        seeds=[seed_of(scene, journey.recipe.judging.seed, i) for scene, i in repeated],
        checkpoint=way.checkpoint.name,
        progress=journey.progress,
        painters=Doors(journey.workspace, journey.recipe).painters(way.checkpoint.folder),
    )


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
