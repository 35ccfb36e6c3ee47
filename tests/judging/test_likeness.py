"""Sets of pictures as vectors: the same, shifted, all alike, copied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from fullcast.judging.diversity import diversity
from fullcast.judging.features import Looks, Seen, cut_to, detail, look_at_pictures
from fullcast.judging.fidelity import kid, mmd, squared_mmd
from fullcast.judging.likeness import TRUE, Vector, likeness
from fullcast.judging.measure_tables import fidelity_table
from fullcast.judging.memorisation import memorisation
from fullcast.store.pictures import write_png


def unit(array: np.ndarray) -> np.ndarray:
    return (array / np.linalg.norm(array, axis=1, keepdims=True)).astype(np.float32)


def cloud(n: int, seed: int, shift: float = 0.0, dim: int = 16) -> np.ndarray:
    centre = np.zeros(dim)
    centre[0] = 2.0
    centre[1] = shift
    return unit(np.random.default_rng(seed).normal(0, 0.4, (n, dim)) + centre)


@pytest.mark.parametrize("measure", [kid, mmd])
def test_the_same_is_in_the_floor_and_further_is_further(measure):
    true = cloud(120, 1)
    same, near, far = (measure(cloud(60, 2, shift), true) for shift in (0.0, 0.5, 1.5))
    assert not same.above_floor and abs(same.floor) < same.floor_high
    assert near.above_floor and far.value > near.value > same.value
    assert same.num_pictures == 60


def test_too_few_pictures_say_nothing():
    assert kid(cloud(5, 1), cloud(100, 2)) is None and mmd(cloud(50, 1), cloud(1, 2)) is None


def test_unbiased_mmd_by_hand():
    """Two points each, kernel x.y: mean within less the diagonal, less twice the mean across."""
    x, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    assert squared_mmd(x, y, lambda a, b: a @ b.T) == pytest.approx(0 + 1 - 2 * 0.5)


def test_diversity_of_one_picture_and_of_many():
    groups = [i // 8 for i in range(32)]
    many = diversity(cloud(32, 1), groups)
    alike = diversity(np.repeat(cloud(4, 1), 8, axis=0), groups, width=0.1)
    assert alike.distance == pytest.approx(0, abs=1e-6) and alike.modes == pytest.approx(1, abs=1e-4)
    assert many.distance > 0.05 and 4 < many.modes <= 8 and many.group_size == 8
    assert diversity(cloud(4, 1), [0, 1, 2, 3]) is None
    two = diversity(np.repeat(unit(np.eye(2)), 4, axis=0), [0] * 8, width=0.05)
    assert two.modes == pytest.approx(2)


def looks(n: int, seed: int) -> Looks:
    generator = np.random.default_rng(seed)
    coarse = generator.random((n, 9, 16, 3)).astype(np.float32)
    return Looks(
        tuple(f"{seed}-{i}" for i in range(n)), cloud(n, seed), np.repeat(np.repeat(coarse, 4, axis=1), 4, axis=2)
    )


def test_copies_are_found_and_fresh_pictures_are_not():
    training = looks(60, 1)
    episodes = [i % 3 for i in range(60)]
    moved = training.take([7] * 6 + [8] * 2)
    shifted = Looks(moved.paths, moved.features, np.roll(moved.pixels, (1, -2), axis=(1, 2)))
    found = memorisation(shifted, [1] * 6 + [2] * 2, training, episodes)
    assert found.copied.value == 1 and found.attractors[0] == ("1-7", 6) and set(found.by_count) == {1, 2}
    assert found.ratio < 0.01 < found.true_ratio
    fresh = memorisation(looks(40, 2), [1] * 40, training, episodes)
    assert fresh.copied.value <= 0.1
    assert memorisation(looks(4, 2), [1] * 4, training, [0] * 60) is None  # one episode: no yardstick


def test_each_kind_of_training_picture_has_a_yardstick_of_its_own():
    """Composites are nearer to each other than frames are: by their yardstick no frame would be copied."""
    frames, composites = looks(60, 1), looks(60, 3)
    alike = np.repeat(composites.features[:30], 2, axis=0), np.repeat(composites.pixels[:30], 2, axis=0)
    both = Looks(
        (*frames.paths, *composites.paths),
        np.concatenate([frames.features, alike[0]]),
        np.concatenate([frames.pixels, alike[1]]),
    )
    episodes, kinds = [*(i % 3 for i in range(60)), *range(100, 160)], ["frames"] * 60 + ["composite"] * 60
    # As far from one frame as a copy is after the VAE: further than a composite from its twin.
    copied = frames.take([7] * 8)
    near = Looks(copied.paths, unit(copied.features + 1e-3), copied.pixels * 0.99)
    found = memorisation(near, [1] * 8, both, episodes, kinds)
    assert found.copied.value == 1 and found.by_kind == {"frames": 60, "composite": 60}
    assert memorisation(near, [1] * 8, both, episodes).copied.value == 0
    one_episode = memorisation(near, [1] * 8, both, [*([0] * 60), *range(100, 160)], kinds)
    assert one_episode.by_kind == {"composite": 60} and one_episode.num_training == 60


def vectors(series: str, groups: Sequence[str], seed: int) -> list[Vector]:
    seen = (Seen(f"{series}{i}", v, bytes(36 * 64 * 3)) for i, v in enumerate(cloud(len(groups), seed)))
    return [Vector(series, one.sha256, group, 0, one) for one, group in zip(seen, groups, strict=True)]


def test_diversity_needs_no_true_picture_and_stands_beside_theirs_where_there_are_some():
    made = vectors("made", [f"s{i // 4}" for i in range(12)], 1)
    alone = likeness(made, "noise")
    assert alone.spread["made"].group_size == 4 and not alone.kid and not alone.true_spread
    [row] = fidelity_table(alone).rows
    assert row[:3] == ("made", "–", "–") and row[3].endswith("of 4")
    true = vectors(TRUE, [f"episode {i % 3}" for i in range(33)], 2)
    both = likeness([*true, *made], "noise")
    assert both.true_spread[4].group_size == 4 and both.true_spread[4].num_groups == 3 * (11 // 4)
    assert f"({both.true_spread[4].distance:.3f}; " in fidelity_table(both).rows[0][3]
    few = likeness([*true[:6], *made], "noise")
    assert few.spread and not few.kid and len(fidelity_table(few).rows) == 1


class Means:
    """An embedder that sees mean colours."""

    name, dim, threshold, pair_threshold, crop_scale = "means@1", 3, 0.5, 0.5, 1.0

    def __init__(self) -> None:
        self.looked = 0

    def embed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        self.looked += len(crops)
        return unit(np.stack([crop.reshape(-1, 3).mean(0) + 1 for crop in crops]))


def test_pictures_are_embedded_once_and_the_damaged_are_left_out(tmp_path: Path):
    for i in range(3):
        write_png(tmp_path / f"{i}.png", np.full((40, 90, 3), 60 * i, np.uint8))
    (tmp_path / "x.png").write_bytes(b"no")
    pictures = {p.name: p for p in sorted(tmp_path.glob("*.png"))} | {"gone": tmp_path / "gone.png"}
    embedder = Means()
    first = look_at_pictures(pictures, embedder, (60, 30), tmp_path / "kept")
    again = look_at_pictures(pictures, embedder, (60, 30), tmp_path / "kept")
    assert list(first) == ["0.png", "1.png", "2.png"] and embedder.looked == 3
    assert all(np.array_equal(first[k].features, again[k].features) for k in first)
    look_at_pictures(pictures, embedder, (30, 30), tmp_path / "kept")
    assert embedder.looked == 6  # another size is another question


def test_detail_sees_blur_and_nothing_else():
    draw = np.random.default_rng(0)
    sharp = draw.integers(0, 255, (64, 144, 3)).astype(np.uint8)
    coarse = sharp[::8, ::8].repeat(8, axis=0).repeat(8, axis=1)
    assert np.linalg.norm(detail(sharp)) == pytest.approx(1) == np.linalg.norm(detail(np.zeros((64, 144, 3), np.uint8)))
    assert detail(sharp) @ detail(coarse) < 0.5
    assert detail(sharp) @ detail((sharp // 2 + 60).astype(np.uint8)) > 0.99


def test_the_middle_is_cut_to_shape():
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, 100:200] = 255
    assert cut_to(image, (50, 50)).min() > 200 and cut_to(image, (50, 50)).shape == (50, 50, 3)
    assert cut_to(image, (300, 100)) is image
