"""The plan's report in plain text, for a terminal and for data/plan/plan.txt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fullcast.mixture.preview import BranchRow, PlanReport, StageReport


def as_text(report: PlanReport, max_rows: int = 60) -> str:
    """Aligned, at most ``max_rows`` rows of each tree."""
    lines = [*_head(report), *_money(report), *_beside(report)]
    for stage in report.stages:
        lines += ["", *_stage(stage, max_rows, several=len(report.stages) > 1)]
    for by in ("name", "num_people", "cell"):
        rows = [
            (v.value, str(v.originals), str(v.samples), str(v.visits), f"{v.least} / {v.median:g} / {v.most}")
            for v in report.values[by]
        ]
        lines += ["", *_table((by, "pictures", "samples", "visits", "per picture"), rows)]
    lines += ["", *report.notes] if report.notes else []
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _head(report: PlanReport) -> list[str]:
    shots = report.shots
    lines = ["planned from an inventory: these pictures are not here yet"] if report.imagined else []
    lines += [
        f"{report.num_steps} steps of {report.batch_size}: {report.num_visits} visits to {report.num_samples} samples "
        f"of {report.num_originals} pictures (worth {report.effective_sample_size:.0f} of equal weight)",
        "visits per sample: " + _numbers(report.visits_per_sample),
        "visits per picture: " + _numbers(report.visits_per_picture),
        "pictures by visits: " + ", ".join(f"{count} x {visits}" for visits, count in report.histogram),
        "never seen: "
        + ", ".join(f"{count} ({reason})" for reason, count in report.never_seen.items())
        + (" over all stages" if len(report.stages) > 1 else "")
        + f"; {report.pictures_never_seen} pictures in no way",
        f"largest difference from target at the end: {report.worst_lag:.2f} visits; "
        f"shots met in one batch {report.shots_given_way} times",
    ]
    if shots.shots:
        lines.append(
            f"near alike: {shots.shots} shots have several pictures; one is visited {shots.median:g} times (median), "
            f"{shots.most} at most; the ten most seen have {shots.share_of_ten:.1%} of all visits"
        )
    if report.empty_captions:
        lines.append(f"captions left empty by dropout: about {report.empty_captions:.0f} visits")
    if report.imagined:
        lines.append("captions cut at the text encoder's limit: told once something is prepared")
    if report.dropped:
        lines.append("left out before: " + ", ".join(f"{count} {why}" for why, count in report.dropped.items()))
    if report.estimated_s is not None:
        lines.append(f"estimated time: {report.estimated_s / 60:.1f} min")
    return lines


def _money(report: PlanReport) -> list[str]:
    lines = []
    if report.disk is not None:
        disk = report.disk
        lines.append(
            f"disk: {disk.total_gb:.1f} GB (latents {disk.latents_gb:.1f}, checkpoints {disk.checkpoints_gb:.1f}, "
            f"their state {disk.states_gb:.1f})"
        )
    if report.prices:
        rows = [
            (
                f"{price.gpu} at {price.side_px}" if price.side_px else price.gpu,
                "{:.1f} - {:.1f} - {:.1f}".format(*price.hours),
                "{:.0f} - {:.0f} - {:.0f}".format(*price.dollars),
                f"{price.images_per_s:.1f}",
                f"{price.memory_gb:.0f}" + ("" if price.fits else " (too much)"),
            )
            for price in report.prices
        ]
        lines += ["", *_table(("card", "hours", "dollars", "pictures/s", "memory, GB"), rows)]
        lines.append("low - likely - high, from stated peaks and prices; the memory is rough")
    return lines


def _beside(report: PlanReport) -> list[str]:
    if not report.beside:
        return []
    ours = {row.path[0]: row.delivered for row in report.branches if len(row.path) == 1}
    branches = [found.branch for found in report.beside[0].ranges]
    head = ("delivered", *branches, "within 5 points", "never seen")
    rows = [("planned", *(f"{found.planned:.1%}" for found in report.beside[0].ranges), "", "")]
    near = all(abs(ours.get(found.branch, 0) - found.planned) <= 0.05 for found in report.beside[0].ranges)
    own = (f"{near:.0%}", f"{_unseen(report.stages):.0%}")
    rows.append(("this plan", *(f"{ours.get(branch, 0):.1%}" for branch in branches), *own))
    for peers in report.beside:
        if round(peers.epoch) > 1:  # i.i.d. sampling has weights and no list
            listed = (f"{found.listed:.1%}" for found in peers.ranges)
            rows.append((f"{peers.trainer}'s list of {peers.epoch:,.0f}", *listed, "", ""))
        shares = (f"{found.low:.0%} - {found.median:.0%} - {found.high:.0%}" for found in peers.ranges)
        rows.append((peers.trainer, *shares, f"{peers.within_5_points:.0%}", f"{peers.never_seen:.0%}"))
    draws = report.beside[0].draws
    told = (
        f"ranges: 5 % - median - 95 % of {draws} orders. Lists: the seed pipeline's multiply.txt (1 to 100; "
        "EveryDream1 without fractions); never seen: of the samples"
    )
    return ["", *_table(head, rows), told]


def _unseen(stages: Sequence[StageReport]) -> float:
    """Share of the samples of positive weight that a stage does not reach, in the mean, as `beside` counts it."""
    live = [stage.num_samples - stage.never_seen["share is zero"] for stage in stages]
    missed = (s.never_seen["too light for these steps"] / n for s, n in zip(stages, live, strict=True))
    return sum(missed) / len(stages)


def _stage(stage: StageReport, max_rows: int, *, several: bool) -> list[str]:
    lines = []
    if several:
        lines.append(
            f"STAGE {stage.name}: steps {stage.start} to {stage.start + stage.num_steps - 1}, "
            f"{stage.num_visits} visits to {stage.num_samples} samples, {stage.passes:.2f} passes; per sample "
            + _numbers(stage.visits_per_sample)
        )
    if stage.settings:
        lines.append("trained with: " + ", ".join(f"{name} {value}" for name, value in stage.settings.items()))
    if stage.weigh_by != "sample":
        lines.append("loss weights (weigh_by = {}): {:.3g} to {:.3g}".format(stage.weigh_by, *stage.loss_weights))
    lines.append(
        f"full pictures lose {stage.crops['mean_area_cut_off']:.1%} of their area to buckets; "
        f"{stage.crops['heads_cut']:.0f} heads cut, {stage.crops['people_lost']:.0f} people lost, "
        f"{stage.crops['samples_enlarged']:.0f} samples enlarged, "
        f"{stage.crops['pictures_dropped']:.0f} pictures dropped as too small, "
        f"{stage.crops['pictures_as_crops_only']:.0f} seen as crops only because heads are too small"
    )
    lines.append("a 16:9 frame loses " + ", ".join(f"{what} at {side}" for side, what in stage.wide_frame.items()))
    rows = [
        (
            "  " * (len(row.path) - 1) + row.path[-1],
            *(f"{v:.2%}" for v in (row.planned, row.deliverable, row.delivered)),
        )
        for row in _telling(stage.branches)
    ]
    lines += ["", *_table(("branch", "planned", "deliverable", "delivered"), rows[:max_rows])]
    if len(rows) > max_rows:
        lines.append(f"... and {len(rows) - max_rows} more branches")
    sizes = [
        (
            *(f"{b.width}x{b.height}", str(b.samples), str(b.batches), f"{b.bound:.2f}", f"{b.area_cut_off:.1%}"),
            "tiny" if b.tiny else "",
        )
        for b in stage.buckets
    ]
    return [*lines, "", *_table(("bucket", "samples", "batches", "bound", "cut off", ""), sizes)]


def _numbers(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def _telling(rows: Sequence[BranchRow]) -> list[BranchRow]:
    """Without the only branch of its parent, such as the one look of a character: a line that says nothing new."""
    siblings: dict[tuple[str, ...], int] = {}
    for row in rows:
        siblings[row.path[:-1]] = siblings.get(row.path[:-1], 0) + 1
    return [row for row in rows if len(row.path) == 1 or siblings[row.path[:-1]] > 1]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    rows = [tuple(head), *map(tuple, rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return [
        row[0].ljust(widths[0])
        + "".join("  " + cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
