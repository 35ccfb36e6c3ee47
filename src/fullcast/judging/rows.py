"""The rows behind the figures: one judged picture each, with its scene, so that every number can be counted again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fullcast.judging.verdict import Failure, failures
from fullcast.records import Cast, Character, Scene, Verdict
from fullcast.store.errors import FullcastError
from fullcast.store.tables import read_metadata, read_records, write_records


@dataclass(frozen=True, slots=True)
class Row:
    """One picture: what was asked for, what the judge saw, what is wrong. A table of them needs no other file."""

    scene: Scene
    verdict: Verdict
    failures: tuple[str, ...] = ()
    """Kinds of `verdict.FAILURES`, worst first; empty: the picture is right."""
    path: str = ""
    """Of the picture: relative to the workspace, or as it was given."""
    sha256: str = ""
    """First 20 hex digits, of the picture's file."""
    seed: int = -1
    """Of the picture's noise; -1: not known."""
    series: str = ""
    """Which model in which way; several series may share a table."""
    checkpoint: str = ""
    step: int = -1
    """Training steps of the checkpoint; -1: not known."""
    hair: tuple[tuple[float, ...], ...] = ()
    """(L, a, b) of the hair of each of ``verdict.found``, in their order; () for one without a head."""

    @property
    def num_people(self) -> int:
        return self.verdict.num_asked


def row_of(scene: Scene, verdict: Verdict, **facts: object) -> Row:
    """The row of a verdict; ``facts``: the other fields of `Row`."""
    kinds: list[Failure] = failures(verdict, scene)
    return replace(Row(scene, verdict, tuple(kinds)), **facts)  # type: ignore[arg-type]


def verdicts_of(rows: Iterable[Row]) -> list[Verdict]:
    return [row.verdict for row in rows]


def scenes_of(rows: Iterable[Row]) -> list[Scene]:
    """Each scene once, in the order in which it was judged."""
    return list({row.scene.id: row.scene for row in rows}.values())


def by_series(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Series in the order of their first row."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.series, []).append(row)
    return groups


def write_rows(path: Path, rows: Sequence[Row], metadata: Mapping[str, str] | None = None) -> None:
    """Parquet, one row a picture; ``metadata`` says who judged (``look``), over which cast (``names``), and by which
    references (``question``)."""
    write_records(path, rows, Row, metadata)


def read_rows(path: Path) -> list[Row]:
    return read_records(path, Row)


def cast_of_table(path: Path, show: str = "") -> Cast:
    """The names alone of the cast over which the table at ``path`` was judged, in the order of its figures' scores.

    Today's cast may have somebody more. Raises FullcastError where the table does not say.
    """
    names = read_metadata(path).get("names")
    if names is None:
        raise FullcastError(f"{path} does not say over which cast it was judged; judge again: fullcast judge")
    return Cast(show, tuple(Character(name, name) for name in json.loads(names)))
