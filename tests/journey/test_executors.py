"""`prepare` here, in processes and on Ray: the same tables to the byte, people and words included."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image as PILImage
from PIL import ImageFilter

from fullcast.journey.masking import read_masks
from fullcast.journey.preparing import read_prepared
from fullcast.records import Image
from fullcast.store.tables import read_records
from tests.journey.drawn_show import film, make_workspace, open_journey

UNCOMPARED = {"times.json"}
"""How long the stages took."""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn show with a second episode, so that there is something to share out."""
    root = make_workspace(tmp_path_factory.mktemp("executors") / "given")
    film(root / "episodes" / "2.mp4", ({}, {(252, 140): (200, 60, 60)}), seed=9)
    for art in (root / "fanart").glob("*.png"):
        PILImage.open(art).filter(ImageFilter.GaussianBlur(3)).save(art)
    return root


def tables(root: Path) -> dict[str, bytes]:
    files = sorted(p for p in (root / "data").rglob("*") if p.is_file() and p.name not in UNCOMPARED)
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in files}


def prepared(given: Path, root: Path, executor: str) -> dict[str, bytes]:
    shutil.copytree(given, root)
    open_journey(root, executor=executor, processes="2", people__masks="true").prepare()
    return tables(root)


def test_every_executor_leaves_the_same_bytes(given: Path, tmp_path: Path) -> None:
    here = prepared(given, tmp_path / "here", "here")
    assert {name.split("/")[1] for name in here} >= {"frames", "people", "masks", "tags", "measures", "show"}
    journey = open_journey(tmp_path / "here")
    show = read_prepared(journey)
    used = {image.id for image in show.images if not image.dropped}
    masked = {person.id for person in show.people if person.image_id in used}
    assert masked and set(read_masks(journey, show.people)) == masked
    assert prepared(given, tmp_path / "processes", "processes") == here
    if find_spec("ray") is not None:  # `make check-preparation-6` runs this where Ray is installed
        assert prepared(given, tmp_path / "ray", "ray") == here


def test_another_tagger_makes_words_anew_and_nothing_else(given: Path, tmp_path: Path) -> None:
    """Nor does another threshold of the filters look at a pixel."""
    prepared(given, tmp_path / "w", "here")
    before = times(tmp_path / "w")
    csv = tmp_path / "w/models/tagger/selected_tags.csv"
    shutil.copytree(csv.parent, tmp_path / "w/models/other")
    (tmp_path / "w/models/other/model.onnx").write_bytes(other_tagger(tmp_path))
    open_journey(tmp_path / "w", executor="here", models__tagger="models/other/model.onnx").prepare()
    after = times(tmp_path / "w")
    changed = {name.split("/")[1] for name in after if before.get(name) != after[name]}
    assert changed == {"tags"}
    assert dropped_art(tmp_path / "w") == {"blurred"}
    open_journey(tmp_path / "w", executor="here", ingest__filters__min_detail="0").prepare()
    assert {name for name in times(tmp_path / "w") if "/tags/" not in name} == {n for n in after if "/tags/" not in n}
    assert dropped_art(tmp_path / "w") == {""}


def dropped_art(root: Path) -> set[str]:
    """Reasons why fan art is not used; '' where it is."""
    images = read_records(root / "data/show/images.parquet", Image)
    return {image.dropped for image in images if image.source == "fanart"}


def times(root: Path) -> dict[str, int]:
    """When each result of a map stage was written."""
    parts = [p for p in (root / "data").rglob("*.parquet") if p.relative_to(root).parts[1] != "show"]
    return {p.relative_to(root).as_posix(): p.stat().st_mtime_ns for p in parts}


def other_tagger(tmp_path: Path) -> bytes:
    import numpy as np

    from tests import onnx_graphs

    path = onnx_graphs.mean_tagger(tmp_path / "other.onnx", weights=np.eye(3), bias=np.full(3, -30.0))
    return Path(path).read_bytes()
