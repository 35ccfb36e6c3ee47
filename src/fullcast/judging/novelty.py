"""Whether a model ever saw the people of a scene together: success on compositions of its training, and on new ones.

Success on what was seen in training may be memory. Main results are those on new compositions (multi-character study,
3.6: a composition is who is there and in which cell).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from fullcast.judging.counterfactual import prompt_of
from fullcast.judging.rows import Row, scenes_of
from fullcast.judging.statistics import Estimate, clustered_share
from fullcast.recognition.words import SOMEBODY, placement_cell
from fullcast.records import UNKNOWN, Scene

Novelty = Literal["seen", "moved", "new"]
"""seen: these people were trained on together, each in the cell that the scene says; moved: together, never all in
those cells; new: never together."""

Composition = tuple[tuple[str, int, int], ...]
"""(look, column, row) of everybody, sorted; a look is "aoi", "aoi/hairdown", or ``person`` for anybody else."""


def composition(people: Iterable[tuple[str, str, tuple[int, int]]]) -> Composition:
    """From (character or '', form or '', cell) of everybody in a picture."""
    return tuple(sorted((look_of(character, form), *cell) for character, form, cell in people))


def look_of(character: str, form: str) -> str:
    """A name of a figure that two pictures share if the same is drawn."""
    if character in ("", UNKNOWN):
        return SOMEBODY
    return f"{character}/{form}" if form else character


@dataclass(frozen=True)
class Trained:
    """What one model was trained on, as compositions."""

    compositions: frozenset[Composition]

    @cached_property
    def together(self) -> frozenset[tuple[str, ...]]:
        """Who was seen with whom, wherever they stood."""
        return frozenset(tuple(look for look, *_ in one) for one in self.compositions)

    def novelty(self, scene: Scene) -> Novelty:
        """Of a scene in which somebody has no place, the people alone count: it is never ``moved``."""
        people = tuple(sorted(look_of(p.character, p.form) for p in scene.people))
        if people not in self.together:
            return "new"
        placed = [(p.character, p.form, cell) for p in scene.people if (cell := placement_cell(p)) is not None]
        if len(placed) < len(people):
            return "seen"
        return "seen" if composition(placed) in self.compositions else "moved"


def novelty_of(rows: Sequence[Row], trained: Trained, *, places: bool = True) -> dict[str, Novelty]:
    """Scene id -> whether its composition is new to that model. `places`: whether its places were asked for."""
    return {s.id: trained.novelty(s if places else s.without_places()) for s in scenes_of(rows)}


@dataclass(frozen=True, slots=True)
class ByNovelty:
    """S_N of one number of people, by whether the composition was trained on."""

    num_people: int
    scenes: Mapping[str, int]
    """Novelty -> scenes."""
    success: Mapping[str, Estimate]
    """Novelty -> share of right pictures; none where there is no scene."""


def by_novelty(rows: Sequence[Row], novelty: Mapping[str, str]) -> tuple[ByNovelty, ...]:
    """From the rows of one series; rows of scenes that `novelty` does not know are left out."""
    known = [row for row in rows if row.scene.id in novelty]
    found = []
    for num_people in sorted({row.num_people for row in known}):
        scenes: dict[str, int] = {}
        success: dict[str, Estimate] = {}
        for kind in ("seen", "moved", "new"):
            own = [row for row in known if row.num_people == num_people and novelty[row.scene.id] == kind]
            if own:
                scenes[kind] = len({row.scene.id for row in own})
                success[kind] = clustered_share(
                    [row.verdict.success for row in own], [prompt_of(row.scene.id) for row in own]
                )
        found.append(ByNovelty(num_people, scenes, success))
    return tuple(found)
