"""Aspect buckets for any area and step."""

from __future__ import annotations

import numpy as np
import pytest

from fullcast.mixture.buckets import Bucket, assign_buckets, make_buckets, match
from fullcast.store.errors import FullcastError


@pytest.mark.parametrize(("area", "step"), [(15360, 16), (4096, 8), (15360, 32), (512 * 512, 64), (704 * 704, 64)])
def test_buckets_fill_their_area(area: int, step: int) -> None:
    buckets = make_buckets(area, step, 2.0)
    assert len(buckets) > 1 and len({b.aspect for b in buckets}) == len(buckets)
    for bucket in buckets:
        assert bucket.width % step == bucket.height % step == 0
        assert 0.7 * area <= bucket.area_px <= area
        assert 0.5 <= bucket.aspect <= 2.0
        assert Bucket(bucket.height, bucket.width) in buckets


def test_a_frame_loses_little() -> None:
    """16:9 at 512, 640, 704 and 768 with steps of 64, and at the pocket model's area: at most 8 % is cut."""
    for area, step in ((512**2, 64), (640**2, 64), (704**2, 64), (768**2, 64), (15360, 16)):
        buckets = make_buckets(area, step, 2.0)
        best = buckets[match([16 / 9], buckets)[0]]
        assert abs(np.log(best.aspect / (16 / 9))) < 0.08, best
    assert str(make_buckets(15360, 16, 2.0)[match([16 / 9], make_buckets(15360, 16, 2.0))[0]]) == "160x96"


def test_match_is_by_the_ratio_of_ratios() -> None:
    """An aspect of 0.52 belongs to 384x640 (keeps 87 %), not to 320x768 (80 %), which the difference of ratios picks
    for 0.5; tall and wide are treated alike."""
    buckets = (Bucket(320, 768), Bucket(384, 640), Bucket(512, 512))
    assert match([0.52, 0.5, 0.48], buckets).tolist() == [1, 1, 0]
    assert match([1 / 0.5], tuple(Bucket(b.height, b.width) for b in buckets))[0] == 1, "and mirrored alike"


def test_small_buckets_merge_into_their_neighbours() -> None:
    buckets = make_buckets(15360, 16, 2.0)
    aspects = np.r_[np.full(100, 16 / 9), np.full(50, 1.0), np.full(2, 0.6), 1.45]
    assert (
        sum(
            assign_buckets(aspects, buckets, 1)[i].area_px > 0 for i in match(aspects, assign_buckets(aspects, buckets))
        )
        == 153
    )
    kept = assign_buckets(aspects, buckets, 3)
    counts = np.bincount(match(aspects, kept), minlength=len(kept))
    assert len(kept) == 2 and counts.min() >= 3 and counts.sum() == len(aspects)
    assert len(assign_buckets(aspects, buckets, 1000)) == 1


def test_impossible_area_is_said() -> None:
    with pytest.raises(FullcastError, match="at least 1024"):
        make_buckets(500, 32, 2.0)
