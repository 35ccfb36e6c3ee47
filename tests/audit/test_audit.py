"""The verb on a workspace with a real H.264 episode, references and tables; and the baselines on the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from fullcast.audit import as_table, audit_workspace, to_row
from fullcast.audit.baselines import histogram, phash, thumbnail
from fullcast.audit.measures import Measure
from fullcast.audit.truth import TruthRow
from fullcast.journey.dataset_card import facts_of
from fullcast.judging.statistics import Estimate
from fullcast.records import Image, Person
from fullcast.store.pictures import file_id, write_png
from fullcast.store.tables import write_records
from fullcast.store.workspace import Workspace

WIDTH, HEIGHT, FRAMES = 320, 180, 24
COLORS = {"aoi": (40, 60, 220), "mio": (220, 120, 30)}
SCENES = [((("aoi", 40),), 60), ((("mio", 200),), 120), ((("aoi", 60), ("mio", 220)), 200)]
"""(who stands where, grey of the background) of three shots of eight frames."""


def picture(shot: int, step: int) -> np.ndarray:
    people, grey = SCENES[shot]
    out = np.full((HEIGHT, WIDTH, 3), grey, np.uint8)
    out[:, ::16] = grey + 20
    for name, x in people:
        out[40:180, x + 3 * step : x + 3 * step + 48] = COLORS[name]
    return out


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Path]:
    root = tmp_path_factory.mktemp("show")
    workspace = Workspace.create(root / "work", show="test")
    video = workspace.episodes_dir / "episode.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(i // 8, i % 8), format="rgb24")))
        container.mux(stream.encode())
    rows = []
    for i in range(FRAMES):
        people, step = SCENES[i // 8][0], i % 8
        for j, (name, x) in enumerate(people):
            x0 = x + 3.0 * step
            box, head = (x0, 40, x0 + 48, 180), (x0, 40, x0 + 48, 80)
            place = ("episode.mp4", i, i / 24, i // 8, "story", f"d{i}", 0, 0, 320, 180)
            rows.append(TruthRow(*place, len(people), j, name, "", *box, *head, 1.0))
    truth = root / "truth.parquet"
    write_records(truth, rows, TruthRow)
    images, found = [], []
    for i in (0, 8, 16):
        path = workspace.frames_dir / f"{i}.png"
        write_png(path, picture(i // 8, 0))
        images.append(
            Image(
                f"i{i}", workspace.relative(path), WIDTH, HEIGHT, "screenshots", video_id=file_id(video), time_s=i / 24
            )
        )
        for name, x in SCENES[i // 8][0]:
            found.append(Person(f"{i}{name}", f"i{i}", (x, 40.0, x + 48.0, 180.0), 0.9, character=name))
    for name, color in COLORS.items():
        write_png(workspace.references_dir / name / "1.png", np.full((64, 64, 3), color, np.uint8))
    write_records(workspace.show_dir / "images.parquet", images, Image)
    write_records(workspace.show_dir / "people.parquet", found, Person)
    return workspace, truth


def whole_picture(picture: np.ndarray) -> None:
    """A head finder that finds none."""


def test_audit_of_a_workspace(show: tuple[Workspace, Path]):
    rows, notes = audit_workspace(*show, whole_picture)
    table = {row.name: row for row in rows}
    assert table["person recall"].ours.value == 1 and table["person recall"].ours.n == 4
    assert table["identity, macro over characters and forms"].ours.value == 1
    assert table["identity by colour histogram of the true box"].ours.value == 1, "flat colours: the baseline is right"
    assert table["person recall"].baseline == "background difference"
    assert table["distinct drawings kept"].ours.value == pytest.approx(3 / 24)
    assert "3 kept frames, 4 people matched." in notes
    text = as_table(rows)
    assert "identity, macro over characters and forms" in text and "1.000 (colour histogram)" in text


def test_what_has_no_value_is_null_in_json_and_a_dash_in_the_table():
    """NaN is no JSON: other tools stop at it."""
    nothing = Measure("recall of nobody", Estimate(float("nan"), 0.0, 1.0, 0), {"aoi": float("nan")})
    told = json.loads(json.dumps(to_row(nothing), allow_nan=False))
    assert told["ours"] == {"value": None, "low": 0.0, "high": 1.0, "n": 0} and told["more"] == {"aoi": None}
    assert as_table([nothing]).splitlines()[1].split("  ")[1].strip() == "–" and "nan" not in as_table([nothing])
    assert facts_of({"measures": [{**told, "name": "people counted right"}]}) == ""


def test_truth_of_another_show_is_said(show: tuple[Workspace, Path], tmp_path: Path):
    workspace, truth = show
    from fullcast.store.tables import read_records

    other = [replace(row, video="other.mp4") for row in read_records(truth, TruthRow)]
    write_records(tmp_path / "truth.parquet", other, TruthRow)
    with pytest.raises(ValueError, match=r"tells of other\.mp4.*episodes are episode\.mp4"):
        audit_workspace(workspace, tmp_path / "truth.parquet", None)


def test_table_without_a_column_is_said(show: tuple[Workspace, Path], tmp_path: Path):
    write_records(tmp_path / "truth.parquet", [], Person)
    with pytest.raises(ValueError, match="video"):
        audit_workspace(show[0], tmp_path / "truth.parquet", None)


def test_baselines_see_what_they_claim_to():
    generator = np.random.default_rng(0)
    noisy = generator.integers(0, 255, (90, 160), np.uint8)
    assert phash(noisy) == phash(noisy) and bin(phash(noisy) ^ phash(noisy[:, ::-1].copy())).count("1") > 12
    red, blue = np.full((20, 20, 3), (200, 20, 20), np.uint8), np.full((20, 20, 3), (20, 20, 200), np.uint8)
    assert histogram(red) @ histogram(red) == pytest.approx(1) and histogram(red) @ histogram(blue) == 0
    face = generator.integers(0, 255, (64, 64, 3), np.uint8)
    dark = (face * 0.5).astype(np.uint8)
    whole = (0.0, 0.0, 64.0, 64.0)
    assert thumbnail(face, whole) @ thumbnail(dark, whole) > 0.98, "half the light changes little"
