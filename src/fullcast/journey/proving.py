"""Judge and card: the same scenes asked of several models in several ways, judged, and told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fullcast.journey.answers import Answer, drop_lines, timed
from fullcast.journey.doors import Doors
from fullcast.journey.making import BASE, Checkpoint, find_checkpoint, generation_config, open_model, scenes_in
from fullcast.journey.mending import MENDED, Mended, mend
from fullcast.journey.naming import judge_cast_path
from fullcast.journey.telling import judge_sentence, tell
from fullcast.records import Cast, Picture, Scene, Verdict
from fullcast.store.atomic import write_json
from fullcast.store.errors import FullcastError
from fullcast.store.partitions import cached, partition_key
from fullcast.store.tables import read_records, write_records

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.judging.report_data import Repair, ReportData, Shown
    from fullcast.judging.summary import Summary

Kind = Literal["main", "placed", "base"]

NAMES: dict[Kind, str] = {"main": "Prompts only", "placed": "With places given", "base": "Before training"}

SETTINGS = ("park", "street")
"""Where scenes play when nothing is known of the show's places."""

JUDGE_VERSION = 2


@dataclass(frozen=True)
class Asked:
    """One model asked in one way; its results lie in a folder of their own."""

    kind: Kind
    checkpoint: Checkpoint
    folder: Path

    @property
    def name(self) -> str:
        return NAMES[self.kind]

    def row(self) -> dict[str, str]:
        """What the card needs to find it again."""
        return {"kind": self.kind, "name": self.name, "folder": self.folder.name, "checkpoint": self.checkpoint.name}


def judge(journey: Journey, checkpoint: str, pictures: Path | None, scenes: Path | None, base: bool) -> Answer:
    """The checkpoint with prompts only and with places, the base beside it; or a folder of pictures from anywhere."""
    cast = _judge_cast(journey)
    if pictures is not None:
        return _judge_folder(journey, pictures, scenes, cast)
    asked_scenes = _scenes(journey, scenes, cast)
    ways = list(_ways(journey, checkpoint, base))
    with timed(journey.workspace, "judge"):
        for way in ways:
            _draw_and_judge(journey, way, asked_scenes, cast)
        mend(journey, ways[0].folder, ways[0].checkpoint, cast)
    write_json(journey.workspace.judging_dir / "latest.json", {"series": [way.row() for way in ways]})
    return _told(journey, ways, cast)


def _ways(journey: Journey, checkpoint: str, base: bool) -> Iterator[Asked]:
    from fullcast.models.stable_diffusion.folder import folder_sha256

    models: list[tuple[str, tuple[Kind, ...]]] = [(checkpoint, ("main", "placed"))]
    if base and checkpoint != BASE:
        models.append((BASE, ("base",)))
    for given, kinds in models:
        chosen = find_checkpoint(journey, given)
        sha = folder_sha256(chosen.folder)[:10]
        for kind in kinds:
            yield Asked(
                kind, chosen, journey.workspace.judging_dir / f"{sha}-{'places' if kind == 'placed' else 'prompts'}"
            )


def _judge_cast(journey: Journey) -> Cast:
    from fullcast.recognition.castfile import read_cast

    return read_cast(judge_cast_path(journey.workspace))


def _scenes(journey: Journey, given: Path | None, cast: Cast) -> list[Scene]:
    """The scenes of a file, or held-out ones for this cast: as many of each number of people as the settings say."""
    from fullcast.journey.preparing import read_prepared
    from fullcast.judging.benchmark import make_scenes

    if given is not None:
        return scenes_in(given, cast)
    config = journey.recipe.judging
    places = read_prepared(journey).settings or SETTINGS
    most = min(config.max_people, len(cast.characters))
    return make_scenes(cast, config.pictures_per_count, journey.recipe.seed, places, most)


