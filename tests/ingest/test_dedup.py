"""Near-duplicates over the whole show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import Taken
from test_extract import STORY, same_view
from tiny_show import write_lines

from fullcast.ingest.config import IngestConfig
from fullcast.ingest.dedup import find_duplicates
from fullcast.ingest.fingerprint import make_fingerprint
from fullcast.records import Image


@pytest.fixture(scope="module")
def whole(show: list[Taken]):
    images = [i for t in show for i in t.result.images]
    prints = [f for t in show for f in t.result.fingerprints]
    truth = dict(zip((i.id for i in images), (k for t in show for k in t.kept), strict=True))
    return images, prints, truth


def test_openings_and_flashbacks_are_found_and_nothing_else(whole, show: list[Taken]) -> None:
    images, prints, truth = whole
    found = find_duplicates(images, prints, IngestConfig())
    right = sum(same_view(truth[a], truth[b]) for a, b in found.dropped.items())
    assert len(found.dropped) > 20
    assert right >= 0.95 * len(found.dropped)
    kept = [truth[i.id] for i in images if i.id not in found.dropped]
    pairs = sum(same_view(a, b) for n, a in enumerate(kept) for b in kept[:n])
    assert pairs <= 0.05 * len(kept)
    story = {t.shot for e in show for t in e.truth if t.kind == "story"}
    assert story <= {k.shot for k in kept}
    repeats = {truth[i.id].kind for i in images if i.shot_id in found.repeats}
    assert repeats and repeats <= STORY - {"story"}


def test_the_answer_does_not_depend_on_the_order_of_fingerprints(whole) -> None:
    images, prints, _ = whole
    assert find_duplicates(images, prints[::-1], IngestConfig()) == find_duplicates(images, prints, IngestConfig())


def picture(seed: int) -> np.ndarray:
    from tiny_show import background

    return np.asarray(background(seed, 640, 360))


def record(image_id: str, rgb: np.ndarray, shot: str = "", sharpness: float = 1.0) -> Image:
    return Image(
        image_id, f"{image_id}.png", rgb.shape[1], rgb.shape[0], "screenshots", shot_id=shot, sharpness=sharpness
    )


def run(pictures: dict[str, np.ndarray], text: tuple[str, ...] = (), **sharpness: float):
    images = [record(k, v, sharpness=sharpness.get(k, 1.0)) for k, v in pictures.items()]
    prints = [make_fingerprint(k, v, k in text) for k, v in pictures.items()]
    return find_duplicates(images, prints, IngestConfig())


def test_the_picture_without_text_is_kept_then_the_larger_then_the_much_sharper_then_the_first() -> None:
    plain = picture(1)
    texted = write_lines(plain, [("Who goes there?", 325)], 20, outline=2)
    assert run({"a": texted, "b": plain}, text=("a",)).dropped == {"a": "b"}
    large = np.repeat(np.repeat(plain, 2, 0), 2, 1)
    assert run({"a": plain, "b": large}).dropped == {"a": "b"}
    assert run({"a": plain, "b": plain + 1}).dropped == {"b": "a"}
    assert run({"a": plain, "b": plain + 1}, b=1.5).dropped == {"a": "b"}


def test_a_shot_never_loses_everything_to_a_later_one() -> None:
    x = picture(1)
    images = [record("a", x, "v:0000"), record("b", x, "v:0001", sharpness=5.0)]
    found = find_duplicates(images, [make_fingerprint(i.id, x) for i in images], IngestConfig())
    assert found.dropped == {"b": "a"}
    assert found.repeats == ("v:0001",)


def test_a_shot_with_subtitles_gives_way_to_a_clean_one_however_late_but_for_its_first_picture() -> None:
    plain = [picture(seed) for seed in (1, 2, 3)]
    texted = [write_lines(rgb, [("Who goes there?", 325)], 20, outline=2) for rgb in plain]
    images = [record(f"t{k}", rgb, "v:0000") for k, rgb in enumerate(texted)]
    images += [record(f"c{k}", rgb, "v:0001") for k, rgb in enumerate(plain)]
    prints = [make_fingerprint(f"t{k}", rgb, True) for k, rgb in enumerate(texted)]
    prints += [make_fingerprint(f"c{k}", rgb) for k, rgb in enumerate(plain)]
    found = find_duplicates(images, prints, IngestConfig())
    assert found.dropped == {"c0": "t0", "t1": "c1", "t2": "c2"} and not found.repeats
    other = record("x", picture(4), "v:0000")
    beside = find_duplicates([*images, other], [*prints, make_fingerprint("x", picture(4))], IngestConfig())
    assert beside.dropped == {"t0": "c0", "t1": "c1", "t2": "c2"}, "the shot has another picture"


def test_other_pictures_and_pictures_dropped_before_stay() -> None:
    assert run({"a": picture(1), "b": picture(2)}).dropped == {}
    x = picture(1)
    images = [replace(record("a", x), dropped="rating"), record("b", x)]
    assert find_duplicates(images, [make_fingerprint(i.id, x) for i in images], IngestConfig()).dropped == {}


def test_one_file_given_twice_is_told_by_position() -> None:
    x = picture(1)
    images = [record("a", x), record("a", x)]
    found = find_duplicates(images, [make_fingerprint("a", x)], IngestConfig())
    assert found.same_files == (1,) and not found.dropped
