"""Everything that is counted from the rows of one series, beside S_N: one record, the same from the Parquet table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fullcast.judging.bleeding import Bleeding, Leakage, measure_bleeding, measure_leakage
from fullcast.judging.config import JudgingConfig
from fullcast.judging.counterfactual import Pairs, counterfactual_pairs
from fullcast.judging.detect_compare import detect_and_compare
from fullcast.judging.hair import Lab
from fullcast.judging.head_sizes import SizeBin, by_head_size
from fullcast.judging.hybrids import settled
from fullcast.judging.novelty import ByNovelty, by_novelty
from fullcast.judging.rows import Row, scenes_of, verdicts_of
from fullcast.judging.statistics import Estimate, rogan_gladen
from fullcast.judging.summary import Summary, summarize
from fullcast.records import Cast


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the cast and of the judge beside the rows."""

    colors: Mapping[str, Lab] = field(default_factory=dict)
    """Look -> hair colour on its references; empty: leakage is not measured."""
    similarity: np.ndarray | None = None
    """(C, C) from `detect_compare.reference_scores`; None: Detect-and-Compare is not measured."""
    errors: Mapping[int, Error] = field(default_factory=dict)
    """The judge's own, by number of people; empty: nothing is corrected."""
    novelty: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Series -> scene id -> ``seen``, ``moved`` or ``new`` to its model; none: nobody knows what it was trained on."""


@dataclass(frozen=True, slots=True)
class Error:
    """How often the judge is right, measured on pictures of which the truth is known."""

    sensitivity: float
    """Right pictures that it calls right."""
    specificity: float
    """Wrong pictures that it calls wrong."""
    num_right: int = 0
    num_wrong: int = 0


@dataclass(frozen=True, slots=True)
class Measures:
    """One series."""

    summary: Summary
    bleeding: Bleeding
    leakage: Leakage | None
    pairs: Pairs | None
    sizes: tuple[SizeBin, ...]
    detect_and_compare: dict[int, float]
    """By number of people, over scenes in which all have names; empty: not measured. Do not compare over N."""
    corrected: dict[int, Estimate]
    """S_N as it would be if the judge made no errors (Rogan and Gladen 1978); empty: its errors are not known."""
    novelty: tuple[ByNovelty, ...] = ()
    """By number of people; empty: not known what the model was trained on."""


def measure(
    rows: Sequence[Row], cast: Cast, config: JudgingConfig | None = None, known: Known | None = None
) -> Measures:
    """From the rows of one series and nothing else; the same rows give the same record."""
    config, known = settled(config or JudgingConfig(), cast), known or Known()
    summary = summarize(verdicts_of(rows), scenes_of(rows), cast, config)
    repeats, seed = config.bootstrap_repeats, config.seed
    compared: dict[int, float] = {}
    if known.similarity is not None:
        for count in summary.by_count:
            own = [row for row in rows if row.num_people == count.num_people]
            own = [row for row in own if all(placement.is_named for placement in row.scene.people)]
            if own:
                told = [detect_and_compare(row, cast, known.similarity) for row in own]
                compared[count.num_people] = float(np.mean(told))
    return Measures(
        summary=summary,
        bleeding=measure_bleeding(rows, cast, config.hybrid_margin or 0.0, repeats, seed),
        leakage=measure_leakage(rows, known.colors, repeats, seed) if known.colors else None,
        pairs=counterfactual_pairs(rows),
        sizes=by_head_size(rows),
        detect_and_compare=compared,
        corrected={
            count.num_people: corrected(count.success, known.errors[count.num_people])
            for count in summary.by_count
            if count.num_people in known.errors
        },
        novelty=by_novelty(rows, known.novelty.get(rows[0].series, {})) if rows else (),
    )


def corrected(observed: Estimate, error: Error) -> Estimate:
    """Value and both ends through Rogan and Gladen; the error's own uncertainty is not in the interval."""
    value, low, high = (
        rogan_gladen(share, error.sensitivity, error.specificity)
        for share in (observed.value, observed.low, observed.high)
    )
    return Estimate(value, low, high, observed.n)
