"""Judge and card: the same scenes asked of several models in several ways, judged, compared, and told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast.journey.answers import Answer, drop_lines, timed
from fullcast.journey.asking import (
    PICTURES,
    STEP,
    VERDICTS,
    Asked,
    check_judge,
    draw_and_judge,
    judge_cast,
    judge_folder,
    scenes_for,
    score,
    score_folder,
    way_of,
    ways_of,
)
from fullcast.journey.choosing import scorer_of
from fullcast.journey.compositions import novelty_by_series
from fullcast.journey.judged import keep_errors, kept_known, write_judged
from fullcast.journey.mending import MENDED, Mended, mend
from fullcast.journey.telling import judge_sentence, latest_run, tell
from fullcast.records import Cast, Drop, Picture, Scene
from fullcast.store.atomic import write_json
from fullcast.store.errors import FullcastError
from fullcast.store.partitions import stored_key
from fullcast.store.tables import read_metadata, read_records, to_plain

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.judging.judgement import Judgement
    from fullcast.judging.measures import Measures
    from fullcast.judging.report_data import Curve, Repair, ReportData, Shown, Table
    from fullcast.judging.rows import Row


JUDGED = ("success", "galleries", "failures")
"""Parts of the report that a judgement fills."""


@dataclass(frozen=True)
class Order:
    """What the judge is asked for."""

    targets: tuple[str, ...] = ()
    """Checkpoints (``base``, ``latest``, a folder) and folders of pictures, compared with the first; (): the newest
    model alone."""
    checkpoint: str = ""
    """Without targets: which model, as in generate."""
    pictures: Path | None = None
    """Without targets: this folder instead of a model's pictures."""
    scenes: Path | None = None
    """None: held-out scenes for this cast."""
    base: bool = True
    """Without targets: whether the model before training is judged beside it."""
    known_right: bool = False
    """Whether ``pictures`` are known to be right: the judge's own errors are measured on them and kept."""
    out: Path | None = None
    """Folder of page and tables; None: data/judging/page."""


def judge(journey: Journey, order: Order) -> Answer:
    """The checkpoint with prompts only and with places, the base beside it; a folder of pictures; or several."""
    if order.targets and (order.pictures is not None or order.checkpoint):
        raise FullcastError("give checkpoints and folders to compare, or one with --pictures or --checkpoint, not both")
    if order.known_right and order.pictures is None:
        raise FullcastError("--known-right is said of a folder: give it with --pictures FOLDER and --scenes FILE")
    cast = check_judge(journey)
    if order.targets:
        return _judge_targets(journey, order, cast)
    if order.pictures is not None:
        return _judge_pictures(journey, order, order.pictures, cast)
    scenes, left_out = scenes_for(journey, order.scenes, cast)
    ways = list(ways_of(journey, order.checkpoint, order.base))
    scorer_of(journey, ways[0].checkpoint)  # who mends is there, too, before anything is drawn
    with timed(journey.workspace, "judge"):
        rows = [draw_and_judge(journey, way, scenes, cast) for way in ways]
        mend(journey, ways[0].folder, ways[0].checkpoint, cast)
        scored = _scored(journey, ways, scenes)
        made, folder = write_judged(journey, cast, [r for group in rows for r in group], order.out, scored)
    told = [way.row() | {"key": stored_key(way.folder / VERDICTS)} for way in ways]
    write_json(journey.workspace.judging_dir / "latest.json", {"series": told})
    lines: list[str] = []
    data: dict[str, Any] = {}
    for way in ways:
        measures = made.measures[way.name]
        lines += [f"{way.name} ({way.checkpoint.name})", *_success_lines(measures, placed=way.kind == "placed")]
        data[way.kind] = {"name": way.name, "checkpoint": way.checkpoint.name, **measures.summary.to_json()}
    lines += [*_left_out(left_out), made.judge, str(folder / "judge.html")]
    return Answer("\n".join(lines), {**data, **_not_used(left_out), "page": str(folder / "judge.html")})


def _judge_pictures(journey: Journey, order: Order, folder: Path, cast: Cast) -> Answer:
    """Pictures from any tool."""
    from fullcast.judging.error import measure_error, true_margin
    from fullcast.judging.hybrids import settled

    if order.scenes is None:
        raise FullcastError("give the scenes that the pictures were asked for: --scenes FILE")
    scenes, left_out = scenes_for(journey, order.scenes, cast)
    judged, drops = judge_folder(journey, folder, scenes, left_out, cast, folder.name)
    lines: list[str] = []
    if order.known_right:
        errors = measure_error(judged.rows, cast, journey.recipe.judging)
        keep_errors(journey, judged.question, errors)
        lines.append("the judge's own errors, kept for this cast:")
        lines += [
            f"  {n} people: calls right {e.sensitivity:.3f} of {e.num_right} right ones, calls wrong "
            f"{e.specificity:.3f} of {e.num_wrong} wrong ones"
            for n, e in errors.items()
        ]
        if (margin := true_margin(judged.rows)) is not None:
            lines.append(
                f"  one true figure in twenty has less than {margin:.3f} between the two nearest: the margin "
                f"of hybrids for this cast; judged with {settled(journey.recipe.judging, cast).hybrid_margin:.3f} "
                "(judging.hybrid_margin)"
            )
    made, out = write_judged(journey, cast, judged.rows, order.out, score_folder(journey, judged, folder.name))
    [measures] = made.measures.values()
    lines = [*_success_lines(measures), *lines, *drop_lines(drops), *_left_out(left_out), str(out / "judge.html")]
    verdicts = journey.workspace.judging_dir / f"folder-{folder.name}" / VERDICTS
    found = {"verdicts": str(verdicts), "page": str(out / "judge.html"), "looked_at": judged.num_looked}
    return Answer("\n".join(lines), {**found, **_not_used([*left_out, *drops]), **measures.summary.to_json()})


