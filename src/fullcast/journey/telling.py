"""What a workspace can tell of itself: its tables as the records that the report and the card are drawn from.

Reads only what the stages wrote, so it works after any of them; a section that is not there says which verb makes it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast import __version__
from fullcast.journey.answers import counted, read_times
from fullcast.journey.dataset_card import AUDIT, facts_of
from fullcast.journey.doors import Doors
from fullcast.journey.exporting_models import licence_of_trained
from fullcast.journey.preparing import Prepared, read_prepared
from fullcast.journey.references import References
from fullcast.journey.run_facts import RunFacts, base_name, machine, read_run
from fullcast.judging.report_data import (
    CastForm,
    CastMember,
    Command,
    Counted,
    Curve,
    Fact,
    Label,
    Material,
    MixtureShown,
    ReportData,
    Share,
    Shown,
    TrainingShown,
)
from fullcast.records import UNKNOWN, Image, Person, Video
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import PICTURE_SUFFIXES
from fullcast.store.tables import read_records
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.recipe import Recipe

OTHER_PLAN = "not yet; what was trained followed another plan"

PORTRAITS = 4
FRAMES = 12
TREE_DEPTH = 2
"""Levels of the mixture's tree that are shown; plan.txt has all of them."""

STAGES = ("pocket show", "prepare", "plan", "train", "judge")

DROPS = {
    "held": "a drawing that was seen before in its shot",
    "black": "black frames",
    "blank": "frames of one colour",
    "fade": "fades",
    "title": "title cards",
    "credits": "credits",
    "near-duplicate": "nearly the same as another picture",
    "same-file": "the same file twice",
    "other-file": "files that are neither videos nor pictures",
    "truncated": "damaged or cut off",
    "empty": "empty files",
    "unreadable": "files that cannot be read",
    "too-large": "too large to be opened",
    "not-a-video": "not a video",
    "not-a-picture": "not a picture",
    "no-references": "no usable reference picture",
}
"""Reasons of drops in words; one that is not here stands as it is."""


def tell(journey: Journey) -> ReportData:
    """Everything but the pictures and verdicts of the judge."""
    workspace = journey.workspace
    absent: dict[str, str] = {}
    try:
        prepared = read_prepared(journey)
    except FullcastError:
        prepared = None
        absent |= dict.fromkeys(("cast", "material"), "Nothing is prepared yet: fullcast prepare.")
    plan = _read_json(workspace.plan_dir / "plan.json")
    if not plan:
        absent["mixture"] = "Nothing is planned yet: fullcast plan."
    run_dir = latest_run(workspace)
    if run_dir is None:
        absent["training"] = "Nothing was trained yet: fullcast train."
    trained = read_run(run_dir) if run_dir else RunFacts()
    training = _training(workspace, run_dir, trained.recipe) if run_dir else None
    return ReportData(
        show=journey.recipe.show,
        made=date.today().isoformat(),
        facts=_facts(workspace),
        cast=_cast(workspace, prepared) if prepared else (),
        material=_material(workspace, prepared) if prepared else None,
        mixture=_mixture(plan, run_dir, trained.plan) if plan else None,
        training=training,
        commands=_commands(workspace, prepared),
        licence=licence_of_trained(journey, trained),
        base_model=base_name((trained.recipe or journey.recipe).models.base),
        lora_alone=_is_lora_alone(workspace) if run_dir else False,
        cost=_cost(training, trained.machines),
        absent=absent,
    )


def latest_run(workspace: Workspace) -> Path | None:
    """The run that was trained last."""
    from fullcast.journey.runs import latest_checkpoint

    try:
        return latest_checkpoint(workspace).parents[1]
    except FullcastError:
        return None


# --- the cast


def _cast(workspace: Workspace, prepared: Prepared) -> tuple[CastMember, ...]:
    used = {image.id for image in prepared.images if not image.dropped}
    seen = Counter((p.character, p.form) for p in prepared.people if p.image_id in used)
    pictures: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path, name, look in References(workspace).named():
        pictures[name, look].append(workspace.relative(path))
    members = []
    for character in prepared.cast.characters:
        forms = [
            CastForm(
                form.name,
                form.trigger_word,
                tuple(pictures[character.name, form.name][:PORTRAITS]),
                seen[character.name, form.name],
            )
            for form in character.forms
        ]
        members.append(CastMember(character.name, character.trigger_word, tuple(forms), character.licence))
    return tuple(members)


# --- what was found


