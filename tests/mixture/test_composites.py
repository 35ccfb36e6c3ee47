"""Composites: figures are cut where they end, light is told from faces, records say what was painted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fullcast.mixture.composites.backdrops import Backdrop, find_backdrops, light_of_shots
from fullcast.mixture.composites.cutouts import CutOut, cut_out
from fullcast.mixture.composites.making import _in_turn, make_composites
from fullcast.mixture.composites.scenes import Balance, choose_heads, choose_looks, paint
from fullcast.mixture.composites.stock import PER_SHOT, Stock, _some, gather, look_margin
from fullcast.mixture.config import CompositeConfig, MixtureConfig
from fullcast.mixture.samples import cut_samples
from fullcast.records import Cast, Character, Form, Image, Person, person_id
from fullcast.store.pictures import read_picture

SKIN, COATS = (235, 200, 170), {"aoi": (40, 60, 160), "hinata": (170, 40, 60), "momo": (60, 130, 60)}
WALL = (200, 190, 120)


def drawn(name: str, x: int, light: float = 1.0, frame: str = "") -> tuple[np.ndarray, np.ndarray, Image, Person]:
    """A frame of 640x360 with one figure: a round head on a coat, before a wall with a window; and its true mask."""
    rows, columns = np.mgrid[:360, :640]
    picture = np.empty((360, 640, 3), np.float32)
    picture[:] = WALL
    picture[60:140, x + 30 : x + 150] = (120, 180, 230)  # a window, half behind the figure
    head = ((columns - x) / 36) ** 2 + ((rows - 130) / 40) ** 2 < 1
    coat = (np.abs(columns - x) < 50) & (rows >= 165)
    hair = head & (rows < 112)
    picture[coat], picture[head], picture[hair] = COATS[name], SKIN, (70, 40, 20)
    noise = np.random.default_rng(x).normal(0, 1.5, picture.shape)
    picture = np.clip(picture * light + noise, 0, 255).astype(np.uint8)
    frame = frame or f"{name}{x}"
    box = (x - 50.0, 90.0, x + 50.0, 358.0)
    head_box = (x - 36.0, 90.0, x + 36.0, 170.0)
    person = Person(person_id(frame, box), frame, box, 0.9, head_box, 0.9, character=name, identity_margin=0.6)
    image = Image(frame, f"frames/{frame}.png", 640, 360, "screenshots", shot_id=f"v:{frame}")
    return picture, head | coat, image, person


def test_a_figure_is_cut_where_it_ends() -> None:
    picture, true, _, person = drawn("aoi", 300)
    cut = cut_out(picture, person, [], 340.0, 80.0)
    assert cut is not None and cut.outline > 0.95
    x, y = 300 - (cut.head_xyxy[0] + cut.head_xyxy[2]) / 2, 130 - (cut.head_xyxy[1] + cut.head_xyxy[3]) / 2
    h, w = cut.alpha.shape
    inside = true[round(y) : round(y) + h, round(x) : round(x) + w]
    mask = cut.alpha > 0.5
    assert (mask & ~inside).mean() < 0.002, "nothing of wall or window comes along"
    assert mask.sum() > 0.93 * true[:340].sum(), "and little of the figure is left behind"


def test_a_head_at_the_edge_is_not_cut_out() -> None:
    picture, _, _, person = drawn("aoi", 37)
    assert cut_out(picture[:, 2:], person, [], 340.0, 80.0) is None


def test_light_is_what_all_faces_share() -> None:
    night = np.array([0.5, 0.6, 0.9])
    heads = [("day", "aoi", np.array([200.0, 150, 120])), ("day", "momo", np.array([100.0, 70, 50]))]
    heads += [("noon", name, colour) for _, name, colour in heads]
    heads += [("night", name, colour * night) for shot, name, colour in heads if shot == "day"]
    light = light_of_shots([*heads, ("night", "unknown", np.array([255.0, 0, 0]))])
    assert light["night"] - light["day"] == pytest.approx(np.log(night), abs=1e-6)


def test_somebody_who_is_only_seen_at_night_is_not_taken_for_dark() -> None:
    """Aoi is seen by day and at night, Momo only at night: the night is as dark as Aoi says, in both nights."""
    aoi, momo, night = np.array([200.0, 150, 120]), np.array([100.0, 70, 50]), np.array([0.5, 0.6, 0.9])
    seen = [("day", "aoi", aoi), ("noon", "aoi", aoi), ("night", "aoi", aoi * night)]
    seen += [("night", "momo", momo * night), ("late", "momo", momo * night)]
    light = light_of_shots(seen)
    assert light["night"] - light["day"] == pytest.approx(np.log(night), abs=0.01)
    assert light["late"] - light["day"] == pytest.approx(np.log(night), abs=0.01)


def test_scenery_keeps_its_measure_beside_people() -> None:
    _, _, image, person = drawn("aoi", 200)
    (backdrop,) = find_backdrops([image], {image.id: [person]})
    assert backdrop.heads == ((200.0, 130.0),) and backdrop.head_px == 80
    hole = backdrop.holes[0]
    assert hole[0] <= 200 - 50 - 60 and hole[2] >= 200 + 50 + 60 and hole[1] <= 90 - 20, "with room for arms and hair"
    # A head of 40 px at (60, 50) of a picture of 200x100: the frame's head of 80 px is there at half its size.
    assert backdrop.rectangle((200, 100), (60, 50, 40), 300, 0.0, 160) == pytest.approx((80, 30, 480, 230))
    left, top, right, bottom = backdrop.rectangle((200, 100), (60, 50, 5), 300, 0.0, 160)
    assert right - left == pytest.approx(600) and bottom <= 300, "no more than there is above the floor"
    small = backdrop.rectangle((200, 100), (60, 50, 400), 300, 0.0, 160)
    assert small[2] - small[0] == pytest.approx(160), "nor is scenery blown up"
    assert find_backdrops([image], {}) == [], "a frame in which nobody was found may hold somebody"


def block(colour: int, height: int = 200) -> CutOut:
    person = Person("p", "i", (0, 0, 60, 200), 0.9, (0.0, 0.0, 60.0, 60.0), character=str(colour))
    return CutOut(
        person, np.full((height, 60, 3), colour, np.uint8), np.ones((height, 60), np.float32), (0, 0, 60, 60), 1
    )


def test_whoever_is_lower_stands_in_front() -> None:
    wide = [replace(block(colour), head_xyxy=(15.0, 0.0, 45.0, 30.0)) for colour in (100, 200)]
    for high, low, front in ((10.0, 30.0, 200), (30.0, 10.0, 100)):
        heads = [(40.0, high, 70.0, high + 30), (85.0, low, 115.0, low + 30)]
        painted = paint(np.zeros((80, 160, 3), np.uint8), wide, heads, [np.ones(3)] * 2)
        assert painted is not None and painted.pixels[70, 78, 0] == front
    apart = [(30.0, 10.0, 60.0, 40.0), (70.0, 30.0, 100.0, 60.0)]
    painted = paint(np.zeros((80, 160, 3), np.uint8), [block(100), block(200)], apart, [np.ones(3)] * 2)
    assert painted is not None
    assert [f.head_xyxy for f in painted.figures] == [pytest.approx(h) for h in apart]
    assert [f.seen_xyxy for f in painted.figures] == [(30, 10, 60, 80), (70, 30, 100, 80)]
    assert painted.pixels[79, 45, 0] == 100
    assert painted.bare[5, 45] == 1 and painted.bare[79, 45] == 0, "where figures hide the backdrop"
    covered = [(30.0, 10.0, 60.0, 40.0), (40.0, 20.0, 70.0, 50.0)]
    assert paint(np.zeros((80, 160, 3), np.uint8), [block(100), block(200)], covered, [np.ones(3)] * 2) is None
    low = paint(np.zeros((80, 160, 3), np.uint8), [block(100, 100)], [(30.0, 5.0, 60.0, 35.0)], [np.ones(3)])
    assert low is not None and low.figures[0].head_xyxy[1] > 25, "a short cut-out goes down to the lower edge"


def test_a_portrait_is_drawn_out_to_stand_with_its_head_high() -> None:
    short, head, gains = block(100, 100), (30.0, 5.0, 60.0, 35.0), [np.ones(3)]
    short.rgb[:60] = 50  # the head, which must stay as it is
    painted = paint(np.zeros((80, 160, 3), np.uint8), [short], [head], gains, lengthen=6.0)
    assert painted is not None and painted.figures[0].head_xyxy == pytest.approx(head)
    assert painted.pixels[79, 45, 0] == 100 and painted.pixels[20, 45, 0] == 50
    assert painted.figures[0].cut.person == short.person
    bounded = paint(np.zeros((80, 160, 3), np.uint8), [short], [head], gains, lengthen=1.2)
    assert bounded is not None and bounded.figures[0].head_xyxy[1] > 10, "no further than is allowed"


def test_looks_come_out_even() -> None:
    balance = Balance.empty()
    looks = {"c0": "c0", "c0/winter": "c0", **{f"c{i}": f"c{i}" for i in range(1, 6)}}
    for k in range(70):
        chosen = choose_looks(looks, 3, balance, np.random.default_rng(k))
        assert len({looks[look] for look in chosen}) == 3, "nobody stands beside themselves"
        balance.add(chosen, [(0, 0)] * 3)
    assert min(balance.looks.values()) >= 29 and max(balance.looks.values()) <= 31
    assert len(balance.pairs) == 20 and max(balance.pairs.values()) <= 2 * min(balance.pairs.values())


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_heads_have_room(count: int) -> None:
    for seed in range(20):
        heads = choose_heads(count, 288, 128, np.random.default_rng(seed))
        assert all(h[0] >= 0 and h[2] <= 288 and h[3] - h[1] >= 24 for h in heads), "12 px in a bucket half as wide"
        assert all(a[2] <= b[0] + 2 for a, b in zip(heads, heads[1:], strict=False))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_without_disorder_heads_stand_in_the_middles_of_cells(count: int) -> None:
    seen = set()
    for seed in range(20):
        heads = choose_heads(count, 288, 128, np.random.default_rng(seed), 0.0)
        middles = [((h[0] + h[2]) / 2 / 288 * 5 - 0.5, (h[1] + h[3]) / 2 / 128 * 5 - 0.5) for h in heads]
        cells = [(round(x), round(y)) for x, y in middles]
        assert [c for cell in middles for c in cell] == pytest.approx([c for cell in cells for c in cell])
        assert [x for x, _ in cells] == sorted({x for x, _ in cells}) and {y for _, y in cells} <= {1, 2}
        assert {round(h[3] - h[1], 3) for h in heads} == {42.092}, "of one size, however many they are"
        assert all(a[2] < b[0] for a, b in zip(heads, heads[1:], strict=False))
        assert all(h[0] >= 0 and h[1] >= 0 and h[2] <= 288 and h[3] <= 128 for h in heads)
        loose = choose_heads(count, 288, 128, np.random.default_rng(seed))
        half = choose_heads(count, 288, 128, np.random.default_rng(seed), 0.5)
        assert half == [pytest.approx(tuple((np.array(a) + b) / 2)) for a, b in zip(heads, loose, strict=True)]
        seen |= set(cells)
    assert len(seen) == 10, "all of them come about"


def test_figures_come_from_portraits_and_backgrounds_from_ordinary_frames() -> None:
    """Momo is in no frame, only in her portrait; the surest cut-out of each look stays; dusk lends no background."""
    frames = [drawn("aoi", 150), drawn("aoi", 420, frame="again"), drawn("hinata", 160), drawn("aoi", 300, 0.6, "dusk")]
    picture, _, image, person = drawn("momo", 300)
    portrait = picture[:260, 180:420]
    image = replace(image, id="ref", source="reference", width=240, height=260, shot_id="")
    box, head = (70.0, 90.0, 170.0, 258.0), (84.0, 90.0, 156.0, 170.0)
    person = replace(person, id="ref/1", image_id="ref", xyxy=box, head_xyxy=head, identity_margin=1.0)
    pictures = {i.id: p for p, _, i, _ in frames} | {"ref": portrait}
    images, people = [f[2] for f in frames] + [image], [f[3] for f in frames] + [person]
    people[1] = replace(people[1], identity_margin=0.9)

    def found(**settings: object) -> object:
        config = MixtureConfig(composites=CompositeConfig(count=1, min_outline=0.9, **settings))  # type: ignore[arg-type]
        return gather(images, people, lambda i: pictures[i.id], config, scene_tags={i.id: ["park"] for i in images})

    assert {cut.person.character for cut in found().cuts} == {"aoi", "hinata"}
    both = found(cut_from=("screenshots", "reference"), cuts_per_look=1)
    assert {cut.person.id for cut in both.cuts} == {people[1].id, people[2].id, "ref/1"}
    assert {b.image.id for b in both.backdrops} == {i.id for i in images[:4]}, "no portrait is a background"
    assert {b.image.id for b in found(max_backdrop_light=0.2).backdrops} == {i.id for i in images[:3]}


def test_of_each_scene_a_few_backgrounds_are_used_and_all_scenes_alike_often() -> None:
    images = [Image(f"i{n}", f"{n}.png", 9, 9, "screenshots", shot_id=f"s{n}") for n in range(8)]
    scene_of = {image.id: ("park" if n < 6 else "street", "day") for n, image in enumerate(images)}
    backdrops = tuple(Backdrop(image, (), ((4.0, 4.0),), 3.0) for image in images)
    stock = Stock((), backdrops, {}, {}, scene_of, ())
    balance, draw = Balance.empty(), np.random.default_rng(0)
    unusable = "i6"
    for _ in range(40):
        order = [b.image.id for b in _in_turn(stock, balance, 2, draw) if b.image.id != unusable]
        balance.add_backdrop(order[0], "", scene_of[order[0]])
    used = balance.scenes
    assert {scene: images.total() for scene, images in used.items()} == {("park", "day"): 20, ("street", "day"): 20}
    assert len(used["park", "day"]) == 2 and set(used["street", "day"]) == {"i7"}
    assert len(_in_turn(stock, balance, 0, draw)) == 8


def test_looks_must_be_sure_where_there_are_several() -> None:
    """0.8 to her plain look and 0.6 to the other: sure by 0.2. Somebody with one look has nothing to differ from."""
    aoi = Character("aoi", "aoi", (Form("", references=np.eye(3)[:1]), Form("hairdown", references=np.eye(3)[1:2])))
    cast = Cast("show", (aoi, Character("mio", "mio", (Form("", references=np.eye(3)[:1]),))))
    person = Person("p", "im", (0, 0, 9, 9), 1, character="aoi", embedding=np.array([0.8, 0.6, 0.0]))
    assert look_margin(person, cast) == pytest.approx(0.2)
    assert look_margin(replace(person, form="hairdown"), cast) == pytest.approx(-0.2)
    assert look_margin(replace(person, character="mio"), cast) == np.inf
    assert look_margin(replace(person, embedding=None), cast) == np.inf


def test_records_say_what_was_painted(tmp_path: Path) -> None:
    frames = [drawn(name, x) for name, x in (("aoi", 150), ("hinata", 160), ("momo", 480))]
    pictures = {image.id: picture for picture, _, image, _ in frames}
    config = MixtureConfig(composites=CompositeConfig(count=6, people=(2, 3), min_outline=0.9))
    images, people = [f[2] for f in frames], [f[3] for f in frames]

    def make(folder: str) -> object:
        return make_composites(images, people, lambda i: pictures[i.id], config, 7, tmp_path, folder)

    made = make("one")
    assert [i.id for i in made.images] == [i.id for i in make("two").images], "the same draws, byte for byte"
    assert len(made.images) >= 4 and {i.source for i in made.images} == {"composite"}
    for image in made.images:
        group = [p for p in made.people if p.image_id == image.id]
        pixels = read_picture(tmp_path / image.path)
        assert pixels.shape == (image.height, image.width, 3) and image.parent in pictures
        assert len({p.character for p in group}) == len(group) in (2, 3)
        for person in group:
            assert person.detector.removeprefix("cut-out:") in {p.id for p in people}
            head = person.head_xyxy
            assert head is not None
            x = round((head[0] + head[2]) / 2)
            coat = pixels[min(image.height - 2, round(head[3] + 0.25 * (head[3] - head[1]))), x]
            near = min(COATS, key=lambda name: float(np.abs(coat - np.array(COATS[name], float)).sum()))
            assert near == person.character, "below the head is that person's coat"
    samples = cut_samples(made.images, made.people, config).samples
    assert {s.kind for s in samples} == {"full"} and {s.source for s in samples} == {"composite"}


@pytest.mark.parametrize("frames", [1, 2, 3, 7])
def test_each_frame_of_a_shot_lends_its_scenery_once(frames: int) -> None:
    shot = [Image(f"i{k}", "", 200, 100, "screenshots", shot_id="s") for k in range(frames)]
    chosen = [b.image.id for b in _some([Backdrop(image, (), (), 3.0) for image in shot], {"s": np.zeros(3)})]
    assert len(chosen) == len(set(chosen)) == min(PER_SHOT, frames)
