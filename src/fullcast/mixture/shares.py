"""The tree of target shares, resolved to one weight per sample.

Each node of the tree splits its share among branches; a leaf gives its share to its pictures alike. A picture with
several characters stands in the branch of each of them: a split by `character`, `form`, `name`, `cell` or `tag` is a
mixture of as many distributions, and the picture's weight is the sum of what it gets from each. So "every character
alike" means that a random visit, asked for whom it was made, names every character equally often.

Below a branch of `character`, `form` or `name` only the people of that branch count: the forms under Aoi are Aoi's, not
those of whoever stands beside her.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fullcast.mixture.config import NUMBER_FIELDS, Shares, bounds
from fullcast.records import UNKNOWN, Person, Sample
from fullcast.store.errors import FullcastError

NOBODY = "nobody"
"""Branch of pictures without people in a split by who is there."""

PLAIN = "plain"
"""Branch of the look without a name in a split by form."""

UNRATED = "unrated"
"""Branch of pictures that nobody rated, in a split by rating or by quality."""

NARROWING = ("character", "form", "name")
"""Fields below whose branches only the people of the branch count."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """An end of the tree: what it was to have and whom it goes to."""

    path: tuple[str, ...]
    """("source=screenshots", "num_people=2", "character=aoi")."""
    asked: float
    """Share in [0, 1] that the tree gives it, were no branch empty."""
    share: float
    """Share in [0, 1] once the shares of empty branches went to their siblings; 0 for an empty branch."""
    items: np.ndarray
    """(m,) int64: indices into the samples."""
    mass: np.ndarray
    """(m,) float64: the share of the whole that each of them has from this leaf; sums to ``share``."""


@dataclass(frozen=True)
class Resolved:
    """One weight per sample, and where it comes from."""

    weights: np.ndarray
    """(n,) float64, sum 1: the target."""
    leaves: tuple[Leaf, ...]
    notes: tuple[str, ...]
    """What did not go as the tree says, one sentence each."""

    @property
    def strata(self) -> np.ndarray:
        """(n,) int64: the leaf from which each sample has most of its weight; -1 for weight zero."""
        best, of = np.zeros(len(self.weights)), np.full(len(self.weights), -1, dtype=np.int64)
        for number, leaf in enumerate(self.leaves):
            more = leaf.mass > best[leaf.items]
            of[leaf.items[more]], best[leaf.items[more]] = number, leaf.mass[more]
        return of

    def branch_shares(self, amounts: np.ndarray | None = None) -> dict[tuple[str, ...], float]:
        """Share of every branch of the tree, inner ones too, by path.

        amounts: (n,) visits, or weights, of any sum: a visit counts for the branches in the proportion in which the
        sample has its weight from them. None: the target itself.
        """
        amounts = self.weights if amounts is None else np.asarray(amounts, dtype=np.float64)
        rate = np.divide(amounts, self.weights, out=np.zeros(len(self.weights)), where=self.weights > 0)
        total = amounts.sum() or 1.0
        shares: dict[tuple[str, ...], float] = {}
        for leaf in self.leaves:
            share = float((leaf.mass * rate[leaf.items]).sum() / total)
            for depth in range(1, len(leaf.path) + 1):
                shares[leaf.path[:depth]] = shares.get(leaf.path[:depth], 0.0) + share
        return shares

    def asked_shares(self) -> dict[tuple[str, ...], float]:
        """The same for what the tree asked, empty branches included."""
        shares: dict[tuple[str, ...], float] = {}
        for leaf in self.leaves:
            for depth in range(1, len(leaf.path) + 1):
                shares[leaf.path[:depth]] = shares.get(leaf.path[:depth], 0.0) + leaf.asked
        return shares


def resolve(samples: Sequence[Sample], shares: Shares, uniform_over: str = "originals") -> Resolved:
    """One weight per sample from the tree. An empty branch's share goes to its siblings, and a note says so.

    Raises `FullcastError` when no sample gets any weight.
    """
    if not samples:
        raise FullcastError("there are no samples to weigh; prepare some pictures first")
    leaves: list[Leaf] = []
    notes: list[str] = []
    tree = _grow(samples, shares, np.arange(len(samples)))
    if not tree.alive:
        found = sorted({value for sample in samples for value in field_values(sample, shares.by)})
        raise FullcastError(
            f"the mixture gives no sample any weight: it splits by {shares.by} with shares {shares.share}, "
            f"and the samples have: {', '.join(found[:12])}"
        )
    _hand_out(samples, tree, (), 1.0, 1.0, uniform_over, leaves, notes)
    weights = np.zeros(len(samples))
    for leaf in leaves:
        np.add.at(weights, leaf.items, leaf.mass)
    weights /= weights.sum()
    return Resolved(weights, tuple(leaves), tuple(notes))


def effective_sample_size(weights: np.ndarray) -> float:
    """Kish's (sum w)^2 / sum w^2: how many equally weighted samples would vary as little."""
    return float(weights.sum() ** 2 / (weights**2).sum())


Whom = tuple[tuple[str, str], ...]
"""Which people count: ("character", "aoi"), ("form", "hairdown") ..., from the branches above; empty: all."""


def field_values(sample: Sample, by: str, whom: Whom = ()) -> tuple[str, ...]:
    """The branches of a field in which a sample stands: one for plain fields, several for those about people.

    whom: only people of these branches count in fields about people.
    """
    if by in PICTURE_FIELDS:
        return tuple(dict.fromkeys(PICTURE_FIELDS[by](sample)))
    people = [p for p in sample.people if all(_called(p, field) == value for field, value in whom)]
    if by == "cell":
        values = ["{},{}".format(*p.cell(sample.width, sample.height)) for p in people] or [NOBODY]
    else:
        # ``unknown`` only where nobody is known, ``nobody`` where nobody is.
        known = [_called(p, by) for p in people if _called(p, "character") != UNKNOWN]
        values = known or ([UNKNOWN] if people else [NOBODY])
    return tuple(dict.fromkeys(values))


