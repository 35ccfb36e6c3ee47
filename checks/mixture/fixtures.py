"""Line 3: the seed's worked examples number by number, and what our solver makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from checks.framework import Context, Figure, Goal
from checks.mixture import CHECK
from fullcast.mixture.caps import fill
from fullcast.mixture.config import MixtureConfig
from fullcast.mixture.plan import picture_indices
from fullcast.mixture.samples import bucket_indices
from fullcast.mixture.seed_csv import folder_shares, multiplies, parse_rules, resolve_csv
from fullcast.mixture.stream import make_stream
from fullcast.records import Sample

TABLE = "screenshots,3\nfanart,2\nregularization,5\n2_characters,2\ncharacter_others,0.5\nhands,1\nstyle,9\n"


@dataclass(frozen=True)
class Row:
    """What the real code of the seed pipeline wrote for a folder (data-preparation.md 1.3)."""

    pictures: int
    target: float
    multiply: float
    share: float


FOLDERS: Mapping[str, Row] = {
    "screenshots/1_character/Aoi": Row(600, 0.05, 1.0, 0.0513),
    "screenshots/1_character/Hinata": Row(300, 0.05, 2.0, 0.0513),
    "screenshots/2_characters/Aoi+Hinata": Row(60, 0.13333, 26.67, 0.1368),
    "screenshots/2_characters/character_others": Row(5, 0.06667, 100.0, 0.0427),
    "fanart/Aoi": Row(80, 0.1, 15.0, 0.1026),
    "fanart/Hinata": Row(40, 0.1, 30.0, 0.1026),
    "regularization/hands": Row(500, 0.05, 1.2, 0.0513),
    "regularization/style": Row(4500, 0.45, 1.2, 0.4615),
}
VIRTUAL = 11_700.2
"""Entries of the seed's epoch at min_multiply 1, max_multiply 100."""

TIGHT = {
    "screenshots/2_characters/Aoi+Hinata": 0.1143,
    "screenshots/2_characters/character_others": 0.0095,
    "regularization/style": 0.5143,
}
"""Realised shares at min_multiply 0.5, max_multiply 10; the epoch has 5,250 entries."""

README_TABLE = "1_character,3\nclass1,4\n*class2,6\n"
README = {
    "1_character/class1": 0.3,
    "1_character/class2": 0.45,
    "2_characters/class1": 0.2,
    "2_characters/class3": 0.05,
}
"""The README's shares; class3 stands for the folder that no row matches, whose weight is 1."""

BATCH = 8


@CHECK.line(3, "the worked examples number by number; deliverable shares against the seed's")
def fixtures(context: Context) -> Iterable[Figure]:
    counts = {folder: row.pictures for folder, row in FOLDERS.items()}
    shares = folder_shares(counts, parse_rules(TABLE))
    written = multiplies(counts, shares, 1, 100)
    off = sum(abs(shares[f] - row.target) > 5e-6 for f, row in FOLDERS.items())
    yield Figure("targets off the worked example", off, Goal("=", 0), n=len(FOLDERS))
    off = sum(written[f] != row.multiply for f, row in FOLDERS.items())
    yield Figure("multiplies off it, to two decimals", off, Goal("=", 0), n=len(FOLDERS))
    total = sum(counts[f] * written[f] for f in counts)
    yield Figure("entries of its epoch", round(total, 2), Goal("=", VIRTUAL))
    off = sum(round(counts[f] * written[f] / total, 4) != row.share for f, row in FOLDERS.items())
    yield Figure("realised shares off it, to four decimals", off, Goal("=", 0), n=len(FOLDERS))
    tight = multiplies(counts, shares, 0.5, 10)
    epoch = sum(counts[f] * tight[f] for f in counts)
    yield Figure("entries of its epoch at min 0.5, max 10", round(epoch, 6), Goal("=", 5250))
    off = sum(round(counts[f] * tight[f] / epoch, 4) != share for f, share in TIGHT.items())
    yield Figure("realised shares off it there", off, Goal("=", 0), n=len(TIGHT))
    yield from _readme()
    yield from _against_the_seed("max 100", counts, written)
    yield from _against_the_seed("max 10, min 0.5", counts, tight)


def _readme() -> Iterator[Figure]:
    found = folder_shares(dict.fromkeys(README, 10), parse_rules(README_TABLE), "data")
    off = sum(abs(found[folder] - share) > 1e-9 for folder, share in README.items())
    yield Figure("README's shares off", off, Goal("=", 0), n=len(README))


