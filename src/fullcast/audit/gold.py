"""A gold sample: pictures drawn by stratum, labelled by a person, and what they say of the whole show.

``gold/sample.json`` says what was drawn and how large the strata were, ``gold/sheet.html`` is where to label, and
``gold/labels.csv`` holds the answers. Labels name a picture by its hash and people by their boxes, so that the same
gold measures every later run of other networks.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from fullcast.audit.estimate import Cluster, allocate, stratified_share
from fullcast.audit.measures import Measure, Pair, match_people
from fullcast.audit.truth import TruePerson, Truth, in_image, match_images
from fullcast.journey.doubting import doubt_of
from fullcast.journey.preparing import Prepared
from fullcast.records import UNKNOWN, Box, Image, Person
from fullcast.store.atomic import write_json, write_text
from fullcast.store.errors import FullcastError
from fullcast.store.seeding import rng

SAMPLE, LABELS, SHEET = "sample.json", "labels.csv", "sheet.html"
COLUMNS = ("picture", "box", "found", "name")
_NUMBER = r"-?\d+(?:\.\d*)?(?:e[+-]?\d+)?"
NOBODY = "nobody"
"""The answer for a box in which there is nobody."""

DOUBTFUL = 0.1
SMALL_HEAD, LARGE_HEAD = 0.08, 0.2
"""Smallest head of a picture over its height: below, about 60 px of 720p; above, a close-up."""

AXES = ("character", "confidence", "size", "people")
"""What strata are made of, most important first; the last ones go when there are too many strata for the sample."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One sampled picture."""

    picture: str
    stratum: str


