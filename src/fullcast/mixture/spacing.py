"""Frames of one shot out of one batch: a second wish, granted where no window is broken, counted elsewhere."""

from __future__ import annotations

import numpy as np

from fullcast.mixture.chairman import Order

TRIES = 48
"""Slots after (then before) a conflict that are tried for a swap. With 10 % of a bucket in one shot and batches of 8,
48 slots hold 6 batches, of which 2.6 are free of that shot on average."""


def spread(order: Order, kinds: np.ndarray, batch_size: int) -> tuple[np.ndarray, int]:
    """Swaps turns so that no two of one kind stand in one batch, as far as their windows allow.

    kinds: (n,) int, the shot of each item. Returns (taken, given_way): the new ``Order.taken`` and the number of slots
    that still repeat a kind of their batch. Every turn stays inside its window, so the bound holds as before.
    """
    taken = order.taken.copy()
    if batch_size == 1 or len(taken) < 2 * batch_size:
        return taken, _repeats(kinds[order.turns.item[taken]], batch_size)[0]
    kind = kinds[order.turns.item[taken]]
    _, conflicts = _repeats(kind, batch_size)
    if not len(conflicts):
        return taken, 0
    # A kind that fills more than every batch's slot cannot be spread; trying costs time and gains nothing.
    crowded = np.bincount(kind) > 0.5 * len(kind)
    moved = _Swapper(taken, kind, order.turns.first[taken], order.turns.last[taken], batch_size)
    for slot in conflicts.tolist():
        if not crowded[moved.kind[slot]] and moved.repeats(slot):
            moved.resolve(slot)
    taken = taken[np.array(moved.place, dtype=np.int64)]
    return taken, _repeats(kinds[order.turns.item[taken]], batch_size)[0]


def _repeats(kind: np.ndarray, batch_size: int) -> tuple[int, np.ndarray]:
    """How many slots repeat a kind that stands earlier in their batch, and which."""
    rows = len(kind) // batch_size
    table = kind[: rows * batch_size].reshape(rows, batch_size)
    by = np.argsort(table, axis=1, kind="stable")
    ordered = np.take_along_axis(table, by, axis=1)
    row, column = np.nonzero(ordered[:, 1:] == ordered[:, :-1])
    slots = np.sort(row * batch_size + by[row, column + 1])
    return len(slots), slots


class _Swapper:
    """Plain lists, because single reads from them are ten times faster than from arrays."""

    def __init__(
        self, taken: np.ndarray, kind: np.ndarray, first: np.ndarray, last: np.ndarray, batch_size: int
    ) -> None:
        self.kind = kind.tolist()
        self.first = first.tolist()
        self.last = last.tolist()
        self.place = list(range(len(taken)))
        self.batch_size = batch_size

    def repeats(self, slot: int) -> bool:
        begin = slot - slot % self.batch_size
        return self.kind[begin : begin + self.batch_size].count(self.kind[slot]) > 1

    def resolve(self, slot: int) -> bool:
        row = slot - slot % self.batch_size
        after = range(row + self.batch_size, min(row + self.batch_size + TRIES, len(self.kind)))
        before = range(row - 1, max(row - 1 - TRIES, -1), -1)
        for candidates in (after, before):
            for other in candidates:
                if self._may_swap(slot, other):
                    self._swap(slot, other)
                    return True
        return False

    def _may_swap(self, one: int, other: int) -> bool:
        if not (self.first[one] <= other + 1 <= self.last[one] and self.first[other] <= one + 1 <= self.last[other]):
            return False
        size = self.batch_size
        row, row_other = one - one % size, other - other % size
        return (
            self.kind[other] not in self.kind[row : row + size]
            and self.kind[one] not in self.kind[row_other : row_other + size]
        )

    def _swap(self, one: int, other: int) -> None:
        for values in (self.kind, self.first, self.last, self.place):
            values[one], values[other] = values[other], values[one]