def _against_the_seed(name: str, counts: Mapping[str, int], seeds: Mapping[str, float]) -> Iterator[Figure]:
    """Distance from the target (half the sum of differences) at each depth of the tree: the seed's, as EveryDream1
    reads it (without fractions), and ours under the same cap of visits in an epoch of the same length."""
    samples = [_sample(folder, i) for folder, count in counts.items() for i in range(count)]
    resolved = resolve_csv(samples, parse_rules(TABLE), ("folder",))
    visits = sum(counts[f] * seeds[f] for f in counts)
    cap = max(seeds.values()) / visits
    filled, costs = fill(resolved, picture_indices(samples), cap)
    target = resolved.branch_shares()
    ours = filled.branch_shares()
    theirs = _tree({f: counts[f] * seeds[f] for f in counts})
    read = _tree({f: counts[f] * int(seeds[f]) for f in counts})
    config = MixtureConfig(num_steps=int(visits // BATCH), batch_size=BATCH, area_px=262144, bucket_step_px=64)
    delivered = _delivered(samples, filled.weights, config)
    for depth, level in ((1, "sources"), (2, "numbers of people"), (3, "folders")):
        shares = {"seed": theirs, "ED1": read, "ours": ours}
        told = {who: _distance(target, of, depth) for who, of in shares.items()}
        note = f"the seed's: {told['seed']:.4f}; as EveryDream1 reads it: {told['ED1']:.4f}"
        # What branches cannot hold under the cap must be somewhere else: no weights can be nearer than that.
        goal = Goal("<=", _nearest(target, counts, cap, depth) + 1e-9)
        yield Figure(
            f"{name}: distance from target in {level}, ours (goal: the nearest)",
            told["ours"],
            goal,
            n=len(counts),
            note=note,
        )
        step = _distance(ours, _tree(delivered), depth)
        yield Figure(f"{name}: delivered from deliverable in {level}", step, Goal("<=", 0.002), n=int(visits))
    sums = [sum(_distance(target, shares, d) for d in (1, 2, 3)) for shares in (theirs, ours)]
    yield Figure(
        f"{name}: distance over all levels, the seed's over ours", sums[0] / max(sums[1], 1e-12), Goal(">=", 1.05), n=3
    )
    worst = np.bincount(picture_indices(samples), filled.weights).max() / cap
    yield Figure(f"{name}: most wanted picture over the cap", worst, Goal("<=", 1 + 1e-9))
    told_costs = "; ".join(cost.sentence(int(visits), cap * visits) for cost in costs)
    yield Figure(f"{name}: branches that the cap takes from", len(costs), note=told_costs)


def _sample(folder: str, number: int) -> Sample:
    name = f"{folder}/{number}.png"
    return Sample(name, name, f"data/{name}", (0.0, 0.0, 512.0, 512.0), "screenshots")


def _tree(amounts: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    """Shares of all folders, inner ones too."""
    shares: dict[tuple[str, ...], float] = {}
    for folder, amount in amounts.items():
        parts = tuple(folder.split("/"))
        for depth in range(1, len(parts) + 1):
            shares[parts[:depth]] = shares.get(parts[:depth], 0.0) + amount / sum(amounts.values())
    return shares


def _distance(target: Mapping[tuple[str, ...], float], shares: Mapping[tuple[str, ...], float], depth: int) -> float:
    """At one depth; folders that end above it count as they are."""
    return sum(abs(target[path] - shares.get(path, 0.0)) for path in _at_depth(target, depth)) / 2


def _at_depth(target: Mapping[tuple[str, ...], float], depth: int) -> list[tuple[str, ...]]:
    inner = {path[:d] for path in target for d in range(len(path))}
    return [path for path in target if len(path) == depth or (len(path) < depth and path not in inner)]


def _nearest(target: Mapping[tuple[str, ...], float], counts: Mapping[str, int], cap: float, depth: int) -> float:
    """The least distance that any weights under the cap can have at one depth."""
    room: dict[tuple[str, ...], float] = {}
    for folder, count in counts.items():
        parts = tuple(folder.split("/"))
        for d in range(1, len(parts) + 1):
            room[parts[:d]] = room.get(parts[:d], 0.0) + count * cap
    return sum(max(0.0, target[path] - room[path]) for path in _at_depth(target, depth))


def _delivered(samples: list[Sample], weights: np.ndarray, config: MixtureConfig) -> dict[str, float]:
    buckets, bucket_of = bucket_indices(samples, config)
    ids = [sample.id for sample in samples]
    folders = np.unique([name.rsplit("/", 1)[0] for name in ids], return_inverse=True)[1]
    stream = make_stream(
        *(ids, weights, buckets, bucket_of),
        batch_size=BATCH,
        num_steps=config.num_steps,
        seed=1,
        strata=folders,
    )
    visits: dict[str, float] = {}
    for sample, count in zip(samples, stream.counts().tolist(), strict=True):
        folder = sample.id.rsplit("/", 1)[0]
        visits[folder] = visits.get(folder, 0.0) + count
    return visits
