"""What goes with one character too often, so that the name will come to mean it: clothes, places, companions.

A character whom every picture shows in a white shirt cannot be drawn without it. Hair and eyes are not looked at: a
name is meant to absorb those. Pictures of one shot show the same shirt once, so the shot is what is counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fullcast.captions.vocabulary import kind_of
from fullcast.judging.statistics import Estimate, wilson
from fullcast.recognition.words import COLUMNS
from fullcast.records import UNKNOWN, Image, Person

TOO_OFTEN = 0.5
"""The interval must lie above: more than every second appearance."""

TIMES_BASE = 2.0
"""And above this many times what all others show: a school show is full of school uniforms."""

MIN_SHOTS = 8
"""Fewer shots of a character say nothing about habits."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of one look, against everybody else."""

    name: str
    """Look: "mio", "aoi/hairdown"."""
    kind: str
    """wears or does | is seen in | is seen with | stands"""
    attribute: str
    share: Estimate
    """Of the look's shots (each counting as the share of its pictures); ``n`` is the number of shots."""
    base: Estimate
    """The same over all other people."""

    @property
    def too_often(self) -> bool:
        return self.share.low > TOO_OFTEN and self.share.low > TIMES_BASE * self.base.value

    def sentence(self) -> str:
        s = self.share
        return (
            f"{self.name} {self.kind} {self.attribute} in {s.value:.0%} of {s.n} shots (95 %: {s.low:.0%} to "
            f"{s.high:.0%}), others in {self.base.value:.0%}"
        )


def attributes(
    people: Iterable[Person], images: Iterable[Image], scene_tags: Mapping[str, Sequence[str]]
) -> list[Attribute]:
    """Every attribute that is seen with a look in half of its shots or more; those that go too far first.

    A picture of another source than a video is a shot of its own.
    """
    used = {image.id: image for image in images if not image.dropped}
    shown = [person for person in people if person.image_id in used]
    together: dict[str, list[Person]] = defaultdict(list)
    for person in shown:
        together[person.image_id].append(person)
    # look -> shot -> (appearances, attribute -> appearances that have it)
    seen: dict[str, dict[str, Counter[tuple[str, str]]]] = defaultdict(lambda: defaultdict(Counter))
    number: dict[str, Counter[str]] = defaultdict(Counter)
    for person in shown:
        image = used[person.image_id]
        name = UNKNOWN if person.character in ("", UNKNOWN) else person.name
        shot = image.shot_id or image.id
        number[name][shot] += 1
        seen[name][shot].update(_of(person, image, together[image.id], scene_tags.get(image.id, ())))
    found = []
    for name in sorted(set(seen) - {UNKNOWN}):
        if len(seen[name]) < MIN_SHOTS:
            continue
        for kind, attribute in sorted({key for shot in seen[name].values() for key in shot}):
            own = _share([name], (kind, attribute), seen, number)
            if own.value >= TOO_OFTEN:
                others = [other for other in seen if other.split("/")[0] != name.split("/")[0]]
                found.append(Attribute(name, kind, attribute, own, _share(others, (kind, attribute), seen, number)))
    return sorted(found, key=lambda a: (not a.too_often, -a.share.low, a.name, a.attribute))


def warnings(found: Iterable[Attribute]) -> list[str]:
    """Sentences about what goes too far."""
    return [attribute.sentence() for attribute in found if attribute.too_often]


def _share(
    names: Sequence[str],
    key: tuple[str, str],
    seen: Mapping[str, Mapping[str, Counter[tuple[str, str]]]],
    number: Mapping[str, Counter[str]],
) -> Estimate:
    """Mean over shots of the share of appearances that have it; Wilson over the shots."""
    shots = [counts[key] / number[name][shot] for name in names for shot, counts in seen[name].items()]
    if not shots:
        return Estimate(0.0, 0.0, 1.0, 0)
    low, high = wilson(sum(shots), len(shots))
    return Estimate(sum(shots) / len(shots), low, high, len(shots))


def _of(person: Person, image: Image, group: Sequence[Person], scene: Sequence[str]) -> set[tuple[str, str]]:
    own = {("wears or does", tag) for tag in person.tags if kind_of(tag) == "own"}
    where = {("is seen in", tag) for tag in scene}
    company = {
        ("is seen with", other.character) for other in group if other.character not in ("", UNKNOWN, person.character)
    }
    column = COLUMNS[person.cell(image.width, image.height)[0]]
    # Alone in a picture everybody stands in its middle: that is framing, no habit.
    return own | where | company | ({("stands at", column)} if len(group) > 1 else set())