def _judge_targets(journey: Journey, order: Order, cast: Cast) -> Answer:
    """Each on the same scenes and the same noise, prompts only; the others against the first."""
    from fullcast.judging.judgement import figures

    names = _series_names(order.targets)
    targets = [_target(journey, order, given) for given in order.targets]
    scenes, left_out = scenes_for(journey, order.scenes, cast)
    rows: list[Row] = []
    scored: list[Row] = []
    drops: list[Drop] = []
    with timed(journey.workspace, "judge"):
        for target, name in zip(targets, names, strict=True):
            if isinstance(target, Path):
                judged, left = judge_folder(journey, target, scenes, left_out, cast, name)
                rows += judged.rows
                scored += score_folder(journey, judged, name)
                drops += left
                continue
            rows += [replace(row, series=name) for row in draw_and_judge(journey, target, scenes, cast)]
            scored += [replace(row, series=name) for row in _scored(journey, [target], scenes)]
        made, out = write_judged(journey, cast, rows, order.out, scored)
    lines = [line for name in made.measures for line in (name, *_success_lines(made.measures[name]))]
    lines += [*_comparison_lines(made), *drop_lines(drops), *_left_out(left_out), made.judge, str(out / "judge.html")]
    return Answer(
        "\n".join(lines), {"page": str(out / "judge.html"), **_not_used([*left_out, *drops]), **figures(made)}
    )


def _target(journey: Journey, order: Order, given: str) -> Path | Asked:
    """A folder of pictures, or a model that is asked; FullcastError for neither, before anything is drawn."""
    folder = _picture_folder(journey, given)
    if folder is None:
        return way_of(journey, given, "main")
    if order.scenes is None:
        raise FullcastError(f"{given} is a folder of pictures: give the scenes they show, --scenes FILE")
    return folder


def _left_out(scenes: Sequence[Drop]) -> list[str]:
    """How many scenes could not be asked for, by reason, and the first of them in words."""
    return [*drop_lines(scenes), *(f"    {drop.detail}" for drop in scenes[:1])]


def _not_used(drops: Sequence[Drop]) -> dict[str, Any]:
    return {"not_used": [to_plain(drop) for drop in drops]}


def _scored(journey: Journey, ways: Sequence[Asked], scenes: Sequence[Scene]) -> list[Row]:
    """For S_N@k; [] with one picture a scene."""
    if journey.recipe.judging.pictures_per_scene < 2:
        return []
    return [row for way in ways if way.kind != "mended" for row in score(journey, way, scenes)]


def _picture_folder(journey: Journey, given: str) -> Path | None:
    """The folder if it holds pictures and no model."""
    from fullcast.models.stable_diffusion.folder import KOHYA_FILE

    for folder in (journey.workspace.root / given, Path(given).expanduser()):
        models = [folder / name for name in ("model_index.json", KOHYA_FILE)]
        if given and folder.is_dir() and not any(model.exists() for model in models):
            return folder
    return None


def _series_names(targets: Sequence[str]) -> list[str]:
    """The last part of each path, or as much of it as tells them apart, and runs too: a step alone is of no run."""
    if len(set(targets)) < len(targets):
        raise FullcastError("the same thing is given twice; compare different checkpoints or folders")
    parts = [Path(target).parts or (target,) for target in targets]
    runs = len({p[:-1] for p in parts if STEP.search(p[-1])})
    for depth in range(1, max(map(len, parts)) + 1):
        ends = [p[-depth:] for p in parts]
        if len(set(ends)) == len(ends) and len({end[:-1] for end in ends if STEP.search(end[-1])}) == runs:
            return ["/".join(end) for end in ends]
    return list(targets)


def _success_lines(measures: Measures, placed: bool = False) -> list[str]:
    """S_N with its interval, a line for each number of people."""
    lines = []
    for count in measures.summary.by_count:
        told = f"; in place {count.success_placed.value:.2f}" if placed else ""
        if count.num_people in measures.corrected:
            told += f"; corrected for the judge's errors {measures.corrected[count.num_people].value:.2f}"
        lines.append(
            f"  {_people(count.num_people)}: {count.success.value:.2f} "
            f"({count.success.low:.2f} to {count.success.high:.2f}, {count.num_pictures} pictures){told}"
        )
    return lines


