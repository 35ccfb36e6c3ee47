"""The plan before the money: what will be seen how often, what never, what crops and buckets cost, how long."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fullcast.mixture.plan import MixturePlan, ledger
from fullcast.mixture.samples import Cut
from fullcast.mixture.shares import effective_sample_size, field_values

COUNTED = ("source", "kind", "num_people", "name", "cell")
"""Fields whose visits are listed whatever the tree splits by."""

TINY_BOUND = 2.0
"""Buckets in which some sample may be off by this many visits or more are listed as tiny: it fills whole batches."""


@dataclass(frozen=True, slots=True)
class BranchRow:
    """One branch of the tree of shares; shares are in [0, 1] of all visits."""

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


@dataclass(frozen=True, slots=True)
class BucketRow:
    width: int
    height: int
    samples: int
    batches: int
    bound: float
    """Visits by which some sample of the bucket may be off target: 1 + B q."""
    tiny: bool


@dataclass(frozen=True)
class PlanReport:
    """Everything that `fullcast plan` shows, ready for JSON and for the page."""

    num_steps: int
    batch_size: int
    num_visits: int
    num_samples: int
    num_originals: int
    effective_sample_size: float
    """How many equally weighted samples the weights amount to."""
    visits_per_sample: dict[str, float]
    """min, p05, median, mean, p95, max over samples of positive weight."""
    never_seen: dict[str, int]
    """Samples without a visit, by reason: ``share is zero`` or ``too light for these steps``."""
    worst_lag: float
    """max |visits - target| at the end, in visits."""
    shots_given_way: int
    """Slots that repeat a shot of their batch."""
    branches: tuple[BranchRow, ...]
    values: dict[str, tuple[ValueRow, ...]]
    buckets: tuple[BucketRow, ...]
    crops: dict[str, float]
    """Mean share of area cut off full pictures, heads cut, people lost, samples enlarged, pictures dropped, and
    pictures of which only crops are seen."""
    notes: tuple[str, ...]
    estimated_s: float | None
    """Seconds of training, from the throughput that was given; None: none was."""
    fingerprint: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def preview(planned: MixturePlan, cut: Cut | None = None, images_per_s: float | None = None) -> PlanReport:
    """The report of a plan. cut: how the samples were made, for the losses; images_per_s: measured throughput."""
    stream, samples = planned.stream, planned.samples
    final = ledger(planned)
    visits = final.visits
    num_visits = stream.num_steps * stream.batch_size
    weighted = stream.weights > 0
    return PlanReport(
        num_steps=stream.num_steps,
        batch_size=stream.batch_size,
        num_visits=num_visits,
        num_samples=len(samples),
        num_originals=len({s.image_id for s in samples}),
        effective_sample_size=effective_sample_size(stream.weights),
        visits_per_sample=_spread(visits[weighted]),
        never_seen={
            "share is zero": int((~weighted).sum()),
            "too light for these steps": int((weighted & (visits == 0)).sum()),
        },
        worst_lag=final.worst_lag,
        shots_given_way=stream.shots_given_way,
        branches=_branches(planned, visits),
        values={by: _values(planned, by, visits) for by in COUNTED},
        buckets=_buckets(planned),
        crops=_crop_losses(cut) if cut else {},
        notes=planned.resolved.notes,
        estimated_s=num_visits / images_per_s if images_per_s else None,
        fingerprint=stream.fingerprint(),
    )


def _spread(visits: np.ndarray) -> dict[str, float]:
    low, median, high = np.quantile(visits, [0.05, 0.5, 0.95]).tolist()
    ends = float(visits.min()), float(visits.max())
    return {"min": ends[0], "p05": low, "median": median, "mean": float(visits.mean()), "p95": high, "max": ends[1]}


def _branches(planned: MixturePlan, visits: np.ndarray) -> tuple[BranchRow, ...]:
    asked = planned.resolved.asked_shares()
    deliverable = planned.resolved.branch_shares(planned.stream.weights)
    delivered = planned.resolved.branch_shares(visits)
    inside: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for leaf in planned.resolved.leaves:
        for depth in range(1, len(leaf.path) + 1):
            inside[leaf.path[:depth]].update(leaf.items.tolist())
    return tuple(
        BranchRow(
            *(path, asked[path], deliverable[path], delivered[path], delivered[path] * float(visits.sum())),
            originals=len({planned.samples[i].image_id for i in inside[path]}),
            samples=len(inside[path]),
        )
        for path in asked
    )


def _values(planned: MixturePlan, by: str, visits: np.ndarray) -> tuple[ValueRow, ...]:
    originals: dict[str, set[str]] = defaultdict(set)
    samples: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for sample, count in zip(planned.samples, visits.tolist(), strict=True):
        for value in field_values(sample, by):
            originals[value].add(sample.image_id)
            samples[value] += 1
            seen[value] += count
    return tuple(ValueRow(value, len(originals[value]), samples[value], seen[value]) for value in sorted(samples))


def _buckets(planned: MixturePlan) -> tuple[BucketRow, ...]:
    stream = planned.stream
    bounds = stream.bounds()
    batches = np.bincount(stream.bucket_at, minlength=len(stream.buckets))
    rows = []
    for index, bucket in enumerate(stream.buckets):
        inside = stream.bucket_of == index
        if inside.any():
            bound = float(bounds[inside].max())
            rows.append(
                BucketRow(
                    *(bucket.width, bucket.height, int(inside.sum()), int(batches[index]), bound),
                    tiny=bool(batches[index]) and bound >= TINY_BOUND,
                )
            )
    return tuple(rows)


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


def as_text(report: PlanReport, max_rows: int = 60) -> str:
    """The report for a terminal, plain text, at most ``max_rows`` rows of the tree."""
    lines = [
        f"{report.num_steps} steps of {report.batch_size}: {report.num_visits} visits to {report.num_samples} samples "
        f"of {report.num_originals} pictures (worth {report.effective_sample_size:.0f} of equal weight)",
        "visits per sample: " + ", ".join(f"{name} {value:.4g}" for name, value in report.visits_per_sample.items()),
        "never seen: " + ", ".join(f"{count} ({reason})" for reason, count in report.never_seen.items()),
        f"largest difference from target at the end: {report.worst_lag:.2f} visits; "
        f"shots met in one batch {report.shots_given_way} times",
    ]
    if report.estimated_s is not None:
        lines.append(f"estimated time: {report.estimated_s / 60:.1f} min")
    if report.crops:
        lines.append(
            f"full pictures lose {report.crops['mean_area_cut_off']:.1%} of their area to buckets; "
            f"{report.crops['heads_cut']:.0f} heads cut, {report.crops['people_lost']:.0f} people lost, "
            f"{report.crops['samples_enlarged']:.0f} samples enlarged, "
            f"{report.crops['pictures_dropped']:.0f} pictures dropped as too small, "
            f"{report.crops['pictures_as_crops_only']:.0f} seen as crops only because heads are too small"
        )
    rows = [
        (
            "  " * (len(row.path) - 1) + row.path[-1],
            *(f"{v:.2%}" for v in (row.planned, row.deliverable, row.delivered)),
        )
        for row in report.branches
        if not _repeats_parent(row, report.branches)
    ]
    lines += ["", *_table(("branch", "planned", "deliverable", "delivered"), rows[:max_rows])]
    if len(rows) > max_rows:
        lines.append(f"... and {len(rows) - max_rows} more branches")
    for by in ("name", "num_people"):
        counts = [(v.value, str(v.originals), str(v.samples), str(v.visits)) for v in report.values[by]]
        lines += ["", *_table((by, "pictures", "samples", "visits"), counts)]
    sizes = [
        (f"{b.width}x{b.height}", str(b.samples), str(b.batches), f"{b.bound:.2f}", "tiny" if b.tiny else "")
        for b in report.buckets
    ]
    lines += ["", *_table(("bucket", "samples", "batches", "bound", ""), sizes)]
    lines += ["", *report.notes] if report.notes else []
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _repeats_parent(row: BranchRow, rows: Sequence[BranchRow]) -> bool:
    """The only branch of its parent, such as the one look of a character: a line that says nothing new."""
    return len(row.path) > 1 and sum(other.path[:-1] == row.path[:-1] for other in rows) == 1


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    rows = [tuple(head), *map(tuple, rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return [
        row[0].ljust(widths[0])
        + "".join("  " + cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
