"""Detect-and-Compare (MuDI, Jang et al. 2024, arXiv 2404.04243) beside ours, for those who know its figure.

One number in which miscounting and mistaking collapse; rows are ordered greedily, and the norm grows with N, so it is
not comparable over N. MuDI compares DINOv2 or DreamSim features; here it is the judge's embedder, so the figure is not
comparable with the paper's either, only between models judged by one judge.
"""

from __future__ import annotations

import numpy as np

from fullcast.judging.rows import Row
from fullcast.recognition.identify import Gallery
from fullcast.records import Cast


def reference_scores(cast: Cast) -> np.ndarray:
    """(C, C) G: mean similarity of the references of c to c', in the very measure of the figures' scores (best form,
    nearest references). No reference is compared with itself, as no figure is: MuDI's diagonal holds those too."""
    gallery = Gallery.of(cast)
    hidden = np.eye(len(gallery.vectors), dtype=bool)
    scores = gallery.character_scores(gallery.form_scores(gallery.vectors, hidden))
    owner = gallery.character_of
    return np.stack([scores[owner == c].mean(axis=0) for c in range(len(gallery.names))])


def detect_and_compare(row: Row, cast: Cast, truth: np.ndarray) -> float:
    """1 - ||S - G||_2 (spectral norm) over the characters asked for, in [-inf, 1]; another number of figures: 0.

    S: (N, N) similarity of figures to characters, rows put in order greedily by each column's greatest value. truth: G
    of the whole cast, see `reference_scores`.
    """
    figures = [f for f in row.verdict.found if f.scores]
    columns = [cast.names.index(p.character) for p in row.scene.people]
    if len(figures) != len(columns) or len(row.verdict.found) != len(columns):
        return 0.0
    similar = np.array([[(f.cosines or f.scores)[c] for c in columns] for f in figures])
    ordered = similar[_greedy(similar)]
    return float(1 - np.linalg.norm(ordered - truth[np.ix_(columns, columns)], ord=2)) if len(columns) else 1.0


def _greedy(similar: np.ndarray) -> list[int]:
    """A row for each column: the most similar one that is left, columns from left to right."""
    free, order = list(range(len(similar))), []
    for column in similar.T:
        best = max(free, key=lambda r: column[r])
        free.remove(best)
        order.append(best)
    return order
