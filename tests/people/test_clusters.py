"""Tracks go into clusters whole; small groups are left out; references are picked from many shots."""

from __future__ import annotations

import numpy as np

from fullcast.journey.casting import pick_references
from fullcast.people.clusters import cluster_people
from fullcast.people.config import PeopleConfig
from fullcast.records import Person
from tests.people.test_naming import E, person, vector


def crowd() -> list[Person]:
    """Three looks in six pictures of two or three people; the third is seen twice only."""
    rng = np.random.default_rng(0)
    people = []
    for i in range(6):
        for k in range(3 if i < 2 else 2):
            noise = 0.1 * rng.normal(size=5)
            people.append(person(f"p{i}", 300.0 * k, vector(*(E[k] + noise))))
    return people


def test_clusters_are_numbered_by_size_and_small_ones_left_out() -> None:
    people = crowd()
    found = cluster_people(people, PeopleConfig(), 0.6)
    cluster_of = {row.person_id: row.cluster for row in found.rows}
    assert found.num_asked == len(people) == 14 and len(cluster_of) == 12
    assert {cluster_of[f"p{i}/0.0"] for i in range(6)} | {cluster_of[f"p{i}/300.0"] for i in range(6)} == {
        "c001",
        "c002",
    }
    assert len(cluster_people(people, PeopleConfig(min_cluster=1), 0.6).rows) == 14
    assert cluster_people([], PeopleConfig(), 0.6).rows == ()


def test_references_come_from_as_many_tracks_as_there_are() -> None:
    from dataclasses import replace

    people = [replace(p, track_id=f"t{i // 4}") for i, p in enumerate(person(f"p{i}", 0, E[0]) for i in range(12))]
    rows = cluster_people(people, PeopleConfig(), 0.6).rows
    by_id = {p.id: p for p in people}
    chosen = pick_references(rows, by_id, 3)
    assert {by_id[row.person_id].track_id for row in chosen} == {"t0", "t1", "t2"}
    assert len(pick_references(rows, by_id, 40)) == 12 and pick_references([], by_id, 3) == []
