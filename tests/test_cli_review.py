"""The words of `fullcast review` reach the journey as they were typed: several items, scopes, lists of tags."""

from __future__ import annotations

from typing import Any

import pytest

from fullcast.cli import main
from fullcast.journey import Journey, reviewing
from fullcast.journey.answers import Answer


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []

    def decide(journey: object, action: str, refs: Any, **given: Any) -> Answer:
        calls.append((action, tuple(refs), {k: v for k, v in given.items() if v}))
        return Answer("")

    monkeypatch.setattr(reviewing, "decide", decide)
    monkeypatch.setattr(Journey, "open", classmethod(lambda cls, *a, **k: None))
    return calls


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("keep 4 5 track:v:3", ("keep", ("4", "5", "track:v:3"), {})),
        ("drop 5 --scope track", ("drop", ("5",), {"scope": "track"})),
        ("relabel 3 cluster:c001 --name aoi/hairdown", ("relabel", ("3", "cluster:c001"), {"name": "aoi/hairdown"})),
        (
            "edit picture:3f --caption mio --add a,b --remove c",
            ("edit", ("picture:3f",), {"add_tags": ["a", "b"], "remove_tags": ["c"], "caption": "mio"}),
        ),
    ],
)
def test_items_are_given_one_by_one(said: list[tuple[Any, ...]], words: str, expected: tuple[Any, ...]) -> None:
    main(["review", *words.split()])
    assert said == [expected]
