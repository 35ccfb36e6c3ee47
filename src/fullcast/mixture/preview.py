"""The plan before the money: what will be seen how often, what never, what crops and buckets cost, how long."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from fullcast.mixture.beside import Peers
from fullcast.mixture.buckets import Bucket, make_buckets, match
from fullcast.mixture.cost import Disk, Price
from fullcast.mixture.plan import MixturePlan, ledger
from fullcast.mixture.samples import Cut
from fullcast.mixture.shares import effective_sample_size, field_values
from fullcast.mixture.stages import StagedStream, StagePlan
from fullcast.records import Sample

COUNTED = ("source", "kind", "num_people", "character", "name", "cell")
"""Fields whose visits are listed whatever the tree splits by."""

TINY_BOUND = 2.0
"""Buckets in which some sample may be off by this many visits or more are listed as tiny: it fills whole batches."""

WIDE_SIDES = (512, 640, 704, 768)
"""Sides of the usual training areas, at which the loss of a 16:9 frame is told."""


@dataclass(frozen=True, slots=True)
class BranchRow:
    """One branch of the tree of shares; shares are in [0, 1] of all visits, loss weights counted in."""

    path: tuple[str, ...]
    planned: float
    """What the tree asks for."""
    deliverable: float
    """What can be had: empty branches gone to their siblings, repeats capped."""
    delivered: float
    """What the stream gives, counted."""
    visits: float
    originals: int
    """Different pictures of positive weight in it."""
    samples: int
    """Samples of positive weight in it."""


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One value of a field. A picture of two characters counts for both."""

    value: str
    originals: int
    """Different pictures; crops of one picture are one."""
    samples: int
    visits: int
    least: int = 0
    """Visits of the picture that is seen least, all its crops together."""
    median: float = 0.0
    most: int = 0


@dataclass(frozen=True, slots=True)
class BucketRow:
    width: int
    height: int
    samples: int
    batches: int
    bound: float
    """Visits by which some sample of the bucket may be off target: 1 + B q."""
    tiny: bool
    area_cut_off: float = 0.0
    """Mean share of the area that full pictures lose to this bucket's shape."""


@dataclass(frozen=True, slots=True)
class ShotExposure:
    """How often near alike pictures come: frames of one shot."""

    shots: int
    """With two pictures or more."""
    median: float
    """Visits to one of them."""
    most: int
    share_of_ten: float
    """Of all visits, to the ten shots that are seen most."""


@dataclass(frozen=True)
class StageReport:
    """One stage."""

    name: str
    start: int
    num_steps: int
    num_visits: int
    num_samples: int
    passes: float
    """Visits over samples of positive weight: what others call epochs."""
    effective_sample_size: float
    """How many equally weighted samples the weights amount to."""
    weigh_by: str
    loss_weights: tuple[float, float]
    """Least and greatest."""
    visits_per_sample: dict[str, float]
    """min, p05, median, mean, p95, max over samples of positive weight."""
    never_seen: dict[str, int]
    """Samples without a visit, by reason: ``share is zero`` or ``too light for these steps``."""
    worst_lag: float
    """max |visits - target| at the end, in visits."""
    shots_given_way: int
    """Slots that repeat a shot of their batch."""
    branches: tuple[BranchRow, ...]
    buckets: tuple[BucketRow, ...]
    wide_frame: dict[str, str]
    """What a 16:9 frame loses, by side of the area."""
    crops: dict[str, float]
    """Mean share of area cut off full pictures, heads cut, people lost, samples enlarged, pictures dropped, and
    pictures of which only crops are seen."""
    notes: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    """What the stage is trained with: rates, dropout, grammar, what is frozen."""


