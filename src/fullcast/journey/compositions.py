"""Who was trained on beside whom and where, as it lies beside every checkpoint: the judge tells new scenes from seen
ones by it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.store.atomic import write_text

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.journey.planning import Planned
    from fullcast.judging.novelty import Trained
    from fullcast.judging.rows import Row

COMPOSITIONS = "compositions.json"


def write_compositions(path: Path, planned: Planned, base: Path) -> None:
    """Of every sample that the plan shows at least once: (look, column, row) of everybody in it. What the base was
    trained on, where it is a checkpoint of ours, is in it too."""
    from fullcast.judging.novelty import composition

    seen = {
        composition((p.character, p.form, p.cell(sample.width, sample.height)) for p in sample.people)
        for stage in planned.stages
        for sample, count in zip(stage.mixture.samples, stage.mixture.stream.counts().tolist(), strict=True)
        if count and sample.people
    }
    if (before := read_compositions(base)) is not None:
        seen |= before.compositions
    write_text(path, json.dumps({"compositions": sorted(seen)}, ensure_ascii=False, separators=(",", ":")) + "\n")


def read_compositions(checkpoint: Path) -> Trained | None:
    """None: nothing lies beside it, as beside a base and beside checkpoints of before."""
    from fullcast.judging.novelty import Trained

    try:
        told = json.loads((checkpoint / COMPOSITIONS).read_text(encoding="utf-8"))["compositions"]
        return Trained(frozenset(tuple((str(look), int(x), int(y)) for look, x, y in one) for one in told))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def novelty_by_series(journey: Journey, rows: Sequence[Row]) -> dict[str, dict[str, str]]:
    """Series -> scene id -> whether its model was trained on that composition; only series whose checkpoint tells. Of
    pictures that were asked for without places the people alone count."""
    from fullcast.journey.asking import NAMES
    from fullcast.judging.novelty import novelty_of
    from fullcast.judging.rows import by_series

    found: dict[str, dict[str, str]] = {}
    for name, group in by_series(rows).items():
        if not group[0].checkpoint:
            continue
        trained = read_compositions(journey.workspace.root / group[0].checkpoint)
        if trained is not None:
            found[name] = dict(novelty_of(group, trained, places=name == NAMES["placed"]))
    return found
