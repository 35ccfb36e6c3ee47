"""The seed's weights: its worked examples number by number, its matching rules, sentences where it crashed."""

from __future__ import annotations

import pytest

from fullcast.mixture.config import MixtureConfig
from fullcast.mixture.plan import plan
from fullcast.mixture.seed_csv import folder_shares, folders_of, multiplies, parse_rules, resolve_csv
from fullcast.store.errors import FullcastError
from tests.mixture.show import SHOW, sample

LEVELS = ("source", "n_characters", "character", "face_height_ratio")


def test_the_readme_fixture() -> None:
    """Weights 3 and 4 by name, 6 by pattern, else 1: 0.3, 0.45, 0.2, 0.05 of the whole."""
    rules = parse_rules("1_character,3\nclass1,4\n*class2,6\n")
    folders = ("1_character/class1", "1_character/class2", "2_characters/class1", "2_characters/class3")
    shares = folder_shares(dict.fromkeys(folders, 5), rules, "data")
    assert [shares[folder] for folder in folders] == pytest.approx([0.3, 0.45, 0.2, 0.05])


def test_the_name_goes_before_patterns_and_patterns_cross_folders() -> None:
    rules = parse_rules("data/*,5\naoi,2\n*/face_*,3\n")
    assert rules.weight("data/screenshots/aoi") == 2
    assert rules.weight("data/screenshots/x/face_0-25") == 5, "the first row that matches"
    assert rules.weight("elsewhere/x/face_0-25") == 3
    assert rules.weight("elsewhere") == 1


def test_pictures_beside_subfolders_are_a_child_of_their_own() -> None:
    rules = parse_rules("show,2\nsub,6\n")
    shares = folder_shares({"show": 4, "show/sub": 4, "other": 1}, rules)
    # show : other = 2 : 1, and inside show its own pictures weigh 2 against 6.
    assert shares == pytest.approx({"show": 2 / 3 / 4, "show/sub": 2 / 3 * 3 / 4, "other": 1 / 3})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,1\n\nb,2\n", "line 2 is empty"),
        ("# weights\na,1\n", "line 1 is a comment"),
        ("a,1,2\n", "line 1 has 3 columns"),
        ("pattern,weight\na,1\n", "must be a number, and the table has no header"),
        ("x" * 200_000 + ",1\n", "is no CSV"),
        ("a,-1\n", "0 or more"),
        ("a,nan\n", "0 or more"),
        ("", "is empty"),
    ],
)
def test_where_the_seed_crashed_there_is_a_sentence(text: str, said: str) -> None:
    with pytest.raises(FullcastError, match=said):
        parse_rules(text)


def test_odd_rows_are_said() -> None:
    rules = parse_rules("aoi ,2\nhinata, 3\nhinata,4\n")
    assert rules.weight("x/aoi") == 1 and rules.weight("x/hinata") == 4
    assert len(rules.notes) == 2


def test_multiplies_are_cut_and_not_renormalised() -> None:
    counts = {"a": 10, "b": 1}
    shares = {"a": 0.5, "b": 0.5}
    assert multiplies(counts, shares, 1, 100) == {"a": 1.0, "b": 10.0}
    assert multiplies(counts, shares, 0.5, 4) == {"a": 0.5, "b": 4}


def test_samples_lie_where_the_seed_would_lay_them() -> None:
    down = sample("down", "screenshots", "hinata", form="Hairdown")
    folders = folders_of([*SHOW, down], LEVELS, 10)
    assert folders[0] == "screenshots/1_character/aoi/face_height_ratio_0-25"
    assert folders[-1] == "screenshots/1_character/character_others/face_height_ratio_0-25"
    assert folders[-2] == "regularization"
    both = next(i for i, s in enumerate(SHOW) if s.id == "both0")
    assert folders[both] == "screenshots/2_characters/character_others/face_height_ratio_0-25"
    assert folders_of(SHOW, LEVELS, 5)[both] == "screenshots/2_characters/aoi+hinata/face_height_ratio_0-25"


def test_a_table_weighs_samples_and_its_unused_rows_are_said(tmp_path) -> None:
    text = "screenshots,3\nfanart,2\nregularization,5\n2_characters,2\nclass9,4\n"
    resolved = resolve_csv(SHOW, parse_rules(text), LEVELS[:3])
    shares = resolved.branch_shares()
    assert shares["screenshots",] == pytest.approx(0.3) and shares["regularization",] == pytest.approx(0.5)
    # 0_characters and 1_character weigh 1, 2_characters 2.
    assert shares["screenshots", "2_characters"] == pytest.approx(0.15)
    assert any("class9" in note for note in resolved.notes)
    (tmp_path / "weights.csv").write_text(text, encoding="utf-8")
    config = MixtureConfig(weights_csv="weights.csv", area_px=15360, num_steps=50)
    planned = plan(SHOW, config, 0, tmp_path)
    assert planned.resolved.branch_shares() == pytest.approx(shares)
    with pytest.raises(FullcastError, match=r"nowhere\.csv cannot be read"):
        plan(SHOW, config.model_copy(update={"weights_csv": "nowhere.csv"}), 0, tmp_path)


def test_pictures_without_any_folder_are_a_branch_too() -> None:
    pictures = [s for s in SHOW if s.source == "fanart"]
    resolved = resolve_csv(pictures, parse_rules("show,2\n"), ("folder",), root="data")
    assert resolved.weights == pytest.approx([0.25] * 4)
    assert all(leaf.path for leaf in resolved.leaves), "a leaf has a branch that it belongs to"
