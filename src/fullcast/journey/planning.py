"""Plan and train: the prepared show to samples, samples to an order, the order to a checkpoint."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast.journey.answers import Answer, timed
from fullcast.journey.beside_training import beside_training, hold_out
from fullcast.journey.captioning import caption_changes, captioned, staged_captions, what_is_told
from fullcast.journey.composing import with_composites
from fullcast.journey.compositions import COMPOSITIONS, write_compositions
from fullcast.journey.doors import Doors
from fullcast.journey.fitting import check_chosen, pocket_eyes, unchosen
from fullcast.journey.naming import judge_cast_path
from fullcast.journey.preparing import Prepared, read_prepared
from fullcast.journey.run_facts import RUN_RECIPE, machine, read_run
from fullcast.journey.runs import make_current, newest_checkpoints
from fullcast.journey.several import in_several_processes, train_in_several
from fullcast.journey.speed import images_per_s
from fullcast.models.stable_diffusion.licence import PROVENANCE
from fullcast.ports import BatchStream
from fullcast.recipe import Recipe, write_recipe
from fullcast.records import Cast, Sample
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
    from fullcast.mixture.stages import StagePlan
    from fullcast.training.config import Change, TrainingConfig
    from fullcast.training.stop import StoppedEncoding


@dataclass(frozen=True)
class Planned:
    """A plan with what it was made from."""

    prepared: Prepared
    stages: tuple[StagePlan, ...]
    imagined: bool = False
    """Made from the recipe's inventory: there are no pictures yet."""
    held_out: tuple[Sample, ...] = ()
    """Of the shots that are never trained on: their loss is measured."""

    @property
    def cut(self) -> Cut:
        """Of the first stage."""
        return self.stages[0].cut

    @property
    def mixture(self) -> MixturePlan:
        """Of the first stage."""
        return self.stages[0].mixture

    @cached_property
    def stream(self) -> BatchStream:
        """Over all stages."""
        from fullcast.mixture.stages import StagedStream

        return StagedStream(tuple(stage.mixture.stream for stage in self.stages))

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """Of all stages, each once."""
        return tuple({sample.id: sample for stage in self.stages for sample in stage.mixture.samples}.values())


def plan(journey: Journey) -> Answer:
    """What will be seen how often, and what it costs; written to data/plan and said."""
    from fullcast.journey.wording import survey_captions
    from fullcast.mixture.preview_text import as_text

    with timed(journey.workspace, "plan"):
        planned = make_plan(journey, may_imagine=True)
        speed = None if planned.imagined else images_per_s(journey, planned)
        report = tell_plan(journey, planned, speed)
        data, text = report.to_dict(), as_text(report)
        if not planned.imagined:
            told, data["captions"] = survey_captions(captioned(journey, planned), planned.prepared.cast)
            text += told + "\n"
            changes, data["captions_changed"] = caption_changes(journey, planned)
            text += changes
            text += "".join(f"look again: {said}\n" for said in (*unchosen(journey), *pocket_eyes(journey)))
        _write_plan(journey.workspace, planned, report, data, text)
    path = journey.workspace.relative(journey.workspace.plan_dir)
    return Answer(f"{text}\nin {path}: plan.txt, plan.json, plan.svg, visits.svg, never-seen.txt", data)


def compare_plans(before: Path, after: Path) -> Answer:
    """What the second plan changes; each is a plan.json or a workspace."""
    from fullcast.mixture.difference import as_text, difference, read_plan

    found = difference(read_plan(before), read_plan(after))
    return Answer(as_text(found).rstrip(), found.to_dict())


def tell_plan(journey: Journey, planned: Planned, speed: float | None = None) -> PlanReport:
    """The report of a plan, with prices, what is left out, and other trainers' orders beside it."""
    from fullcast.journey.pricing import empty_captions, left_out, priced, trained_with
    from fullcast.mixture.beside import compare
    from fullcast.mixture.preview import preview

    recipe, draws = journey.recipe, journey.recipe.cost.compare_orders
    report = preview(
        planned.stages,
        speed,
        dropped=left_out(planned.prepared.images, (*planned.prepared.drops, *planned.cut.drops)),
        empty_captions=empty_captions(recipe),
        beside=compare(planned.stages, draws, journey.progress) if draws else (),
        imagined=planned.imagined,
        **priced(journey, planned.stages),
    )
    of_stages = recipe.of_stages()
    first = of_stages[0][1]
    told = zip(report.stages, of_stages, strict=True)
    stages = tuple(replace(stage, settings=trained_with(of, name, first)) for stage, (name, of) in told)
    return replace(report, stages=stages)


