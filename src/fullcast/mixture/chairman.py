"""Who comes when: an order of turns in which nobody is ever a whole turn ahead of or behind his share.

The problem is the chairman assignment problem (R. Tijdeman, "The chairman assignment problem", Discrete Mathematics 32,
1980): n states with shares q_1 + ... + q_n = 1 send a chairman each year, and after every year t each state i must have
served v_i with |v_i - t q_i| <= 1 - 1/(2n - 2). He proves that it can be done for any real shares.

Here a year is a *slot* (1, 2, 3, ...) and a *turn* is the k-th visit (k = 0, 1, ...) of one item. The bound says that
turn k must be taken in the window [first, last] of slots,

    first = ceil((k + d) / q),    last = floor((k + 1 - d) / q) + 1,    0 < d <= 1/(2n - 2).

Any assignment of turns to slots inside their windows satisfies |v - t q| <= 1 - d, and one exists by the theorem. We
take d = 1/(4n): half of what is allowed, so that rounding in float64 (t q is wrong by at most t * 2^-52) cannot spoil
it.

Inside its window a turn may fall anywhere, and where it falls matters: earliest-deadline-first alone would show all
heavy samples before all light ones at the start. So each turn has a *wish*, the time (k + u) / q with u uniform in
[0, 1) and stratified over items of the same kind: then the share of every group of items is right early on, not only
that of each item.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

STRATUM = 32
"""Items of unequal share are stratified with this many neighbours in share; fewer: less even, more: less alike."""

BEYOND = 2**52
"""A last slot that lies after any horizon; float64 still counts exactly up to it."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Every visit that may begin within the horizon; J of them, sorted by (item, visit)."""

    item: np.ndarray
    """(J,) int32."""
    visit: np.ndarray
    """(J,) int32: how often the item had its turn before."""
    first: np.ndarray
    """(J,) int64: the first slot in which the turn may be taken, counted from 1."""
    last: np.ndarray
    """(J,) int64: the last one."""


@dataclass(frozen=True, slots=True)
class Order:
    """The answer: which turn is taken in which slot."""

    turns: Turns
    taken: np.ndarray
    """(num_slots,) int64: index into ``turns`` for each slot."""
    method: str
    """wishes | wishes with deadlines | deadlines: how much of the wishes the windows allowed."""

    @property
    def items(self) -> np.ndarray:
        """(num_slots,) int32."""
        return self.turns.item[self.taken]

    @property
    def visits(self) -> np.ndarray:
        """(num_slots,) int32: how often the slot's item had been taken before."""
        return self.turns.visit[self.taken]


def arrange(
    shares: np.ndarray,
    num_slots: int,
    rng: np.random.Generator,
    strata: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> Order:
    """An order of ``num_slots`` turns with |visits - t * share| < 1 for every item at every slot t.

    shares: (n,) positive, any scale. strata: (n,) int, items of one kind (None: all are of one kind). groups: (n,) int,
    items whose turns should stand apart, such as the crops of one picture, so that together they are near their share
    too (None: no such wish). Costs O(num_slots log n); the same arguments and generator state give the same order.
    """
    shares = np.asarray(shares, dtype=np.float64)
    if len(shares) == 0 or not np.all(np.isfinite(shares)) or not np.all(shares > 0):
        raise ValueError("shares must be positive and finite, and there must be at least one")
    q = shares / shares.sum()
    turns = _turns(q, num_slots)
    wish = _wishes(q, turns, strata, groups, rng)
    taken = _by_wish(turns, wish, num_slots)
    if taken is not None:
        return Order(turns, taken, "wishes")
    # A turn whose deadline is near must not wait for its wish: 4 standard deviations of how far wishes outrun slots.
    slack = 4.0 * np.sqrt(1.0 + len(np.unique(_blocks(q, strata))) / 6)
    taken = _by_deadline(turns, np.minimum(wish + slack, turns.last), wish, num_slots)
    if taken is not None:
        return Order(turns, taken, "wishes with deadlines")
    taken = _by_deadline(turns, turns.last, wish, num_slots)
    assert taken is not None, "earliest deadline first keeps every window that can be kept"
    return Order(turns, taken, "deadlines")


def _turns(q: np.ndarray, num_slots: int) -> Turns:
    delta = 1 / (4 * len(q))
    count = np.floor(num_slots * q + 1).astype(np.int64)
    item = np.repeat(np.arange(len(q), dtype=np.int32), count)
    visit = (np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)).astype(np.int32)
    pace = q[item]
    # A share of 1e-300 has its first turn after any horizon, and float64 has numbers for that which int64 has not.
    with np.errstate(over="ignore", divide="ignore"):
        due = np.minimum((visit + delta) / pace, BEYOND)
        over = np.minimum((visit + (1 - delta)) / pace, BEYOND)
    first = np.ceil(due).astype(np.int64)
    last = (np.floor(over) + 1).astype(np.int64)
    begins = first <= num_slots
    if begins.all():
        return Turns(item, visit, first, last)
    return Turns(item[begins], visit[begins], first[begins], last[begins])


