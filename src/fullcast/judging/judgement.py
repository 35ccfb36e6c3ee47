"""What was judged at once, told: ``judge.html`` for people, ``judge.json`` and ``judge.md`` for machines and cards,
``judge.parquet`` (and ``features.parquet``) with the rows that every number is counted from.

`recount` counts all of them again from these files alone.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from fullcast.judging.best_of import success_at
from fullcast.judging.card import results_markdown
from fullcast.judging.comparison import Comparison, compare
from fullcast.judging.config import JudgingConfig
from fullcast.judging.exhibits import (
    best_and_worst,
    count_table,
    exhibits,
    failure_groups,
    galleries,
    identity_table,
    progress,
    series,
)
from fullcast.judging.hybrids import settled
from fullcast.judging.likeness import Likeness, likeness, read_vectors, write_vectors
from fullcast.judging.measure_tables import (
    best_of_table,
    comparison_table,
    error_table,
    fidelity_table,
    measure_tables,
    memorisation_table,
)
from fullcast.judging.measures import Error, Known, Measures, measure
from fullcast.judging.report import write_judgement as write_page
from fullcast.judging.report_data import Curve, ReportData, Series, Table
from fullcast.judging.rows import Row, by_series, cast_of_table, read_rows, scenes_of, verdicts_of, write_rows
from fullcast.judging.statistics import Estimate
from fullcast.judging.summary import Summary
from fullcast.records import Cast
from fullcast.store.atomic import write_json, write_text
from fullcast.store.errors import FullcastError

PAGE, DATA, CARD, ROWS, SCORED, VECTORS = (
    "judge.html",
    "judge.json",
    "judge.md",
    "judge.parquet",
    "scored.parquet",
    "features.parquet",
)
COLLECTED = "checkpoints"
"""A run's folder in which its checkpoints lie."""


@dataclass(frozen=True)
class Judgement:
    """Series over one cast, the first of which the others are compared with, and all figures of them."""

    show: str
    rows: tuple[Row, ...]
    """Of all series."""
    names: tuple[str, ...]
    """The cast's, in the order of every figure's scores."""
    config: JudgingConfig
    known: Known
    measures: Mapping[str, Measures]
    comparisons: tuple[Comparison, ...]
    best_of: Mapping[str, Mapping[tuple[int, int], Estimate]]
    """Series -> (people, k) -> S_N@k; empty: one picture a scene, or no scorer."""
    scored: tuple[Row, ...]
    """The same pictures as the scorer saw them."""
    likeness: Likeness | None
    """None: neither true pictures to compare with, nor several of one prompt."""
    judge: str = ""
    """Who judged, in words."""
    scorer: str = ""


def make_judgement(
    rows: Sequence[Row],
    cast: Cast,
    config: JudgingConfig | None = None,
    known: Known | None = None,
    *,
    scored: Sequence[Row] = (),
    alike: Likeness | None = None,
    judge: str = "",
    scorer: str = "",
) -> Judgement:
    """Counts everything. Series without a scene in common with the first are not compared. Raises FullcastError when
    there is no row at all."""
    if not rows:
        raise FullcastError("no picture was judged, so there is nothing to count; give pictures that can be read")
    config, known = settled(config or JudgingConfig(), cast), known or Known()
    groups = by_series(rows)
    first, *others = groups.values()
    ids = {row.scene.id for row in first}
    comparisons = [
        compare(first, other, repeats=config.bootstrap_repeats, seed=config.seed)
        for other in others
        if ids & {row.scene.id for row in other}
    ]
    return Judgement(
        cast.show,
        tuple(rows),
        cast.names,
        config,
        known,
        {name: measure(group, cast, config, known) for name, group in groups.items()},
        tuple(comparisons),
        _best_of(groups, by_series(scored)) if scored else {},
        tuple(scored),
        alike,
        judge,
        scorer,
    )


def write_judgement(made: Judgement, out: Path, root: Path, report: ReportData | None = None) -> ReportData:
    """All files into ``out``; pictures are shown from paths relative to ``root``. Returns what the page shows.

    ``report``: what else the page says (cast, commands, facts).
    """
    metadata = {"names": json.dumps(made.names, ensure_ascii=False), "look": made.judge}
    write_rows(out / ROWS, made.rows, metadata)
    for table in (SCORED, VECTORS):  # an earlier judgement's would be counted as this one's
        (out / table).unlink(missing_ok=True)
    if made.scored:
        write_rows(out / SCORED, made.scored, {"names": metadata["names"], "look": made.scorer})
    if made.likeness is not None:
        write_vectors(out / VECTORS, made.likeness)
    write_json(out / DATA, {"inputs": plain(_inputs(made)), **figures(made)})
    data = shown(made, report)
    write_text(out / CARD, results_markdown(data))
    write_page(data, out / PAGE, root)
    return data


def figures(made: Judgement) -> dict[str, Any]:
    """Every number, JSON-ready; nan is null."""
    return plain(
        {
            "series": made.measures,
            "comparisons": made.comparisons,
            "best_of": {
                name: [{"num_people": n, "k": k, "success": e} for (n, k), e in rows.items()]
                for name, rows in made.best_of.items()
            },
            "likeness": made.likeness.figures() if made.likeness else None,
        }
    )