def _draw_and_judge(journey: Journey, way: Asked, scenes: Sequence[Scene], cast: Cast) -> None:
    """Pictures of all scenes, then their verdicts; what is there already from the same model and scenes stays."""
    config, generation = journey.recipe.judging, journey.recipe.generation
    asked = list(scenes) if way.kind == "placed" else [scene.without_places() for scene in scenes]
    doors = Doors(journey.workspace, journey.recipe)
    about = {"judging": config.model_dump(mode="json"), "generation": generation.model_dump(mode="json")}
    networks = [doors.judge_detector.name, doors.judge_embedder.name]
    inputs = [way.folder.name, str(journey.recipe.seed), *(repr(scene) for scene in scenes)]
    key = partition_key(inputs, about, networks, JUDGE_VERSION)

    def make(path: Path) -> None:
        drawn = _draw(journey, way, asked)
        write_records(way.folder / "pictures.parquet", drawn, Picture)
        _judge_pictures(journey, drawn, scenes, cast, path)

    cached(way.folder / "verdicts.parquet", key, make)


def _draw(journey: Journey, way: Asked, scenes: list[Scene]) -> list[Picture]:
    """Paths relative to the workspace; each scene's seed is the same for every model."""
    from fullcast.generation.generate import generate
    from fullcast.judging.benchmark import seed_of

    model = open_model(journey, way.checkpoint.folder)
    folder = way.folder / "pictures"
    seeds = [seed_of(scene, journey.recipe.seed) for scene in scenes]
    pictures = generate(
        model,
        scenes,
        _cast_of(journey, way),
        generation_config(journey),
        folder,
        seeds=seeds,
        checkpoint=way.checkpoint.name,
        progress=journey.progress,
        painters=Doors(journey.workspace, journey.recipe).painters(way.checkpoint.folder),
    )
    return [replace(p, path=journey.workspace.relative(folder / p.path)) for p in pictures]


def _cast_of(journey: Journey, way: Asked) -> Cast:
    """The words of the prompts: the trained model's own; the base is asked in the same ones."""
    return find_checkpoint(journey, BASE).cast if way.kind == "base" else way.checkpoint.cast


def _judge_pictures(
    journey: Journey, pictures: Sequence[Picture], scenes: Sequence[Scene], cast: Cast, path: Path
) -> None:
    """Verdicts on the scenes with their places, so that places are measured whether or not they were asked for."""
    from fullcast.judging.judge import Entry
    from fullcast.judging.judge import judge as look_at

    by_id = {scene.id: scene for scene in scenes}
    entries = [Entry(p.id, journey.workspace.absolute(p.path), by_id[p.scene.id]) for p in pictures]
    look = Doors(journey.workspace, journey.recipe).look(cast)
    look_at(entries, look, cast, journey.recipe.judging, journey.progress).write(path)


def _told(journey: Journey, ways: Sequence[Asked], cast: Cast) -> Answer:
    """A table: success by number of people with 95 % intervals, for every way of asking."""
    lines: list[str] = []
    data: dict[str, Any] = {}
    for way in ways:
        summary, _, _ = _summary(journey, way.folder, cast)
        lines.append(f"{way.name} ({way.checkpoint.name})")
        for count in summary.by_count:
            people = "person" if count.num_people == 1 else "people"
            placed = f"; in place {count.success_placed.value:.2f}" if way.kind == "placed" else ""
            lines.append(
                f"  {count.num_people} {people}: {count.success.value:.2f} "
                f"({count.success.low:.2f} to {count.success.high:.2f}, {count.num_pictures} pictures){placed}"
            )
        data[way.kind] = {"checkpoint": way.checkpoint.name, **summary.to_json()}
    doors = Doors(journey.workspace, journey.recipe)
    lines.append(judge_sentence(journey, f"{doors.judge_detector.name} and {doors.judge_embedder.name}"))
    return Answer("\n".join(lines), data)


def _summary(journey: Journey, folder: Path, cast: Cast) -> tuple[Summary, list[Verdict], list[Scene]]:
    from fullcast.judging.summary import summarize

    verdicts = read_records(folder / "verdicts.parquet", Verdict)
    pictures = read_records(folder / "pictures.parquet", Picture)
    scenes = [picture.scene for picture in pictures]
    return summarize(verdicts, scenes, cast, journey.recipe.judging), verdicts, scenes