@dataclass(frozen=True, slots=True)
class GoldSample:
    seed: int
    axes: tuple[str, ...]
    sizes: Mapping[str, int]
    """Pictures of the show in each stratum, when it was drawn."""
    pictures: tuple[Drawn, ...]
    frame: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Which those are, by stratum: what the sample can speak for. Empty in samples of before they were written down."""

    def write(self, folder: Path) -> None:
        write_json(folder / SAMPLE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> GoldSample:
        try:
            data = json.loads((folder / SAMPLE).read_text(encoding="utf-8"))
            pictures = tuple(Drawn(**row) for row in data["pictures"])
            frame = {name: tuple(ids) for name, ids in data.get("frame", {}).items()}
            return cls(data["seed"], tuple(data["axes"]), dict(data["sizes"]), pictures, frame)
        except FileNotFoundError:
            raise FullcastError(f"{folder} holds no gold sample; draw one with: fullcast audit sample") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FullcastError(f"{folder / SAMPLE} is damaged ({error}); draw the sample again") from None


def draw(ready: Prepared, pictures: int, seed: int, threshold: float) -> GoldSample:
    """A seeded draw of that many of the pictures in use; the finest strata that give two pictures to each."""
    images = [image for image in ready.images if not image.dropped]
    by_image: dict[str, list[Person]] = defaultdict(list)
    for person in ready.people:
        by_image[person.image_id].append(person)
    often = Counter(p.name for image in images for p in by_image[image.id])
    facts = {i.id: _facts(i, by_image[i.id], often, lambda p: doubt_of(p, ready.cast, threshold)[0]) for i in images}
    for depth in range(len(AXES), -1, -1):
        axes = AXES[:depth]
        groups: dict[str, list[str]] = defaultdict(list)
        for image in images:
            groups[", ".join(facts[image.id][axis] for axis in axes) or "all"].append(image.id)
        if 2 * len(groups) <= pictures or not depth:
            break
    sizes = {name: len(group) for name, group in sorted(groups.items())}
    drawn = []
    for name, count in allocate(sizes, pictures).items():
        order = rng(seed, "gold", name).permutation(len(groups[name]))[:count]
        drawn += [Drawn(groups[name][k], name) for k in sorted(order)]
    return GoldSample(seed, axes, sizes, tuple(drawn), {name: tuple(groups[name]) for name in sizes})


def _facts(
    image: Image, people: Sequence[Person], often: Mapping[str, int], doubt: Callable[[Person], float]
) -> dict[str, str]:
    """The stratum of a picture along each axis; a picture of several belongs to its rarest character."""
    heads = [p.head_xyxy[3] - p.head_xyxy[1] for p in people if p.head_xyxy]
    size = min(heads, default=0.0) / image.height
    named = [p.name for p in people if p.character not in ("", UNKNOWN)]
    return {
        "character": min(named, key=lambda n: (often[n], n)) if named else UNKNOWN if people else NOBODY,
        "confidence": "doubtful" if any(doubt(p) >= DOUBTFUL for p in people) else "sure",
        "size": "no head"
        if not heads
        else "small"
        if size < SMALL_HEAD
        else "large"
        if size > LARGE_HEAD
        else "middle",
        "people": f"{min(3, len(people))}{'+' if len(people) >= 3 else ''} people",
    }


# ---------------------------------------------------------------------------------------------------- the labels


@dataclass(frozen=True, slots=True)
class Row:
    """One line of labels.csv: a found figure, one that was missed, or that a picture is done."""

    picture: str
    box: Box | None
    found: str
    """yes: a box of ours; no: the person labelling drew it; done: the picture is looked through."""
    name: str = ""


def blank_rows(sample: GoldSample, ready: Prepared) -> list[Row]:
    """Everything to fill in, with no name given away: who sees our answer tends to agree with it."""
    rows = []
    for drawn in sample.pictures:
        people = sorted((p for p in ready.people if p.image_id == drawn.picture), key=lambda p: p.place_xy)
        rows += [Row(drawn.picture, p.xyxy, "yes") for p in people]
        rows.append(Row(drawn.picture, None, "done"))
    return rows


def rows_from_truth(sample: GoldSample, ready: Prepared, truth: Truth, videos: Mapping[str, str]) -> list[Row]:
    """The same filled in from a truth table, as a person who makes no mistake would; other pictures stay blank."""
    images = {image.id: image for image in ready.images}
    frames = match_images((images[d.picture] for d in sample.pictures), truth, videos)
    rows = []
    for row in blank_rows(sample, ready):
        frame = frames.get(row.picture)
        if frame is None or row.found == "yes":
            if frame is None:
                rows.append(row)
            continue
        image = images[row.picture]
        found = [p for p in ready.people if p.image_id == image.id]
        pairs = {pair.found.id: pair.true for pair in match_people(image, found, frame.people)}
        rows += [Row(image.id, p.xyxy, "yes", pairs[p.id].name if p.id in pairs else NOBODY) for p in found]
        seen = set(map(id, pairs.values()))
        rows += [Row(image.id, in_image(t.xyxy, image), "no", t.name) for t in frame.people if id(t) not in seen]
        rows.append(Row(image.id, None, "done", "yes"))
    return rows


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow((row.picture, "-".join(f"{v:g}" for v in row.box) if row.box else "", row.found, row.name))
    write_text(path, text.getvalue())


def read_rows(path: Path, names: Sequence[str]) -> list[Row]:
    """The answers; ``names``: looks of the cast. Raises FullcastError naming the line that is wrong."""
    try:
        lines = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except FileNotFoundError:
        raise FullcastError(f"there is no {path}; draw a sample with: fullcast audit sample") from None
    rows = []
    for number, line in enumerate(lines, 2):
        if set(COLUMNS) - set(line):
            raise FullcastError(f"{path} wants the columns {', '.join(COLUMNS)}; it has {', '.join(map(str, line))}")
        name = (line["name"] or "").strip()
        if line["found"] != "done" and name and name not in (*names, UNKNOWN, NOBODY):
            known = ", ".join((*names, UNKNOWN, NOBODY))
            raise FullcastError(f"{path}, line {number}: nobody is called {name!r}; the answers are: {known}")
        try:
            box = _box(line["box"]) if line["box"] else None
        except ValueError:
            raise FullcastError(f"{path}, line {number}: {line['box']!r} is no box; x0-y0-x1-y1 is wanted") from None
        rows.append(Row(line["picture"], box, line["found"], name))
    return rows


def _box(text: str) -> Box:
    """Of four numbers with - between them, each of which may have a sign of its own."""
    found = re.fullmatch("-".join([rf"\s*({_NUMBER})\s*"] * 4), text)
    if not found:
        raise ValueError(text)
    x0, y0, x1, y1 = (float(v) for v in found.groups())
    return x0, y0, x1, y1


def true_people(rows: Sequence[Row]) -> dict[str, tuple[TruePerson, ...]]:
    """Picture -> everybody in it, of the pictures that are done: every box answered and the last word given."""
    by_picture: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_picture[row.picture].append(row)
    answer = {}
    for picture, group in by_picture.items():
        figures = [row for row in group if row.found != "done"]
        done = any(row.found == "done" and row.name.lower() in ("yes", "y", "1", "x") for row in group)
        if done and all(row.name for row in figures):
            answer[picture] = tuple(_person(row) for row in figures if row.name != NOBODY)
    return answer


def _person(row: Row) -> TruePerson:
    """Somebody missed whose box nobody drew is in no place: counted, and found by nothing."""
    character, _, form = row.name.partition("/")
    box = row.box or (0.0, 0.0, 0.0, 0.0)
    return TruePerson(character, form, box, box)


# ------------------------------------------------------------------------------------------------- what they say


def measure_gold(
    sample: GoldSample, labels: Mapping[str, Sequence[TruePerson]], ready: Prepared
) -> tuple[list[Measure], list[Pair], dict[str, float], list[str]]:
    """Rows of the audit's table, the matched pairs, each picture's weight, and notes. Estimates are of the pictures in
    use that were in use when the sample was drawn.

    Strata of which no picture is labelled are left out, and a note says how much of the show they are; another says how
    much of it came since. Pictures that are dropped since are no part of the show, and of no figure.
    """
    # Labels are in pixels of the picture, not of the video's frame that it was cut from.
    images = {image.id: replace(image, frame_xyxy=None) for image in ready.images if not image.dropped}
    drawn = [d for d in sample.pictures if d.picture in labels and d.picture in images]
    if not drawn:
        raise FullcastError("no picture of the gold sample is labelled and still in use; fill in gold/labels.csv")
    done = Counter(d.stratum for d in drawn)
    present = _present_sizes(sample, images)
    sizes = {name: present[name] for name in done}
    weights = {d.picture: sizes[d.stratum] / done[d.stratum] for d in drawn}
    by_image: dict[str, list[Person]] = defaultdict(list)
    for person in ready.people:
        by_image[person.image_id].append(person)
    pairs = {d.picture: match_people(images[d.picture], by_image[d.picture], labels[d.picture]) for d in drawn}

    def row(name: str, tally: Callable[[str], tuple[float, float]]) -> Measure:
        clusters = [Cluster(d.stratum, *tally(d.picture)) for d in drawn]
        return Measure(name, stratified_share(clusters, sizes))

    def named(picture: str, keep: Callable[[Pair], bool]) -> tuple[float, float]:
        chosen = [pair for pair in pairs[picture] if keep(pair)]
        return sum(is_right(pair) for pair in chosen), len(chosen)

    rows = [
        row("person precision", lambda i: (len(pairs[i]), len(by_image[i]))),
        row("person recall", lambda i: (len(pairs[i]), len(labels[i]))),
        row("open-set accuracy", lambda i: named(i, lambda pair: True)),
        row("people of the cast named right", lambda i: named(i, lambda pair: pair.true.character != UNKNOWN)),
        row("recall of unknown", lambda i: named(i, lambda pair: pair.true.character == UNKNOWN)),
        row("people counted right", lambda i: (float(len(by_image[i]) == len(labels[i])), 1.0)),
    ]
    looks = sorted({p.true.name for group in pairs.values() for p in group if p.true.character != UNKNOWN})
    for look in looks:
        rows.append(row(f"{look}: named right", lambda i, look=look: named(i, lambda p: p.true.name == look)))  # type: ignore[misc]
    notes = _stands_for(sample, len(drawn), sum(sizes.values()), sum(present.values()), images)
    return rows, [pair for group in pairs.values() for pair in group], weights, notes


def _present_sizes(sample: GoldSample, in_use: Collection[str]) -> dict[str, int]:
    """Pictures of each stratum that are still in use; as they were where the sample does not say which they are."""
    if not sample.frame:
        return dict(sample.sizes)
    return {name: sum(picture in in_use for picture in ids) for name, ids in sample.frame.items()}


def _stands_for(sample: GoldSample, labelled: int, spoken: int, framed: int, in_use: Collection[str]) -> list[str]:
    """What the figures are about. spoken: pictures that the labels stand for; framed: of the sample's, still in use."""
    notes = [
        f"{labelled} of {len(sample.pictures)} sampled pictures are labelled and in use; they stand for {spoken} "
        f"of {len(in_use) if sample.frame else framed} pictures, by {', '.join(sample.axes) or 'no strata'}."
    ]
    if gone := sum(drawn.picture not in in_use for drawn in sample.pictures):
        notes.append(f"{gone} sampled pictures are not used any more and are left out.")
    if not sample.frame and len(in_use) != framed:
        notes.append(
            f"The show had {framed} pictures in use when this sample was drawn and has {len(in_use)} now; which are "
            "new an earlier Fullcast did not write down: move the folder away and draw another sample to speak for all."
        )
    if sample.frame and (new := len(in_use) - framed):
        notes.append(
            f"{new} of the {len(in_use)} pictures in use ({new / len(in_use):.0%}) came after the sample was drawn, "
            "and no figure speaks for them: move the folder away and draw another sample to include them."
        )
    return notes


