"""Clusters without names: exact where few, as good where many; people in one picture stay two people."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from fullcast.recognition.cluster import CUT_OF_THRESHOLD, EXACT_UNTIL, cluster, cut_between
from tests.recognition.test_identify import around, centres


def crowd(count: int, identities: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and who they are; the last identity has five."""
    points = centres(identities, 64, rng)
    who = np.concatenate([np.arange(count - 5) % (identities - 1), np.full(5, identities - 1)])
    return np.concatenate([around(points[w], 1, 0.7, rng) for w in who]), who


def pairs(labels: np.ndarray) -> np.ndarray:
    return labels[:, None] == labels


def test_few_are_clustered_as_by_scipys_average_linkage() -> None:
    vectors, _ = crowd(300, 20, np.random.default_rng(0))
    for cut in (0.2, 0.4, 0.6):  # also where clusters break apart
        exact = fcluster(linkage(vectors.astype(float), "average", "cosine"), 1 - cut, "distance")
        assert np.array_equal(pairs(cluster(vectors, cut)), pairs(exact)), cut


def test_many_are_clustered_right_the_rare_included_and_the_same_every_time() -> None:
    vectors, who = crowd(EXACT_UNTIL + 1500, 30, np.random.default_rng(1))
    found = cluster(vectors, 0.35)
    assert (pairs(found) == pairs(who)).mean() > 0.999
    assert len(set(found[-5:])) == 1 and (found == found[-1]).sum() == 5
    assert np.array_equal(found, cluster(vectors, 0.35))
    sizes = np.bincount(found)
    assert (np.diff(sizes) <= 0).all()


def test_who_stands_in_one_picture_is_two_people_however_alike() -> None:
    rng = np.random.default_rng(2)
    point = centres(1, 64, rng)[0]
    twins = np.concatenate([around(point, 10, 0.2, rng), around(point + 0.3 * centres(1, 64, rng)[0], 10, 0.2, rng)])
    assert len(set(cluster(twins, 0.5))) == 1
    apart = cluster(twins, 0.5, [(i, 10 + i) for i in range(10)])
    assert len(set(apart[:10])) == len(set(apart[10:])) == 1 and apart[0] != apart[10]
    assert len(cluster(np.zeros((0, 4)), 0.5)) == 0


def test_the_show_tells_the_cut_when_it_says_enough() -> None:
    assert np.isclose(cut_between(np.full(40, 0.9), np.full(40, 0.1), 0.57), 0.5)
    assert np.isclose(cut_between(np.full(40, 0.9), np.full(5, 0.1), 0.5), CUT_OF_THRESHOLD * 0.5)
