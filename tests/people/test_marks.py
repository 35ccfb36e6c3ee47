"""Small, hidden and cut figures stay, and say so."""

from __future__ import annotations

from fullcast.people.config import PeopleConfig
from fullcast.people.naming import name_people
from fullcast.records import UNKNOWN, Box, Cast, Image, Person

IMAGE = Image("i", "i.png", 640, 360, "screenshots")


def figure(name: str, xyxy: Box, head: Box | None) -> Person:
    return Person(name, "i", xyxy, 0.9, head_xyxy=head)


def test_nobody_is_lost_and_everybody_says_what_speaks_against_a_name() -> None:
    people = [
        figure("front", (200, 40, 360, 350), (240, 40, 320, 140)),
        figure("behind", (150, 60, 300, 350), (220, 70, 290, 130)),
        figure("far", (500, 200, 530, 260), (508, 200, 520, 212)),
        figure("leaving", (0, 80, 90, 350), (10, 80, 70, 150)),
        figure("turned", (380, 60, 470, 350), None),
    ]
    named = name_people(people, [IMAGE], Cast("show", ()), PeopleConfig())
    assert {p.id: p.marks for p in named} == {
        "front": (), "behind": ("hidden",), "far": ("small",), "leaving": ("cut",), "turned": ("headless",),
    }  # fmt: skip
    assert {p.character for p in named} == {UNKNOWN}
