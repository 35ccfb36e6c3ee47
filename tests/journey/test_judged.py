"""What a judgement is told beside its verdicts: true pictures, those that were trained on, the judge's errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fullcast.journey import Journey, new_workspace
from fullcast.journey.judged import keep_errors, likeness_of, read_errors
from fullcast.journey.preparing import Prepared
from fullcast.judging.likeness import TRAINED, TRUE
from fullcast.judging.measures import Error
from fullcast.judging.rows import Row, row_of
from fullcast.records import Cast, Image, Sample, Scene, Verdict
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import write_png
from fullcast.store.tables import write_records


class Means:
    """An embedder that sees mean colours."""

    name, dim, threshold, pair_threshold, crop_scale = "means@1", 3, 0.5, 0.5, 1.0

    def embed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        means = np.stack([crop.reshape(-1, 3).mean(0) + 1 for crop in crops])
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)


DOORS = SimpleNamespace(judge_embedder=Means())


def paint(journey: Journey, path: str) -> str:
    pixels = np.random.default_rng(list(path.encode())).integers(0, 255, (16, 32, 3), np.uint8)
    write_png(journey.workspace.root / path, pixels)
    return path


@pytest.fixture()
def journey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journey:
    """Two episodes of eight frames, a crop of a frame, a piece of fan art; two composites in the plan alone."""
    new_workspace(tmp_path / "show", "show")
    (tmp_path / "show" / "fullcast.toml").write_text("[judging]\ntrue_pictures = 6\n")
    journey = Journey.open(tmp_path / "show")
    frames = tuple(
        Image(f"f{i}", paint(journey, f"f{i}.png"), 32, 16, "screenshots", video_id=f"v{i % 2}") for i in range(16)
    )
    art = Image("art", paint(journey, "art.png"), 32, 16, "fanart")
    crop = Image("crop", paint(journey, "crop.png"), 32, 16, "crop", parent="f3")
    prepared = Prepared((*frames, art), (), Cast("show", ()), {}, (), (), crops=(crop,))
    monkeypatch.setattr("fullcast.journey.preparing.read_prepared", lambda journey: prepared)
    return journey


def made(journey: Journey, scenes: Sequence[str]) -> list[Row]:
    verdicts = [Verdict(f"{s}{i}", s, 1, 1, (), width=32, height=16) for i, s in enumerate(scenes)]
    return [row_of(Scene(v.scene_id, ""), v, path=paint(journey, f"{v.picture_id}.png"), series="x") for v in verdicts]


def told(journey: Journey, rows: Sequence[Row]) -> dict[str, list[tuple[str, str]]]:
    """Series -> (path, group) of its vectors."""
    found: dict[str, list[tuple[str, str]]] = {}
    for vector in likeness_of(journey, rows, DOORS).vectors:
        found.setdefault(vector.series, []).append((vector.path, vector.group))
    return found


def test_copies_are_looked_for_among_all_that_the_plan_shows(journey: Journey) -> None:
    rows, box = made(journey, ["s"]), (0.0, 0.0, 32.0, 16.0)
    samples = [Sample(f"{p} {n}", p, paint(journey, p), box, s) for p, s in PLANNED.items() for n in range(2)]
    write_records(journey.workspace.show_dir / "samples.parquet", samples, Sample)
    journey.workspace.plan_dir.mkdir(parents=True, exist_ok=True)
    (journey.workspace.plan_dir / "never-seen.txt").write_text("f1.png\n")
    found = told(journey, rows)
    assert [path for path, _ in found[TRUE]] == [f"f{i}.png" for i in range(0, 16, 3)], "as many as the settings say"
    assert found[TRAINED + "screenshots"] == [("f0.png", "v0"), ("f5.png", "v1")]
    assert found[TRAINED + "crop"] == [("crop.png", "v1")], "the episode is that of the frame it was cut from"
    assert found[TRAINED + "composite"] == [("c0.png", "c0.png"), ("c1.png", "c1.png")]


PLANNED = {
    "f0.png": "screenshots",
    "f1.png": "screenshots",
    "f5.png": "screenshots",
    "crop.png": "crop",
    "c0.png": "composite",
    "c1.png": "composite",
}


def test_without_a_plan_copies_are_looked_for_among_all_that_is_there(journey: Journey) -> None:
    found = told(journey, made(journey, ["s"]))
    assert len(found[TRAINED + "screenshots"]) == 16 and found[TRAINED + "fanart"] == [("art.png", "art.png")]
    assert likeness_of(journey, made(journey, ["s"] * 10), DOORS).memorised["x"].by_kind == {"screenshots": 16}


def test_diversity_is_measured_where_nothing_is_prepared(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    def unprepared(journey: Journey) -> Prepared:
        raise FullcastError("not prepared")

    monkeypatch.setattr("fullcast.journey.preparing.read_prepared", unprepared)
    assert likeness_of(journey, made(journey, ["s", "t"]), DOORS) is None
    alike = likeness_of(journey, made(journey, ["s", "s", "t", "t"]), DOORS)
    assert alike.spread["x"].num_groups == 2 and not alike.kid and not alike.memorised


def test_errors_of_another_number_of_people_stay_while_the_judge_is_the_same(journey: Journey) -> None:
    one, two, better = Error(0.9, 0.9, 10, 10), Error(0.8, 0.8, 10, 10), Error(1.0, 1.0, 10, 10)
    keep_errors(journey, "this judge", {1: one, 3: one})
    keep_errors(journey, "this judge", {2: two, 3: better})
    assert read_errors(journey, "this judge") == {1: one, 2: two, 3: better}
    stricter = Journey.open(journey.workspace.root, {"judging.min_confidence": "0.9"})
    keep_errors(stricter, "this judge", {2: two})
    assert read_errors(stricter, "this judge") == {2: two}
    keep_errors(stricter, "another judge", {1: one})
    assert read_errors(stricter, "another judge") == {1: one} and not read_errors(stricter, "this judge")
