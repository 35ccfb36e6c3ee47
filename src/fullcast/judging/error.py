"""The judge judged on a folder of pictures that are known to be right: how often it says so, and how often it sees it
when the request is made wrong on purpose.

Nothing has to be drawn for the second: a true picture is wrong for a scene that names somebody else, one person more,
or one less. Hybrids cannot be had in this way; `make check-judge-1` draws some.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from fullcast.judging.config import JudgingConfig
from fullcast.judging.hybrids import FIGURES
from fullcast.judging.measures import Error
from fullcast.judging.rows import Row
from fullcast.judging.verdict import calibrate_hybrid_margin, judge_picture
from fullcast.records import Cast, Placement, Scene
from fullcast.store.seeding import rng

Kind = Literal["another name", "one more", "one less"]


def wrong_scenes(scene: Scene, cast: Cast, seed: int = 0) -> Iterator[tuple[Kind, Scene]]:
    """The scene made wrong in each way that it allows; who is taken and who comes is drawn, by the scene's id."""
    generator = rng(seed, "wrong-scenes", scene.id)
    asked = {person.character for person in scene.people}
    others = [name for name in cast.names if name not in asked]
    who = int(generator.integers(max(1, scene.num_people)))
    if others and scene.people:
        other = Placement(others[int(generator.integers(len(others)))])
        people = [
            *scene.people[:who],
            replace(scene.people[who], character=other.character, form=""),
            *scene.people[who + 1 :],
        ]
        yield "another name", replace(scene, people=tuple(people))
        yield "one more", replace(scene, people=(*scene.people, other))
    if scene.num_people > 1:
        yield "one less", replace(scene, people=(*scene.people[:who], *scene.people[who + 1 :]))


def measure_error(rows: Sequence[Row], cast: Cast, config: JudgingConfig | None = None) -> dict[int, Error]:
    """By number of people in the picture. ``rows``: pictures that are right for their scene, judged.

    Wrong requests are counted with the number of people that the picture holds.
    """
    config = config or JudgingConfig()
    answer: dict[int, Error] = {}
    for n in sorted({row.num_people for row in rows}):
        own = [row for row in rows if row.num_people == n]
        refused = [not _verdict(row, wrong, cast, config) for row in own for _, wrong in wrong_scenes(row.scene, cast)]
        accepted = [row.verdict.success for row in own]
        specificity = sum(refused) / len(refused) if refused else float("nan")
        answer[n] = Error(sum(accepted) / len(accepted), specificity, len(accepted), len(refused))
    return answer


def true_margin(rows: Sequence[Row]) -> float | None:
    """The hybrid margin of which one figure in twenty on true pictures falls short; None below twenty figures, and for
    a cast of one. ``rows`` as for `measure_error`."""
    scores = [f.scores for row in rows for f in row.verdict.found if f.asked >= 0 and len(f.scores) > 1]
    return calibrate_hybrid_margin(np.array(scores)) if len(scores) >= FIGURES else None


def _verdict(row: Row, scene: Scene, cast: Cast, config: JudgingConfig) -> bool:
    figures = [replace(figure, asked=-1) for figure in row.verdict.found]
    found = judge_picture(figures, scene, cast, width=row.verdict.width, height=row.verdict.height, config=config)
    return found.success
