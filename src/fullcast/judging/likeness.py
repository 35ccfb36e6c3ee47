"""Made pictures beside true ones, in vectors: fidelity, diversity and memorisation of several series at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fullcast.judging.counterfactual import prompt_of
from fullcast.judging.diversity import Diversity, diversity, kernel_width
from fullcast.judging.features import Looks, Seen, looks_of
from fullcast.judging.fidelity import Distance, kid, mmd
from fullcast.judging.memorisation import Memorisation, memorisation
from fullcast.store.tables import read_metadata, read_records, write_records

TRUE = "(true)"
"""Series of the true pictures in ``features.parquet``."""

TRAINED = "(trained on) "
"""Begins the series of the pictures that training shows; their kind ("screenshots", "composite") ends it."""


@dataclass(frozen=True, slots=True)
class Vector:
    """One picture in ``features.parquet``."""

    series: str
    path: str
    group: str
    """Of a made picture its scene, of others their episode."""
    num_people: int
    """Asked for; 0 for those that were not made."""
    seen: Seen


@dataclass(frozen=True)
class Likeness:
    """Series -> its figures; a series with too few pictures is left out of the one in question."""

    vectors: tuple[Vector, ...]
    features: str
    """The network that made the features."""
    kid: Mapping[str, Distance]
    mmd: Mapping[str, Distance]
    spread: Mapping[str, Diversity]
    memorised: Mapping[str, Memorisation]
    true_spread: Mapping[int, Diversity]
    """Pictures a prompt -> the same for as many true pictures of one episode."""

    def figures(self) -> dict[str, Any]:
        """Without the vectors."""
        return {
            "kid": self.kid,
            "mmd": self.mmd,
            "diversity": self.spread,
            "true_diversity": self.true_spread,
            "memorisation": self.memorised,
        }


def likeness(vectors: Sequence[Vector], features: str, seed: int = 0) -> Likeness:
    """``vectors``: made pictures, true ones (series `TRUE`; without them diversity alone is known), and those that were
    trained on (`TRAINED`; without them the true ones)."""
    true = [v for v in vectors if v.series == TRUE]
    trained = [v for v in vectors if v.series.startswith(TRAINED)] or true
    made = [v for v in vectors if v.series != TRUE and not v.series.startswith(TRAINED)]
    kinds = ["" if v.series == TRUE else v.series.removeprefix(TRAINED) for v in trained]
    reference, training, episodes = _looks(true), _looks(trained), [v.group for v in trained]
    width = kernel_width(reference.features if len(reference) > 1 else _looks(made).features)
    answer = Likeness(tuple(vectors), features, {}, {}, {}, {}, {})
    for name in dict.fromkeys(v.series for v in made):
        own = [v for v in made if v.series == name]
        looks, groups = _looks(own), [v.group for v in own]
        prompts = [*map(prompt_of, groups)]
        found = {
            "kid": kid(looks.features, reference.features, seed) if len(reference) else None,
            "mmd": mmd(looks.features, reference.features, seed) if len(reference) else None,
            "spread": diversity(looks.features, groups, width=width),
            "memorised": memorisation(looks, [v.num_people for v in own], training, episodes, kinds, prompts),
        }
        for field, value in found.items():
            if value is not None:
                getattr(answer, field)[name] = value
    true_spread = {size: _true_spread(true, size, width) for size in {s.group_size for s in answer.spread.values()}}
    return replace(answer, true_spread={size: s for size, s in sorted(true_spread.items()) if s is not None})


def _true_spread(true: Sequence[Vector], size: int, width: float) -> Diversity | None:
    """Of true pictures in groups of ``size``, each spread over one episode."""
    episodes: dict[str, list[Vector]] = {}
    for vector in true:
        episodes.setdefault(vector.group, []).append(vector)
    grouped: list[tuple[Vector, str]] = []
    for name, own in episodes.items():
        count = len(own) // size  # of groups: the i-th, the (i + count)-th ...
        grouped += [(vector, f"{i % count} {name}") for i, vector in enumerate(own[: count * size])]
    return diversity(_looks([v for v, _ in grouped]).features, [group for _, group in grouped], size, width)


def write_vectors(path: Path, alike: Likeness) -> None:
    write_records(path, alike.vectors, Vector, {"features": alike.features})


def read_vectors(path: Path) -> tuple[list[Vector], str]:
    """(vectors, the network that made them)."""
    return read_records(path, Vector), read_metadata(path).get("features", "")


def _looks(vectors: Sequence[Vector]) -> Looks:
    dim = len(vectors[0].seen.features) if vectors else 1
    return looks_of([v.path for v in vectors], [v.seen for v in vectors], dim)
