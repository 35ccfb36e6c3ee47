"""Who is seen with whom: what the show itself says about a doubtful figure's company."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PSEUDO = 3.0
"""Shots of mere chance that are added to every count: five shots together say little, fifty say much."""

MAX_NATS = 1.5
"""The whole company of a figure changes its odds by at most 4.5 times: it tips what is doubtful, no more."""


@dataclass(frozen=True, slots=True)
class Habits:
    """Counts of shots by who was named in them."""

    together: np.ndarray
    """(C, C) shots with both; the diagonal: with the one."""
    num_shots: int
    """With somebody known."""

    @staticmethod
    def of(shots: Sequence[set[int]], num_characters: int) -> Habits:
        """shots: the characters named in each, from the first round."""
        together = np.zeros((num_characters, num_characters))
        for names in shots:
            present = sorted(names)
            together[np.ix_(present, present)] += 1
        return Habits(together, sum(bool(names) for names in shots))

    def worth(self, names: np.ndarray, slope: float) -> np.ndarray:
        """(T, C) cosine to add for each character to each track of a shot.

        names: (T,) its names from the first round, -1 unknown. The shot itself is taken out of the counts, so that no
        name confirms itself. The worth of c beside d is the pointwise mutual information ln P(c, d) / P(c) P(d) over
        shots, with PSEUDO shots of chance; several companions are averaged; `slope`: nats per unit of cosine.
        """
        present = sorted({int(c) for c in names if c >= 0})
        together = self.together.copy()
        together[np.ix_(present, present)] -= 1
        alone, shots = np.diag(together), max(1, self.num_shots - bool(present))
        chance = np.outer(alone, alone) / shots
        nats = np.log((together + PSEUDO) / (chance + PSEUDO))
        np.fill_diagonal(nats, 0.0)
        answer = np.zeros((len(names), len(together)))
        for t, own in enumerate(names):
            company = [c for c in present if c != own]
            if company:
                answer[t] = nats[company].mean(axis=0)
        return np.clip(answer, -MAX_NATS, MAX_NATS) / slope
