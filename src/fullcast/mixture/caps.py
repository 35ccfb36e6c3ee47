"""A cap on how often a picture may come, and a mixture that stays as near its target as the cap allows.

Water-filling on the tree: what a branch cannot hold goes to its siblings in the proportion of their shares, and only
what they cannot hold leaves for the branches above. So the shares of sources hold as long as any source has room, those
below them next, and so on. At each node it is the split nearest to the asked one in relative entropy, min(room, c a)
with one c for all siblings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fullcast.mixture.shares import Resolved
from fullcast.store.errors import FullcastError

ROUNDS = 1000
"""Each round fills the mixture or a picture; more than a few happen only where many branches share capped pictures."""

DONE = 1e-12
"""Share of all visits that may be left when the filling ends."""


@dataclass(frozen=True, slots=True)
class CapCost:
    """What the cap takes from one leaf of the tree. Shares are in [0, 1] of all visits."""

    path: tuple[str, ...]
    target: float
    deliverable: float
    pictures: int
    needed: float
    """Share of all visits that its most wanted picture would need."""
    kept_within: tuple[str, ...]
    """The nearest branch above whose share holds: what is missing here went to others inside it. () is the whole."""

    def sentence(self, num_visits: int, max_repeats: float) -> str:
        """For a report."""
        within = " / ".join(self.kept_within) or "the whole mixture"
        return (
            f"{' / '.join(self.path)}: {self.pictures} pictures at {max_repeats:g} visits each hold "
            f"{self.deliverable:.2%} of the {self.target:.2%} planned; {self.needed * num_visits:.0f} visits to each "
            f"would be needed; the other {self.target - self.deliverable:.2%} went to others in {within}"
        )


def fill(resolved: Resolved, picture_of: np.ndarray, cap: float) -> tuple[Resolved, tuple[CapCost, ...]]:
    """The mixture in which no picture has more than ``cap`` (share of all visits), and what that costs, dearest first.

    picture_of: (n,) int, samples of one picture have one number: all its crops share one cap. Raises `FullcastError`
    if even all pictures at the cap do not fill the stream.
    """
    pairs = _Pairs.of(resolved, picture_of)
    load = np.bincount(pairs.picture, pairs.mass)
    if load.max() <= cap * (1 + DONE):
        return resolved, ()
    holders = int((load > 0).sum())
    if cap * holders < 1 - DONE:
        raise FullcastError(
            f"max_repeats is too low: {holders} pictures at {cap:.3g} of the stream each fill only "
            f"{cap * holders:.0%} of it; allow more repeats, fewer steps, or add pictures"
        )
    mass = _filled(resolved, pairs, load, cap)
    factor = mass / pairs.mass
    sizes = [len(leaf.items) for leaf in resolved.leaves]
    factors = np.split(factor[pairs.of_entry], np.cumsum(sizes)[:-1])
    leaves = []
    weights = np.zeros(len(resolved.weights))
    for leaf, by in zip(resolved.leaves, factors, strict=True):
        held = leaf.mass * by
        np.add.at(weights, leaf.items, held)
        leaves.append(replace(leaf, mass=held, share=float(held.sum())))
    filled = replace(resolved, weights=weights / weights.sum(), leaves=tuple(leaves))
    return filled, _costs(resolved, filled, pairs, load)


def capped(weights: np.ndarray, picture_of: np.ndarray, cap: float) -> np.ndarray:
    """Weights (sum 1) under the same cap without a tree: min(cap, c w) per picture. Raises as `fill` does."""
    load = np.bincount(picture_of, weights)
    if cap * (load > 0).sum() < 1 - DONE:
        raise FullcastError(
            f"max_repeats is too low: {(load > 0).sum()} pictures at {cap:.3g} of the stream each do not fill it; "
            "allow more repeats, fewer steps, or add pictures"
        )
    held = water_level(load, np.full(len(load), cap), 1.0)
    factor = np.divide(held, load, out=np.zeros(len(load)), where=load > 0)
    result = weights * factor[picture_of]
    return result / result.sum()


def water_level(wanted: np.ndarray, room: np.ndarray, total: float) -> np.ndarray:
    """min(room, c wanted) with the c for which it sums to ``total``; all of ``room`` where that is too little.

    wanted, room: (n,) >= 0; who wants nothing gets nothing.
    """
    room = np.where(wanted > 0, room, 0.0)
    if room.sum() <= total:
        return room
    ratio = np.divide(room, wanted, out=np.full(len(room), np.inf), where=wanted > 0)
    by = np.argsort(ratio, kind="stable")
    # With the m that fill first at their room, the others share what is left in proportion; the least m that fits.
    full = np.r_[0.0, np.cumsum(room[by])][:-1]
    others = np.cumsum(wanted[by][::-1])[::-1]
    level = np.divide(total - full, others, out=np.full(len(by), np.inf), where=others > 0)
    c = level[int(np.argmax(level <= ratio[by]))]
    return np.minimum(room, c * wanted)


@dataclass(frozen=True)
class _Pairs:
    """Every (leaf, picture) with mass: samples of one picture in one leaf are one pair."""

    leaf: np.ndarray
    picture: np.ndarray
    mass: np.ndarray
    of_entry: np.ndarray
    """For each sample of each leaf, leaves in their order, its pair."""

    @classmethod
    def of(cls, resolved: Resolved, picture_of: np.ndarray) -> _Pairs:
        sizes = [len(leaf.items) for leaf in resolved.leaves]
        leaf = np.repeat(np.arange(len(sizes)), sizes)
        items = np.concatenate([leaf.items for leaf in resolved.leaves])
        mass = np.concatenate([leaf.mass for leaf in resolved.leaves])
        num_pictures = int(picture_of.max()) + 1
        keys, of_entry = np.unique(leaf * num_pictures + picture_of[items], return_inverse=True)
        return cls(keys // num_pictures, keys % num_pictures, np.bincount(of_entry, mass), of_entry)


@dataclass
class _Branch:
    """A node of the tree of leaves: its leaf's number, or its branches by name."""

    leaf: int = -1
    target: float = 0.0
    branches: dict[str, _Branch] = field(default_factory=dict)

    def room(self, of_leaf: np.ndarray) -> float:
        own = float(of_leaf[self.leaf]) if self.leaf >= 0 else 0.0
        return own + sum(branch.room(of_leaf) for branch in self.branches.values())

    def hand_out(self, share: float, of_leaf: np.ndarray, answer: np.ndarray) -> None:
        if self.leaf >= 0:
            answer[self.leaf] = share
            return
        below = list(self.branches.values())
        rooms = np.array([branch.room(of_leaf) for branch in below])
        for branch, part in zip(below, water_level(np.array([b.target for b in below]), rooms, share), strict=True):
            branch.hand_out(float(part), of_leaf, answer)


