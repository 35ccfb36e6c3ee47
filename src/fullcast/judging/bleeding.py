"""Does one character leak into another? Identity and hair, asked together against not asked together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fullcast.judging.contrast import Contrast, Observation, contrast
from fullcast.judging.counterfactual import prompt_of
from fullcast.judging.hair import Lab, color_groups, nearest_group
from fullcast.judging.rows import Row
from fullcast.judging.statistics import Estimate, share
from fullcast.judging.verdict import is_hybrid, pair
from fullcast.records import Cast, Placement
from fullcast.store.seeding import rng


@dataclass(frozen=True, slots=True)
class Bleeding:
    """Identity. A figure counts for whom the best assignment gives it to, right or wrong."""

    lift: Contrast | None
    """``exposed``: how often a figure of c is taken for c' who is in the prompt too, over pictures of two people and
    more. ``unexposed``: how often it would be if each figure were mistaken as often as it is for those who are *not* in
    the prompt, and no more (see `identity_leak`). None: nothing to compare, such as scenes of one person."""
    pairs: dict[str, dict[str, float]]
    """asked c -> taken for c' -> how much more often with c' in the prompt than without; pairs without both kinds are
    left out."""
    hybrids: Estimate
    """Share of figures that are nearest to two of those asked for, and almost as near to one as to the other."""


def measure_bleeding(
    rows: Sequence[Row], cast: Cast, hybrid_margin: float, repeats: int = 2000, seed: int = 0
) -> Bleeding:
    several = [row for row in rows if row.num_people > 1]
    read = [_labels(row, cast) for row in several]
    figures = [(figure, row) for row in several for figure in row.verdict.found]
    blended = sum(is_hybrid(figure, row.scene, cast, hybrid_margin) for figure, row in figures)
    return Bleeding(
        identity_leak(read, cast.names, repeats, seed), _pairs(read, cast.names), share(blended, len(figures))
    )


@dataclass(frozen=True, slots=True)
class Labels:
    """One picture: who was asked for and has a figure, and whom that was taken for."""

    scene: str
    """The prompt: a scene and its swapped one are one."""
    num_people: int
    asked: frozenset[str]
    seen: tuple[tuple[str, str], ...]
    """(asked for, taken for), in the order of the prompt; who has no name is left out."""


def identity_leak(read: Sequence[Labels], names: Sequence[str], repeats: int = 2000, seed: int = 0) -> Contrast | None:
    """How much more often people of one prompt are taken for each other than weak identity alone explains.

    With and without c' in the prompt cannot be compared as they are: figures are given to people by identity, so a
    mistake for somebody who is in the prompt is forgiven where that one has no figure (labels at random would give a
    lift of -0.16 for pairs of a cast of six). So mistakes are drawn for the same prompts at the rates that are seen for
    those who are not in them, given to people in the same way, and counted in the same way. Interval: bootstrap over
    prompts; the rates are taken as they are.
    """
    rates = _rates(read, names)
    if rates is None:
        return None
    generator = rng(seed, "identity-leak", len(read))
    index = {scene: i for i, scene in enumerate(dict.fromkeys(labels.scene for labels in read))}
    table = np.zeros((len(index), 3))
    for labels in read:
        chances = sum(len(labels.asked - {asked}) for asked, _ in labels.seen)
        observed = sum(taken != asked and taken in labels.asked for asked, taken in labels.seen)
        drawn = [_drawn_mistakes(labels, rates, names, generator) for _ in range(DRAWN)]
        table[index[labels.scene]] += (observed, float(np.mean(drawn)), chances)
    if not table[:, 2].sum():
        return None
    sums = table[generator.integers(0, len(table), (repeats, len(table)))].sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = np.nanpercentile((sums[:, 0] - sums[:, 1]) / sums[:, 2], [2.5, 97.5])
    observed, expected, chances = table.sum(0)
    value = float((observed - expected) / chances)
    told = Estimate(value, float(low), float(high), int(chances))
    return Contrast(float(observed / chances), float(expected / chances), told)


DRAWN = 24
"""Times that each picture's mistakes are drawn: their mean is far more certain than the picture's own."""


@dataclass(frozen=True, slots=True)
class _Rates:
    """P(a figure of c is taken for x), x not in the prompt; the last column is `unknown`."""

    table: np.ndarray
    """(C, C + 1), diagonal 0."""
    by_count: dict[int, float]
    """Factor on all of them for a number of people: heads of five are smaller than heads of two."""


def _rates(read: Sequence[Labels], names: Sequence[str]) -> _Rates | None:
    """None where nobody was ever absent from a prompt while somebody else had a figure."""
    place = {name: i for i, name in enumerate(names)}
    hits, chances = np.zeros((len(names), len(names) + 1)), np.zeros((len(names), len(names) + 1))
    wrong: dict[int, list[float]] = {}
    for labels in read:
        absent = [place[name] for name in names if name not in labels.asked]
        for asked, taken in labels.seen:
            c = place[asked]
            chances[c, [*absent, -1]] += 1
            strange = taken not in place or taken not in labels.asked
            if strange:
                hits[c, place.get(taken, -1)] += 1
            wrong.setdefault(labels.num_people, []).append(strange)
    if not chances[:, :-1].sum():
        return None
    overall = hits.sum() / max(1.0, chances.sum())
    table = np.where(chances > 0, hits / np.maximum(1, chances), overall)
    np.fill_diagonal(table[:, :-1], 0)
    # More people asked for leave fewer to be mistaken for: what is compared is the rate per absent one.
    per_absent = {n: np.mean(values) / max(1, len(names) - n) for n, values in wrong.items()}
    every = np.mean([np.mean(values) / max(1, len(names) - n) for n, values in wrong.items() for _ in values])
    return _Rates(table, {n: float(rate / every) if every > 0 else 1.0 for n, rate in per_absent.items()})


def _drawn_mistakes(labels: Labels, rates: _Rates, names: Sequence[str], generator: np.random.Generator) -> int:
    """Figures that stay with somebody asked for and carry the name of somebody else asked for, when labels are drawn
    and given to people as the assignment does: first everybody his own, then the rest in any order."""
    people = [asked for asked, _ in labels.seen]
    drawn = []
    for asked in people:
        p = rates.table[names.index(asked)] * rates.by_count.get(labels.num_people, 1.0)
        p = p / max(1.0, p.sum())
        at = int(np.searchsorted(np.cumsum(p), generator.random(), side="right"))
        drawn.append(asked if at >= len(p) else names[at] if at < len(names) else "")
    left = list(drawn)
    unmatched = []
    for asked in people:
        if asked in left:
            left.remove(asked)
        else:
            unmatched.append(asked)
    order = generator.permutation(len(left))
    return sum(left[i] in labels.asked and left[i] != asked for i, asked in zip(order, unmatched, strict=True))


def _labels(row: Row, cast: Cast) -> Labels:
    pairs = pair(row.verdict.found, row.scene.people, cast)
    people = row.scene.people
    seen = tuple(
        (people[i].character, row.verdict.found[j].character) for i, j in sorted(pairs.items()) if people[i].is_named
    )
    asked = frozenset(placement.character for placement in people if placement.is_named)
    return Labels(prompt_of(row.scene.id), row.num_people, asked, seen)


def _pairs(read: Sequence[Labels], names: Sequence[str]) -> dict[str, dict[str, float]]:
    with_it: dict[tuple[str, str], list[bool]] = {}
    without: dict[tuple[str, str], list[bool]] = {}
    for labels in read:
        for asked, taken in labels.seen:
            for other in names:
                if other != asked:
                    kind = with_it if other in labels.asked else without
                    kind.setdefault((asked, other), []).append(taken == other)
    answer: dict[str, dict[str, float]] = {}
    for key in sorted(with_it.keys() & without.keys()):
        answer.setdefault(key[0], {})[key[1]] = float(np.mean(with_it[key]) - np.mean(without[key]))
    return answer


@dataclass(frozen=True, slots=True)
class Leakage:
    """Hair colour. Read from pixels, so that it needs no network and no identity."""

    leak: Contrast | None
    """P(a matched figure has colour v, not its own) with v on somebody else asked for against on nobody."""
    pairs: dict[str, dict[str, float]]
    """own colour -> other colour -> the same difference."""
    right: Estimate
    """Matched figures whose nearest colour is their own: how far the reading itself can be trusted."""


def measure_leakage(
    rows: Sequence[Row], colors: Mapping[str, Lab], repeats: int = 2000, seed: int = 0
) -> Leakage | None:
    """``colors``: look ("aoi", "aoi/hairdown") -> its hair on the references. None: all have one colour, or none is
    known. Only matched figures count, so that nobody's colour is blamed on the wrong person."""
    groups = color_groups(colors)
    if len(set(groups.values())) < 2:
        return None
    seen: dict[tuple[str, str], list[Observation]] = {}
    own: list[bool] = []
    for row in rows:
        for asked, found in _read(row, colors, groups):
            own.append(found == groups[_look(asked, colors)])
            others = {groups[k] for p in row.scene.people if p is not asked and (k := _look(p, colors))}
            mine = groups[_look(asked, colors)]
            for color in sorted(set(groups.values()) - {mine}):
                prompt = prompt_of(row.scene.id)
                observation = Observation(prompt, row.num_people, color in others, found == color)
                seen.setdefault((mine, color), []).append(observation)
    several = {k: [o for o in group if o.stratum > 1] for k, group in seen.items()}
    pairs: dict[str, dict[str, float]] = {}
    for (mine, color), group in sorted(several.items()):
        with_it, without = [o.hit for o in group if o.exposed], [o.hit for o in group if not o.exposed]
        if with_it and without:
            pairs.setdefault(mine, {})[color] = float(np.mean(with_it) - np.mean(without))
    everything = [o for group in several.values() for o in group]
    return Leakage(contrast(everything, repeats, seed), pairs, share(sum(own), len(own)))


def _read(row: Row, colors: Mapping[str, Lab], groups: Mapping[str, str]) -> Iterator[tuple[Placement, str]]:
    """(who was asked for, the colour group that was seen) of each matched figure with a head."""
    for figure, color in zip(row.verdict.found, row.hair, strict=False):
        if figure.asked >= 0 and color and _look(asked := row.scene.people[figure.asked], colors):
            yield asked, nearest_group(color, colors, groups)


def _look(placement: Placement, colors: Mapping[str, Lab]) -> str:
    """The look that is known of who was asked for; the plain one stands for any form. '': none."""
    full = f"{placement.character}/{placement.form}" if placement.form else placement.character
    return full if full in colors else placement.character if placement.character in colors else ""