def recount(folder: Path) -> dict[str, Any]:
    """`figures` again from the tables in ``folder`` and the inputs that ``judge.json`` states (the settings, the cast's
    hair colours and the similarity of its references, the judge's errors): no picture, no network."""
    inputs = json.loads((folder / DATA).read_text(encoding="utf-8"))["inputs"]
    similarity = inputs["similarity"]
    known = Known(
        {look: (color[0], color[1], color[2]) for look, color in inputs["colors"].items()},
        np.array(similarity, dtype=float) if similarity is not None else None,  # null is nan
        {int(n): _error(told) for n, told in inputs["errors"].items()},
        inputs.get("novelty", {}),
    )
    vectors = folder / VECTORS
    made = make_judgement(
        read_rows(folder / ROWS),
        cast_of_table(folder / ROWS, inputs["show"]),
        JudgingConfig(**inputs["config"]),
        known,
        scored=read_rows(folder / SCORED) if (folder / SCORED).exists() else (),
        alike=likeness(*read_vectors(vectors), seed=inputs["config"]["seed"]) if vectors.exists() else None,
    )
    return figures(made)


def shown(made: Judgement, report: ReportData | None = None) -> ReportData:
    """The page's sections that come from verdicts; the first series is the main one."""
    (first, rows), *others = by_series(made.rows).items()
    verdicts, scenes = verdicts_of(rows), scenes_of(rows)
    paths = {row.verdict.picture_id: row.path for row in rows}
    summary = made.measures[first].summary
    best, worst = best_and_worst(rows, paths)
    return replace(
        report or ReportData(made.show),
        galleries=galleries(verdicts, scenes, paths),
        failures=failure_groups(verdicts, scenes, paths),
        success=_curves(made),
        count_confusion=count_table(summary),
        identity_confusion=identity_table(summary),
        others=tuple(exhibits(name, group, made.measures[name].summary) for name, group in others),
        comparisons=tuple(map(comparison_table, made.comparisons)),
        measures=tuple(_tables(made)),
        progress=_progress(made),
        best=best,
        worst=worst,
        judge=made.judge,
    )


def _curves(made: Judgement) -> tuple[Series, ...]:
    return tuple(
        series(name, measures.summary, "compared" if i else "main")
        for i, (name, measures) in enumerate(made.measures.items())
    )


def _progress(made: Judgement) -> tuple[Curve, ...]:
    """Curves over the checkpoints of each run that more than one was judged of: steps of two runs are no course. They
    bear the run's name where there are several."""
    runs: dict[str, dict[int, Summary]] = {}
    for name, rows in by_series(made.rows).items():
        if rows[0].step >= 0:
            runs.setdefault(_run_of(rows[0]), {}).setdefault(rows[0].step, made.measures[name].summary)
    told = [(run, progress(steps)) for run, steps in runs.items() if len(steps) > 1]
    return tuple(
        replace(curve, name=f"{run}, {curve.name}") if len(runs) > 1 else curve
        for run, curves in told
        for curve in curves
    )


def _run_of(row: Row) -> str:
    """The folder of the training that the row's checkpoint comes from, as far as its name or its series' says it."""
    # Of a checkpoint from outside the workspace the last part alone is known; the series tells more where it must.
    told = row.checkpoint if "/" in row.checkpoint else row.series
    folder = PurePosixPath(told).parent
    return (folder.parent if folder.name == COLLECTED else folder).as_posix()


def _tables(made: Judgement) -> list[Table]:
    tables: list[Table | None] = [*measure_tables(made.measures), best_of_table(made.best_of, made.scorer)]
    if made.likeness is not None:
        tables += [fidelity_table(made.likeness), memorisation_table(made.likeness.memorised)]
    tables.append(error_table(made.known.errors))
    return [table for table in tables if table is not None]


def _best_of(
    judged: Mapping[str, Sequence[Row]], scored: Mapping[str, Sequence[Row]]
) -> dict[str, dict[tuple[int, int], Estimate]]:
    """For k of 1, 2, 4 ... up to the pictures of a scene, over the scenes that have several."""
    answer: dict[str, dict[tuple[int, int], Estimate]] = {}
    for name, rows in judged.items():
        per_scene = Counter(row.scene.id for row in rows)
        several = [row for row in rows if per_scene[row.scene.id] > 1]
        if name not in scored or not several:
            continue
        most = min(per_scene[row.scene.id] for row in several)
        ks = [k for k in (1, 2, 4, 8, 16) if k <= most]
        numbers = sorted({row.num_people for row in several})
        answer[name] = {(n, k): success_at(several, scored[name], k, n) for n in numbers for k in ks}
    return answer


def _inputs(made: Judgement) -> dict[str, Any]:
    similarity = made.known.similarity
    return {
        "show": made.show,
        "names": list(made.names),
        "config": made.config.model_dump(mode="json"),
        "colors": {look: list(color) for look, color in made.known.colors.items()},
        "similarity": None if similarity is None else similarity.tolist(),
        "errors": {str(n): asdict(error) for n, error in made.known.errors.items()},
        "novelty": {name: dict(scenes) for name, scenes in made.known.novelty.items()},
        "judge": made.judge,
        "scorer": made.scorer,
    }


def _error(told: Mapping[str, Any]) -> Error:
    known: dict[str, Any] = {name: math.nan if value is None else value for name, value in told.items()}
    return Error(**known)


def plain(value: Any) -> Any:
    """Records, mappings and tuples as JSON has them; nan and infinities as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
