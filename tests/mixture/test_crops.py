"""Geometry: heads stay whole, people and cells are recomputed, every crop has the shape of its bucket."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fullcast.mixture.config import CropConfig, MixtureConfig
from fullcast.mixture.crops import fit_aspect, head_of, is_cut, people_in, share_inside
from fullcast.mixture.pixels import WorkspacePixels
from fullcast.mixture.samples import bucket_indices, cut_samples, make_samples
from fullcast.records import Box, Image, Person, person_id
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import write_png


def image(name: str, width: int = 1280, height: int = 720, source: str = "screenshots", **more: object) -> Image:
    return Image(name, f"pictures/{name}.png", width, height, source, **more)  # type: ignore[arg-type]


def person(of: str, x: float, y: float, head: float, who: str = "aoi", figure: float = 4.0) -> Person:
    """A figure whose head is ``head`` px high, centred at (x, y), ``figure`` heads tall."""
    head_box = (x - head * 0.45, y - head / 2, x + head * 0.45, y + head / 2)
    box = (x - head * 0.9, y - head * 0.6, x + head * 0.9, y - head * 0.6 + figure * head)
    return Person(person_id(of, box), of, box, 0.9, head_box, 0.9, character=who)


def crowd(seed: int) -> tuple[Image, list[Person]]:
    draw = np.random.default_rng(seed)
    picture = image(f"crowd{seed}", shot_id="v:0001")
    heads = draw.uniform(30, 140, draw.integers(1, 6))
    xs = np.sort(draw.uniform(60, 1220, len(heads)))
    return picture, [
        person(picture.id, x, draw.uniform(100, 400), h, f"c{i}") for i, (x, h) in enumerate(zip(xs, heads))
    ]


def test_people_move_with_the_crop() -> None:
    people = [person("i", 300, 200, 80, "left"), person("i", 900, 200, 80, "right")]
    seen = people_in(people, (640.0, 100.0, 1280.0, 484.0))
    assert [p.character for p in seen] == ["right"]
    assert seen[0].head_xyxy == pytest.approx((900 - 36 - 640, 60, 900 + 36 - 640, 140))
    assert people[1].cell(1280, 720) == (3, 1) and seen[0].cell(640, 384) == (2, 1)
    assert seen[0].id == people[1].id, "the id is the person's for good"
    half = people_in(people, (300.0, 0.0, 1280.0, 720.0))
    assert [p.character for p in half] == ["left", "right"] and half[0].xyxy[0] == 0, "half a head is still somebody"
    assert len(people_in(people, (310.0, 0.0, 1280.0, 720.0))) == 1


@pytest.mark.parametrize(("x", "start"), [(640, 213.33), (100, 64), (1200, 1236 - 853.33)])
def test_the_crop_follows_the_heads(x: float, start: float) -> None:
    """1280x720 to 32:27 keeps 853 px: from the middle, or from where the one head at an edge is whole."""
    crop = fit_aspect((0, 0, 1280, 720), 853.3333 / 720, [head_of(person("i", x, 300, 80))])
    assert crop[0] == pytest.approx(start, abs=0.01) and crop[3] - crop[1] == 720
    assert not is_cut(head_of(person("i", x, 300, 80)), crop)


def test_where_not_all_heads_fit_none_is_cut_in_two() -> None:
    heads: list[Box] = [(0, 0, 100, 100), (590, 0, 690, 100), (1180, 0, 1280, 100)]
    crop = fit_aspect((0, 0, 1280, 720), 1.0, heads)
    assert not any(is_cut(head, crop) for head in heads)
    assert sum(share_inside(head, crop) > 0.98 for head in heads) == 2


def test_tall_pictures_are_cut_above_and_below() -> None:
    crop = fit_aspect((0, 0, 400, 1000), 0.6, [(100, 20, 200, 120)])
    assert crop[2] - crop[0] == 400 and crop[3] - crop[1] == pytest.approx(400 / 0.6)
    assert crop[1] == pytest.approx(20)


@pytest.mark.parametrize("seed", range(30))
def test_every_sample_is_sound(seed: int) -> None:
    """Thirty random crowds: shape, borders, heads, people and enlargement of every sample that comes out."""
    picture, people = crowd(seed)
    config = MixtureConfig(crops=CropConfig(min_full_head_px=0))
    cut = cut_samples([picture], people, config)
    buckets, index = bucket_indices(cut.samples, config)
    assert cut.samples[0].kind == "full" and len({s.id for s in cut.samples}) == len(cut.samples)
    for sample, fit, bucket in zip(cut.samples, cut.fits, [buckets[i] for i in index], strict=True):
        x0, y0, x1, y1 = sample.crop
        assert 0 <= x0 < x1 <= 1280 and 0 <= y0 < y1 <= 720
        assert sample.width / sample.height == pytest.approx(bucket.aspect, rel=1e-9)
        assert fit.enlargement == pytest.approx(bucket.width / sample.width) and fit.enlargement <= 1.5 + 1e-9
        assert [p.id for p in sample.people] == [p.id for p in people_in(people, sample.crop)]
        assert list(sample.people) == sorted(sample.people, key=lambda p: p.place_xy)
        if sample.kind != "full":
            assert not any(is_cut(head_of(p), sample.crop) for p in people), "no head is cut"
            smallest = min(p.head_xyxy[3] - p.head_xyxy[1] for p in sample.people if p.head_xyxy) * fit.enlargement
            assert smallest >= 12
            assert (sample.kind == "group") == (len(sample.people) > 1)
        assert (sample.image_id, sample.source, sample.shot_id) == (picture.id, "screenshots", "v:0001")


def test_crops_make_heads_larger() -> None:
    """Two people side by side far off, heads 40 px of 720: 4 px in the full picture, 12 in the crop of both."""
    picture = image("far")
    people = [person("far", 600, 300, 40, "aoi"), person("far", 690, 310, 40, "hinata")]
    samples = make_samples([picture], people, MixtureConfig(crops=CropConfig(min_full_head_px=0)))
    pair = [s for s in samples if s.kind == "group"]
    assert pair and [p.character for p in pair[0].people] == ["aoi", "hinata"]
    assert samples[0].head_height * 64 < 6 < 12 <= pair[0].head_height * 64
    assert not [
        s for s in make_samples([picture], people, MixtureConfig(crops=CropConfig(sources=()))) if s.kind != "full"
    ]


def test_subtitles_are_said_of_what_shows_them() -> None:
    """They stand in the lowest 14 %: crops around heads end above, those down to the edge have them too."""
    picture = image("a")
    people = [person("a", 300, 200, 120), person("a", 900, 220, 120)]
    samples = make_samples([picture], people, MixtureConfig(area_px=128 * 128), {"a": ("park", "subtitled")})
    low = {s.id: s.crop[3] > 0.86 * 720 for s in samples}
    assert {s.id: "subtitled" in s.tags for s in samples} == low and set(low.values()) == {True, False}
    assert all("park" in s.tags for s in samples)


def test_full_pictures_with_tiny_heads_give_way_to_their_crops() -> None:
    """Heads of 40 px of 720 are 5 px of 96: the crops stand for the picture, and that is counted; alone it stays."""
    picture, somebody = image("far"), person("far", 600, 300, 40)
    cut = cut_samples([picture], [somebody], MixtureConfig())
    assert cut.samples and "full" not in {s.kind for s in cut.samples}
    assert [(d.item, d.reason) for d in cut.drops] == [("far_full", "heads-too-small")]
    alone = cut_samples([picture], [somebody], MixtureConfig(crops=CropConfig(sources=())))
    assert [s.kind for s in alone.samples] == ["full"] and not alone.drops


def test_a_headless_neighbour_spoils_a_crop() -> None:
    """Whoever stands in front with the head above the crop must not be in it uncounted."""
    picture = image("near")
    small = person("near", 640, 500, 60, "small", figure=3)
    giant_box = (400.0, 20.0, 900.0, 720.0)
    giant = Person("near/g", "near", giant_box, 0.9, (560.0, 30.0, 740.0, 230.0), 0.9, character="giant")
    for sample in make_samples([picture], [small, giant], MixtureConfig())[1:]:
        assert "giant" in [p.character for p in sample.people]


def test_small_pictures_are_counted_or_dropped() -> None:
    cut = cut_samples([image("tiny", 60, 60), image("small", 90, 90), image("fine", 900, 900)], [], MixtureConfig())
    assert [(d.item, d.reason) for d in cut.drops] == [("tiny", "undersized")]
    assert [s.image_id for s in cut.samples] == ["small", "fine"]
    assert [fit.enlargement > 1 for fit in cut.fits] == [True, False]


def test_rare_shapes_share_a_bucket() -> None:
    images = [image(f"w{i}") for i in range(20)] + [image("odd", 500, 700)]
    assert len(cut_samples(images, [], MixtureConfig()).buckets) == 2
    merged = cut_samples(images, [], MixtureConfig(min_bucket_samples=5))
    assert len(merged.buckets) == 1
    assert merged.samples[-1].width / merged.samples[-1].height == pytest.approx(merged.buckets[0].aspect)


def test_dropped_pictures_stay_out() -> None:
    assert make_samples([image("gone", dropped="blurred")], [], MixtureConfig()) == []


def test_pixels_show_what_the_sample_says(tmp_path: Path) -> None:
    """A white head on black: the resized crop is white where the sample says that the head is."""
    picture = np.zeros((720, 1280, 3), np.uint8)
    somebody = person("dot", 400, 300, 100)
    x0, y0, x1, y1 = (round(v) for v in somebody.head_xyxy or ())
    picture[y0:y1, x0:x1] = 255
    write_png(tmp_path / "pictures/dot.png", picture)
    samples = make_samples([image("dot")], [somebody], MixtureConfig())
    source = WorkspacePixels(tmp_path, samples)
    buckets, index = bucket_indices(samples, MixtureConfig())
    for sample, number in zip(samples, index, strict=True):
        width, height = buckets[number].width, buckets[number].height
        pixels = source.pixels(sample.id, width, height)
        assert pixels.shape == (height, width, 3) and pixels.dtype == np.uint8
        head = sample.people[0].head_xyxy
        assert head is not None
        expected = (head[2] - head[0]) * (head[3] - head[1]) / (sample.width * sample.height)
        assert (pixels > 127).mean() == pytest.approx(expected, rel=0.1)
        rows, columns = np.nonzero(pixels[..., 0] > 127)
        assert columns.mean() / width == pytest.approx((head[0] + head[2]) / 2 / sample.width, abs=0.02)
        assert rows.mean() / height == pytest.approx((head[1] + head[3]) / 2 / sample.height, abs=0.02)
    with pytest.raises(FullcastError, match="no sample is called"):
        source.pixels("nobody", 16, 16)


def test_another_cut_of_the_same_picture_is_another_sample() -> None:
    """Latents are kept by the name: a head that review added moves the cut, and the old latent shows it no more."""
    config = MixtureConfig(area_px=64 * 64, min_bucket_samples=1)
    tall = image("tall", 1000, 3000)
    (before,) = cut_samples([tall], [], config).samples
    after = cut_samples([tall], [person("tall", 500, 200, 300)], config).samples[0]
    assert after.kind == "full"
    assert before.crop != after.crop and before.id != after.id
    (whole,) = cut_samples([image("square", 800, 800)], [], config).samples
    assert whole.id == "square_full", "what is not cut needs no numbers"
