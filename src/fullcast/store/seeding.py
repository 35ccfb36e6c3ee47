"""Random draws keyed by (seed, purpose, item): the same recipe draws the same, in any order and in any process."""

from __future__ import annotations

import hashlib

import numpy as np


def key(seed: int, purpose: str, item: object = "") -> int:
    """A 63-bit integer that depends on all three and on nothing else (sha256; never Python's salted `hash`)."""
    digest = hashlib.sha256(f"{seed}\x1f{purpose}\x1f{item}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def rng(seed: int, purpose: str, item: object = "") -> np.random.Generator:
    """A generator of its own for one purpose and one item."""
    return np.random.Generator(np.random.PCG64(key(seed, purpose, item)))
