"""One picture more costs one picture: every stage looks at what is new, and leaves what it would have left at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fullcast.captions import tagging
from fullcast.captions.config import CaptionsConfig
from fullcast.ingest import measuring, pictures
from fullcast.journey import Journey, new_workspace
from fullcast.journey.naming import find_all
from fullcast.journey.reusing import Former, note_seen, seen_before
from fullcast.journey.taking_in import take_in
from fullcast.journey.wording import _tag
from fullcast.people import detect
from fullcast.records import Image, Person
from fullcast.store.pictures import write_png
from tests.recognition import drawn

OPTIONS = {"executor": "here", "ingest.filters.monochrome": "false", "ingest.filters.min_detail": "0"}
FIGURES = {"b": drawn.COLOURS["aoi"], "d": drawn.COLOURS["mio"], "c": drawn.COLOURS["rin"]}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the pictures that are decoded, as they are."""
    names: list[str] = []

    def noted(path: Path) -> np.ndarray:
        names.append(path.stem)
        return real(path)

    real = pictures.read_picture
    for module in (pictures, measuring, detect, tagging):
        monkeypatch.setattr(module, "read_picture", noted)
    return names


def put(journey: Journey, *names: str) -> None:
    for name in names:
        ground = np.random.default_rng(ord(name)).integers(8, 48, (9, 16, 3)).astype(np.uint8)
        figures = drawn.picture({(156, 148): FIGURES[name]})
        height, width = figures.shape[:2]
        texture = np.kron(ground, np.ones((-(-height // 9), -(-width // 16), 1), np.uint8))[:height, :width]
        write_png(journey.workspace.fanart_dir / f"{name}.png", np.where(figures > 0, figures, texture))


def workspace(root: Path) -> Journey:
    new_workspace(root)
    return Journey.open(root, OPTIONS)


def tables(journey: Journey) -> dict[str, bytes]:
    files = sorted(path for path in journey.workspace.data_dir.rglob("*") if path.is_file())
    return {path.relative_to(journey.workspace.root).as_posix(): path.read_bytes() for path in files}


def test_a_picture_more_is_the_only_one_decoded_measured_and_searched(tmp_path: Path, read: list[str]) -> None:
    doors = SimpleNamespace(detector=drawn.detector(tmp_path), embedder=drawn.embedder(tmp_path))

    def run(journey: Journey) -> list[Person]:
        return find_all(journey, doors, take_in(journey))[0]  # type: ignore[arg-type]

    journey, at_once = workspace(tmp_path / "w"), workspace(tmp_path / "other")
    put(journey, "b", "d")
    assert len(run(journey)) == 2 and read == ["b", "d"] * 3
    read.clear()
    put(journey, "c")
    (journey.workspace.fanart_dir / "b.txt").write_text("1girl, hat")
    assert len(run(journey)) == 3 and read == ["c"] * 3
    put(at_once, "b", "c", "d")
    (at_once.workspace.fanart_dir / "b.txt").write_text("1girl, hat")
    run(at_once)
    assert tables(journey) == tables(at_once)
    assert next(i for i in take_in(journey).images if i.path.endswith("b.png")).tags == ("1girl", "hat")


class Lightness:
    """Says of every crop how light it is."""

    name = "lightness"

    def tag(self, crops: Sequence[np.ndarray]) -> list[Mapping[str, float]]:
        return [{"light": float(crop.mean()) / 255} for crop in crops]


def test_only_pictures_whose_figures_changed_are_tagged_again(tmp_path: Path, read: list[str]) -> None:
    journey = workspace(tmp_path / "w")
    put(journey, "b", "c", "d")
    images = take_in(journey).images
    people = [Person(f"{image.id}/0", image.id, (100, 100, 200, 300), 0.9) for image in images]
    read.clear()

    def tagged(out: Path, images: Sequence[Image], people: Sequence[Person], former: Path) -> bytes:
        out.mkdir()
        _tag(out, images, people, former, journey.workspace.root, Lightness(), CaptionsConfig())
        return (out / "words.parquet").read_bytes()

    tagged(tmp_path / "1", images[:2], people[:2], tmp_path / "none")
    assert read == ["b", "c"]
    read.clear()
    added = Person(f"{images[0].id}/1", images[0].id, (200, 100, 300, 300), 0.9)
    words = tagged(tmp_path / "2", images, [*people, added], tmp_path / "1")
    assert read == ["b", "d"], "one figure more in b, d is new"
    assert words == tagged(tmp_path / "3", images, [*people, added], tmp_path / "none")


def test_what_other_networks_or_settings_made_is_not_taken(tmp_path: Path) -> None:
    note_seen(tmp_path, "key", {"a": "box", "b": ""})
    assert Former.of(tmp_path, "key", {"a": "box", "b": "box", "c": ""}).ready == {"a"}
    assert Former.of(tmp_path, "another", {"a": "box"}).ready == set()
    assert Former.of(tmp_path / "gone", "key", {"a": "box"}).ready == set()
    assert seen_before(tmp_path, "key") == {"a": "box", "b": ""}
