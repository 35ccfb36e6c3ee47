"""Records of pictures that are not there yet: a plan, and its price, before anything is downloaded or drawn."""

from __future__ import annotations

from collections.abc import Iterable

from fullcast.mixture.cost_config import Pictures
from fullcast.records import UNKNOWN, Image, Person

HEADS_TALL = 6
"""Figures of a show are about six heads tall; what reaches over the picture's edge is not there."""


def imagined(groups: Iterable[Pictures]) -> tuple[list[Image], list[Person]]:
    """Images and people as `groups` counts them: people side by side, their heads on one line at 0.3 of the height."""
    images: list[Image] = []
    people: list[Person] = []
    for number, group in enumerate(groups):
        width, height = group.size
        for index in range(group.count):
            name = f"g{number}-{index}"
            shot = f"g{number}:{index // group.per_shot}" if group.per_shot > 1 else ""
            images.append(Image(name, f"{group.source}/{name}.png", width, height, group.source, shot_id=shot))
            people += [_person(name, group, slot) for slot in range(len(group.people))]
    return images, people


def _person(image_id: str, group: Pictures, slot: int) -> Person:
    width, height = group.size
    head = group.head_height * height
    x, y = width * (slot + 0.5) / len(group.people), 0.3 * height
    half = min(head / 2, width / len(group.people) / 2)
    box = (max(0.0, x - 2 * half), max(0.0, y - head / 2), min(width, x + 2 * half), min(height, y + HEADS_TALL * head))
    character, _, form = group.people[slot].partition("/")
    face = (max(0.0, x - half), max(0.0, y - head / 2), min(width, x + half), y + head / 2)
    return Person(*(f"{image_id}/{slot}", image_id, box, 1.0, face, 1.0), character=character or UNKNOWN, form=form)
