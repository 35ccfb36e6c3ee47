"""The card: whole, honest about what is missing, and readable by the Hub."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from fullcast.judging.card import front_matter, write_card
from fullcast.judging.report_data import CastForm, CastMember, Point, ReportData, Series
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


def test_the_opening_says_whose_pictures_were_judged(sample: tuple[Path, ReportData], tmp_path: Path):
    root, data = sample

    def opening(*points: Point) -> str:
        one = replace(data, success=(Series("Prompts only", points),), galleries=(), repairs=())
        return write_card(one, tmp_path / "card" / "README.md", root).read_text().split("With prompts only, ")[1]

    first, last = Point(1, 10, 0.9, 0.6, 1.0), Point(4, 10, 0.5, 0.2, 0.8)
    both = "90% of pictures of one character are right, and 50% of pictures of 4 characters. A wrong"
    assert opening(first, last).startswith(both)
    assert opening(last).startswith("50% of pictures of 4 characters are right. A wrong")
    assert opening(Point(2, 9, 0.7, 0.6, 0.8), last).startswith("70% of pictures of 2 characters are right, and 50%")
    planned = replace(data, success=(Series("Prompts only, places planned", (last,)),), galleries=(), repairs=())
    card = write_card(planned, tmp_path / "card" / "README.md", root).read_text()
    assert "With prompts only, places planned, 50% of pictures" in card


def test_how_a_checkpoint_is_opened_fits_every_family_and_a_lora(sample: tuple[Path, ReportData], tmp_path: Path):
    root, data = sample
    whole = write_card(data, tmp_path / "card" / "README.md", root).read_text()
    assert "`DiffusionPipeline.from_pretrained(folder)`" in whole and "StableDiffusionPipeline" not in whole
    alone = write_card(replace(data, lora_alone=True), tmp_path / "card" / "README.md", root).read_text()
    assert "`load_lora_weights(folder)`" in alone and "plain diffusers folder" not in alone


def test_front_matter_names_repositories_and_no_path():
    assert 'base_model: "owner/model-1.5"' in front_matter(ReportData(show="x", base_model="owner/model-1.5"))
    for name in ("/home/me/models/base", "~/base", "../base", "a/b/c", "base.safetensors"):
        assert "base_model" not in front_matter(ReportData(show="x", base_model=name)), name


def test_nothing_is_said_to_be_delivered_before_it_was(sample: tuple[Path, ReportData], tmp_path: Path):
    root, data = sample
    assert data.mixture is not None
    shares = tuple(replace(share, delivered=-1.0) for share in data.mixture.shares)
    planned = replace(data, mixture=replace(data.mixture, shares=shares))
    card = write_card(planned, tmp_path / "card" / "README.md", root).read_text()
    assert "was delivered" not in card and "no training of this plan is finished" in card


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