def _material(workspace: Workspace, prepared: Prepared) -> Material:
    images, people = prepared.images, prepared.people
    videos = read_records(workspace.show_dir / "videos.parquet", Video)
    frames = [image for image in images if image.source == "screenshots"]
    kept = [image for image in images if not image.dropped]
    by_image: dict[str, list[Person]] = {}
    for person in people:
        by_image.setdefault(person.image_id, []).append(person)
    known = [i for i in kept if any(p.character not in ("", UNKNOWN) for p in by_image.get(i.id, ()))]
    sources = Counter(image.source for image in kept)
    seconds = sum(video.duration_s for video in videos)
    facts: tuple[Fact, ...] = (
        Fact("Episodes", f"{len(videos)} ({seconds / 60:.0f} min {seconds % 60:.0f} s)"),
        Fact("Shots", f"{len({image.shot_id for image in frames if image.shot_id}):,}"),
        Fact("Pictures kept", ", ".join(f"{count:,} {source}" for source, count in sources.items())),
        Fact("People", f"{sum(len(by_image.get(image.id, ())) for image in kept):,}"),
    )
    measured = facts_of(_read_json(workspace.show_dir / AUDIT))
    facts += (Fact("Labels", measured or "how right they are was not measured: fullcast audit"),)
    decoded = sum(video.num_frames for video in videos)
    funnel = (
        Counted("Frames decoded", decoded),
        Counted("One of each drawing", len(frames)),
        Counted("Without duplicates", sum(not image.dropped for image in frames)),
        Counted("With somebody of the cast", sum(image.source == "screenshots" for image in known)),
    )
    drops = [Counted(DROPS.get(reason, f"{reason} ({stage})"), n) for stage, reason, n in counted(prepared.drops)]
    return Material(facts, funnel if decoded else (), tuple(drops), tuple(_frames(known, by_image)))


