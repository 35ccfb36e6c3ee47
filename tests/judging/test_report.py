"""The page: whole without any request, honest about what is not there, safe against names with markup in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fullcast.judging.card import write_card
from fullcast.judging.page.charts import nice_ticks
from fullcast.judging.page.pictures import Pictures
from fullcast.judging.report import write_report
from fullcast.judging.report_data import (
    Counted,
    Curve,
    Label,
    MixtureShown,
    Point,
    ReportData,
    Series,
    Share,
    Shown,
    TrainingShown,
)
from fullcast.store.tables import from_plain, to_plain
from tests.judging.sample import sample_report

VOID = {"img", "meta", "input", "br", "line", "rect", "circle", "path", "polyline"}


class Checker(HTMLParser):
    """Every element closed in order; remembers what is asked of the network."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.outside += [v for k, v in attrs if k in ("src", "href") and v and not v.startswith(("data:", "#"))]
        if tag not in VOID or tag == "circle":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.outside += [v for k, v in attrs if k in ("src", "href") and v and not v.startswith(("data:", "#"))]

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def check(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    return checker


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ReportData]:
    root = tmp_path_factory.mktemp("sample")
    return root, sample_report(root)


def test_page_is_well_formed_and_asks_nothing_of_the_network(sample: tuple[Path, ReportData]):
    root, data = sample
    page = write_report(data, root / "report.html", root).read_text()
    checker = check(page)
    assert checker.wrong == [] and checker.open == [] and checker.outside == []
    assert not re.search(r"@import|url\(|https?://", page)
    assert page.count("data:image/") >= 5 * 8 + 10 * 3
    assert len(page) < 6_000_000


def test_every_section_tells_its_figures(sample: tuple[Path, ReportData]):
    root, data = sample
    page = write_report(data, root / "report.html", root).read_text()
    for said in ("aoi, hairdown", "3,024", "near-duplicate", "30.1", "right caption", "fullcast demo --seed 7"):
        assert said in page
    three = next(p for p in data.success[0].points if p.num_people == 3)
    assert f"<b>{100 * three.value:.0f}\u00a0%</b>" in page
    assert data.failures and all(g.text.capitalize() in page for g in data.failures)


def test_empty_report_says_what_is_not_there(tmp_path: Path):
    data = ReportData(show="Nothing yet", absent={"training": "Training was stopped before its first checkpoint."})
    page = write_report(data, tmp_path / "report.html", tmp_path).read_text()
    checker = check(page)
    assert checker.wrong == [] and checker.open == []
    assert "Training was stopped before its first checkpoint." in page
    assert page.count("this step has not been run yet") >= 5


def test_markup_in_names_is_text(tmp_path: Path):
    data = ReportData(show='<script>alert("x")</script>', made="<b>")
    page = write_report(data, tmp_path / "report.html", tmp_path).read_text()
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page


def test_missing_pictures_are_told_not_fatal(sample: tuple[Path, ReportData], tmp_path: Path):
    _, data = sample
    lost = replace(data, training=TrainingShown(samples=(Shown("gone.png"),)), galleries=(), failures=(), cast=())
    page = write_report(lost, tmp_path / "report.html", tmp_path).read_text()
    assert "picture missing" in page and "pictures could not be read" in page


def test_data_survives_json(sample: tuple[Path, ReportData]):
    _, data = sample
    assert from_plain(ReportData, to_plain(data)) == data


def test_curves_with_one_point_or_nan_do_not_break_the_page(tmp_path: Path):
    odd = TrainingShown(loss=Curve("loss", (0,), (0.5,)), probes=(Curve("right", (0, 10), (float("nan"), 1.0)),))
    flat = Series("one", (Point(1, 0, float("nan"), 0.0, 1.0),))
    page = write_report(ReportData("x", training=odd, success=(flat,)), tmp_path / "r.html", tmp_path).read_text()
    assert check(page).wrong == [] and "–" in page and "nan" not in page.lower().replace("finance", "")


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 4000, [0, 1000, 2000, 3000, 4000]), (0.3, 0.3, None)],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float] | None):
    made = nice_ticks(low, high)
    assert made == ticks if ticks else made[0] <= low and made[-1] >= high


def test_names_of_neighbours_do_not_lie_on_each_other(sample: tuple[Path, ReportData], tmp_path: Path):
    root, data = sample
    path = data.galleries[0].pictures[0].path
    near = (Label((10, 40, 30, 60), "hinata"), Label((35, 40, 55, 60), "aoi"), Label((120, 40, 140, 60), "mio"))
    page = Pictures(root).figure(Shown(path, labels=near), 320)
    assert re.findall(r'<b(?: class="(\w+)")?>(\w+)<', page) == [("", "hinata"), ("under", "aoi"), ("", "mio")]
    at_the_edge = Pictures(root).figure(Shown(path, labels=(Label((10, 0, 30, 20), "aoi"),)), 320)
    assert '<b class="under">aoi' in at_the_edge


def test_a_model_that_draws_nobody_right_is_not_praised(tmp_path: Path):
    none = Series("Prompts only", (Point(1, 2, 0.0, 0.0, 0.66), Point(2, 2, 0.0, 0.0, 0.66)))
    page = write_report(ReportData("x", success=(none,)), tmp_path / "r.html", tmp_path).read_text()
    assert "None of 4 judged pictures is right yet" in page
    card = write_card(ReportData("x", success=(none,)), tmp_path / "card" / "README.md", tmp_path).read_text()
    assert "none of 4 judged pictures is right" in card


def test_what_is_never_seen_and_how_often_each_look_is(tmp_path: Path):
    shown = MixtureShown((Share("screenshots", 1.0, 1.0, 0, 9),), (), 3, "too light", (Counted("aoi", 7),))
    page = write_report(ReportData("x", mixture=shown), tmp_path / "r.html", tmp_path).read_text()
    assert "3 samples are never seen (too light)." in page and "How often each look is seen" in page


def test_many_names_take_the_whole_page_and_stand_upright(tmp_path: Path):
    """With eight characters the last column, `unknown`, was cut off in half a page of 1300 px."""

    def page(names: Sequence[str]) -> str:
        table = {name: {**dict.fromkeys(names, 1.0), "unknown": 2.0} for name in names}
        counts = {"1": {str(n): 1.0 for n in range(9)}}
        main = (Series("Prompts only", (Point(1, 9, 0.5, 0.3, 0.7),)),)
        data = ReportData("x", success=main, identity_confusion=table, count_confusion=counts)
        return write_report(data, tmp_path / "r.html", tmp_path).read_text()

    few, many = page(("aoi", "mio")), page([f"name-{n}" for n in range(8)])
    assert 'class="heat many"' not in few and many.count('class="heat many"') == 1, "numbers are narrow"
    assert many.index("name-7</th>") < many.index("unknown</th>") and ".heat.many" in many
