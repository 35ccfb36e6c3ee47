"""The head crop: where it lies, what stands beyond the picture's edge."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fullcast.recognition.detect import detect_people
from fullcast.recognition.embed import as_drawn, degraded, embed_people, head_crop
from fullcast.records import Person
from tests.recognition import drawn


def test_the_crop_is_a_square_about_the_heads_centre() -> None:
    y, x = np.mgrid[0:100, 0:100]
    image = np.stack([x, y, x * 0], axis=2).astype(np.uint8)
    crop = head_crop(image, (40, 30, 60, 40), 1.5)  # 20 wide, 10 high: side 30 about (50, 35)
    assert crop.shape == (30, 30, 3)
    assert tuple(crop[0, 0]) == (35, 20, 0) and tuple(crop[-1, -1]) == (64, 49, 0)


def test_beyond_the_edge_the_last_pixels_are_repeated() -> None:
    image = np.zeros((50, 50, 3), np.uint8)
    image[0], image[:, -1] = 10, 20
    crop = head_crop(image, (40, 0, 50, 10), 2.0)
    assert crop.shape == (20, 20, 3)
    assert (crop[:5, :10] == 10).all() and (crop[5:, 15:] == 20).all()
    assert head_crop(image, (-30, -30, -20, -20), 1.0).shape == (10, 10, 3)


def test_each_head_gets_its_vector_and_the_headless_get_none(tmp_path: Path) -> None:
    door = drawn.embedder(tmp_path)
    image = drawn.picture({(100, 100): (200, 0, 0), (300, 60): (0, 200, 0)})
    (people,) = detect_people([image], ["a"], drawn.detector(tmp_path))
    headless = Person("a/0-0-9-9", "a", (0, 0, 9, 9), 0.9)
    first, none, second = embed_people([people[0], headless, people[1]], {"a": image}, door)
    assert none.embedding is None
    assert np.allclose(first.embedding, door.embed([head_crop(image, (80, 80, 120, 120), 1.0)])[0])
    assert float(first.embedding @ second.embedding) < 0.5


def test_views_are_small_dark_warm_hidden_and_shifted() -> None:
    crop = np.random.default_rng(0).integers(60, 250, (90, 90, 3), dtype=np.uint8)
    small, night, dusk, hidden, aside = degraded(crop)
    assert small.shape == (36, 36, 3) and aside.shape == (81, 81, 3)
    assert night.mean() < 0.7 * crop.mean() and night[..., 2].mean() > night[..., 0].mean()
    assert dusk[..., 0].mean() > dusk[..., 2].mean()
    assert np.ptp(hidden[60:].reshape(-1, 3), axis=0).max() == 0 and np.array_equal(hidden[:58], crop[:58])
    assert all(np.array_equal(a, b) for a, b in zip(degraded(crop), degraded(crop), strict=True))


def test_drawn_pictures_hold_small_heads_by_day_dusk_and_night() -> None:
    crop = np.random.default_rng(0).integers(60, 250, (200, 200, 3), dtype=np.uint8)
    views = as_drawn(crop)
    assert [len(view) for view in views] == [28, 33, 42, 36, 33]
    assert views[3].mean() < 0.7 * crop.mean() and views[4][..., 0].mean() > views[4][..., 2].mean()