def _blocks(q: np.ndarray, strata: np.ndarray | None) -> np.ndarray:
    """(n,) int: blocks of items of one stratum and of equal, or for want of it neighbouring, shares."""
    kind = np.zeros(len(q), dtype=np.int64) if strata is None else np.asarray(strata)
    by = np.lexsort((q, kind))
    new_kind = np.r_[True, kind[by][1:] != kind[by][:-1]]
    # Shares that differ by rounding only are equal.
    new_share = new_kind | np.r_[True, q[by][1:] > q[by][:-1] * (1 + 1e-9)]
    run = np.cumsum(new_share) - 1
    alone = np.bincount(run)[run] < STRATUM
    place = np.arange(len(q)) - np.flatnonzero(new_kind)[np.cumsum(new_kind) - 1]
    # Long runs of equal shares are blocks of their own; what lies between is cut into blocks of STRATUM neighbours.
    label = np.where(alone, place // STRATUM * 2 + 1, run * 2)
    changed = new_kind | np.r_[True, label[1:] != label[:-1]]
    block = np.empty(len(q), dtype=np.int64)
    block[by] = np.cumsum(changed) - 1
    return block


def _wishes(
    q: np.ndarray, turns: Turns, strata: np.ndarray | None, groups: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """(J,) float64: the time at which each turn would like to be taken, (visit + u) / q.

    Within a block the u of the k-th visits are (0, 1, ..., m - 1) / m in a new random order for each k, shifted by one
    random offset: every pass is a new shuffle, and at any time the block as a whole is within one turn of its share.
    In that order the items of a group stand evenly apart, so that the group is near its share too.
    """
    passes = (turns.visit, _blocks(q, strata)[turns.item])
    draw = rng.random(len(turns.item))
    if groups is not None:
        draw = _evenly(draw, (np.asarray(groups)[turns.item], *passes), rng)
    return (turns.visit + _evenly(draw, passes, rng)) / q[turns.item]


def _evenly(draw: np.ndarray, kinds: tuple[np.ndarray, ...], rng: np.random.Generator) -> np.ndarray:
    """(J,) in [0, 1): turns that are alike in all ``kinds`` are evenly apart, in the order of ``draw``, from a random
    place on."""
    by = np.lexsort((draw, *kinds))
    changed = np.any([kind[by][1:] != kind[by][:-1] for kind in kinds], axis=0)
    start = np.flatnonzero(np.r_[True, changed])
    size = np.diff(np.r_[start, len(by)])
    rank = np.arange(len(by)) - np.repeat(start, size)
    even = np.empty(len(by))
    even[by] = (rank + np.repeat(rng.random(len(start)), size)) / np.repeat(size, size)
    return even


def _by_wish(turns: Turns, wish: np.ndarray, num_slots: int) -> np.ndarray | None:
    """Turns in the order of their wishes, or None when that breaks a window.

    The t-th turn in this order has a wish near t, but not exactly t. Wishes are therefore moved away from the window's
    edges by as much as order and time differ, which for long windows (light items) is next to nothing.
    """
    by = np.argsort(wish, kind="stable")
    for _ in range(2):
        drift = np.abs(np.arange(1, num_slots + 1) - wish[by[:num_slots]]).max() + 1
        middle = (turns.first + turns.last) / 2
        reach = np.maximum(0.0, (turns.last - turns.first) / 2 - drift)
        by = np.argsort(np.clip(wish, middle - reach, middle + reach), kind="stable")
        if _kept(turns, by, num_slots):
            return by[:num_slots]
    return None


def _kept(turns: Turns, by: np.ndarray, num_slots: int) -> bool:
    taken, left = by[:num_slots], by[num_slots:]
    slot = np.arange(1, num_slots + 1)
    inside = (turns.first[taken] <= slot) & (slot <= turns.last[taken])
    return bool(inside.all() and (turns.last[left] > num_slots).all())


def _by_deadline(turns: Turns, deadline: np.ndarray, wish: np.ndarray, num_slots: int) -> np.ndarray | None:
    """In each slot the turn with the earliest deadline of those whose window has opened; None if a window is broken."""
    by_deadline = np.lexsort((wish, deadline))
    rank = np.empty(len(by_deadline), dtype=np.int64)
    rank[by_deadline] = np.arange(len(by_deadline))
    by_first = np.argsort(turns.first, kind="stable")
    ranks = rank[by_first].tolist()
    opened = np.searchsorted(turns.first[by_first], np.arange(1, num_slots + 1), side="right").tolist()
    heap: list[int] = []
    chosen = [0] * num_slots
    begin = 0
    for slot, end in enumerate(opened):
        if end > begin:
            for turn in ranks[begin:end]:
                heapq.heappush(heap, turn)
            begin = end
        if not heap:
            return None
        chosen[slot] = heapq.heappop(heap)
    taken = by_deadline[np.array(chosen, dtype=np.int64)]
    left = np.ones(len(by_deadline), dtype=bool)
    left[taken] = False
    slot_of = np.arange(1, num_slots + 1)
    kept = (slot_of <= turns.last[taken]).all() and (turns.last[left] > num_slots).all()
    return taken if kept else None
