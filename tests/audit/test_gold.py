"""A gold sample: weighted back to the whole show, with intervals that hold what they promise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fullcast.audit.estimate import Cluster, allocate, stratified_share
from fullcast.audit.gold import (
    Drawn,
    GoldSample,
    Row,
    blank_rows,
    confusion,
    draw,
    measure_gold,
    read_rows,
    rows_from_truth,
    true_people,
    write_rows,
)
from fullcast.audit.truth import TrueFrame, TruePerson, Truth
from fullcast.journey.preparing import Prepared
from fullcast.judging.statistics import wilson
from fullcast.records import UNKNOWN, Cast, Character, Image, Person
from fullcast.store.errors import FullcastError
from fullcast.store.seeding import rng

CAST = Cast("show", (Character("aoi", "aoi"), Character("mio", "mio")), threshold=0.5)


def test_a_stratum_counts_by_its_size_and_not_by_its_sample() -> None:
    """Ten of a stratum of 900 are all right, ten of one of 100 all wrong: 90 % of the show is right, not half."""
    clusters = [Cluster("large", 1, 1)] * 10 + [Cluster("small", 0, 1)] * 10
    assert stratified_share(clusters, {"large": 900, "small": 100}).value == pytest.approx(0.9)


def test_one_stratum_with_one_person_each_is_wilson() -> None:
    """Of a very large show, up to Student's factor for 199 degrees of freedom and the n - 1 of a variance."""
    found = stratified_share([Cluster("all", float(k < 150), 1) for k in range(200)], {"all": 10**9})
    assert (found.low, found.high) == pytest.approx(wilson(150, 200), abs=1e-3)


def test_a_show_labelled_whole_is_known() -> None:
    found = stratified_share([Cluster("all", float(k < 3), 1) for k in range(4)], {"all": 4})
    assert (found.value, found.low, found.high) == (0.75, 0.75, 0.75)
    assert stratified_share([Cluster("all", 5, 5)], {"all": 50}).low < 0.5, "one picture right is no proof"


def population(seed: int) -> list[tuple[str, np.ndarray]]:
    """1,500 pictures of one to four people in five strata; errors of one picture go together."""
    generator = rng(seed, "population")
    pictures = []
    for name, size, rate in (("a", 700, 0.98), ("b", 400, 0.93), ("c", 250, 0.8), ("d", 100, 0.6), ("e", 50, 0.4)):
        for _ in range(size):
            own = generator.beta(8 * rate, 8 * (1 - rate))
            pictures.append((name, generator.random(generator.integers(1, 5)) < own))
    return pictures


def test_intervals_cover_the_truth_and_the_mean_is_not_off() -> None:
    pictures = population(0)
    truth = sum(p.sum() for _, p in pictures) / sum(len(p) for _, p in pictures)
    by_stratum: dict[str, list[np.ndarray]] = {}
    for name, picture in pictures:
        by_stratum.setdefault(name, []).append(picture)
    sizes = {name: len(group) for name, group in by_stratum.items()}
    covered, values = 0, []
    for repeat in range(400):
        generator = rng(repeat, "draw")
        clusters = []
        for name, count in allocate(sizes, 120).items():
            for k in generator.permutation(sizes[name])[:count]:
                picture = by_stratum[name][k]
                clusters.append(Cluster(name, float(picture.sum()), float(len(picture))))
        found = stratified_share(clusters, sizes)
        values.append(found.value)
        covered += found.low <= truth <= found.high
    assert covered / 400 >= 0.92, "95 % asked for; 400 draws leave +-2 %"
    assert abs(np.mean(values) - truth) < 0.004
    naive = np.mean([p.mean() for group in by_stratum.values() for p in group[:24]])
    assert abs(naive - truth) > 0.05, "equal shares without weights would be far off: the test can fail"


def test_allocation_sees_rare_strata_and_never_asks_for_more_than_there_is() -> None:
    given = allocate({"big": 1000, "middle": 100, "rare": 1}, 40)
    assert given["rare"] == 1 and sum(given.values()) == 40 and given["big"] > given["middle"] >= 2
    assert allocate({"a": 3, "b": 2}, 50) == {"a": 3, "b": 2}