@dataclass(frozen=True)
class PlanReport:
    """Everything that `fullcast plan` shows, ready for JSON and for the page: all stages together, then each."""

    num_steps: int
    batch_size: int
    num_visits: int
    num_samples: int
    num_originals: int
    effective_sample_size: float
    visits_per_sample: dict[str, float]
    visits_per_picture: dict[str, float]
    """The same over pictures of positive weight, all crops and stages together."""
    histogram: tuple[tuple[str, int], ...]
    """(visits, pictures that come so often): 0, 1, 2, 3-4, 5-8 ... over pictures of positive weight."""
    never_seen: dict[str, int]
    pictures_never_seen: int
    """Pictures none of whose samples is visited in any stage."""
    worst_lag: float
    shots_given_way: int
    shots: ShotExposure
    branches: tuple[BranchRow, ...]
    values: dict[str, tuple[ValueRow, ...]]
    buckets: tuple[BucketRow, ...]
    crops: dict[str, float]
    notes: tuple[str, ...]
    estimated_s: float | None
    """Seconds of training on this machine, from the throughput that was given; None: none was."""
    fingerprint: str
    stages: tuple[StageReport, ...]
    dropped: dict[str, int] = field(default_factory=dict)
    """Things left out before the plan, by reason."""
    empty_captions: float = 0.0
    """Visits with the empty caption that dropout is expected to give."""
    prices: tuple[Price, ...] = ()
    disk: Disk | None = None
    beside: tuple[Peers, ...] = ()
    """What other trainers' orders would deliver of the same plan."""
    imagined: bool = False
    """Planned from an inventory: the pictures are not there yet."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def preview(stages: Sequence[StagePlan], images_per_s: float | None = None, **told: Any) -> PlanReport:
    """The report of a plan. images_per_s: measured throughput; told: fields that others know (prices, disk ...)."""
    stream = StagedStream(tuple(stage.mixture.stream for stage in stages))
    reports = tuple(_stage(stage) for stage in stages)
    seen = [
        (sample, count)
        for stage in stages
        for sample, count in zip(stage.mixture.samples, stage.mixture.stream.counts().tolist(), strict=True)
    ]
    of_picture: Counter[str] = Counter()
    weighted: set[str] = set()
    for stage in stages:
        live = stage.mixture.stream.weights > 0
        weighted |= {sample.image_id for sample, on in zip(stage.mixture.samples, live, strict=True) if on}
    for sample, count in seen:
        of_picture[sample.image_id] += count
    num_visits = stream.num_steps * stream.batch_size
    per_picture = np.array([of_picture[image_id] for image_id in sorted(weighted)])
    one = reports[0] if len(reports) == 1 else None
    return PlanReport(
        num_steps=stream.num_steps,
        batch_size=stream.batch_size,
        num_visits=num_visits,
        num_samples=len({sample.id for sample, _ in seen}),
        num_originals=len(of_picture),
        effective_sample_size=min(report.effective_sample_size for report in reports),
        visits_per_sample=one.visits_per_sample if one else _spread(np.array([count for _, count in seen])),
        visits_per_picture=_spread(per_picture),
        histogram=_histogram(per_picture),
        never_seen=dict(sum((Counter(report.never_seen) for report in reports), Counter()))
        if not one
        else one.never_seen,
        pictures_never_seen=sum(count == 0 for count in of_picture.values()),
        worst_lag=max(report.worst_lag for report in reports),
        shots_given_way=sum(report.shots_given_way for report in reports),
        shots=_shots(seen, num_visits),
        branches=one.branches if one else _merged(reports),
        values={by: _values(seen, by) for by in COUNTED},
        buckets=tuple(row for report in reports for row in report.buckets),
        crops=reports[0].crops,
        notes=tuple(dict.fromkeys(note for report in reports for note in report.notes)),
        estimated_s=num_visits / images_per_s if images_per_s else None,
        fingerprint=stream.fingerprint(),
        stages=reports,
        **told,
    )


def _stage(stage: StagePlan) -> StageReport:
    planned, stream = stage.mixture, stage.mixture.stream
    final = ledger(planned)
    weighted = stream.weights > 0
    loss = stream.loss_weights[weighted] if stream.loss_weights is not None else np.ones(1)
    num_visits = stream.num_steps * stream.batch_size
    config = planned.config
    return StageReport(
        name=stage.name,
        start=stage.start,
        num_steps=stream.num_steps,
        num_visits=num_visits,
        num_samples=len(planned.samples),
        passes=num_visits / int(weighted.sum()),
        effective_sample_size=effective_sample_size(stream.weights),
        weigh_by=config.weigh_by,
        loss_weights=(float(loss.min()), float(loss.max())),
        visits_per_sample=_spread(final.visits[weighted]),
        never_seen={
            "share is zero": int((~weighted).sum()),
            "too light for these steps": int((weighted & (final.visits == 0)).sum()),
        },
        worst_lag=final.worst_lag,
        shots_given_way=stream.shots_given_way,
        branches=_branches(planned, final.visits),
        buckets=_buckets(planned, stage.cut),
        wide_frame=wide_frame_losses(config.area_px, config.bucket_step_px, config.max_aspect),
        crops=_crop_losses(stage.cut),
        notes=planned.notes,
    )


def wide_frame_losses(area_px: int, step_px: int, max_aspect: float) -> dict[str, str]:
    """For a 16:9 frame, at the plan's area and at the usual ones: the bucket that it goes to and what is cut off."""
    told = {}
    for side in sorted({round(math.sqrt(area_px)), *WIDE_SIDES}):
        if side * side < step_px * step_px:
            continue
        buckets = make_buckets(side * side, step_px, max_aspect)
        bucket = buckets[int(match([16 / 9], buckets)[0])]
        told[str(side)] = f"{1 - math.exp(-abs(math.log(16 / 9 / bucket.aspect))):.1%} in {bucket}"
    return told


