"""The seed pipeline's weights: a headerless CSV of ``pattern,weight`` over a tree of folders.

Its rules, kept: the weight of a folder is the row whose key is the folder's own name, else the first row whose pattern
matches (`fnmatch`, ``*`` crosses ``/``) the folder's whole path, else 1. A folder splits its share among its subfolders
by weight, and if it holds pictures itself it is one of its own children, with its own weight. Inside a folder all
pictures are alike. Where the seed crashed (a blank line, a comment, a third column) there is a sentence instead.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import numpy as np

from fullcast.mixture.shares import NOBODY, Leaf, Resolved, field_values
from fullcast.records import UNKNOWN, Sample
from fullcast.store.errors import FullcastError

HERE = "(its own pictures)"
"""Last part of a leaf's path for pictures that lie beside subfolders."""

MAX_NAME = 100
"""Longer combinations of names are ``character_others`` (HEAD of the seed pipeline)."""


@dataclass(frozen=True)
class Rules:
    """The rows of a file, in order, and what is odd about them."""

    rows: tuple[tuple[str, float], ...]
    notes: tuple[str, ...] = ()

    def weight(self, folder: str) -> float:
        """Of a folder, given by its whole path, "data/screenshots/1_character"."""
        name = PurePosixPath(folder).name
        for pattern, weight in self.rows:
            if pattern == name:
                return weight
        return next((weight for pattern, weight in self.rows if fnmatchcase(folder, pattern)), 1.0)


def read_rules(path: Path) -> Rules:
    """The file's rows. Raises `FullcastError` that names the line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FullcastError(
            f"the weights {path} cannot be read ({error}); give a UTF-8 file of pattern,weight"
        ) from None
    return parse_rules(text, path.name)


def parse_rules(text: str, name: str = "weights.csv") -> Rules:
    """Of a CSV's text; a key that is given twice counts with its last weight, as in the seed's table."""
    rows: dict[str, float] = {}
    notes = []
    for number, row in enumerate(_rows(text, name), 1):
        where = f"{name}, line {number}"
        if len(row) != 2:
            what = "is empty" if not row else "is a comment" if row[0].startswith("#") else f"has {len(row)} columns"
            raise FullcastError(f"{where} {what}; each line must be pattern,weight, without a header")
        pattern, written = row
        try:
            weight = float(written)
        except ValueError:
            raise FullcastError(
                f"{where}: the weight of {pattern!r} is {written!r}; it must be a number, and the table has no header"
            ) from None
        if not (math.isfinite(weight) and weight >= 0):
            raise FullcastError(f"{where}: the weight of {pattern!r} is {written}; it must be 0 or more")
        if pattern != pattern.strip():
            notes.append(f"{where}: the pattern {pattern!r} begins or ends with a space and can hardly match")
        if pattern in rows:
            notes.append(f"{where}: {pattern!r} was given before, as {rows[pattern]:g}; {weight:g} counts")
        rows[pattern] = weight
    if not rows:
        raise FullcastError(f"{name} is empty; each line must be pattern,weight")
    return Rules(tuple(rows.items()), tuple(notes))


def _rows(text: str, name: str) -> list[list[str]]:
    try:
        return list(csv.reader(text.splitlines()))
    except csv.Error as error:
        raise FullcastError(f"{name} is no CSV ({error}); each line must be pattern,weight") from None


def folder_shares(counts: Mapping[str, int], rules: Rules, root: str = "") -> dict[str, float]:
    """Share of each folder that holds pictures, sum 1. counts: pictures of each folder, paths below ``root``.

    root: how the tree was named on the command line: patterns are matched against ``root/folder``. A branch whose
    weights are all 0 gives its share to its siblings.
    """
    tree: dict[str, dict[str, None]] = {"": {}}
    for folder in sorted(folder for folder, count in counts.items() if count):
        parts = PurePosixPath(folder).parts
        for depth, part in enumerate(parts):
            parent = "/".join(parts[:depth])
            tree.setdefault(parent, {})["/".join((*parts[:depth], part))] = None
            tree.setdefault("/".join(parts[: depth + 1]), {})
    shares: dict[str, float] = {}

    def weight(node: str) -> float:
        return rules.weight(f"{root}/{node}".strip("/") if node else root or ".")

    def alive(node: str) -> bool:
        if counts.get(node) and (not tree[node] or weight(node) > 0):
            return True
        return any(weight(child) > 0 and alive(child) for child in tree[node])

    def walk(node: str, share: float) -> None:
        if not tree[node]:
            shares[node] = share
            return
        parts = [(child, weight(child)) for child in tree[node] if alive(child)]
        own = weight(node) if counts.get(node) else 0.0
        total = own + sum(w for _, w in parts)
        if own:
            shares[node] = share * own / total
        for child, w in parts:
            if w:
                walk(child, share * w / total)

    if not alive(""):
        raise FullcastError("the weights give no folder any share: every weight on the way to the pictures is 0")
    walk("", 1.0)
    return shares


def multiplies(
    counts: Mapping[str, int], shares: Mapping[str, float], min_multiply: float = 1, max_multiply: float = 100
) -> dict[str, float]:
    """What the seed writes into each folder's multiply.txt: min(round(m, 2), max), m = min_multiply q / least q.

    q is a picture's share. The cap is applied last and nothing is renormalised: that is the seed's rule, kept here to
    read and to compare; our own is `mixture.caps`.
    """
    q = {folder: share / counts[folder] for folder, share in shares.items() if share > 0}
    least = min(q.values())
    return {folder: min(round(min_multiply * value / least, 2), max_multiply) for folder, value in q.items()}


def folders_of(samples: Sequence[Sample], levels: Sequence[str], min_combination: int) -> list[str]:
    """The folder in which the seed's pipeline would lay each sample.

    levels: of ``source``, ``n_characters``, ``n_people``, ``character``, ``face_height_ratio`` and ``folder`` (where
    the picture lies, below the first folder of its path). Combinations of characters with fewer pictures than
    ``min_combination`` are ``character_others``.
    """
    number: dict[str, set[str]] = {}
    for sample in samples:
        number.setdefault(_combination(sample), set()).add(sample.image_id)
    rare = {name for name, images in number.items() if len(images) < min_combination}
    return ["/".join(filter(None, (_level(sample, level, rare) for level in levels))) for sample in samples]


def _combination(sample: Sample) -> str:
    """The seed's classes are words: a form follows its character after a space, "Hinata Hairdown"."""
    names = [name.replace("/", " ") for name in field_values(sample, "name") if name not in (UNKNOWN, NOBODY)]
    return "+".join(sorted(names)).replace(".", "")


