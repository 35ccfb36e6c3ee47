"""Company tips what is doubtful, and nothing else; who is large and in full view counts more."""

from __future__ import annotations

import numpy as np

from fullcast.people.config import PeopleConfig
from fullcast.people.habits import MAX_NATS, Habits
from fullcast.people.naming import name_people
from fullcast.people.trust import LEAST_VISIBLE, trusts
from fullcast.records import UNKNOWN, Image, Person
from tests.people.test_naming import CAST, E, frame, names, person, vector


def test_company_says_nothing_where_chance_explains_it_and_never_confirms_itself() -> None:
    by_chance = Habits.of([{0, 1}, {0}, {1}, set(), {2}] * 1 + [{0, 1}, {0}, {1}], 3)
    assert np.abs(by_chance.worth(np.array([0, 1]), 20.0)).max() < 0.02
    only_here = Habits.of([{0, 1}], 2)
    assert np.allclose(only_here.worth(np.array([0, 1]), 20.0), 0)
    friends = Habits.of([{0, 2}] * 40 + [{1}] * 40, 3)
    worth = friends.worth(np.array([-1, 2]), 10.0)
    assert worth[0, 0] > 0.05 and worth[0, 1] < -0.1
    assert np.abs(worth).max() <= MAX_NATS / 10


def test_a_doubtful_twin_is_named_by_company_and_a_stranger_stays_unknown() -> None:
    """aoi is always with rin, mio never; in the last shot somebody beside rin looks a little more like mio."""
    frames, people = [], []
    for i in range(30):
        frames.append(frame(f"a{i}"))
        people += [person(f"a{i}", 0, E[0]), person(f"a{i}", 300, E[2])]
        frames.append(frame(f"m{i}"))
        people.append(person(f"m{i}", 0, E[1]))
    frames += [frame("x"), frame("y")]
    people += [person("x", 0, vector(0.70, 0.71, 0, 0, 0)), person("x", 300, E[2])]
    people += [person("y", 0, vector(0.59, 0, 0, 0.8, 0)), person("y", 300, E[2])]
    company = PeopleConfig(companions=True)
    assert names(people, frames, company)[-4:] == ["aoi", "rin", UNKNOWN, "rin"]
    assert names(people, frames)[-4:] == ["mio", "rin", UNKNOWN, "rin"]
    clear = [*people[:-4], person("x", 0, vector(0.2, 0.95, 0, 0, 0)), person("x", 300, E[2])]
    assert names(clear, frames, company)[-2:] == ["mio", "rin"]


def test_trust_is_size_and_view() -> None:
    def figure(x: float, side: float) -> Person:
        return person("a", x, E[0], side)

    one, two = trusts([figure(0, 80), figure(300, 20)], PeopleConfig())
    assert (one, two) == (1.0, 0.5)
    front, behind = trusts([figure(0, 80), figure(40, 60)], PeopleConfig())
    assert front == 1.0 and np.isclose(behind, max(LEAST_VISIBLE, 1 - 40 * 60 / 3600))
    assert trusts([figure(0, 10), person("a", 400, None)], PeopleConfig()).tolist() == [0.0, 0.0]


def test_a_cast_of_nobody_leaves_everybody_unknown_but_tracked() -> None:
    frames = [Image(n, n, 9, 9, "screenshots", shot_id="v:1", time_s=t) for t, n in enumerate("ab")]
    people = [person("a", 0, E[0]), person("b", 2, E[0])]
    named = name_people(people, frames, type(CAST)("show", ()), PeopleConfig())
    assert [p.character for p in named] == [UNKNOWN] * 2 and named[0].track_id == named[1].track_id != ""
