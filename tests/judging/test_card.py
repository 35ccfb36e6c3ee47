"""The card: whole, honest about what is missing, and readable by the Hub."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from fullcast.judging.card import front_matter, write_card
from fullcast.judging.report_data import CastForm, CastMember, ReportData
from fullcast.judging.sheets import contact_sheet
from fullcast.store.pictures import read_picture
from tests.judging.sample import sample_report


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ReportData]:
    root = tmp_path_factory.mktemp("sample")
    return root, sample_report(root)


def test_card_tells_what_the_seed_s_card_told_and_shows_its_pictures(sample: tuple[Path, ReportData]):
    root, data = sample
    path = write_card(data, root / "card" / "README.md", root)
    card = path.read_text()
    for title in ("Characters", "Dataset", "Training", "Results", "Scenes without inpainting", "Failures", "Licence"):
        assert f"## {title}" in card
    shown = re.findall(r"!\[[^\]]*\]\((images/[^)]+)\)", card)
    assert {"images/characters.png", "images/scenes-5.png", "images/failures.png"} <= set(shown)
    for name in shown:
        assert read_picture(path.parent / name).shape[2] == 3
    assert sorted(p.name for p in (path.parent / "images").iterdir()) == sorted(Path(s).name for s in shown)


def test_results_have_their_intervals(sample: tuple[Path, ReportData]):
    root, data = sample
    card = write_card(data, root / "card" / "README.md", root).read_text()
    for series in data.success:
        for point in series.points:
            assert f"**{point.value:.0%}** ({point.low:.0%} – {point.high:.0%})" in card
    assert "| aoi | hairdown | `aoi, hairdown` | 212 |" in card
    assert "| &nbsp;&nbsp;1 person | 402 | 12.0% | 12.1% |" in card


def test_empty_card_says_what_is_missing(tmp_path: Path):
    path = write_card(
        ReportData(show="x", absent={"success": "Nothing is judged yet."}), tmp_path / "card" / "README.md", tmp_path
    )
    card = path.read_text()
    assert "Nothing is judged yet." in card and "Nothing was trained." in card and "Not stated" in card
    assert not (tmp_path / "card" / "images").exists()


def test_names_cannot_break_tables_or_front_matter(tmp_path: Path):
    odd = ReportData(show="x", licence='a "b": c', cast=(CastMember("a|b", "ab", (CastForm("", "", ()),)),))
    card = write_card(odd, tmp_path / "card" / "README.md", tmp_path).read_text()
    assert "| a\\|b | plain | `ab` |" in card
    assert 'license: other\nlicense_name: "a \\"b\\": c"' in front_matter(odd)
    assert "license: apache-2.0" in front_matter(replace(odd, licence="Apache-2.0"))


def test_contact_sheet_passes_over_what_cannot_be_read(sample: tuple[Path, ReportData]):
    root, data = sample
    pictures = data.galleries[1].pictures[:5]
    sheet = contact_sheet(pictures, root, columns=3, cell_px=160)
    assert sheet is not None and sheet.shape[1] == 3 * 170 + 10
    assert contact_sheet([replace(pictures[0], path="gone.png")], root) is None
