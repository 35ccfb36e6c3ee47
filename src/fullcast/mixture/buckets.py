"""Aspect buckets: the sizes in which training pictures come, for any area and step, matched by the ratio of ratios."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fullcast.store.errors import FullcastError

ALIKE = 0.06
"""Of two buckets whose aspects differ by less than this (as a logarithm) only the one with more pixels is kept: a cut
of 3 % on average is little; pixels left unused are paid for and lost. 0.06 keeps all sizes in steps of 64 up to 768."""


@dataclass(frozen=True, slots=True, order=True)
class Bucket:
    """A size of training pictures, in pixels; width first, as everywhere."""

    width: int
    height: int

    @property
    def aspect(self) -> float:
        return self.width / self.height

    @property
    def area_px(self) -> int:
        return self.width * self.height

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def make_buckets(area_px: int, step_px: int, max_aspect: float) -> tuple[Bucket, ...]:
    """All sizes of at most ``area_px`` pixels whose sides are multiples of ``step_px``, as large as their width allows.

    Symmetric (with w x h comes h x w), no two ALIKE in aspect, sorted from tall to wide. Long side over short side is
    at most ``max_aspect``.
    """
    if area_px < step_px * step_px:
        raise FullcastError(
            f"no bucket has an area of at most {area_px} px with sides in steps of {step_px} px; "
            f"give area_px of at least {step_px * step_px}"
        )
    found = set()
    for width in range(step_px, area_px // step_px + 1, step_px):
        height = area_px // width // step_px * step_px
        if height and max(width, height) <= max_aspect * min(width, height):
            found |= {Bucket(width, height), Bucket(height, width)}
    kept: list[Bucket] = []
    for bucket in sorted(found, key=_fullest_first):
        if all(abs(math.log(bucket.aspect / other.aspect)) >= ALIKE for other in kept):
            kept.append(bucket)
    return tuple(sorted(kept, key=lambda b: b.aspect))


def _fullest_first(bucket: Bucket) -> tuple[int, float, int]:
    return -bucket.area_px, round(abs(math.log(bucket.aspect)), 12), bucket.width


def match(aspects: np.ndarray | Sequence[float], buckets: Sequence[Bucket]) -> np.ndarray:
    """(n,) int64: for each width over height the bucket with the least |log(aspect / bucket aspect)|.

    A crop keeps exp(-|log ratio|) of the picture, so this bucket loses least; the difference of ratios, which others
    use, loses more for tall pictures. Of two that tie the one with more pixels, then the squarer.
    """
    order = sorted(range(len(buckets)), key=lambda b: _fullest_first(buckets[b]))
    logs = np.log([buckets[b].aspect for b in order])
    distance = np.abs(np.log(np.asarray(aspects, dtype=np.float64))[:, None] - logs[None, :])
    return np.array(order, dtype=np.int64)[np.argmin(np.round(distance, 12), axis=1)]


def assign_buckets(
    aspects: np.ndarray | Sequence[float], buckets: Sequence[Bucket], min_samples: int = 1
) -> tuple[Bucket, ...]:
    """The buckets that are used, once those with fewer than ``min_samples`` pictures were merged into their neighbours.

    The emptiest bucket is dissolved first, its pictures are matched anew among those left, until all are large enough
    or one is left. A picture's own bucket is then ``match`` over the answer.
    """
    left = tuple(buckets)
    while True:
        counts = np.bincount(match(aspects, left), minlength=len(left))
        used = tuple(b for b, count in zip(left, counts, strict=True) if count)
        counts = counts[counts > 0]
        if len(used) <= 1 or counts.min() >= min_samples:
            return used
        weakest = int(np.argmin(counts))
        left = used[:weakest] + used[weakest + 1 :]
