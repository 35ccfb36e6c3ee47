"""Does one character leak into another? Identity and hair, asked together against not asked together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fullcast.judging.contrast import Contrast, Observation, at_least_three, contrast
from fullcast.judging.counterfactual import prompt_of
from fullcast.judging.hair import Lab, color_groups, nearest_group
from fullcast.judging.rows import Row
from fullcast.judging.statistics import Estimate, clustered_share, middle_95, resampled
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
    blended = [is_hybrid(figure, row.scene, cast, hybrid_margin) for figure, row in figures]
    hybrids = clustered_share(blended, [prompt_of(row.scene.id) for _, row in figures])
    return Bleeding(identity_leak(read, cast.names, repeats, seed), _pairs(read, cast.names), hybrids)


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
    lift of -0.16 for pairs of a cast of six). So the same prompts are counted once more as they would be if mistakes
    fell at the rates that are seen for those who are not in them, and figures were given to people in the same way.
    Interval: bootstrap over prompts, the rates of each resample its own; see `contrast.at_least_three`.
    """
    pictures = _Pictures.of(read, names)
    num_prompts = int(pictures.prompt.max(initial=-1)) + 1
    sums = pictures.sums(np.ones(num_prompts)) if num_prompts else None
    if sums is None or not sums[2]:
        return None
    observed, expected, chances = sums
    times = resampled(num_prompts, repeats, rng(seed, "identity-leak", len(read)))
    drawn = np.array([found for one in times if (found := pictures.sums(one)) is not None])
    drawn = drawn[drawn[:, 2] > 0]
    interval = middle_95((drawn[:, 0] - drawn[:, 1]) / drawn[:, 2], num_prompts)
    exposed, unexposed = observed / chances, expected / chances
    low, high = at_least_three(interval, (exposed, num_prompts), (unexposed, num_prompts))
    return Contrast(exposed, unexposed, Estimate(exposed - unexposed, low, high, int(chances)))


