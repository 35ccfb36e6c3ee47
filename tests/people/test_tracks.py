"""One figure of a shot is one track, whatever comes between."""

from __future__ import annotations

import numpy as np

from fullcast.people.config import PeopleConfig
from fullcast.people.tracks import iou, track_people
from fullcast.records import Image, Person

CONFIG = PeopleConfig()


def frame(name: str, time_s: float, shot: str = "v:0001") -> Image:
    return Image(name, f"{name}.png", 1280, 720, "screenshots", shot_id=shot, time_s=time_s)


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def person(image: str, x: float, vector: np.ndarray | None, size: float = 80) -> Person:
    box = (x, 100.0, x + size, 100.0 + size)
    return Person(f"{image}/{x}", image, (x, 100.0, x + size, 400.0), 0.9, head_xyxy=box, embedding=vector)


A, B = unit(1, 0, 0, 0), unit(0, 1, 0, 0)


def ids(people: list[Person], frames: list[Image], config: PeopleConfig = CONFIG) -> list[str]:
    return [p.track_id.rsplit("/", 1)[-1] for p in track_people(people, frames, config)]


def test_two_people_keep_their_tracks_when_the_list_is_out_of_order() -> None:
    frames = [frame("b", 2.0), frame("a", 1.0), frame("c", 3.0)]
    people = [person("c", 510, B), person("a", 100, A), person("b", 110, A), person("a", 500, B), person("b", 505, B)]
    assert ids(people, frames) == ["01", "00", "00", "01", "01"]


def test_appearance_decides_where_people_change_places() -> None:
    frames = [frame("a", 1.0), frame("b", 2.0)]
    people = [person("a", 100, A), person("a", 200, B), person("b", 105, B), person("b", 195, A)]
    assert ids(people, frames) == ["00", "01", "01", "00"]


def test_a_twin_far_across_the_picture_starts_a_track_of_its_own() -> None:
    frames = [frame("a", 1.0), frame("b", 2.0)]
    people = [person("a", 100, A), person("b", 900, A)]
    assert ids(people, frames) == ["00", "01"]
    assert ids(people, frames, PeopleConfig(track_reach=20)) == ["00", "00"]


def test_a_turned_head_in_its_old_place_stays_and_elsewhere_does_not() -> None:
    turned = unit(0.5, 0.8, 0.2, 0.2)  # cosine 0.5 with A: under 0.6, above 0.6 - 0.2
    frames = [frame("a", 1.0), frame("b", 2.0)]
    assert ids([person("a", 100, A), person("b", 105, turned)], frames) == ["00", "00"]
    assert ids([person("a", 100, A), person("b", 180, turned)], frames) == ["00", "01"]


def test_a_figure_may_be_gone_for_a_while_but_not_for_long() -> None:
    frames = [frame("a", 1.0), frame("b", 2.0), frame("c", 15.0), frame("d", 40.0)]
    people = [person("a", 100, A), person("b", 500, B), person("c", 100, A), person("d", 100, A)]
    assert ids(people, frames) == ["00", "01", "00", "02"]


def test_shots_are_apart_and_pictures_without_a_shot_have_no_tracks() -> None:
    frames = [frame("a", 1.0), frame("b", 2.0, "v:0002"), frame("c", 3.0, "")]
    tracked = track_people([person("a", 100, A), person("b", 100, A), person("c", 100, A)], frames, CONFIG)
    assert [p.track_id for p in tracked] == ["v:0001/00", "v:0002/00", ""]


def test_people_without_a_vector_are_linked_by_place_alone() -> None:
    frames = [frame("a", 1.0), frame("b", 2.0)]
    assert ids([person("a", 100, None), person("b", 110, None), person("b", 400, None)], frames) == ["00", "00", "01"]


def test_iou() -> None:
    assert iou((0, 0, 2, 2), (1, 1, 3, 3)) == 1 / 7
    assert iou((0, 0, 2, 2), (2, 0, 4, 2)) == 0
