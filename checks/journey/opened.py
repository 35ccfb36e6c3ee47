"""Line 4: every artefact opens where Fullcast is not installed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from checks.elsewhere import IMAGEFOLDER, PLAIN_DIFFUSERS, in_environment, in_python
from checks.framework import Context, Figure, Goal, passed, short
from checks.journey import CHECK
from checks.shows import ShowFiles, fullcast, must, trained_smallest


@CHECK.line(4, "every artefact opens elsewhere, in environments that do not hold Fullcast")
def opens_elsewhere(context: Context) -> Iterator[Figure]:
    (seed,) = context.seeds("journey-4", 1)
    files = trained_smallest(context, seed)
    outside = Path(tempfile.mkdtemp(prefix="fullcast-elsewhere-"))
    try:
        must(fullcast("export", "checkpoint", outside / "checkpoint", "-w", files.workspace), "export checkpoint")
        must(fullcast("export", "dataset", outside / "dataset", "-w", files.workspace), "export dataset")
        opened = "the checkpoint in plain diffusers"
        if os.environ.get("FULLCAST_CHECKS_SMALL"):
            # For every change: nothing is installed, so other versions and `datasets` are left to the whole line.
            yield in_python(f"{opened}, as installed", PLAIN_DIFFUSERS, outside / "checkpoint")
        else:
            for title, needed in (
                ("transformers 5", "transformers>=5,<6"),
                ("transformers 4", "transformers>=4.48,<5"),
            ):
                packages = ["diffusers", needed]
                name = f"{opened} with {title}"
                yield in_environment(context, name, title, packages, PLAIN_DIFFUSERS, outside / "checkpoint")
            name = "the dataset in datasets.load_dataset"
            yield in_environment(context, name, "datasets", ["datasets"], IMAGEFOLDER, outside / "dataset")
        yield from _duckdb(files)
    finally:
        shutil.rmtree(outside, ignore_errors=True)


def _duckdb(files: ShowFiles) -> Iterator[Figure]:
    """Every table of the workspace."""
    try:
        import duckdb
    except ModuleNotFoundError:
        yield short("Parquet in DuckDB", "duckdb is not installed (extra: report)")
        return
    connection = duckdb.connect()
    tables = sorted((files.workspace / "data").rglob("*.parquet"))
    unread = []
    for path in tables:
        try:
            connection.execute(f"select count(*) from read_parquet('{path}')").fetchall()
        except duckdb.Error as error:
            unread.append(f"{path.name}: {error}")
    yield Figure("Parquet tables that DuckDB opens", len(tables) - len(unread), Goal(">=", max(1, len(tables))))
    people = files.workspace / "data" / "show" / "people.parquet"
    query = f"select character, count(*) n from read_parquet('{people}') group by 1 order by n desc"
    rows = connection.execute(query).fetchall()
    yield passed(
        "people by character, asked in SQL", bool(rows), ", ".join(f"{name or '-'} {n}" for name, n in rows[:4])
    )
