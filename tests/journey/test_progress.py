"""Verbs that take over two seconds say how far they are: every bar that is begun is filled and ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from fullcast.journey import Journey
from fullcast.records import Video
from fullcast.store.tables import write_records
from tests.journey.test_packing import home  # noqa: F401  (a fixture: a show of twelve pictures)


class Bars:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.told: dict[str, list[int]] = {}
        """title -> [total, advanced, ended]."""
        self.title = ""

    def start(self, title: str, total: int) -> None:
        self.title = title
        self.told[title] = [total, 0, 0]

    def advance(self, count: int = 1, note: str = "") -> None:
        self.told[self.title][1] += count

    def done(self) -> None:
        self.told[self.title][2] += 1


@pytest.mark.parametrize(
    ("verb", "bars"),
    [
        ("plan", {"plan", "orders of other trainers", "lengths of captions", "captions of stages"}),
        ("card", {"card"}),
    ],
)
def test_every_bar_that_is_begun_is_filled_and_ended(home: Path, verb: str, bars: set[str]) -> None:  # noqa: F811
    told = Bars()
    write_records(home / "data" / "show" / "videos.parquet", [], Video)
    journey = Journey.open(
        home, {"stages": [{"name": "one"}, {"name": "two"}], "cost.compare_orders": 3}, progress=told
    )
    getattr(journey, verb)()
    assert bars <= told.told.keys()
    for title, (total, advanced, ended) in told.told.items():
        assert 0 < total == advanced and ended == 1, title
