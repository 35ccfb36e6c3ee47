"""One definition of every setting: TOML out and in again, dotted overrides, and sentences for what is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fullcast.recipe import (
    Recipe,
    commented_toml,
    find_preset,
    make_recipe,
    read_recipe,
    settings,
    value_text,
    write_recipe,
)
from fullcast.store.errors import FullcastError

OTHER = {
    "show": 'ヤマノススメ "beta"',
    "seed": 7,
    "training": {"learning_rate": 1e-6, "min_snr_gamma": 5.0},
    "mixture": {"batch_size": 3, "shares": {"by": "source", "share": {"fanart": 0.25}}},
}


def test_toml_out_and_in_gives_the_same_recipe(tmp_path: Path) -> None:
    for recipe in (Recipe(), make_recipe(OTHER)):
        write_recipe(tmp_path / "r.toml", recipe)
        again = read_recipe(tmp_path / "r.toml")
        assert again == recipe.model_copy(update={"training": recipe.own_training()})
        assert again.own_training() == recipe.own_training() and again.own_training().seed == recipe.seed


def test_the_commented_file_changes_nothing_until_a_line_is_uncommented() -> None:
    text = commented_toml(Recipe(), "title")
    assert make_recipe(tomllib.loads(text)) == Recipe()
    changed = text.replace("#batch_size = 8\n", "batch_size = 9\n", 1)
    assert changed != text and make_recipe(tomllib.loads(changed)).mixture.batch_size == 9


def test_every_commented_line_is_a_setting_with_its_default() -> None:
    lines = re.sub(r"(?m)^#(?=[^ #])", "", commented_toml(Recipe())).splitlines()
    uncommented = "\n".join(line for line in lines if not re.fullmatch(r"\w+ =", line))
    assert make_recipe(tomllib.loads(uncommented)) == Recipe()
    assert "learning_rate = " in uncommented


def test_what_differs_from_the_default_is_not_commented_out() -> None:
    text = commented_toml(make_recipe(OTHER))
    assert make_recipe(tomllib.loads(text)) == make_recipe(OTHER)
    assert re.search(r"(?m)^learning_rate = 1e-06$", text)


def test_dotted_overrides_are_read_as_toml_reads_them() -> None:
    recipe = make_recipe({}, {"training.learning-rate": "1e-5", "show": "Yama no", "mixture.separate_shots": "false"})
    assert recipe.training.learning_rate == 1e-5
    assert recipe.show == "Yama no" and recipe.mixture.separate_shots is False


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            {"training.learning-rat": "1"},
            r"section \[training\] has no setting 'learning_rat'. Did you mean 'learning_",
        ),
        ({"trainig.x": "1"}, r"the top level has no setting 'trainig'. Did you mean 'training'"),
        ({"training.learning-rate": "fast"}, r'learning_rate = "fast" in section \[training\] is not accepted'),
        ({"mixture.crops.min_gain": "0.5"}, r"min_gain = 0.5 in section \[mixture.crops\] .* greater than"),
        ({"seed.x": "1"}, "seed"),
        ({"training.learning-rate": "true"}, r"learning_rate = true in section \[training\] .*: a number is wanted"),
        ({"seed": "false"}, "seed = false in the top level is not accepted"),
        ({"generation.plan-places": "3"}, r"plan_places = 3 in section \[generation\]"),
    ],
)
def test_a_wrong_setting_is_answered_by_one_sentence(overrides: dict[str, str], said: str) -> None:
    with pytest.raises(FullcastError, match=said) as caught:
        make_recipe({}, overrides)
    assert "\n" not in str(caught.value)


def test_truth_values_are_no_numbers_in_tables_lists_and_stages() -> None:
    assert make_recipe({"mixture": {"separate_shots": True}}).mixture.separate_shots
    for values, said in (
        ({"mixture": {"shares": {"by": "source", "share": {"fanart": True}}}}, "fanart = true"),
        ({"captions": {"figure_crop": [1.0, True, 1.0]}}, "figure_crop = true"),
        ({"stages": [{"name": "a", "training": {"learning_rate": True}}]}, "learning_rate = true"),
    ):
        with pytest.raises(FullcastError, match=said):
            make_recipe(values)


def test_an_override_below_a_single_setting_is_refused() -> None:
    with pytest.raises(FullcastError, match="'seed' is a single setting"):
        make_recipe({"seed": 1}, {"seed.x": "1"})


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "fullcast.toml").write_text("seed = \n")
    with pytest.raises(FullcastError, match=r"fullcast.toml is not TOML"):
        read_recipe(tmp_path / "fullcast.toml")
    with pytest.raises(FullcastError, match="fullcast new"):
        read_recipe(tmp_path / "gone.toml")
    with pytest.raises(FullcastError, match="cannot be read"):
        read_recipe(tmp_path)
    (tmp_path / "fullcast.toml").write_text("seed = 4\n", encoding="utf-8-sig")
    assert read_recipe(tmp_path / "fullcast.toml").seed == 4, "a byte order mark, as Notepad writes it, is none of it"
    (tmp_path / "fullcast.toml").write_text("sed = 1\n")
    with pytest.raises(FullcastError, match=r"'sed'\. Did you mean 'seed'"):
        read_recipe(tmp_path / "fullcast.toml")


def test_every_setting_says_what_it_means() -> None:
    silent = [name for name, _, meaning in settings() if len(meaning) < 15]
    assert silent == []


@pytest.mark.parametrize("name", ["demo", "smallest", "two-hours", "yama-no-susume", "sd15", "sdxl-lora"])
def test_the_recipes_that_come_with_fullcast_can_be_read(name: str) -> None:
    recipe = read_recipe(find_preset(name))
    real = name in ("sd15", "sdxl-lora")
    assert recipe.mixture.num_steps and bool(recipe.show) != real
    assert ("pocket" in (recipe.models.judge_embedder, recipe.models.embedder, recipe.models.base)) != real


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(FullcastError, match=r"'gone'.*demo.*smallest"):
        find_preset("gone")


def test_settings_tell_real_defaults_as_toml_and_no_internals() -> None:
    told = {name: value_text(default) for name, default, _ in settings()}
    assert told["mixture.shares.by"] == '"source"' and told["mixture.shares.otherwise"] == "0.0"
    assert told["mixture.shares.share"] == "{ screenshots = 0.3, fanart = 0.2, regularization = 0.5 }"
    assert "training.changes" not in told and "#changes" not in commented_toml(Recipe())
    for name, text in told.items():
        assert text == "(not set)" or tomllib.loads(f"x = {text}"), name


def test_the_commented_file_says_that_headers_are_commented_too() -> None:
    assert "[header]" in commented_toml(Recipe(), "title").split("\n\n")[0]


@pytest.mark.parametrize("folder", ["Users", "eels"])
def test_a_windows_path_in_double_quotes_gets_a_hint(tmp_path: Path, folder: str) -> None:
    (tmp_path / "fullcast.toml").write_text(f'[models]\nbase = "C:\\{folder}\\x"\n')
    with pytest.raises(FullcastError, match="'single quotes' or /"):
        read_recipe(tmp_path / "fullcast.toml")


def test_sides_too_small_for_a_figure_are_refused() -> None:
    with pytest.raises(FullcastError, match="sides of 64 pixels or more"):
        make_recipe({}, {"generation.width": "8"})


def test_programs_outside_the_package_find_what_they_import() -> None:
    """Nothing else runs `recipes` and `benchmarks`, which no type checker reads: a name that the package lost would be
    found by the first who trains a network again."""
    root = Path(__file__).parents[1]
    files = sorted((root / "recipes" / "pocket").glob("[a-z]*.py")) + sorted((root / "benchmarks").glob("[a-z]*.py"))
    names = [".".join(path.relative_to(root).with_suffix("").parts) for path in files]
    assert len(names) > 15
    done = subprocess.run(
        [sys.executable, "-c", f"import {', '.join(names)}"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
