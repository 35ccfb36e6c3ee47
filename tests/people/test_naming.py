"""Names over a whole show: tracks vote, nobody comes twice in a picture, forms, unknown; then through real doors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from fullcast.people.config import PeopleConfig
from fullcast.people.detect import detect_partition
from fullcast.people.layout import with_layout
from fullcast.people.naming import name_people
from fullcast.recognition.references import build_cast
from fullcast.records import UNKNOWN, Cast, Character, Form, Image, Person
from tests.recognition import drawn

CONFIG = PeopleConfig()


def vector(*values: float) -> np.ndarray:
    array = np.array(values, dtype=np.float32)
    return array / np.linalg.norm(array)


E = np.eye(5, dtype=np.float32)
CAST = Cast(
    "show",
    (
        Character("aoi", "aoi", (Form("", references=E[:1]), Form("hairdown", references=vector(4, 0, 0, 0, 3)[None]))),
        Character("mio", "mio", (Form("", references=E[1:2]),)),
        Character("rin", "rin", (Form("", references=E[2:3]),)),
    ),
    threshold=0.6,
)  # fmt: skip


def frame(name: str, time_s: float = -1.0, shot: str = "") -> Image:
    return Image(name, f"{name}.png", 1280, 720, "screenshots", shot_id=shot, time_s=time_s)


def person(image: str, x: float, embedding: np.ndarray | None, size: float = 80) -> Person:
    box = (x, 100.0, x + size, 100.0 + size)
    head = None if embedding is None else box
    return Person(f"{image}/{x}", image, (x, 100.0, x + size, 400.0), 0.9, head_xyxy=head, embedding=embedding)


def names(people: list[Person], frames: list[Image], config: PeopleConfig = CONFIG) -> list[str]:
    return [p.name for p in name_people(people, frames, CAST, config)]


def test_names_forms_and_the_unknown() -> None:
    people = [
        person("a", 0, E[0]),
        person("a", 300, E[1]),
        person("a", 600, E[3]),
        person("b", 0, vector(4, 0, 0, 0, 3)),
        person("b", 300, None),
    ]
    assert names(people, [frame("a"), frame("b")]) == ["aoi", "mio", UNKNOWN, "aoi/hairdown", UNKNOWN]
    named = name_people(people, [frame("a"), frame("b")], CAST, CONFIG)
    assert named[0].identity_score == 1 and np.isclose(named[0].identity_margin, 1)
    assert [p.id for p in named] == [p.id for p in people]


def test_nobody_comes_twice_in_a_picture_and_the_total_decides() -> None:
    """Both look most like aoi; only the first could also be mio."""
    people = [person("a", 0, vector(0.75, 0.66, 0, 0, 0)), person("a", 300, vector(0.75, 0, 0, 0.66, 0))]
    assert names(people, [frame("a")]) == ["mio", "aoi"]


def test_the_track_votes_and_small_heads_count_less() -> None:
    """One doubtful frame among three: alone it would be mio, in its track it is aoi."""
    doubtful = vector(0.65, 0.75, 0, 0, 0)
    clear = vector(0.9, 0.43, 0, 0, 0)
    frames = [frame(name, i, "v:0001") for i, name in enumerate("abc")]
    people = [person("a", 100, clear), person("b", 102, doubtful), person("c", 104, clear)]
    assert names(people, frames) == ["aoi"] * 3
    assert names(people, [replace(f, shot_id="") for f in frames]) == ["aoi", "mio", "aoi"]
    against = person("b", 102, vector(0.5, 0.85, 0, 0, 0))
    assert names([person("a", 100, clear), against], frames) == ["aoi", "aoi"]
    assert names([person("a", 100, clear, 16), against], frames) == ["mio", "mio"]


def test_a_track_keeps_its_name_away_from_everyone_it_meets() -> None:
    """Two tracks meet in frame b only; in frames a and c the weaker one is alone and must still be somebody else."""
    frames = [frame(name, i, "v:0001") for i, name in enumerate("abc")]
    other = vector(0.75, 0.66, 0, 0, 0)
    people = [person("a", 900, other), person("b", 100, E[0]), person("b", 902, other), person("c", 904, other)]
    assert names(people, frames) == ["mio", "aoi", "mio", "mio"]


def test_heads_too_small_to_know_take_the_name_of_their_track_or_none() -> None:
    frames = [frame("a", 1, "v:0001"), frame("b", 2, "v:0001")]
    assert names([person("a", 100, E[0], 10)], [frame("a")]) == [UNKNOWN]
    people = [person("a", 100, E[0], 20), person("b", 102, vector(0.9, 0.1, 0.1, 0, 0), 12)]
    assert names(people, frames) == ["aoi", "aoi"]


def test_the_threshold_of_the_settings_goes_before_the_casts() -> None:
    weak = [person("a", 0, vector(0.7, 0, 0, 0.7, 0.14))]
    assert names(weak, [frame("a")]) == ["aoi"]
    assert names(weak, [frame("a")], PeopleConfig(threshold=0.9)) == [UNKNOWN]
    assert names([], []) == []


def test_from_pictures_to_names_through_real_doors(tmp_path: Path) -> None:
    """Drawn frames, small real networks: boxes, names, forms and the unknown come out as drawn; drops are counted."""
    looks = {"aoi": "aoi", "aoi/hairdown": "hairdown", "mio": "mio", "rin": "rin"}
    folder = drawn.write_references(tmp_path / "references", {k: drawn.COLOURS[v] for k, v in looks.items()})
    detector, embedder = drawn.detector(tmp_path), drawn.embedder(tmp_path)
    cast = build_cast(folder, embedder, detector, "show").cast
    rng = np.random.default_rng(0)
    truth, images = {}, []
    for i in range(24):
        drawn_people = [str(who) for who in rng.choice([*drawn.COLOURS, "stranger"], 3, replace=False)]
        drawn_people = drawn_people[: int(rng.integers(1, 4))]
        if {"aoi", "hairdown"} <= set(drawn_people):
            continue  # one person cannot stand in a picture twice
        shades = [np.array(drawn.COLOURS.get(who, drawn.STRANGER)) + rng.integers(-15, 16, 3) for who in drawn_people]
        colours = {(60 + 168 * k, 84): tuple(int(v) for v in shade.clip(0, 255)) for k, shade in enumerate(shades)}
        Pillow.fromarray(drawn.picture(colours)).save(tmp_path / f"{i}.png")  # type: ignore[arg-type]
        images.append(Image(f"img{i}", f"{i}.png", drawn.WIDTH, drawn.HEIGHT, "screenshots"))
        truth[f"img{i}"] = [{"hairdown": "aoi/hairdown", "stranger": UNKNOWN}.get(who, who) for who in drawn_people]
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    images += [
        Image("broken", "broken.png", 1, 1, "screenshots"),
        Image("d", "x.png", 1, 1, "screenshots", dropped="blur"),
    ]
    found = detect_partition(images, tmp_path, detector, embedder, CONFIG)
    assert [(d.item, d.stage, d.reason) for d in found.drops] == [("broken", "people", "truncated")]
    named = name_people(found.people, images, cast, CONFIG)
    answer: dict[str, list[str]] = {}
    for p in named:
        answer.setdefault(p.image_id, []).append(p.name)
    assert len(truth) > 12
    assert answer == truth


def test_layout_statistics_of_the_show() -> None:
    frames = [frame("a"), frame("b"), frame("c"), replace(frame("d"), dropped="blur")]
    people = [person("a", 88, E[0]), person("a", 728, E[1]), person("b", 600, E[0], 40), person("d", 0, E[0])]
    layout = with_layout(CAST, people, frames).layout
    assert layout["share/0"] == layout["share/1"] == layout["share/2"] == round(1 / 3, 4)
    assert layout["x/2/0"] == 0.1 and layout["x/2/1"] == 0.6
    assert layout["head_height/2"] == round(80 / 720, 4) and layout["head_y/1"] == round(120 / 720, 4)