def make_plan(journey: Journey, *, may_imagine: bool = False) -> Planned:
    """Samples and their order in every stage: a pure function of the prepared tables and the recipe.

    may_imagine: a workspace in which nothing is prepared is planned from the recipe's inventory, if it has one.
    """
    from fullcast.mixture.plan import plan as plan_mixture
    from fullcast.mixture.samples import cut_samples
    from fullcast.mixture.stages import StagePlan, renamed, stage_seed

    imagined = may_imagine and bool(journey.recipe.inventory) and not is_prepared(journey)
    prepared = _imagined(journey.recipe) if imagined else read_prepared(journey)
    prepared, held = hold_out(prepared, journey.recipe.training.validation_share, journey.recipe.seed)
    prepared = prepared if imagined else with_composites(journey, prepared)
    stages: list[StagePlan] = []
    first: Recipe | None = None
    of_stages = journey.recipe.of_stages()
    journey.progress.start("plan", 2 * len(of_stages))
    for number, (name, recipe) in enumerate(of_stages):
        cut = cut_samples(prepared.pictures, prepared.everybody, recipe.mixture, prepared.scene_tags, prepared.ratings)
        _check_something_is_left(cut)
        if first is None:
            first = recipe
        elif cut.samples != stages[0].cut.samples or recipe.captions != first.captions or recipe.captions.stages:
            cut = renamed(cut, name)
        journey.progress.advance(1, "samples")
        mixture = plan_mixture(cut.samples, recipe.mixture, stage_seed(recipe.seed, number), journey.workspace.root)
        stages.append(StagePlan(name, sum(stage.num_steps for stage in stages), cut, mixture))
        journey.progress.advance(1, "order")
    journey.progress.done()
    mixture_of_first = of_stages[0][1].mixture
    apart = cut_samples(held, prepared.people, mixture_of_first, prepared.scene_tags, prepared.ratings).samples
    return Planned(prepared, tuple(stages), imagined, apart)


def _check_something_is_left(cut: Cut) -> None:
    if not cut.samples and cut.drops:
        raise FullcastError(
            f"all {len(cut.drops)} pictures are too small for the plan's area: {cut.drops[0].detail}; set a smaller "
            "mixture.area_px or a larger mixture.max_enlargement"
        )


def is_prepared(journey: Journey) -> bool:
    return (journey.workspace.show_dir / "scenes.json").exists()


def _imagined(recipe: Recipe) -> Prepared:
    from fullcast.mixture.inventory import imagined

    images, people = imagined(recipe.inventory)
    return Prepared(tuple(images), tuple(people), Cast(recipe.show, ()), {}, (), ())


def train(journey: Journey, minutes: float | None = None) -> Answer:
    """Fine-tunes on the plan, or goes on, also from a training of its first stages; a finished training is not touched.
    A stop is an answer too, also before the first step."""
    from fullcast.journey.prolonging import go_on_from_shorter
    from fullcast.training.kept import latest_resumable, read_state
    from fullcast.training.stop import StoppedEncoding

    if minutes is not None and not minutes >= 0:
        raise FullcastError(f"--minutes {minutes:g}: give a number of minutes from 0 on, or leave it out")
    check_chosen(journey)
    planned = make_plan(journey)
    run_dir = run_dir_of(journey, planned)
    newest = latest_resumable(run_dir)
    num_steps = planned.stream.num_steps
    if newest is None and (told := go_on_from_shorter(journey, planned, run_dir)):
        journey.say(told)
        newest = latest_resumable(run_dir)
    if newest is None and (told := begins_anew(journey, run_dir)):
        journey.say(told)
    make_current(run_dir)
    if newest is not None and read_state(newest).step >= num_steps:
        return _trained(journey, newest, num_steps, num_steps)
    try:
        with timed(journey.workspace, "train"):
            if in_several_processes(journey):
                train_in_several(journey, minutes)
            else:
                train_here(journey, planned, minutes)
    except StoppedEncoding as stop:
        return _encoded(journey, newest, stop, num_steps)
    newest = latest_resumable(run_dir)
    assert newest is not None  # both end with a checkpoint, or raise
    return _trained(journey, newest, read_state(newest).step, num_steps)