def show(pictures: int = 60) -> tuple[Prepared, Truth]:
    """Everybody is found; in every tenth picture aoi is called mio, in every twelfth a figure is missed."""
    images, people, frames = [], [], []
    for k in range(pictures):
        images.append(Image(f"{k:020d}", f"{k}.png", 200, 100, "screenshots", video_id="v", time_s=float(k), pts=k))
        boxes = [(10.0, 10.0, 50.0, 90.0), (100.0, 10.0, 140.0, 90.0)]
        true = [TruePerson("aoi", "", boxes[0], boxes[0]), TruePerson(UNKNOWN, "", boxes[1], boxes[1])]
        frames.append(TrueFrame("e.mp4", k, float(k), 0, "story", str(k), (0, 0, 200, 100), tuple(true)))
        said = "mio" if k % 10 == 0 else "aoi"
        head = (20.0, 10.0, 40.0, 30.0)
        first = Person(
            f"{k}/0", f"{k:020d}", boxes[0], 0.9, head, character=said, identity_score=0.9, identity_margin=0.2
        )
        people.append(first)
        if k % 12:
            people.append(
                replace(first, id=f"{k}/1", xyxy=boxes[1], head_xyxy=(110.0, 10.0, 130.0, 30.0), character=UNKNOWN)
            )
    return Prepared(tuple(images), tuple(people), CAST, {}, (), ()), Truth(frames)


def test_labels_from_truth_give_the_figures_of_the_whole_show_within_their_intervals() -> None:
    ready, truth = show()
    sample = draw(ready, 30, 1, 0.5)
    assert len(sample.pictures) == 30 and sum(sample.sizes.values()) == 60
    labels = true_people(rows_from_truth(sample, ready, truth, {"v": "e.mp4"}))
    rows, pairs, weights, notes = measure_gold(sample, labels, ready)
    table = {row.name: row.ours for row in rows}
    exact = {
        "person precision": 1,
        "person recall": 115 / 120,
        "open-set accuracy": 109 / 115,
        "people of the cast named right": 0.9,
        "people counted right": 55 / 60,
        "aoi: named right": 0.9,
    }
    for name, value in exact.items():
        assert table[name].low - 1e-9 <= value <= table[name].high + 1e-9, (name, table[name])
    assert sum(weights.values()) == pytest.approx(60) and "30 of 30" in notes[0]
    wrong = [row for row in confusion(pairs, weights) if row["true"] != row["given"]]
    assert [(row["true"], row["given"]) for row in wrong] == [("aoi", "mio")]
    assert wrong[0]["people"] == pytest.approx(6, abs=3)


def test_a_labelled_sample_measures_a_later_run_by_its_boxes() -> None:
    ready, truth = show()
    sample = draw(ready, 60, 1, 0.5)
    labels = true_people(rows_from_truth(sample, ready, truth, {"v": "e.mp4"}))
    moved = [replace(p, id=p.id + "x", xyxy=(p.xyxy[0] + 4, *p.xyxy[1:]), character="aoi") for p in ready.people]
    table = {r.name: r.ours for r in measure_gold(sample, labels, replace(ready, people=tuple(moved)))[0]}
    assert table["people of the cast named right"].value == 1 and table["recall of unknown"].value == 0
    assert table["person recall"].value == pytest.approx(115 / 120)


def test_a_sample_speaks_for_the_pictures_it_was_drawn_from_that_are_still_in_use() -> None:
    """Twenty pictures of sixty are dropped, three of them labelled wrong ones; twenty have come."""
    ready, truth = show()
    sample = draw(ready, 60, 1, 0.5)
    labels = true_people(rows_from_truth(sample, ready, truth, {"v": "e.mp4"}))
    images = [replace(image, dropped="blurred") if k % 3 == 0 else image for k, image in enumerate(ready.images)]
    new = [replace(images[1], id=f"new{k}") for k in range(20)]
    later = replace(ready, images=(*images, *new))
    rows, _, weights, notes = measure_gold(sample, labels, later)
    table = {row.name: row.ours for row in rows}
    assert len(weights) == 40 and sum(weights.values()) == pytest.approx(40)
    assert table["people of the cast named right"].value == pytest.approx(36 / 40), (
        "of those in use: k = 10, 20, 40, 50"
    )
    assert "40 of 60 sampled pictures are labelled and in use; they stand for 40 of 60 pictures" in notes[0]
    assert notes[1] == "20 sampled pictures are not used any more and are left out."
    assert notes[2].startswith("20 of the 60 pictures in use (33%) came after the sample was drawn")
    assert len(measure_gold(sample, labels, ready)[3]) == 1, "an unchanged show has nothing to add"


