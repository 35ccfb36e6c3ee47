"""The orders that other trainers would give the same samples: written from what they document, to be compared with.

* i.i.d.: every batch draws its bucket and its samples by weight, with replacement;
* EveryDream1: a picture is listed int(multiply) times, the list is shuffled once, cut into buckets, what does not fill
  a batch at a bucket's end is dropped, and the buckets are walked one after the other, the same in every epoch;
* EveryDream2: int(multiply) copies, and for the fraction a walk along the list that takes a picture with the chance of
  its fraction until the epoch has floor(sum of multiplies) entries; 0 counts as 1; a bucket's last batch is filled up
  with repetitions of its own pictures; then batches are shuffled, anew in each epoch.

Every function returns (num_steps, batch_size) int64, indices of samples; a trainer that lists nothing raises.
"""

from __future__ import annotations

import numpy as np

from fullcast.store.errors import FullcastError
from fullcast.store.seeding import rng


def iid_order(weights: np.ndarray, bucket_of: np.ndarray, batch_size: int, num_steps: int, seed: int) -> np.ndarray:
    """Weighted sampling with replacement, batches of one bucket."""
    draw = rng(seed, "i.i.d. order")
    in_bucket = np.bincount(bucket_of, weights=weights)
    buckets = draw.choice(len(in_bucket), num_steps, p=in_bucket / in_bucket.sum())
    order = np.empty((num_steps, batch_size), dtype=np.int64)
    for bucket in np.unique(buckets):
        members = np.flatnonzero(bucket_of == bucket)
        rows = np.flatnonzero(buckets == bucket)
        chances = weights[members] / weights[members].sum()
        order[rows] = members[draw.choice(len(members), (len(rows), batch_size), p=chances)]
    return order


def ed1_order(multiplies: np.ndarray, bucket_of: np.ndarray, batch_size: int, num_steps: int, seed: int) -> np.ndarray:
    """EveryDream1's walk from bucket to bucket; buckets come in the order in which the shuffled list first has them."""
    copies = np.trunc(multiplies).astype(np.int64)
    listed = rng(seed, "order of EveryDream1").permutation(np.repeat(np.arange(len(copies)), copies))
    buckets = bucket_of[listed]
    found, first = np.unique(buckets, return_index=True)
    parts = [listed[buckets == bucket] for bucket in found[np.argsort(first)]]
    if len(parts) > 1:
        parts = [part[: len(part) - len(part) % batch_size] for part in parts]
    return _repeated(np.concatenate(parts) if parts else listed, batch_size, num_steps, "EveryDream1")


def ed2_order(multiplies: np.ndarray, bucket_of: np.ndarray, batch_size: int, num_steps: int, seed: int) -> np.ndarray:
    """EveryDream2's epochs, one after the other."""
    multiplies = np.where(multiplies == 0, 1.0, multiplies)
    batches: list[np.ndarray] = []
    done = epoch = 0
    while done < num_steps:
        draw = rng(seed, "order of EveryDream2", epoch)
        listed = draw.permutation(ed2_epoch(multiplies, draw))
        rows = np.concatenate(
            [_filled_up(listed[bucket_of[listed] == bucket], batch_size, draw) for bucket in np.unique(bucket_of)]
        )
        if not len(rows):
            raise FullcastError("EveryDream2 would list nothing: the multiplies add up to less than 1")
        batches.append(draw.permutation(rows))
        done += len(rows)
        epoch += 1
    return np.concatenate(batches)[:num_steps]


def ed2_epoch(multiplies: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """The entries of one epoch of EveryDream2, indices of pictures, before shuffling.

    The walk along the list stops as soon as the epoch is full, and begins anew at its head when it is not: so pictures
    early in the list come more often than their fraction, late ones less, in every epoch alike.
    """
    whole = np.floor(multiplies).astype(np.int64)
    fraction = multiplies - whole
    missing = int(np.floor(multiplies.sum() + 1e-9)) - int(whole.sum())
    extra: list[np.ndarray] = []
    waiting = np.flatnonzero(fraction > 0)
    while missing > 0 and len(waiting):
        taken = draw.random(len(waiting)) < fraction[waiting]
        taken &= np.cumsum(taken) <= missing
        extra.append(waiting[taken])
        missing -= int(taken.sum())
        waiting = waiting[~taken]
    return np.concatenate([np.repeat(np.arange(len(multiplies)), whole), *extra])


def _filled_up(listed: np.ndarray, batch_size: int, draw: np.random.Generator) -> np.ndarray:
    """(rows, batch_size): the last row is filled with repetitions of its own pictures."""
    runt = len(listed) % batch_size
    if runt:
        own = listed[len(listed) - runt :]
        listed = np.concatenate([listed, draw.choice(own, batch_size - runt)])
    return listed.reshape(-1, batch_size)


def _repeated(epoch: np.ndarray, batch_size: int, num_steps: int, who: str) -> np.ndarray:
    epoch = epoch[: len(epoch) - len(epoch) % batch_size]
    if not len(epoch):
        raise FullcastError(f"{who} would list nothing: every multiply is below 1, or no bucket fills a batch")
    return np.resize(epoch, num_steps * batch_size).reshape(num_steps, batch_size)