def _spread(visits: np.ndarray) -> dict[str, float]:
    low, median, high = np.quantile(visits, [0.05, 0.5, 0.95]).tolist()
    ends = float(visits.min()), float(visits.max())
    return {"min": ends[0], "p05": low, "median": median, "mean": float(visits.mean()), "p95": high, "max": ends[1]}


def _histogram(visits: np.ndarray) -> tuple[tuple[str, int], ...]:
    """0 and 1 for themselves, then classes that double: 2, 3-4, 5-8 ..."""
    classes = np.where(visits > 0, np.ceil(np.log2(np.maximum(1, visits))).astype(int) + 1, 0)
    names = ["0", "1", "2", *(f"{2 ** (k - 2) + 1}-{2 ** (k - 1)}" for k in range(3, int(classes.max()) + 1))]
    return tuple((names[k], int((classes == k).sum())) for k in range(int(classes.max()) + 1))


def _branches(planned: MixturePlan, visits: np.ndarray) -> tuple[BranchRow, ...]:
    asked = planned.resolved.asked_shares()
    deliverable = planned.deliverable.branch_shares()
    delivered = planned.deliverable.branch_shares(planned.delivered(visits))
    of_visits = planned.deliverable.branch_shares(visits)
    inside: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for leaf in planned.resolved.leaves:
        for depth in range(1, len(leaf.path) + 1):
            inside[leaf.path[:depth]].update(leaf.items.tolist())
    return tuple(
        BranchRow(
            *(path, asked[path], deliverable[path], delivered[path], of_visits[path] * float(visits.sum())),
            originals=len({planned.samples[i].image_id for i in inside[path]}),
            samples=len(inside[path]),
        )
        for path in asked
    )