def test_strata_count_by_what_is_left_of_them() -> None:
    """The larger stratum lost most of its pictures: its labels no longer outweigh the smaller one's."""
    ready, truth = show()
    ids = [image.id for image in ready.images]
    frame = {"large": tuple(ids[:50]), "small": tuple(ids[50:])}
    drawn = tuple(Drawn(i, "large") for i in ids[:5]) + tuple(Drawn(i, "small") for i in ids[50:55])
    sample = GoldSample(1, ("people",), {"large": 50, "small": 10}, drawn, frame)
    labels = true_people(rows_from_truth(sample, ready, truth, {"v": "e.mp4"}))
    images = tuple(replace(i, dropped="blurred") if 10 <= k < 50 else i for k, i in enumerate(ready.images))
    weights = measure_gold(sample, labels, replace(ready, images=images))[2]
    assert set(weights.values()) == {2.0}


def test_a_sample_that_does_not_say_what_it_was_drawn_from_says_that_the_show_changed(tmp_path: Path) -> None:
    ready, truth = show()
    sample = replace(draw(ready, 30, 1, 0.5), frame={})
    sample.write(tmp_path)
    old = json.loads((tmp_path / "sample.json").read_text())
    del old["frame"]
    (tmp_path / "sample.json").write_text(json.dumps(old))
    sample = GoldSample.read(tmp_path)
    labels = true_people(rows_from_truth(sample, ready, truth, {"v": "e.mp4"}))
    grown = replace(ready, images=(*ready.images, replace(ready.images[0], id="new")))
    assert (
        "had 60 pictures in use when this sample was drawn and has 61 now" in measure_gold(sample, labels, grown)[3][1]
    )


def test_the_file_of_answers(tmp_path: Path) -> None:
    ready, _ = show(3)
    sample = draw(ready, 3, 1, 0.5)
    sample.write(tmp_path)
    assert GoldSample.read(tmp_path) == sample
    rows = blank_rows(sample, ready)
    assert not any(row.name for row in rows), "nothing is given away"
    path = tmp_path / "labels.csv"
    write_rows(path, rows)
    assert read_rows(path, ["aoi", "mio"]) == rows and true_people(rows) == {}
    first = rows[0].picture
    filled = [replace(r, name="yes" if r.found == "done" else "aoi") if r.picture == first else r for r in rows]
    filled.append(Row(first, (60, 10, 90, 90), "no", "mio"))
    write_rows(path, filled)
    assert [p.name for p in true_people(read_rows(path, ["aoi", "mio"]))[first]].count("mio") == 1
    beyond = [Row(first, (-12.5, -3, 80, 90.25), "yes", "mio"), Row(first, (0, 1e-9, 4, 5), "no", "aoi")]
    write_rows(path, beyond)
    assert read_rows(path, ["aoi", "mio"]) == beyond
    write_rows(path, filled)
    for wrong in ("1-2-3", "1-2-3-4-5", "1-2-3-x"):
        path.write_text(f"picture,box,found,name\n{first},{wrong},yes,mio\n")
        with pytest.raises(FullcastError, match=f"line 2: '{wrong}' is no box"):
            read_rows(path, ["aoi", "mio"])
    write_rows(path, filled)
    path.write_text(path.read_text().replace("mio", "emi"))
    with pytest.raises(FullcastError, match=r"line \d+: nobody is called 'emi'; the answers are: aoi, mio"):
        read_rows(path, ["aoi", "mio"])