def is_right(pair: Pair) -> bool:
    return (pair.found.character, pair.found.form) == (pair.true.character, pair.true.form)


def confusion(pairs: Sequence[Pair], weights: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
    """Who is taken for whom: true name, given name, how many (weighted to the whole show), share of the true one's
    people, how many were seen. Right answers are rows too; the most frequent mistake comes first.
    """
    total: Counter[str] = Counter()
    cell: Counter[tuple[str, str]] = Counter()
    seen: Counter[tuple[str, str]] = Counter()
    for pair in pairs:
        weight = weights.get(pair.image.id, 1.0) if weights else 1.0
        key = (pair.true.name, pair.found.name or UNKNOWN)
        total[key[0]] += weight  # type: ignore[assignment]
        cell[key] += weight  # type: ignore[assignment]
        seen[key] += 1
    order = sorted(cell, key=lambda key: (key[0] == key[1], -cell[key], key))
    return [
        {"true": t, "given": g, "people": round(cell[t, g], 2), "share": cell[t, g] / total[t], "seen": seen[t, g]}
        for t, g in order
    ]


def confusion_lines(rows: Sequence[Mapping[str, Any]], most: int = 10) -> list[str]:
    """The mistakes in words."""
    wrong = [row for row in rows if row["true"] != row["given"]]
    lines = [f"  {r['true']} taken for {r['given']}: {r['share']:.1%} of {r['true']} ({r['seen']} seen)" for r in wrong]
    more = [f"  and {len(lines) - most} other pairs of names"] if len(lines) > most else []
    return ["who is taken for whom:", *lines[:most], *more] if lines else ["nobody is taken for anybody else"]