def train_here(journey: Journey, planned: Planned, minutes: float | None) -> None:
    """The training itself, or this process's part of it, with all that lies beside it in its folder."""
    from fullcast.mixture.pixels import WorkspacePixels
    from fullcast.mixture.preview_text import as_text
    from fullcast.training.loop import train as train_model
    from fullcast.training.stop import stop_on_signals

    workspace, run_dir = journey.workspace, run_dir_of(journey, planned)
    doors = Doors(workspace, journey.recipe)
    doors.use_threads()
    if planned_fingerprint(workspace) != planned.stream.fingerprint():
        report = tell_plan(journey, planned)
        _write_plan(workspace, planned, report, report.to_dict(), as_text(report))
    write_recipe(run_dir / RUN_RECIPE, journey.recipe)
    write_json(run_dir / PROVENANCE, provenance(journey, planned, read_run(run_dir).machines))
    write_compositions(run_dir / COMPOSITIONS, planned, doors.path("base"))
    files = {
        PROVENANCE: run_dir / PROVENANCE,
        COMPOSITIONS: run_dir / COMPOSITIONS,
        "cast.json": workspace.show_dir / "cast.json",
        "cast-judge.json": judge_cast_path(workspace),
    }
    with stop_on_signals() as asked:
        train_model(
            doors.path("base"),
            planned.stream,
            WorkspacePixels(workspace.root, (*planned.samples, *planned.held_out)),
            staged_captions(journey, planned),
            training_config(journey.recipe),
            run_dir,
            journey.progress,
            stop=asked,
            max_seconds=None if minutes is None else 60 * minutes,
            latents_dir=workspace.data_dir / "latents",
            beside=beside_training(journey, planned, run_dir, {**files, RUN_RECIPE: run_dir / RUN_RECIPE}),
        )


def provenance(journey: Journey, planned: Planned, before: Sequence[str] = ()) -> dict[str, Any]:
    """What a checkpoint comes from, by hashes and names, as it lies beside every one: no path. before: the machines
    that it was trained on so far."""
    from fullcast import __version__
    from fullcast.journey.exporting_models import licence_of_made
    from fullcast.models.stable_diffusion.folder import folder_sha256

    base = Doors(journey.workspace, journey.recipe).path("base")
    return {
        "plan": planned.stream.fingerprint(),
        "steps": planned.stream.num_steps,
        "base": {"name": base.name, "sha256": folder_sha256(base)},
        "licence": licence_of_made(journey),
        "machines": list(dict.fromkeys([*before, machine()])),
        "fullcast": __version__,
    }


def _trained(journey: Journey, checkpoint: Path, step: int, num_steps: int) -> Answer:
    path = journey.workspace.relative(checkpoint)
    rest = "" if step >= num_steps else f"; {num_steps - step} steps are left: run it again to go on"
    data = {"checkpoint": path, "step": step, "num_steps": num_steps, "finished": step >= num_steps}
    return Answer(f"trained {step} of {num_steps} steps: {path}{rest}", data)


def _encoded(journey: Journey, newest: Path | None, stop: StoppedEncoding, num_steps: int) -> Answer:
    """What is said of a stop that came while pictures were encoded. newest: the checkpoint that it began with."""
    from fullcast.training.kept import read_state

    data = {
        "checkpoint": journey.workspace.relative(newest) if newest else "",
        "step": read_state(newest).step if newest else 0,
        "num_steps": num_steps,
        "finished": False,
        "encoded": f"{stop.encoded} of {stop.of}",
    }
    return Answer(str(stop), data)