def _frames(images: Sequence[Image], by_image: dict[str, list[Person]]) -> Iterable[Shown]:
    """Frames from all over the show, of each shot the one with most people: labels drawn as they were given."""
    best: dict[str, Image] = {}
    for image in (image for image in images if image.source == "screenshots"):
        shot = image.shot_id or image.id
        if shot not in best or len(by_image[image.id]) > len(by_image[best[shot].id]):
            best[shot] = image
    frames = list(best.values())
    for image in frames[:: -(-len(frames) // FRAMES) or 1]:
        labels = [
            Label(
                p.head_xyxy or p.xyxy,
                "?" if p.character in ("", UNKNOWN) else p.name,
                "unknown" if p.character in ("", UNKNOWN) else "good",
            )
            for p in by_image[image.id]
        ]
        caption = f"{int(image.time_s) // 60}:{int(image.time_s) % 60:02d}"
        yield Shown(image.path, caption, tuple(labels))


# --- the plan and the training


def _is_lora_alone(workspace: Workspace) -> bool:
    """Whether the newest checkpoint wants its base beside it (training.lora_merged = false)."""
    from fullcast.journey.runs import latest_checkpoint
    from fullcast.models.stable_diffusion.folder import KOHYA_FILE

    newest = latest_checkpoint(workspace)
    return (newest / KOHYA_FILE).is_file() and not (newest / "model_index.json").is_file()


def _mixture(plan: dict[str, Any], run_dir: Path | None, trained: str) -> MixtureShown:
    """Shares as asked for, and as the plan's visits deliver them once all of its steps are trained. trained: the plan
    that the run followed; of another one nothing is said to be delivered."""
    same = trained == plan["fingerprint"]
    step = _trained_step(run_dir) if run_dir and same else 0
    done = step >= plan["num_steps"]
    shares = [
        Share(
            _branch_words(row["path"][-1]),
            row["planned"],
            row["delivered"] if done else -1.0,
            len(row["path"]) - 1,
            row["samples"],
        )
        for row in plan["branches"]
        if len(row["path"]) <= TREE_DEPTH
    ]
    looks = [
        Counted(row["value"], row["visits"], f"{row['samples']:,} samples of {row['originals']:,} pictures")
        for row in plan["values"].get("name", ())
        if row["value"] not in ("", UNKNOWN)
    ]
    never = {reason: count for reason, count in plan["never_seen"].items() if count}
    facts = (
        Fact("Samples", f"{plan['num_samples']:,} of {plan['num_originals']:,} pictures"),
        Fact("Visits", f"{plan['num_visits']:,} in {plan['num_steps']:,} steps of {plan['batch_size']}"),
        Fact("Trained", f"{step:,} steps" if step else "not yet" if same or not run_dir else OTHER_PLAN),
        Fact("Largest difference from target", f"{plan['worst_lag']:.2f} visits"),
    )
    why = ", ".join(f"{count:,} {reason}" for reason, count in never.items()) if len(never) > 1 else "".join(never)
    return MixtureShown(tuple(shares), facts, sum(never.values()), why, tuple(looks))


def _branch_words(branch: str) -> str:
    """ "num_people=2" as "2 people", "source=fanart" as "fanart"."""
    by, _, value = branch.partition("=")
    if by == "num_people":
        return f"{value} person" if value == "1" else f"{value} people"
    return value or branch


def _training(workspace: Workspace, run_dir: Path, recipe: Recipe | None) -> TrainingShown:
    """recipe: the run's own; settings that nobody knows any more are not told."""
    from fullcast.training.metrics import read_metrics

    lines = read_metrics(run_dir / "metrics.jsonl")
    losses = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    probes = []
    for kind in ("right", "empty", "wrong"):
        points = [(line["step"], line[f"probe_{kind}"]) for line in lines if f"probe_{kind}" in line]
        if points:
            probes.append(Curve(f"{kind} caption", *_columns(points)))
    seconds = max((line["seconds"] for line in lines if "seconds" in line), default=0.0)
    facts = (
        Fact("Steps", f"{_trained_step(run_dir):,}"),
        *(_settings(recipe) if recipe else ()),
        Fact("Time", _duration(seconds)),
    )
    loss = Curve("loss", *_columns(losses)) if losses else None
    return TrainingShown(loss, tuple(probes), facts, tuple(_sample_pictures(workspace, run_dir)))


def _settings(recipe: Recipe) -> Iterable[Fact]:
    """What a person would ask of a training; of one in stages the values of each that differ, in their order."""
    stages = [of for _, of in recipe.of_stages()]

    def each(values: Iterable[str]) -> str:
        return ", then ".join(dict.fromkeys(values))

    yield Fact("Batch size", each(str(of.mixture.batch_size) for of in stages))
    yield Fact("Learning rate", each(f"{of.training.learning_rate:g}" for of in stages))
    yield Fact("Caption dropout", each(f"{of.training.caption_dropout_rate:.0%}" for of in stages))


def _columns(points: Sequence[tuple[int, float]]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    return tuple(step for step, _ in points), tuple(value for _, value in points)


def _sample_pictures(workspace: Workspace, run_dir: Path, most: int = 10) -> Iterable[Shown]:
    """One scene over the steps, oldest first, so that one sees it come; the last of all scenes. At most `most` folders,
    evenly, the newest always."""
    folders = sorted((run_dir / "samples").glob("step-*")) if (run_dir / "samples").is_dir() else []
    chosen = folders[::-1][:: -(-len(folders) // most) or 1]
    for folder in reversed(chosen):
        pictures = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
        if pictures:
            step = int(re.sub(r"\D", "", folder.name))
            yield Shown(workspace.relative(pictures[-1]), f"step {step:,}")


def _trained_step(run_dir: Path) -> int:
    from fullcast.training.kept import latest_resumable, read_state

    newest = latest_resumable(run_dir)
    return read_state(newest).step if newest else 0


def _cost(training: TrainingShown | None, machines: Sequence[str]) -> str:
    """Hours, and of what machine, where the run says it: the one that tells this may be another."""
    if training is None:
        return ""
    hours = next((fact.value for fact in training.facts if fact.label == "Time"), "")
    return f"{hours} on {'; then on '.join(machines)}" if machines else hours


def _facts(workspace: Workspace) -> tuple[Fact, ...]:
    times = read_times(workspace)
    facts = [Fact("Fullcast", __version__), Fact("Machine", machine())]
    if times:
        told = [f"{stage} {_duration(times[stage])}" for stage in STAGES if stage in times]
        facts.append(Fact("Time", ", ".join(told)))
    return tuple(facts)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _commands(workspace: Workspace, prepared: Prepared | None) -> tuple[Command, ...]:
    here = f"-w {shlex.quote(workspace.root.resolve().name)}"
    names = ",".join(prepared.cast.names[:2]) if prepared else "NAME,NAME"
    return (
        Command("The data", f"fullcast prepare {here}"),
        Command("The training", f"fullcast plan {here} && fullcast train {here}"),
        Command("A picture", f'fullcast generate "park" --cast {shlex.quote(names)} {here}'),
        Command("The figures and this page", f"fullcast judge {here} && fullcast card {here}"),
    )


def judge_sentence(journey: Journey, look: str) -> str:
    """Which networks judged, and how far they are apart from those that labelled."""
    looked = " and ".join(f"{name} ({sha})" for name, sha in re.findall(r"\w+:([^@\s]+)@(\w+)", look)) or look
    return f"Judged by {looked}. {Doors(journey.workspace, journey.recipe).judge_is_apart}"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