def _level(sample: Sample, level: str, rare: set[str]) -> str:
    if level == "source":
        return sample.source
    if level == "folder":
        return "/".join(PurePosixPath(sample.path).parent.parts[1:])
    if sample.source == "regularization":
        return ""  # the seed arranges only the show's pictures
    if level == "n_people":
        return f"{sample.num_people}_people"
    if level == "face_height_ratio":
        low = min(3, int(4 * sample.head_height)) * 25
        return f"face_height_ratio_{low}-{low + 25}"
    names = [n for n in field_values(sample, "character") if n not in (UNKNOWN, NOBODY)]
    if level == "n_characters":
        return "6+_characters" if len(names) > 5 else f"{len(names)}_character{'s' if len(names) != 1 else ''}"
    combination = _combination(sample)
    return "character_others" if not names or combination in rare or len(combination) >= MAX_NAME else combination


def resolve_csv(
    samples: Sequence[Sample], rules: Rules, levels: Sequence[str], min_combination: int = 10, root: str = ""
) -> Resolved:
    """One weight per sample from the seed's table: inside a folder every picture counts once, however many crops."""
    if not samples:
        raise FullcastError("there are no samples to weigh; prepare some pictures first")
    folders = folders_of(samples, levels, min_combination)
    inside: dict[str, list[int]] = {}
    for index, folder in enumerate(folders):
        inside.setdefault(folder, []).append(index)
    counts = {folder: len({samples[i].image_id for i in items}) for folder, items in inside.items()}
    shares = folder_shares(counts, rules, root)
    weights, leaves, notes = np.zeros(len(samples)), [], list(rules.notes)
    parents = {"/".join(PurePosixPath(f).parts[:d]) for f in inside for d in range(len(PurePosixPath(f).parts))}
    for folder in sorted(inside):
        items = np.array(inside[folder], dtype=np.int64)
        share = shares.get(folder, 0.0)
        if share == 0:
            notes.append(f"{folder}: {counts[folder]} pictures are never seen, their weight is 0")
            continue
        crops = np.unique([samples[i].image_id for i in items], return_inverse=True)[1]
        mass = share / counts[folder] / np.bincount(crops)[crops]
        path = (*PurePosixPath(folder).parts, *((HERE,) if folder in parents else ())) or (HERE,)
        leaves.append(Leaf(path, share, share, items, mass))
        weights[items] += mass
    unused = [pattern for pattern, _ in rules.rows if not _matches(pattern, inside, root)]
    if unused:
        notes.append(f"no folder matches {len(unused)} rows of the weights: {', '.join(unused[:12])}")
    return Resolved(weights / weights.sum(), tuple(leaves), tuple(notes))


def _matches(pattern: str, folders: Mapping[str, object], root: str) -> bool:
    paths = {"/".join(PurePosixPath(f).parts[:d]) for f in folders for d in range(1, len(PurePosixPath(f).parts) + 1)}
    return any(pattern == PurePosixPath(p).name or fnmatchcase(f"{root}/{p}".strip("/"), pattern) for p in paths)
