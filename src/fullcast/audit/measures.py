"""How right prepare is: records against truth. No pixel is read here; baselines, which need them, are beside it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fullcast.audit.truth import (
    JUNK,
    PICTURE_KINDS,
    STORY_KINDS,
    TrueFrame,
    TruePerson,
    Truth,
    in_image,
    match_images,
)
from fullcast.judging.statistics import Estimate, share, wilson
from fullcast.records import UNKNOWN, Image, Person, iou

SAME_PERSON = 0.5
"""IoU from which a found box is the true one."""

IDENTITY = "identity, macro over characters and forms"


@dataclass(frozen=True, slots=True)
class Pair:
    """A person found and the true one behind it."""

    image: Image
    found: Person
    true: TruePerson


@dataclass(frozen=True, slots=True)
class Kept:
    """The frames that prepare kept, each with its truth, and everybody matched in them."""

    images: tuple[Image, ...]
    frames: Mapping[str, TrueFrame]
    """Image id -> true frame."""
    people: Mapping[str, tuple[Person, ...]]
    pairs: tuple[Pair, ...]
    unplaced: int = 0
    """Kept frames of which the truth knows nothing (another show's episode): left out of every figure."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of the audit's table."""

    name: str
    ours: Estimate
    more: Mapping[str, float] = field(default_factory=dict)
    """Parts of it: recall by character and so on."""
    baseline: str = ""
    baseline_value: Estimate | None = None
    lower_is_better: bool = False


def match_kept(images: Iterable[Image], people: Iterable[Person], truth: Truth, videos: Mapping[str, str]) -> Kept:
    """Kept frames (screenshots without a reason to be dropped), matched to truth by time and to people by boxes."""
    kept = [i for i in images if i.source == "screenshots" and not i.dropped and not i.parent]
    frames = match_images(kept, truth, videos)
    by_image: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        by_image[person.image_id].append(person)
    known = [image for image in kept if image.id in frames]
    pairs = [p for image in known for p in match_people(image, by_image[image.id], frames[image.id].people)]
    grouped = {image.id: tuple(by_image[image.id]) for image in known}
    return Kept(tuple(known), frames, grouped, tuple(pairs), len(kept) - len(known))


def match_people(image: Image, found: Sequence[Person], true: Sequence[TruePerson]) -> list[Pair]:
    """One to one, of the most IoU in total; pairs under `SAME_PERSON` do not count."""
    from scipy.optimize import linear_sum_assignment

    if not found or not true:
        return []
    overlap = np.array([[iou(f.xyxy, in_image(t.xyxy, image)) for t in true] for f in found])
    overlap[overlap < SAME_PERSON] = 0
    rows, columns = linear_sum_assignment(-overlap)
    return [Pair(image, found[i], true[j]) for i, j in zip(rows, columns, strict=True) if overlap[i, j] > 0]


def measure(kept: Kept, truth: Truth) -> list[Measure]:
    """Every row that needs no pixel, baselines of counting included."""
    num_true = sum(len(kept.frames[i.id].people) for i in kept.images)
    num_found = sum(len(kept.people[i.id]) for i in kept.images)
    matched = len(kept.pairs)
    return [
        Measure("person recall", share(matched, num_true)),
        Measure("person precision", share(matched, num_found)),
        identity(kept.pairs, lambda pair: (pair.found.character, pair.found.form)),
        unknown_recall(kept.pairs),
        count_accuracy(kept),
        *kept_frames(kept, truth),
    ]


def identity(
    pairs: Sequence[Pair],
    answer: Callable[[Pair], tuple[str, str]],
    name: str = IDENTITY,
) -> Measure:
    """Mean over (character, form) of how often matched people of the cast are named right, form included.

    The interval of the mean comes from each row's Wilson interval (MOVER: Zou and Donner 2008, "Construction of
    confidence limits about effect measures", Statistics in Medicine 27): it has a width where all are right.
    """
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for pair in pairs:
        if pair.true.character != UNKNOWN:
            total[pair.true.name] += 1
            right[pair.true.name] += answer(pair) == (pair.true.character, pair.true.form)
    rates = {name: right[name] / total[name] for name in sorted(total)}
    if not rates:
        return Measure(name, Estimate(float("nan"), 0.0, 1.0, 0))
    mean = float(np.mean(list(rates.values())))
    limits = {who: wilson(right[who], total[who]) for who in rates}
    down = np.sqrt(sum((rates[who] - limits[who][0]) ** 2 for who in rates)) / len(rates)
    up = np.sqrt(sum((limits[who][1] - rates[who]) ** 2 for who in rates)) / len(rates)
    estimate = Estimate(mean, float(max(0, mean - down)), float(min(1, mean + up)), sum(total.values()))
    return Measure(name, estimate, rates)


def unknown_recall(pairs: Sequence[Pair]) -> Measure:
    """Of those who are nobody, how many are called so."""
    nobody = [pair for pair in pairs if pair.true.character == UNKNOWN]
    return Measure("recall of unknown", share(sum(p.found.character == UNKNOWN for p in nobody), len(nobody)))


def count_accuracy(kept: Kept) -> Measure:
    """Kept frames with as many people found as are there; beside it: always the commonest count."""
    true = [len(kept.frames[i.id].people) for i in kept.images]
    found = [len(kept.people[i.id]) for i in kept.images]
    commonest = Counter(true).most_common(1)[0][1] if true else 0
    by_count = {
        f"{n} people": float(np.mean([f == t for f, t in zip(found, true, strict=True) if t == n]))
        for n in sorted(set(true))
    }
    right = sum(f == t for f, t in zip(found, true, strict=True))
    baseline = share(commonest, len(true))
    return Measure("people counted right", share(right, len(true)), by_count, "always the commonest count", baseline)


def kept_frames(kept: Kept, truth: Truth) -> list[Measure]:
    """What was kept of the show: every shot, every drawing, nothing twice, no card."""
    frames = [kept.frames[image.id] for image in kept.images]
    all_frames = truth.frames
    shots = {(f.video, f.shot) for f in all_frames if f.kind in STORY_KINDS}
    drawings = {f.drawing for f in all_frames if f.kind in PICTURE_KINDS}
    seen = {(f.video, f.shot) for f in frames}
    drawn = {f.drawing for f in frames}
    junk = [f for f in frames if f.kind in JUNK]
    views = distinct_views(f for f in all_frames if f.kind in PICTURE_KINDS)
    covered = sum(any(view.same_view(f) for f in frames) for view in views)
    kinds = {f"junk: {kind}": float(count) for kind, count in Counter(f.kind for f in junk).items()}
    return [
        Measure("story shots with a kept frame", share(len(shots & seen), len(shots))),
        Measure("distinct drawings kept", share(len(drawings & drawn), len(drawings))),
        Measure("distinct views kept", share(covered, len(views))),
        Measure("junk among kept", share(len(junk), len(frames)), kinds, lower_is_better=True),
        Measure("true duplicates among kept", share(count_repeats(frames), len(frames)), lower_is_better=True),
    ]


def distinct_views(frames: Iterable[TrueFrame]) -> list[TrueFrame]:
    """One frame for each drawing and camera that no earlier one shows: a pan over one drawing gives several."""
    views: dict[str, list[TrueFrame]] = defaultdict(list)
    for frame in frames:
        if not any(frame.same_view(view) for view in views[frame.drawing]):
            views[frame.drawing].append(frame)
    return [view for group in views.values() for view in group]


def count_repeats(frames: Iterable[TrueFrame]) -> int:
    """How many frames show what an earlier one shows (drawing and camera agree)."""
    frames = list(frames)
    return len(frames) - len(distinct_views(frames))
