"""People nobody has a name for yet, gathered into clusters: a whole-show stage that a person then names as a whole.

Tracks go in, not figures: what a track joined stays together, and its pooled vector is steadier than any one face.
People who stand in one picture are different people, which keeps near-twins apart that no vector parts, and tells
together with the tracks how alike two pictures of one person are in this show.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fullcast.people.config import PeopleConfig
from fullcast.people.trust import trusts
from fullcast.recognition.cluster import cluster, cut_between
from fullcast.records import Person


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """One figure and where it was put: a row of the table."""

    person_id: str
    cluster: str
    """ "c001" is the largest."""
    trust: float
    """In [0, 1]: size of the head and how much of it is in view; 0: it came along with its track."""
    typical: float
    """Cosine to the cluster's centre; a good reference is near it."""


@dataclass(frozen=True, slots=True)
class Clusters:
    rows: tuple[ClusterRow, ...]
    """The largest cluster first; in it the most trusted and typical figure first."""
    cut: float
    """Mean cosine from which two groups were joined."""
    num_asked: int
    """Figures that were to be clustered."""


def cluster_people(people: Sequence[Person], config: PeopleConfig, threshold: float) -> Clusters:
    """Clusters of the people given (tracked, those who have no name); `threshold`: the embedder's own, a cosine.

    Figures without a head, or with one under `min_head_px`, come along with their track or not at all. Clusters of
    fewer than `min_cluster` figures are left out: a passer-by need not be named.
    """
    trust = trusts(people, config)
    tracks = _tracks(people, trust)
    if not tracks:
        return Clusters((), float("nan"), len(people))
    vectors = np.stack([_pooled(members, people, trust) for members in tracks])
    rivals = _rivals(tracks, people)
    cut = config.cluster_similarity
    if cut is None:
        cut = cut_between(_inside(tracks, people, trust), _between(vectors, rivals), threshold)
    labels = cluster(vectors, cut, rivals)
    return Clusters(tuple(_rows(labels, vectors, tracks, people, trust, config)), cut, len(people))


def _tracks(people: Sequence[Person], trust: np.ndarray) -> list[list[int]]:
    """Indices of the members of each track in which somebody can be asked."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, person in enumerate(people):
        groups[person.track_id or person.id].append(index)
    return [members for members in groups.values() if trust[members].any()]


def _pooled(members: Sequence[int], people: Sequence[Person], trust: np.ndarray) -> np.ndarray:
    """(D,) unit: the mean of a track's vectors, weighted by trust."""
    total = sum(trust[i] * v for i in members if trust[i] and (v := people[i].embedding) is not None)
    vector = np.asarray(total, dtype=np.float32)
    return vector / max(1e-12, float(np.linalg.norm(vector)))


def _rivals(tracks: Sequence[Sequence[int]], people: Sequence[Person]) -> list[tuple[int, int]]:
    """Pairs of tracks that meet in a picture, each once."""
    by_image: dict[str, set[int]] = defaultdict(set)
    for t, members in enumerate(tracks):
        for index in members:
            by_image[people[index].image_id].add(t)
    return sorted({pair for present in by_image.values() for pair in combinations(sorted(present), 2)})


def _between(vectors: np.ndarray, rivals: Sequence[tuple[int, int]]) -> np.ndarray:
    """(M,) cosines of those who stand in one picture."""
    if not rivals:
        return np.zeros(0)
    a, b = np.array(rivals).T
    return np.einsum("md,md->m", vectors[a], vectors[b])


def _inside(tracks: Sequence[Sequence[int]], people: Sequence[Person], trust: np.ndarray) -> np.ndarray:
    """(M,) cosines of the first and the last trusted head of each track: the most that a shot changes a face."""
    cosines = []
    for members in tracks:
        seen = [v for i in members if trust[i] and (v := people[i].embedding) is not None]
        if len(seen) > 1:
            cosines.append(float(seen[0] @ seen[-1]))
    return np.array(cosines)


def _rows(
    labels: np.ndarray,
    vectors: np.ndarray,
    tracks: Sequence[Sequence[int]],
    people: Sequence[Person],
    trust: np.ndarray,
    config: PeopleConfig,
) -> list[ClusterRow]:
    groups: dict[int, list[int]] = defaultdict(list)
    for t, label in enumerate(labels):
        groups[int(label)].append(t)
    kept = [(sum(len(tracks[t]) for t in members), label) for label, members in groups.items()]
    order = sorted((-size, label) for size, label in kept if size >= config.min_cluster)
    rows: list[ClusterRow] = []
    for number, (_, label) in enumerate(order, 1):
        members = groups[label]
        centre = vectors[members].mean(axis=0)
        centre /= max(1e-12, float(np.linalg.norm(centre)))
        figures = []
        for index in (i for t in members for i in tracks[t]):
            vector = people[index].embedding
            typical = float(vector @ centre) if vector is not None and trust[index] else 0.0
            figures.append(ClusterRow(people[index].id, f"c{number:03d}", float(trust[index]), typical))
        rows += sorted(figures, key=lambda row: (-row.trust * row.typical, row.person_id))
    return rows