def _tree(resolved: Resolved) -> _Branch:
    root = _Branch(target=1.0)
    for number, leaf in enumerate(resolved.leaves):
        node = root
        for name in leaf.path:
            node = node.branches.setdefault(name, _Branch())
            node.target += leaf.share
        node.leaf = number
    return root


def _filled(resolved: Resolved, pairs: _Pairs, load: np.ndarray, cap: float) -> np.ndarray:
    """(pairs,) mass under the cap, sum 1: cut at the cap first, then what is missing is filled in, round by round."""
    tree, num_leaves = _tree(resolved), len(resolved.leaves)
    mass = pairs.mass * np.minimum(1, np.divide(cap, load, out=np.ones(len(load)), where=load > 0))[pairs.picture]
    for _ in range(ROUNDS):
        if 1 - mass.sum() <= DONE:
            break
        slack = np.maximum(0, cap - np.bincount(pairs.picture, mass))
        has = np.bincount(pairs.leaf, mass, num_leaves)
        desired = np.zeros(num_leaves)
        tree.hand_out(1.0, has + np.bincount(pairs.leaf, slack[pairs.picture], num_leaves), desired)
        wish = np.zeros(len(mass))
        edges = np.searchsorted(pairs.leaf, np.arange(num_leaves + 1))
        for leaf in np.flatnonzero(desired > has + DONE / num_leaves):
            part = slice(edges[leaf], edges[leaf + 1])
            wish[part] = water_level(pairs.mass[part], slack[pairs.picture[part]], desired[leaf] - has[leaf])
        wished = np.bincount(pairs.picture, wish)
        # Two leaves may wish for the same room: each gets its part of it.
        granted = np.minimum(1, np.divide(slack, wished, out=np.ones(len(slack)), where=wished > 0))
        mass = mass + wish * granted[pairs.picture]
    return mass / mass.sum()


def _costs(target: Resolved, filled: Resolved, pairs: _Pairs, load: np.ndarray) -> tuple[CapCost, ...]:
    planned, held = target.branch_shares(), filled.branch_shares()
    edges = np.searchsorted(pairs.leaf, np.arange(len(target.leaves) + 1))
    costs = []
    for number, (asked, got) in enumerate(zip(target.leaves, filled.leaves, strict=True)):
        if asked.share - got.share <= 1e-9:
            continue
        above: Sequence[tuple[str, ...]] = [asked.path[:depth] for depth in range(len(asked.path) - 1, 0, -1)]
        kept = next((path for path in above if abs(planned[path] - held[path]) < 1e-9), ())
        pictures = pairs.picture[edges[number] : edges[number + 1]]
        needed = float(load[pictures].max())
        costs.append(CapCost(asked.path, asked.share, got.share, len(pictures), needed, kept))
    return tuple(sorted(costs, key=lambda cost: cost.deliverable - cost.target))