def _judge_folder(journey: Journey, folder: Path, scenes: Path | None, cast: Cast) -> Answer:
    """Pictures from any tool; verdicts beside them in data/judging."""
    from fullcast.judging.judge import entries_in
    from fullcast.judging.judge import judge as look_at
    from fullcast.judging.summary import summarize

    if scenes is None:
        raise FullcastError("give the scenes that the pictures were asked for: --scenes FILE")
    asked = _scenes(journey, scenes, cast)
    entries, drops = entries_in(folder, asked)
    look = Doors(journey.workspace, journey.recipe).look(cast)
    judged = look_at(entries, look, cast, journey.recipe.judging, journey.progress)
    out = journey.workspace.judging_dir / f"folder-{folder.name}" / "verdicts.parquet"
    judged.write(out)
    summary = summarize(judged.verdicts, asked, cast, journey.recipe.judging)
    lines = [
        f"{count.num_people} people: {count.success.value:.2f} ({count.success.low:.2f} to {count.success.high:.2f})"
        for count in summary.by_count
    ]
    lines += drop_lines([*drops, *judged.drops])
    return Answer("\n".join(lines), {"verdicts": str(out), **summary.to_json()})


def card(journey: Journey) -> Answer:
    """report.html, card/README.md and card/dataset.md from all that is there."""
    from fullcast.journey.dataset_card import NAME as DATASET_CARD
    from fullcast.journey.dataset_card import write_dataset_card
    from fullcast.judging.card import write_card
    from fullcast.judging.report import write_report

    workspace = journey.workspace
    data = _with_judging(journey, tell(journey))
    write_report(data, workspace.report_path, workspace.root)
    write_card(data, workspace.card_path, workspace.root)
    paths = {"report": str(workspace.report_path), "card": str(workspace.card_path)}
    if (workspace.show_dir / "scenes.json").exists():
        paths["dataset"] = str(write_dataset_card(journey, workspace.card_dir / DATASET_CARD))
    return Answer("\n".join(paths.values()), paths)


def _with_judging(journey: Journey, data: ReportData) -> ReportData:
    """Galleries, curves, tables and failures of what was judged last."""
    from fullcast.judging.exhibits import count_table, failure_groups, galleries, identity_table, series

    latest = journey.workspace.judging_dir / "latest.json"
    if not latest.exists():
        missing = "Nothing was judged yet: fullcast judge."
        return replace(data, absent={**data.absent, **dict.fromkeys(("success", "galleries", "failures"), missing)})
    cast = _judge_cast(journey)
    curves = []
    added: dict[str, Any] = {}
    for row in json.loads(latest.read_text(encoding="utf-8"))["series"]:
        folder = journey.workspace.judging_dir / row["folder"]
        summary, verdicts, scenes = _summary(journey, folder, cast)
        curves.append(series(row["name"], summary, row["kind"]))
        if row["kind"] == "main":
            paths = {p.id: p.path for p in read_records(folder / "pictures.parquet", Picture)}
            added = {
                "galleries": galleries(verdicts, scenes, paths),
                "failures": failure_groups(verdicts, scenes, paths),
                "count_confusion": count_table(summary),
                "identity_confusion": identity_table(summary),
                "judge": judge_sentence(journey, _look_of(folder)),
                "repairs": _repairs(folder),
                "grids": _grids(journey),
            }
    return replace(data, success=tuple(curves), **added)


def _repairs(folder: Path) -> tuple[Repair, ...]:
    from fullcast.judging.report_data import Repair, Shown

    return tuple(
        Repair(
            Shown(row.before, f"{row.character} is missing"),
            Shown(row.after, f"mended, try {row.tries}", note=row.note),
        )
        for row in read_records(folder / MENDED, Mended)
        if row.after
    )


def _grids(journey: Journey) -> tuple[Shown, ...]:
    """The grids that were drawn in this workspace."""
    from fullcast.judging.report_data import Shown

    folder = journey.workspace.pictures_dir / "grids"
    files = sorted(folder.glob("*.png")) if folder.is_dir() else []
    return tuple(
        Shown(journey.workspace.relative(path), path.stem.rsplit("-", 1)[0].replace("-", " by ")) for path in files
    )


def _look_of(folder: Path) -> str:
    from fullcast.store.tables import read_metadata

    return read_metadata(folder / "verdicts.parquet").get("look", "")
