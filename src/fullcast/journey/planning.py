"""Plan and train: the prepared show to samples, samples to an order, the order to a checkpoint."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.journey.answers import Answer, drop_lines, timed
from fullcast.journey.doors import Doors
from fullcast.journey.naming import judge_cast_path
from fullcast.journey.preparing import Prepared, read_prepared
from fullcast.journey.speed import images_per_s
from fullcast.ports import Preview
from fullcast.recipe import Recipe, write_recipe
from fullcast.records import Placement, Sample, Scene
from fullcast.store.atomic import write_json, write_text
from fullcast.store.errors import FullcastError
from fullcast.store.partitions import partition_key
from fullcast.store.tables import write_records
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.mixture.plan import MixturePlan
    from fullcast.mixture.preview import PlanReport
    from fullcast.mixture.samples import Cut
    from fullcast.training.config import TrainingConfig

RUN_RECIPE = "fullcast.toml"
"""The resolved recipe, as it lies in a run and beside every checkpoint."""


@dataclass(frozen=True)
class Planned:
    """A plan with what it was made from."""

    prepared: Prepared
    cut: Cut
    mixture: MixturePlan


def plan(journey: Journey) -> Answer:
    """What will be seen how often; written to data/plan and said."""
    from fullcast.mixture.preview import as_text, preview

    with timed(journey.workspace, "plan"):
        planned = make_plan(journey)
        report = preview(planned.mixture, planned.cut, images_per_s(journey, planned))
        _write_plan(journey.workspace, planned, report, as_text(report))
    return Answer("\n".join([as_text(report).rstrip(), *drop_lines(planned.cut.drops)]), report.to_dict())


def make_plan(journey: Journey) -> Planned:
    """Samples and their order: a pure function of the prepared tables and the recipe."""
    from fullcast.mixture.plan import plan as plan_mixture
    from fullcast.mixture.samples import cut_samples

    prepared = read_prepared(journey)
    config = journey.recipe.mixture
    cut = cut_samples(prepared.images, prepared.people, config, prepared.scene_tags)
    return Planned(prepared, cut, plan_mixture(cut.samples, config, journey.recipe.seed))


def train(journey: Journey, minutes: float | None = None) -> Answer:
    """Fine-tunes on the plan, or goes on; a finished training is not touched."""
    from fullcast.training.checkpoint import latest_resumable, read_state

    planned = make_plan(journey)
    run_dir = run_dir_of(journey, planned)
    newest = latest_resumable(run_dir)
    num_steps = planned.mixture.stream.num_steps
    if newest is not None and read_state(newest).step >= num_steps:
        return _trained(journey, newest, num_steps, num_steps)
    with timed(journey.workspace, "train"):
        checkpoint, step = _run(journey, planned, run_dir, minutes)
    return _trained(journey, checkpoint, step, num_steps)


def _run(journey: Journey, planned: Planned, run_dir: Path, minutes: float | None) -> tuple[Path, int]:
    from fullcast.journey.wording import caption_source
    from fullcast.mixture.pixels import WorkspacePixels
    from fullcast.mixture.preview import as_text, preview
    from fullcast.training.loop import train as train_model
    from fullcast.training.stop import stop_on_signals

    workspace = journey.workspace
    doors = Doors(workspace, journey.recipe)
    doors.use_threads()
    if planned_fingerprint(workspace) != planned.mixture.stream.fingerprint():
        _write_plan(workspace, planned, report := preview(planned.mixture, planned.cut), as_text(report))
    write_recipe(run_dir / RUN_RECIPE, journey.recipe)
    beside = {"cast.json": workspace.show_dir / "cast.json", "cast-judge.json": judge_cast_path(workspace)}
    with stop_on_signals() as asked:
        done = train_model(
            doors.path("base"),
            planned.mixture.stream,
            WorkspacePixels(workspace.root, planned.mixture.samples),
            caption_source(journey, planned.prepared.cast, planned.mixture.samples),
            training_config(journey.recipe),
            run_dir,
            journey.progress,
            preview=sample_pictures(journey, planned.prepared),
            stop=asked,
            max_seconds=None if minutes is None else 60 * minutes,
            beside={name: path for name, path in {**beside, RUN_RECIPE: run_dir / RUN_RECIPE}.items() if path.exists()},
            latents_dir=workspace.data_dir / "latents",
        )
    return done.checkpoint, done.step


def _trained(journey: Journey, checkpoint: Path, step: int, num_steps: int) -> Answer:
    path = journey.workspace.relative(checkpoint)
    rest = "" if step >= num_steps else f"; {num_steps - step} steps are left: run it again to go on"
    data = {"checkpoint": path, "step": step, "num_steps": num_steps, "finished": step >= num_steps}
    return Answer(f"trained {step} of {num_steps} steps: {path}{rest}", data)


def sample_pictures(journey: Journey, prepared: Prepared) -> Preview | None:
    """Three scenes of one, two and three characters, drawn on the way with the same seeds."""
    from fullcast.generation.preview import ScenePreview

    names = prepared.cast.names
    words = next(iter(prepared.settings), "")
    groups = [names[: n + 1] for n in range(min(3, len(names)))]
    scenes = [
        Scene(f"{len(group)}-people", words, tuple(Placement(name) for name in group)) for group in groups if group
    ]
    return ScenePreview(tuple(scenes), prepared.cast, journey.recipe.generation) if scenes else None


def training_config(recipe: Recipe) -> TrainingConfig:
    """The room's settings, with the recipe's seed and device where it has none of its own."""
    given = recipe.training.model_fields_set
    own = {"seed": recipe.seed, "device": recipe.device}
    return recipe.training.model_copy(update={name: value for name, value in own.items() if name not in given})


def run_dir_of(journey: Journey, planned: Planned) -> Path:
    """One folder per plan, settings and base: a changed recipe begins a new run and the old one can be gone on with."""
    from fullcast.models.stable_diffusion.folder import folder_sha256

    base = folder_sha256(Doors(journey.workspace, journey.recipe).path("base"))
    about = training_config(journey.recipe).about_weights()
    return journey.workspace.runs_dir / partition_key([planned.mixture.stream.fingerprint(), base], about)[:10]


def latest_checkpoint(workspace: Workspace) -> Path:
    """The newest checkpoint of the run that was trained last. Raises FullcastError when nothing was trained."""
    from fullcast.training.checkpoint import checkpoints

    runs = [run for run in workspace.runs_dir.iterdir() if run.is_dir()] if workspace.runs_dir.is_dir() else []
    newest = [found[-1] for run in runs if (found := checkpoints(run))]
    if not newest:
        raise FullcastError(f"nothing was trained in {workspace.root} yet; run: fullcast train -w {workspace.root}")
    return max(newest, key=lambda path: (path.stat().st_mtime_ns, path.name))


def planned_fingerprint(workspace: Workspace) -> str:
    """Of the plan that lies in data/plan; '' when there is none."""
    path = workspace.plan_dir / "plan.json"
    return json.loads(path.read_text(encoding="utf-8"))["fingerprint"] if path.exists() else ""


def _write_plan(workspace: Workspace, planned: Planned, report: PlanReport, text: str) -> None:
    write_records(workspace.show_dir / "samples.parquet", planned.mixture.samples, Sample)
    write_json(workspace.plan_dir / "plan.json", report.to_dict())
    write_text(workspace.plan_dir / "plan.txt", text)