def _people(number: int | str) -> str:
    return f"{number} {'person' if str(number) == '1' else 'people'}"


def _comparison_lines(made: Judgement) -> list[str]:
    from fullcast.judging.measure_tables import comparison_table

    lines = []
    for comparison in made.comparisons:
        table = comparison_table(comparison)
        lines.append(f"{table.title}:")
        lines += [f"  {_people(row[0])}: {row[3]}, p {row[4]}: {row[5]}" for row in table.rows]
    return lines


def card(journey: Journey) -> Answer:
    """report.html, card/README.md and card/dataset.md from all that is there."""
    from fullcast.journey.dataset_card import NAME as DATASET_CARD
    from fullcast.journey.dataset_card import write_dataset_card
    from fullcast.judging.card import write_card
    from fullcast.judging.report import write_report

    workspace, progress = journey.workspace, journey.progress
    progress.start("card", 4)
    told = tell(journey)
    if not told.cast and not (workspace.judging_dir / "latest.json").exists():
        raise FullcastError(
            f"a card tells of a cast, and {workspace.root} has none yet; put pictures of each character into "
            "references/NAME/, then run: fullcast prepare"
        )
    progress.advance(1, "judgement")
    data = _with_judging(journey, told)
    data = replace(data, progress=_progress(journey))
    progress.advance(1, "report")
    write_report(data, workspace.report_path, workspace.root)
    progress.advance(1, "cards")
    write_card(data, workspace.card_path, workspace.root)
    paths = {"report": str(workspace.report_path), "card": str(workspace.card_path)}
    if (workspace.show_dir / "scenes.json").exists():
        paths["dataset"] = str(write_dataset_card(journey, workspace.card_dir / DATASET_CARD))
    progress.advance()
    progress.done()
    return Answer("\n".join(paths.values()), paths)


def _with_judging(journey: Journey, data: ReportData) -> ReportData:
    """Galleries, curves, tables and failures of what was judged last, over the cast as it was then."""
    from fullcast.judging.exhibits import count_table, failure_groups, galleries, identity_table, series
    from fullcast.judging.measure_tables import error_table, measure_tables
    from fullcast.judging.measures import measure
    from fullcast.judging.rows import cast_of_table, read_rows, scenes_of, verdicts_of

    latest = journey.workspace.judging_dir / "latest.json"
    if not latest.exists():
        missing = "Nothing was judged yet: fullcast judge."
        return replace(data, absent={**data.absent, **dict.fromkeys(JUDGED, missing)})
    cast = judge_cast(journey)
    curves, measures = [], {}
    added: dict[str, Any] = {}
    errors: Table | None = None
    for row in json.loads(latest.read_text(encoding="utf-8"))["series"]:
        folder = journey.workspace.judging_dir / row["folder"]
        if row.get("key", "") not in ("", stored_key(folder / VERDICTS)):
            missing = "Judged on other scenes since, for a comparison; run again: fullcast judge."
            return replace(data, absent={**data.absent, **dict.fromkeys(JUDGED, missing)})
        told = {"series": row["name"], "checkpoint": row.get("checkpoint", "")}
        rows = [replace(one, **told) for one in read_rows(folder / VERDICTS)]
        known = kept_known(journey, folder / VERDICTS, cast)
        known = replace(known, novelty=novelty_by_series(journey, rows))
        then = cast_of_table(folder / VERDICTS, cast.show)
        measures[row["name"]] = measure(rows, then, journey.recipe.judging, known)
        curves.append(series(row["name"], measures[row["name"]].summary, row["kind"]))
        if row["kind"] == "main":
            summary, errors = measures[row["name"]].summary, error_table(known.errors)
            paths = {p.id: p.path for p in read_records(folder / PICTURES, Picture)}
            verdicts, scenes = verdicts_of(rows), scenes_of(rows)
            added = {
                "galleries": galleries(verdicts, scenes, paths),
                "failures": failure_groups(verdicts, scenes, paths),
                "count_confusion": count_table(summary),
                "identity_confusion": identity_table(summary),
                "judge": judge_sentence(journey, read_metadata(folder / VERDICTS).get("look", "")),
                "repairs": _repairs(folder),
                "grids": _grids(journey),
            }
    tables = [*measure_tables(measures), *([errors] if errors else [])]
    return replace(data, success=tuple(curves), measures=tuple(tables), **added)


def _progress(journey: Journey) -> tuple[Curve, ...]:
    """S_N at each judgement during the last training; () where fewer than two were made."""
    from fullcast.judging.exhibits import progress
    from fullcast.judging.rows import cast_of_table, read_rows, scenes_of, verdicts_of
    from fullcast.judging.summary import summarize

    run_dir = latest_run(journey.workspace)
    if run_dir is None:
        return ()
    summaries = {}
    for path in sorted((run_dir / "judged").glob("step-*/" + VERDICTS)):
        if rows := read_rows(path):
            judged = summarize(verdicts_of(rows), scenes_of(rows), cast_of_table(path), journey.recipe.judging)
            summaries[rows[0].step] = judged
    return progress(summaries) if len(summaries) > 1 else ()


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