def training_config(recipe: Recipe) -> TrainingConfig:
    """The room's settings, with the recipe's seed and device where it has none of its own, and those of stages."""
    return recipe.own_training().model_copy(update={"changes": stage_changes(recipe)})


def stage_changes(recipe: Recipe) -> tuple[Change, ...]:
    """What each stage sets otherwise than [training], by its first step; nothing where no stage does."""
    from fullcast.training.config import Change

    changes, step = [], 0
    for _, of in recipe.of_stages():
        differs = {name: value for name, value in of.training if value != getattr(recipe.training, name)}
        changes.append(Change(from_step=step, settings=differs))
        step += of.mixture.num_steps
    return tuple(changes) if any(change.settings for change in changes) else ()


def run_dir_of(journey: Journey, planned: Planned) -> Path:
    """One folder per plan, words, settings and base: a changed recipe begins a new run and the old one can be gone on
    with."""
    from fullcast.models.stable_diffusion.folder import clip_skip_of, folder_sha256

    base = Doors(journey.workspace, journey.recipe).path("base")
    about = training_config(journey.recipe).about_weights(clip_skip_of(base))
    told = [planned.stream.fingerprint(), folder_sha256(base), *what_is_told(journey, planned)]
    return journey.workspace.runs_dir / partition_key(told, about)[:10]


def begins_anew(journey: Journey, run_dir: Path) -> str:
    """What is said before the first step of a run where another one trained the same base already; "" where none did.

    More steps of a stage, other words: all that makes another run, which goes on from nothing of the old one. Of a
    stage at the end see `prolonging`.
    """
    from fullcast.models.stable_diffusion.folder import folder_sha256

    trained = newest_checkpoints(journey.workspace)
    if any(path.parents[1] == run_dir for path in trained):
        return ""
    bases = {path: _base_of(path.parents[1]) for path in trained}
    base = folder_sha256(Doors(journey.workspace, journey.recipe).path("base")) if any(bases.values()) else ""
    same = [path for path in trained if base and bases[path] == base]
    if not same:
        return ""
    last = journey.workspace.relative(same[-1])
    whole = (journey.workspace.root / last / "model_index.json").is_file()
    merged = "" if whole else f"merge it (fullcast export checkpoint FOLDER --checkpoint {last}) and "
    return (
        f"a new run begins at step 0, since {last} was trained with another plan, other words or other settings; to go "
        f"on from its weights, {merged}set models.base to {'that folder' if merged else last}"
    )


def _base_of(run_dir: Path) -> str:
    """sha256 of what a run began with; "" where it does not say."""
    try:
        origin = json.loads((run_dir / PROVENANCE).read_text(encoding="utf-8"))
        return str(origin["base"]["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def planned_fingerprint(workspace: Workspace) -> str:
    """Of the plan that lies in data/plan; '' when there is none."""
    path = workspace.plan_dir / "plan.json"
    return json.loads(path.read_text(encoding="utf-8"))["fingerprint"] if path.exists() else ""


def _write_plan(workspace: Workspace, planned: Planned, report: PlanReport, data: dict[str, Any], text: str) -> None:
    """The tables, the report as data, text and picture, and the list of pictures that nobody will see."""
    from fullcast.mixture.drawing import draw
    from fullcast.mixture.drawing_visits import draw_visits

    if not planned.imagined:
        write_records(workspace.show_dir / "samples.parquet", planned.samples, Sample)
    write_json(workspace.plan_dir / "plan.json", data)
    write_text(workspace.plan_dir / "plan.txt", text)
    write_text(workspace.plan_dir / "plan.svg", draw(report, planned.stages))
    write_text(workspace.plan_dir / "visits.svg", draw_visits(report))
    write_text(workspace.plan_dir / "never-seen.txt", "".join(f"{path}\n" for path in never_seen(planned)))


def never_seen(planned: Planned) -> list[str]:
    """Paths of pictures none of whose samples is visited in any stage, sorted."""
    visits: Counter[str] = Counter()
    for stage in planned.stages:
        for sample, count in zip(stage.mixture.samples, stage.mixture.stream.counts().tolist(), strict=True):
            visits[sample.path] += count
    return sorted(path for path, count in visits.items() if not count)