def _merged(reports: Sequence[StageReport]) -> tuple[BranchRow, ...]:
    """Of all stages: shares weighted by visits; a branch that a stage does not have counts 0 there."""
    total = sum(report.num_visits for report in reports)
    rows: dict[tuple[str, ...], list[tuple[float, BranchRow]]] = defaultdict(list)
    for report in reports:
        for row in report.branches:
            rows[row.path].append((report.num_visits / total, row))
    return tuple(
        BranchRow(
            path,
            planned=math.fsum(part * row.planned for part, row in found),
            deliverable=math.fsum(part * row.deliverable for part, row in found),
            delivered=math.fsum(part * row.delivered for part, row in found),
            visits=math.fsum(row.visits for _, row in found),
            originals=max(row.originals for _, row in found),
            samples=max(row.samples for _, row in found),
        )
        for path, found in rows.items()
    )


def _values(seen: Iterable[tuple[Sample, int]], by: str) -> tuple[ValueRow, ...]:
    pictures: dict[str, Counter[str]] = defaultdict(Counter)
    samples: dict[str, set[str]] = defaultdict(set)
    for sample, count in seen:
        for value in field_values(sample, by):
            pictures[value][sample.image_id] += count
            samples[value].add(sample.id)
    rows = []
    for value in sorted(samples):
        counts = list(pictures[value].values())
        median = float(np.median(counts))
        rows.append(ValueRow(value, len(counts), len(samples[value]), sum(counts), min(counts), median, max(counts)))
    return tuple(rows)


def _shots(seen: Iterable[tuple[Sample, int]], num_visits: int) -> ShotExposure:
    visits: Counter[str] = Counter()
    pictures: dict[str, set[str]] = defaultdict(set)
    for sample, count in seen:
        if sample.shot_id:
            visits[sample.shot_id] += count
            pictures[sample.shot_id].add(sample.image_id)
    several = sorted((visits[shot] for shot, inside in pictures.items() if len(inside) > 1), reverse=True)
    if not several:
        return ShotExposure(0, 0.0, 0, 0.0)
    return ShotExposure(len(several), float(np.median(several)), several[0], sum(several[:10]) / num_visits)


def _buckets(planned: MixturePlan, cut: Cut) -> tuple[BucketRow, ...]:
    stream = planned.stream
    bounds = stream.bounds()
    batches = np.bincount(stream.bucket_at, minlength=len(stream.buckets))
    lost = _lost_of(planned, cut)
    rows = []
    for index, bucket in enumerate(stream.buckets):
        inside = stream.bucket_of == index
        if inside.any():
            bound = float(bounds[inside].max())
            rows.append(
                BucketRow(
                    *(bucket.width, bucket.height, int(inside.sum()), int(batches[index]), bound),
                    tiny=bool(batches[index]) and bound >= TINY_BOUND,
                    area_cut_off=lost.get(bucket, 0.0),
                )
            )
    return tuple(rows)


def _lost_of(planned: MixturePlan, cut: Cut) -> Mapping[Bucket, float]:
    """Mean share of area that full pictures lose, by bucket."""
    lost: dict[Bucket, list[float]] = defaultdict(list)
    stream = planned.stream
    for sample, fit, index in zip(cut.samples, cut.fits, stream.bucket_of.tolist(), strict=True):
        if sample.kind == "full":
            lost[stream.buckets[index]].append(1 - fit.kept_area)
    return {bucket: math.fsum(values) / len(values) for bucket, values in lost.items()}


def _crop_losses(cut: Cut) -> dict[str, float]:
    full = [fit for sample, fit in zip(cut.samples, cut.fits, strict=True) if sample.kind == "full"]
    return {
        "mean_area_cut_off": 1 - math.fsum(fit.kept_area for fit in full) / len(full) if full else 0.0,
        "heads_cut": sum(fit.heads_cut for fit in full),
        "people_lost": sum(fit.people_lost for fit in full),
        "samples_enlarged": sum(fit.enlargement > 1 for fit in cut.fits),
        "pictures_dropped": sum(drop.reason == "undersized" for drop in cut.drops),
        "pictures_as_crops_only": sum(drop.reason == "heads-too-small" for drop in cut.drops),
    }
