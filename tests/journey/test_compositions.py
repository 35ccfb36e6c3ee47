"""What a training shows lies beside its checkpoint, with what its base was trained on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from fullcast.journey.asking import NAMES
from fullcast.journey.compositions import novelty_by_series, read_compositions, write_compositions
from fullcast.records import Person, Placement, Sample, Scene
from tests.judging.cases import perfect, row


def sample(name: str, *people: str) -> Sample:
    figures = tuple(
        Person(
            f"{name}/{i}",
            name,
            (20.0 * i, 0, 20.0 * i + 18, 100),
            0.9,
            (20.0 * i, 20, 20.0 * i + 18, 40),
            character=who,
        )
        for i, who in enumerate(people)
    )
    return Sample(name, name, f"{name}.png", (0, 0, 100, 100), "screenshots", figures)


def planned(**seen: int) -> SimpleNamespace:
    samples = (sample("both", "aoi", "hinata"), sample("one", "mio"), sample("nobody"))
    counts = np.array([seen.get(s.id, 0) for s in samples])
    mixture = SimpleNamespace(samples=samples, stream=SimpleNamespace(counts=lambda: counts))
    return SimpleNamespace(stages=[SimpleNamespace(mixture=mixture)])


def test_what_is_never_shown_is_not_there_and_the_bases_own_is(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    write_compositions(tmp_path / "base" / "compositions.json", planned(one=2, nobody=3), tmp_path / "pocket")
    write_compositions(tmp_path / "compositions.json", planned(both=1), tmp_path / "base")
    trained = read_compositions(tmp_path)
    assert trained is not None and trained.together == {("aoi", "hinata"), ("mio",)}
    assert read_compositions(tmp_path / "pocket") is None
    (tmp_path / "base" / "compositions.json").write_text("{}")
    assert read_compositions(tmp_path / "base") is None


def test_places_count_only_where_they_were_asked_for(tmp_path: Path) -> None:
    write_compositions(tmp_path / "compositions.json", planned(both=1), tmp_path / "pocket")
    scene = Scene("s", "park", (Placement("aoi", cell=(3, 1)), Placement("hinata", cell=(4, 1))))
    rows = [row(scene, perfect(scene), series=NAMES[kind], checkpoint=".") for kind in ("main", "placed")]
    rows.append(row(scene, perfect(scene), series="a folder"))
    journey = SimpleNamespace(workspace=SimpleNamespace(root=tmp_path))
    assert novelty_by_series(journey, rows) == {NAMES["main"]: {"s": "seen"}, NAMES["placed"]: {"s": "moved"}}
