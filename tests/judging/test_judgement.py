"""A judgement's files: every number counted again from the tables, a page that is whole, JSON that is JSON."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from fullcast.judging.comparison import compare
from fullcast.judging.config import JudgingConfig
from fullcast.judging.error import measure_error, wrong_scenes
from fullcast.judging.exhibits import progress
from fullcast.judging.features import Seen
from fullcast.judging.judgement import (
    CARD,
    DATA,
    PAGE,
    ROWS,
    SCORED,
    VECTORS,
    make_judgement,
    recount,
    shown,
    write_judgement,
)
from fullcast.judging.likeness import TRUE, Vector, likeness
from fullcast.judging.measures import Error, Known
from fullcast.judging.rows import Row, read_rows
from fullcast.judging.summary import summarize
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import write_png
from tests.judging.cases import CAST, NAMES, ask, figure, perfect, row
from tests.judging.test_report import check

COLORS = {name: (40.0 + 8 * i, 40.0 * (i % 2), 25.0 * (i % 3)) for i, name in enumerate(NAMES)}
CONFIG = JudgingConfig(bootstrap_repeats=200)


def some_rows(series: str, skill: float, seed: int, step: int = -1, pictures: int = 2) -> list[Row]:
    generator = np.random.default_rng(seed)
    rows = []
    for n in (1, 2, 3):
        for i in range(8):
            columns = sorted(generator.choice(5, n, replace=False).tolist())
            scene = ask(f"n{n}-{i}", *[NAMES[(i + k) % 6] for k in range(n)], columns=columns)
            for k in range(pictures):
                found = [
                    f if generator.random() < skill else figure(str(generator.choice(NAMES)), c, head_px=11)
                    for f, c in zip(perfect(scene), columns, strict=True)
                ]
                hair = tuple(COLORS[f.character] for f in found)
                rows.append(row(scene, found, seed=k, index=k, series=series, hair=hair, step=step))
    return rows


def some_vectors(rows: list[Row], generator: np.random.Generator) -> list[Vector]:
    def seen(name: str) -> Seen:
        v = generator.normal(size=8).astype(np.float32)
        return Seen(name, v / np.linalg.norm(v), generator.integers(0, 255, 36 * 64 * 3, np.uint8).tobytes())

    true = [Vector(TRUE, f"t{i}.png", f"episode {i % 3}", 0, seen(f"t{i}")) for i in range(40)]
    return true + [Vector(r.series, r.path, r.scene.id, r.num_people, seen(r.path)) for r in rows]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("judged")
    rows = [*some_rows("base", 0.5, 1, 100), *some_rows("trained", 0.95, 2, 200)]
    for one in rows:
        write_png(root / one.path, np.full((20, 20, 3), 120, np.uint8))
    made = make_judgement(
        rows,
        CAST,
        CONFIG,
        Known(COLORS, np.eye(6) * 0.7 + 0.2, {n: Error(0.9, 0.98, 50, 50) for n in (1, 2, 3)}),
        scored=rows,
        alike=likeness(some_vectors(rows, np.random.default_rng(3)), "noise"),
        judge="Judged by nobody.",
        scorer="nobody",
    )
    write_judgement(made, root / "out", root)
    return root / "out"


def test_every_number_is_counted_again_from_the_tables(written: Path):
    told = json.loads((written / DATA).read_text())
    inputs = told.pop("inputs")
    assert inputs["names"] == list(NAMES)
    again = recount(written)
    assert again == told
    for name in ("base", "trained"):
        assert told["likeness"]["kid"][name]["num_pictures"] == 20
        assert told["series"][name]["corrected"]["1"]["n"] == 16
        assert told["series"][name]["leakage"] and told["series"][name]["sizes"]
    assert {(r["num_people"], r["k"]) for r in told["best_of"]["trained"]} == {
        (n, k) for n in (1, 2, 3) for k in (1, 2)
    }


def test_json_has_no_nan_and_rows_open_elsewhere(written: Path):
    def refuse(word: str):
        raise AssertionError(word)

    json.loads((written / DATA).read_text(), parse_constant=refuse)
    duckdb = pytest.importorskip("duckdb")
    query = "select series, avg(verdict.success::int) from read_parquet(?) where verdict.num_asked = 3 group by 1"
    told = dict(duckdb.execute(query, [str(written / ROWS)]).fetchall())
    rows = read_rows(written / ROWS)
    for series, value in told.items():
        own = [r.verdict for r in rows if r.series == series]
        [count] = [c for c in summarize(own, [r.scene for r in rows], CAST).by_count if c.num_people == 3]
        assert value == pytest.approx(count.success.value)
    assert (written / VECTORS).exists()


def test_page_is_whole_and_says_everything(written: Path):
    page = (written / PAGE).read_text()
    checker = check(page)
    assert checker.wrong == [] and checker.open == [] and checker.outside == []
    for said in (
        "trained against base", "Success per person", "Counting people", "Who is there", "Does one leak into another",
        "Places", "By size of heads", "Detect-and-Compare", "Corrected success", "How far from true pictures",
        "Are training pictures drawn again", "Best of k", "The judge&#x27;s own errors", "Best and worst",
        "Did the last steps help?", "Failures", 'class="band"',
    ):  # fmt: skip
        assert said in page, said
    assert "nan" not in page.lower()
    card = (written / CARD).read_text()
    assert "### trained against base" in card and "| **" in card


def test_curves_over_checkpoints(written: Path):
    rows = read_rows(written / ROWS)
    summaries = {
        step: summarize([r.verdict for r in rows if r.step == step], [r.scene for r in rows], CAST)
        for step in (100, 200)
    }
    curves = progress(summaries)
    assert [c.name for c in curves] == ["1 person", "2 people", "3 people"]
    assert all(c.steps == (100, 200) and c.values[1] > c.values[0] for c in curves)


def test_checkpoints_of_two_runs_are_two_courses():
    """Steps alone would let one run's verdicts stand in for the other's, and draw one curve through both."""
    judged = [
        ("run1/step-500", "data/runs/run1/checkpoints/step-500", 500, "mio"),
        ("run1/step-900", "data/runs/run1/checkpoints/step-900", 900, "aoi"),
        ("run3/step-500", "step-500", 500, "aoi"),  # from outside the workspace
        ("run3/step-900", "step-900", 900, "mio"),
        ("run4/step-700", "step-700", 700, "aoi"),
    ]
    rows = [
        row(ask("s", "aoi"), [figure(seen, 1)], series=name, checkpoint=checkpoint, step=step)
        for name, checkpoint, step, seen in judged
    ]
    curves = {c.name: (c.steps, c.values) for c in shown(make_judgement(rows, CAST, CONFIG)).progress}
    assert curves == {
        "data/runs/run1, 1 person": ((500, 900), (0.0, 1.0)),
        "run3, 1 person": ((500, 900), (1.0, 0.0)),
    }
    of_one = [one for one in rows if one.series.startswith("run1")]
    assert [c.name for c in shown(make_judgement(of_one, CAST, CONFIG)).progress] == ["1 person"]
    assert shown(make_judgement([rows[0], rows[3]], CAST, CONFIG)).progress == ()


def test_page_of_several_series_says_whose_its_exhibits_are_and_shows_the_others_too(tmp_path: Path):
    wrong = {"first": "mio", "second": "hinata", "third": "aoi"}
    rows = [row(ask("s", "aoi"), [figure(seen, 1)], series=name) for name, seen in wrong.items()]
    write_judgement(make_judgement(rows, CAST, CONFIG), tmp_path, tmp_path)
    page = (tmp_path / PAGE).read_text()
    assert check(page).wrong == []
    failed = page[page.index('id="failures"') : page.index('id="extremes"')]
    assert re.findall(r'class="of">(\w+)<', failed) == ["first", "second", "third"]
    assert failed.count("1 of 1 pictures") == 2 * len(rows[0].failures) and "No failure was found." in failed
    for title in ("Counting: first", "Who is taken for whom: third", "Best and worst: first", "characters: first"):
        assert title in page, title
    alone = make_judgement(rows[:1], CAST, CONFIG)
    write_judgement(alone, tmp_path / "alone", tmp_path)
    assert 'class="of"' not in (tmp_path / "alone" / PAGE).read_text()


def test_no_two_series_of_a_dozen_look_alike(tmp_path: Path):
    rows = [row(ask("s", "aoi"), [figure("aoi", 1)], series=f"s{i}") for i in range(12)]
    write_judgement(make_judgement(rows, CAST, CONFIG), tmp_path, tmp_path)
    page = (tmp_path / PAGE).read_text()
    drawn = re.findall(r'<g class="series ([\w ]+)">', page)
    assert len(drawn) == len(set(drawn)) == 12
    assert all(f".series.{name.split()[0]}" in page for name in drawn)
    assert all(f'<i class="{name}">' in page for name in drawn), "the legend is of the same colours"


def test_series_without_a_common_scene_are_shown_and_not_compared():
    one = [row(ask("a", "aoi"), [figure("aoi", 1)], series="x")]
    other = [row(ask("b", "mio"), [figure("mio", 1)], series="y")]
    made = make_judgement([*one, *other], CAST, CONFIG)
    assert made.comparisons == () and set(made.measures) == {"x", "y"}
    assert shown(made).success[1].name == "y"
    with pytest.raises(ValueError, match="no scene in common"):
        compare(one, other)


def test_nothing_judged_is_one_sentence():
    with pytest.raises(FullcastError, match="no picture was judged"):
        make_judgement([], CAST, CONFIG)


def test_corrected_success_stands_beside_the_raw_one():
    rows = [row(ask(f"s{i}", "aoi"), [figure("aoi" if i < 6 else "mio", 1)], series="x") for i in range(8)]
    made = make_judgement(rows, CAST, CONFIG, Known(errors={1: Error(0.9, 1.0, 50, 50)}))
    [table] = [table for table in shown(made).measures if table.title == "Corrected success"]
    assert table.rows[0][1].startswith("0.75 → 0.83 (")


def test_the_judge_s_errors_on_pictures_that_are_right():
    scenes = [ask(f"s{i}", NAMES[i % 6], NAMES[(i + 1) % 6]) for i in range(12)]
    rows = [row(s, perfect(s)) for s in scenes]
    assert measure_error(rows, CAST)[2] == Error(1.0, 1.0, 12, 36)
    # A judge that sees aoi in everybody refuses what is right, and accepts nothing wrong.
    blind = [row(s, [figure("aoi", 0), figure("aoi", 1)]) for s in scenes]
    assert measure_error(blind, CAST)[2].sensitivity == 0


def test_wrong_requests_are_wrong_in_one_way():
    scene = ask("s", "aoi", "mio")
    found = dict(wrong_scenes(scene, CAST))
    assert {k: s.num_people for k, s in found.items()} == {"another name": 2, "one more": 3, "one less": 1}
    names = {p.character for p in found["another name"].people}
    assert len(names) == 2 and len(names & {"aoi", "mio"}) == 1
    everybody = ask("all", *NAMES)
    assert set(dict(wrong_scenes(everybody, CAST))) == {"one less"}
    assert dict(wrong_scenes(scene, CAST)) == found


def test_tables_of_an_earlier_judgement_in_the_same_folder_do_not_count(written: Path):
    rows = [row(ask("a", "aoi"), [figure("aoi", 1)], series="x")]
    for name in (SCORED, VECTORS):
        assert (written / name).exists()
    again = written.parent / "again"
    shutil.copytree(written, again)
    write_judgement(make_judgement(rows, CAST, CONFIG), again, written.parent)
    assert not (again / SCORED).exists() and not (again / VECTORS).exists()
    told = json.loads((again / DATA).read_text())
    assert recount(again) == {k: v for k, v in told.items() if k != "inputs"}


def test_a_specificity_that_nobody_knows_is_null_in_the_json_and_nan_again(tmp_path: Path):
    """Pictures that allow no wrong request say nothing of wrong ones."""
    rows = [row(ask("a", "aoi"), [figure("aoi", 1)], series="x")]
    made = make_judgement(rows, CAST, CONFIG, Known(errors={1: Error(1.0, float("nan"), 5, 0)}))
    write_judgement(made, tmp_path, tmp_path)
    told = json.loads((tmp_path / DATA).read_text(), parse_constant=pytest.fail)
    assert told["inputs"]["errors"]["1"]["specificity"] is None
    assert recount(tmp_path) == {k: v for k, v in told.items() if k != "inputs"}