def _called(person: Person, by: str) -> str:
    """A person's branch of a field about people."""
    if person.character in ("", UNKNOWN):
        return UNKNOWN
    return {"character": person.character, "form": person.form or PLAIN, "name": person.name}[by]


def _cast(sample: Sample) -> str:
    return "+".join(sorted(field_values(sample, "character")))


PICTURE_FIELDS: dict[str, Callable[[Sample], Sequence[str]]] = {
    "source": lambda s: (s.source,),
    "kind": lambda s: (s.kind,),
    "rating": lambda s: (s.rating or UNRATED,),
    "quality": lambda s: (s.quality or UNRATED,),
    "shot_id": lambda s: (s.shot_id,),
    "image_id": lambda s: (s.image_id,),
    "num_people": lambda s: (str(s.num_people),),
    "head_height": lambda s: (repr(s.head_height),),
    "cast": lambda s: (_cast(s),),
    "tag": lambda s: s.tags or ("untagged",),
}
"""Fields of the whole picture; the others are about its people."""


@dataclass(frozen=True)
class _Node:
    """A node with its samples; ``branches`` holds (name, share, node), a leaf has none."""

    items: np.ndarray
    by: str = ""
    branches: tuple[tuple[str, float, _Node], ...] = ()
    leaf: bool = False

    @property
    def alive(self) -> bool:
        return len(self.items) > 0 if self.leaf else any(share > 0 and node.alive for _, share, node in self.branches)


def _grow(samples: Sequence[Sample], shares: Shares | None, items: np.ndarray, whom: Whom = ()) -> _Node:
    if shares is None:
        return _Node(items, leaf=True)
    groups: dict[str, list[int]] = {branch: [] for branch in shares.share}
    groups |= {branch: [] for branch in shares.children if branch != "*" and branch not in groups}
    name = _branch_namer(shares, tuple(groups))
    for item in items:
        for branch in dict.fromkeys(name(value) for value in field_values(samples[item], shares.by, whom)):
            groups.setdefault(branch, []).append(int(item))
    for branch in (branch for branch, share in shares.share.items() if share == 0 and groups[branch]):
        never = set(groups[branch])  # whoever else is in them
        groups = {b: items if b == branch else [i for i in items if i not in never] for b, items in groups.items()}
    listed = [*groups][: len({*shares.share, *shares.children} - {"*"})]
    names = listed + sorted(set(groups) - set(listed))
    branches = [
        (
            f"{shares.by}={branch}",
            shares.share.get(branch, shares.otherwise),
            _grow(
                samples,
                shares.children.get(branch, shares.children.get("*")),
                np.array(groups[branch], dtype=np.int64),
                (*whom, (shares.by, branch)) if shares.by in NARROWING and branch != NOBODY else whom,
            ),
        )
        for branch in names
    ]
    return _Node(items, shares.by, tuple(branches))


def _branch_namer(shares: Shares, listed: tuple[str, ...]) -> Callable[[str], str]:
    """From a sample's value to its branch: itself, or the listed range that holds it."""
    if shares.by not in NUMBER_FIELDS:
        return lambda value: value
    spans = [(*bounds(shares.by, branch), branch) for branch in listed]
    whole = NUMBER_FIELDS[shares.by] is int

    def name(value: str) -> str:
        for low, high, branch in spans:
            if low <= float(value) < high:
                return branch
        return value if whole else "other"

    return name


def _hand_out(
    samples: Sequence[Sample],
    node: _Node,
    path: tuple[str, ...],
    asked: float,
    share: float,
    uniform_over: str,
    leaves: list[Leaf],
    notes: list[str],
) -> None:
    """Walks the tree with what was asked for the node and what it gets, and fills leaves and notes."""
    if node.leaf:
        mass = uniform(samples, node.items, uniform_over) * share
        leaves.append(Leaf(path or ("all",), asked, share if len(node.items) else 0.0, node.items, mass))
        return
    total = sum(s for _, s, _ in node.branches)
    living = sum(s for _, s, child in node.branches if child.alive)
    shown = {int(i) for _, s, child in node.branches if s > 0 for i in child.items}
    for name, branch_share, child in node.branches:
        if branch_share == 0:
            if never := sum(int(i) not in shown for i in child.items):
                notes.append(f"{' / '.join((*path, name))}: {never} samples are never seen, their share is 0")
            continue
        if not child.alive:
            leaves.append(Leaf((*path, name), asked * branch_share / total, 0.0, child.items[:0], np.zeros(0)))
            to = "its siblings have it" if living else "its parent's siblings have it"
            if share > 0:
                lost = asked * branch_share / total
                notes.append(f"{' / '.join((*path, name))}: no sample for its share of {lost:.2%}; {to}")
            continue
        part = share * branch_share / living
        _hand_out(samples, child, (*path, name), asked * branch_share / total, part, uniform_over, leaves, notes)


def uniform(samples: Sequence[Sample], items: np.ndarray, over: str) -> np.ndarray:
    """(m,) sum 1: alike for every sample, or for every original picture and then for the samples made of it."""
    if not len(items):
        return np.zeros(0)
    if over == "samples":
        return np.full(len(items), 1 / len(items))
    number: dict[str, int] = {}
    original = np.array([number.setdefault(samples[i].image_id, len(number)) for i in items])
    return 1 / (len(number) * np.bincount(original)[original])