@dataclass(frozen=True)
class _Pictures:
    """Labels as arrays: Q pictures of P prompts, of at most K people and figures each, a cast of C."""

    prompt: np.ndarray
    """(Q,) which prompt."""
    number: np.ndarray
    """(Q,) index of the number of people."""
    numbers: tuple[np.ndarray, ...]
    """Of each number of people (N of them) its prompts."""
    asked: np.ndarray
    """(Q, K) who is asked for, each once; -1: nobody."""
    seen: np.ndarray
    """(Q, K) whom each figure belongs to; -1: no figure."""
    observed: np.ndarray
    """(Q,) figures that are taken for somebody else in the prompt."""
    chances: np.ndarray
    """(Q,) figures times those they could be taken for."""
    hits: np.ndarray
    """(P, C, C + 1) figures of c taken for x, who is not in the prompt; the last x is `unknown`."""
    absent: np.ndarray
    """(P, C, C + 1) figures of c while x is not in the prompt."""

    @classmethod
    def of(cls, read: Sequence[Labels], names: Sequence[str]) -> _Pictures:
        place = {name: i for i, name in enumerate(names)}
        prompts = {scene: i for i, scene in enumerate(dict.fromkeys(labels.scene for labels in read))}
        numbers = sorted({labels.num_people for labels in read})
        most = max((max(len(labels.asked), len(labels.seen)) for labels in read), default=0)
        hits, absent = np.zeros((2, len(prompts), len(names), len(names) + 1))
        asked, seen = np.full((2, len(read), most), -1)
        observed, chances = np.zeros((2, len(read)))
        for q, labels in enumerate(read):
            p = prompts[labels.scene]
            asked[q, : len(labels.asked)] = sorted(place[name] for name in labels.asked)
            seen[q, : len(labels.seen)] = [place[name] for name, _ in labels.seen]
            others = [place[name] for name in names if name not in labels.asked]
            for own, taken in labels.seen:
                absent[p, place[own], [*others, -1]] += 1
                strange = taken not in labels.asked
                hits[p, place[own], place.get(taken, -1)] += strange
                observed[q] += taken != own and not strange
                chances[q] += len(labels.asked - {own})
        prompt = np.array([prompts[labels.scene] for labels in read], dtype=int)
        number = np.array([numbers.index(labels.num_people) for labels in read], dtype=int)
        own_prompts = tuple(np.unique(prompt[number == n]) for n in range(len(numbers)))
        return cls(prompt, number, own_prompts, asked, seen, observed, chances, hits, absent)

    def sums(self, times: np.ndarray) -> tuple[float, float, float] | None:
        """(observed, expected, chances) over all pictures, each prompt taken so many ``times`` (P,); None where nobody
        was ever absent from a prompt while somebody else had a figure."""
        rates = self._rates(times)
        if rates is None:
            return None
        weight = times[self.prompt]
        return float(weight @ self.observed), float(weight @ self._expected(rates)), float(weight @ self.chances)

    def _rates(self, times: np.ndarray) -> np.ndarray | None:
        """(N, C, C + 1): P(a figure of c is taken for x) with x not in a prompt of so many people; for c itself what is
        left. Heads of five are smaller than heads of two, so each number of people has a factor on all rates: mistakes
        that were seen over those that rates alike for all numbers would give."""
        hits, absent = (
            np.stack([np.tensordot(times[own], table[own], 1) for own in self.numbers])
            for table in (self.hits, self.absent)
        )
        total = absent.sum(0)
        if not total[:, :-1].any():
            return None
        table = np.where(total > 0, hits.sum(0) / np.maximum(1, total), hits.sum() / max(1.0, total.sum()))
        np.fill_diagonal(table[:, :-1], 0)
        expected = (absent * table).sum((1, 2))
        factor = np.where(expected > 0, hits.sum((1, 2)) / np.where(expected > 0, expected, 1), 1)
        rates = table * factor[:, None, None]
        rates /= np.maximum(1, rates.sum(-1, keepdims=True))
        own = np.arange(len(table))
        rates[:, own, own] = 1 - rates.sum(-1)
        return rates

    def _expected(self, rates: np.ndarray) -> np.ndarray:
        """(Q,) figures that stay with somebody asked for and carry the name of somebody else asked for, when names fall
        on figures at these rates and figures are given to people: everybody his own first, then the rest.

        So each name asked for that falls more often than it is needed counts once for each time too many. Exact: the
        number of figures with one name is a sum of independent draws.
        """
        is_figure = (self.seen >= 0)[:, :, None]
        named = rates[self.number[:, None, None], self.seen[:, :, None], self.asked[:, None, :]]  # (Q, K figures, K)
        named = named * (is_figure & (self.asked >= 0)[:, None, :])
        needed = ((self.seen[:, :, None] == self.asked[:, None, :]) & is_figure).sum(1)
        # P(exactly j figures have the name), j from 0; who is asked for in two forms needs his name twice.
        exactly = np.zeros((needed.max(initial=1), *needed.shape))
        exactly[0] = 1
        for chance in named.transpose(1, 0, 2):
            exactly[1:] = exactly[1:] * (1 - chance) + exactly[:-1] * chance
            exactly[0] *= 1 - chance
        more = 1 - exactly.cumsum(0)
        met = sum((more[j] * (needed > j) for j in range(len(more))), np.zeros(needed.shape))
        return (named.sum(1) - met).sum(-1)


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
    prompts: list[str] = []
    for row in rows:
        prompt = prompt_of(row.scene.id)
        for asked, found in _read(row, colors, groups):
            mine = groups[_look(asked, colors)]
            own.append(found == mine)
            prompts.append(prompt)
            others = {groups[k] for p in row.scene.people if p is not asked and (k := _look(p, colors))}
            for color in sorted(set(groups.values()) - {mine}) if row.num_people > 1 else ():
                # Some colours are misread as some others more often, and some are in more prompts than others: without
                # the two colours in the stratum that alone looks like leaking (+0.036 where nothing leaks).
                stratum = row.num_people, mine, color
                seen.setdefault((mine, color), []).append(Observation(prompt, stratum, color in others, found == color))
    pairs: dict[str, dict[str, float]] = {}
    for (mine, color), group in sorted(seen.items()):
        with_it, without = [o.hit for o in group if o.exposed], [o.hit for o in group if not o.exposed]
        if with_it and without:
            pairs.setdefault(mine, {})[color] = float(np.mean(with_it) - np.mean(without))
    everything = [o for group in seen.values() for o in group]
    return Leakage(contrast(everything, repeats, seed), pairs, clustered_share(own, prompts))


def _read(row: Row, colors: Mapping[str, Lab], groups: Mapping[str, str]) -> Iterator[tuple[Placement, str]]:
    """(who was asked for, the colour group that was seen) of each matched figure with a head."""
    for figure, color in zip(row.verdict.found, row.hair, strict=False):
        if figure.asked >= 0 and color and _look(asked := row.scene.people[figure.asked], colors):
            yield asked, nearest_group(color, colors, groups)


def _look(placement: Placement, colors: Mapping[str, Lab]) -> str:
    """The look that is known of who was asked for; the plain one stands for any form. '': none."""
    full = f"{placement.character}/{placement.form}" if placement.form else placement.character
    return full if full in colors else placement.character if placement.character in colors else ""
