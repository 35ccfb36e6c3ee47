"""The checks' own machinery: goals, what is printed, what is written, and that nothing is skipped in silence."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from checks import __main__ as entry
from checks.framework import Check, Context, Figure, Goal, as_table, passed, run, short
from checks.shows import Ran, ShowFiles
from fullcast.judging.rows import Row
from fullcast.records import Found, Placement, Scene, Verdict


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FULLCAST_CHECKS_RESULTS", str(tmp_path))
    monkeypatch.setenv("FULLCAST_CHECKS_DIR", str(tmp_path / "work"))
    monkeypatch.delenv("SEED", raising=False)
    monkeypatch.delenv("FULLCAST_CHECKS_SMALL", raising=False)
    return tmp_path


def check_of(*figures: Figure, error: Exception | None = None) -> Check:
    check = Check("sample")

    @check.line(1, "a line")
    def line(context: Context) -> Iterator[Figure]:
        yield from figures
        if error:
            raise error

    return check


@pytest.mark.parametrize(
    ("goal", "value", "verdict"),
    [
        (Goal(">=", 0.93), 0.93, "PASS"),
        (Goal(">=", 0.93), 0.9299, "SHORT"),
        (Goal("<=", 0.02), 0.02, "PASS"),
        (Goal("<=", 0.02), 0.021, "SHORT"),
        (Goal("=", 0), 0, "PASS"),
        (Goal(">=", 0), math.nan, "SHORT"),
        (None, 0.1, "-"),
    ],
)
def test_goals(goal: Goal | None, value: float, verdict: str):
    assert Figure("x", value, goal).verdict == verdict


def test_all_goals_met_is_zero_and_written_with_commit_and_machine(results: Path):
    assert run(check_of(Figure("recall", 0.95, Goal(">=", 0.93), 200, 0.91, 0.97)), [1]) == 0
    written = json.loads((results / "sample.json").read_text())["lines"]["1"]
    assert written["verdict"] == "PASS" and len(written["commit"]) >= 7 and written["machine"]["cores"] >= 1
    figure = written["figures"][0]
    assert (figure["value"], figure["goal"], figure["n"], figure["low"]) == (0.95, ">= 0.93", 200, 0.91)


def test_one_short_figure_fails_the_check(results: Path):
    assert run(check_of(passed("a", True), Figure("b", 0.1, Goal(">=", 0.93))), [1]) == 1
    assert json.loads((results / "sample.json").read_text())["lines"]["1"]["verdict"] == "SHORT"


def test_what_breaks_a_line_is_told_and_what_was_measured_stays(results: Path, capsys: pytest.CaptureFixture[str]):
    assert run(check_of(passed("before", True), error=RuntimeError("no such command")), [1]) == 1
    said = capsys.readouterr().out
    assert "before" in said and "could not run because no such command" in said
    figures = json.loads((results / "sample.json").read_text())["lines"]["1"]["figures"]
    assert [f["verdict"] for f in figures] == ["PASS", "SHORT"] and figures[1]["value"] is None


def test_a_line_that_measures_nothing_is_short():
    assert run(check_of(), [1]) == 1


def test_lines_are_kept_apart_in_the_file(results: Path):
    check = check_of(passed("a", True))
    check.lines[2] = ("another", lambda context: [short("b", "there is no such thing")])
    run(check, [1])
    run(check, [2])
    lines = json.loads((results / "sample.json").read_text())["lines"]
    assert list(lines) == ["1", "2"] and [line["verdict"] for line in lines.values()] == ["PASS", "SHORT"]


def test_a_run_on_fewer_pictures_says_so(results: Path, monkeypatch: pytest.MonkeyPatch):
    run(check_of(Figure("a", 1.0)), [1])
    assert "small" not in json.loads((results / "sample.json").read_text())["lines"]["1"]
    monkeypatch.setenv("FULLCAST_CHECKS_SMALL", "1")
    run(check_of(Figure("a", 1.0)), [1])
    assert json.loads((results / "sample.json").read_text())["lines"]["1"]["small"] is True


def test_seeds_come_from_the_commit_unless_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    one, other = Context("a" * 40, tmp_path, print), Context("b" * 40, tmp_path, print)
    assert one.seeds("x", 3) == one.seeds("x", 3) != other.seeds("x", 3)
    assert one.seeds("x", 3) != one.seeds("y", 3) and len(set(one.seeds("x", 3))) == 3
    monkeypatch.setenv("SEED", "7")
    assert other.seeds("x", 3) == [7, 8, 9]


def test_table_is_aligned_and_holds_every_column():
    text = as_table([Figure("recall", 0.951, Goal(">=", 0.93), 200, 0.912, 0.974, "worst of 3"), short("b", "of y")])
    assert "0.951" in text and ">= 0.93" in text and "0.912 to 0.974" in text and "worst of 3" in text
    assert "SHORT" in text and "could not run because of y" in text


def test_entry_names_what_there_is(capsys: pytest.CaptureFixture[str]):
    assert "journey" in entry.names()
    assert entry.main(["nonsense"]) == 2
    assert "journey" in capsys.readouterr().err
    assert entry.main(["journey", "99"]) == 2
    assert "no line 99" in capsys.readouterr().err


def test_journey_has_the_issue_s_seven_lines():
    from checks.journey import CHECK

    assert sorted(CHECK.lines) == [1, 2, 3, 4, 5, 6, 7]


def test_pairs_of_the_trainers_speed_check_run(tmp_path):
    """A small case of check-trainer-2, whose whole is run by hand: it must not fall behind the trainer."""
    speed = import_module("checks.trainer.speed")
    model = speed.base(tmp_path / "model", speed.TINY)
    figures = list(speed.pairs_at(model, tmp_path / "run", 1, None))
    assert len(figures) == len(speed.BUCKETS) and all(figure.n == speed.PAIRS for figure in figures)
    assert all(figure.value > 0.5 for figure in figures)


def test_study_tells_whom_soft_pictures_resemble():
    """Of check-trainer-6: one figure that is nearest to who was asked for counts, sure or not; two do not."""
    nearest = import_module("checks.trainer.study").nearest_by_character

    def row(asked: str, *scores: tuple[float, float]) -> Row:
        found = tuple(Found((0.0, 0.0, 9.0, 9.0), None, 1.0, "unknown", "", 0.0, 0.0, scores=s) for s in scores)
        return Row(Scene("one", "", (Placement(asked),)), Verdict("p", "one", 1, len(found), found))

    rows = [row("aoi", (0.2, 0.1)), row("aoi", (0.1, 0.2)), row("ken", (0.1, 0.2)), row("ken", (0.0, 0.9), (0.0, 0.9))]
    assert nearest(rows, ("aoi", "ken")) == {"": 0.5, "aoi": 0.5, "ken": 0.5}


@pytest.fixture
def scenes_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ShowFiles, list[list[str]]]:
    """Line 3 with one scene and a product that only writes down how it was called."""
    whole_scenes = import_module("checks.journey.whole_scenes")
    scene, said = Scene("n1", "park", (Placement("aoi", cell=(1, 2)),)), []
    by_count = {"by_count": [{"num_people": 1, "success": {"value": 0.4, "n": 40, "low": 0.26, "high": 0.55}}]}
    kinds = {"main": {"name": "Prompts only", **by_count}, "mended": {"name": "Mended", **by_count}}

    def fullcast(*words: object) -> Ran:
        said.append([str(word) for word in words])
        return Ran(0, json.dumps(by_count if "--pictures" in words else kinds), "", 1.0)

    monkeypatch.setattr(whole_scenes.ceiling, "bound_scenes", lambda *given: [scene])
    monkeypatch.setattr(whole_scenes, "fullcast", fullcast)
    return whole_scenes, ShowFiles(1, tmp_path / "workspace", tmp_path / "truth.parquet"), said


def test_journey_3_tells_the_prompt_alone_beside_it(tmp_path: Path, scenes_judged):
    """Without a place from anybody, planned or given, and out of the way of what was judged before."""
    whole_scenes, files, said = scenes_judged
    (tmp_path / "prompt-alone" / "pictures").mkdir(parents=True)
    (tmp_path / "prompt-alone" / "pictures" / "n1-5.png").touch()
    [figure] = whole_scenes._plain(Context("a" * 40, tmp_path, print), files)
    drawn, judged = said
    at = drawn.index("--generation.plan-places")
    assert drawn[at + 1] == "false" and "--pictures" in judged and "--out" in judged
    assert not (tmp_path / "prompt-alone" / "pictures").exists(), "pictures of an earlier training are not judged"
    assert "cell" not in (tmp_path / "prompt-alone" / "scenes.jsonl").read_text()
    assert (figure.value, figure.verdict, figure.n) == (0.4, "-", 40)


def test_journey_3_tells_what_mending_brings_beside_the_same_scenes_drawn_once(tmp_path: Path, scenes_judged):
    whole_scenes, files, said = scenes_judged
    once, mended = whole_scenes._mended(Context("a" * 40, tmp_path, print), files)
    [words] = said
    assert words[words.index("--judging.best-of") + 1] == "4" and words[words.index("--judging.repairs") + 1] == "3"
    assert words[words.index("--out") + 1] == str(tmp_path / "mended" / "page"), "its page stays the model's"
    assert once.name == "S_1 of 40, prompts only" and mended.name == "S_1 of 40, mended"
    assert once.verdict == mended.verdict == "-", "told, no goal"
