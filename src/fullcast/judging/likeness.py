"""Made pictures beside true ones, in vectors: fidelity, diversity and memorisation of several series at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fullcast.judging.diversity import Diversity, diversity, kernel_width
from fullcast.judging.features import Looks, Seen, looks_of
from fullcast.judging.fidelity import Distance, kid, mmd
from fullcast.judging.memorisation import Memorisation, memorisation
from fullcast.store.tables import read_metadata, read_records, write_records

TRUE = "(true)"
"""Series of the true pictures in ``features.parquet``."""


@dataclass(frozen=True, slots=True)
class Vector:
    """One picture in ``features.parquet``."""

    series: str
    path: str
    group: str
    """Of a made picture its scene, of a true one its episode."""
    num_people: int
    """Asked for; 0 for true pictures."""
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

    def figures(self) -> dict[str, Any]:
        """Without the vectors."""
        return {"kid": self.kid, "mmd": self.mmd, "diversity": self.spread, "memorisation": self.memorised}


def likeness(vectors: Sequence[Vector], features: str, seed: int = 0) -> Likeness:
    """``vectors``: true pictures (series `TRUE`) and made ones."""
    true = [v for v in vectors if v.series == TRUE]
    names = list(dict.fromkeys(v.series for v in vectors if v.series != TRUE))
    reference, episodes = _looks(true), [v.group for v in true]
    width = kernel_width(reference.features)
    answer = Likeness(tuple(vectors), features, {}, {}, {}, {})
    for name in names:
        own = [v for v in vectors if v.series == name]
        looks, groups = _looks(own), [v.group for v in own]
        found = {
            "kid": kid(looks.features, reference.features, seed) if len(reference) else None,
            "mmd": mmd(looks.features, reference.features, seed) if len(reference) else None,
            "spread": diversity(looks.features, groups, width=width),
            "memorised": memorisation(looks, [v.num_people for v in own], reference, episodes)
            if len(reference)
            else None,
        }
        for field, value in found.items():
            if value is not None:
                getattr(answer, field)[name] = value
    return answer


def write_vectors(path: Path, alike: Likeness) -> None:
    write_records(path, alike.vectors, Vector, {"features": alike.features})


def read_vectors(path: Path) -> tuple[list[Vector], str]:
    """(vectors, the network that made them)."""
    return read_records(path, Vector), read_metadata(path).get("features", "")


def _looks(vectors: Sequence[Vector]) -> Looks:
    dim = len(vectors[0].seen.features) if vectors else 1
    return looks_of([v.path for v in vectors], [v.seen for v in vectors], dim)
