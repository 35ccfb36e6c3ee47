"""The command line as a stranger meets it: help that explains, one sentence for a wrong word, JSON for machines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

from fullcast.cli import app, main
from fullcast.cli.bars import Bars
from fullcast.cli.words import pairs, spell_settings
from fullcast.store.errors import FullcastError

VERBS = [
    "new",
    "prepare",
    "audit",
    "plan",
    "train",
    "generate",
    "inpaint",
    "grid",
    "judge",
    "card",
    "export",
    "import",
    "demo",
]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        main(words)
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("verb", [*VERBS, "pocket show", "settings"])
def test_every_verb_explains_itself_and_each_of_its_options(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, *verb.split(), "--help")
    assert code == 0 and "--json" in out
    command = app
    for word in verb.split():
        command = command[word]
    assert len(command.help) > 40
    for argument in command.assemble_argument_collection(parse_docstring=True):
        assert argument.parameter.help, f"{verb}: {argument.name} has no help"


def test_the_verbs_stand_in_the_order_of_the_journey(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--help")
    positions = [out.index(f"│ {verb} ") for verb in VERBS]
    assert positions == sorted(positions)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frobnicate"], "Unknown command"),
        (["train", "--minuts", "3"], "--minutes"),
        (["train", "--minutes", "soon"], "soon"),
        (["new"], "FOLDER"),
        (["prepare", "-w", "nowhere"], "fullcast new nowhere"),
        (["plan", "--set", "seed"], "give a name and a value"),
    ],
)
def test_a_wrong_word_is_answered_by_one_sentence_and_exit_code_2(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *words)
    assert code == 2 and out == ""
    assert said in err and err.count("\n") == 1 and "Traceback" not in err


def test_an_unknown_key_in_the_recipe_names_the_nearest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(capsys, "new", str(tmp_path / "show"))
    (tmp_path / "show" / "fullcast.toml").write_text("[training]\nlearning_rat = 1\n")
    code, _, err = run(capsys, "plan", "-w", str(tmp_path / "show"))
    assert code == 2 and "'learning_rat'" in err and "Did you mean 'learning_rate'" in err


def test_new_makes_a_workspace_and_says_what_to_put_in(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "山の show"
    code, out, _ = run(capsys, "new", str(folder), "--show", "Yama no Susume")
    assert code == 0 and "references/" in out
    assert (folder / "episodes").is_dir() and "learning_rate" in (folder / "fullcast.toml").read_text()
    (folder / "fullcast.toml").write_text("seed = 5\n")
    code, out, _ = run(capsys, "new", str(folder), "--json")
    assert code == 0 and json.loads(out)["workspace"] == str(folder)
    assert (folder / "fullcast.toml").read_text() == "seed = 5\n"
    assert "exists; its fullcast.toml was left as it is" in run(capsys, "new", str(folder))[1]
    for asked in (("--show", "Y"), ("--recipe", "two-hours")):
        code, _, err = run(capsys, "new", str(folder), *asked)
        assert code == 2 and "was left as it is" in err
    _, out, _ = run(capsys, "new", str(tmp_path / "y"), "--recipe", "yama-no-susume")
    assert out.splitlines()[-1].startswith("Then: fullcast plan")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["new", "w/fullcast.toml/x"], "no workspace can be made at"),
        (["review", "--training.seed", "1"], "review takes no settings: write it into fullcast.toml"),
        (["new", "q", "--device", "cuda"], "new takes no settings"),
        (["train", "--device", "cuda", "-w", "w"], "give it as --set device=cuda"),
        (["train", "--device=cuda"], "give it as --set device=cuda"),
        (["train", "--minutes", "-1", "-w", "w"], "from 0 on"),
        (["audit", "sample", "--pictures", "0", "-w", "w"], "draw at least one"),
        (["cast", "cluster", "-w", "w"], "run fullcast prepare first"),
        (["review", "--limit", "-5", "-w", "w"], "--limit -5: ask for at least one item"),
        (["pack", "x.tar", "--results", "--with-base", "-w", "w"], "give one or the other"),
        (["settings", "training.lerning-rate"], "near it are: training.learning_rate"),
        (["settings", "zzz"], "sections are: captions, cost"),
        (["card", "-w", "w"], "run: fullcast prepare"),
    ],
)
def test_what_an_empty_workspace_cannot_do_is_one_sentence(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(capsys, "new", "w")
    code, out, err = run(capsys, *words)
    assert code == 2 and said in err and err.count("\n") == 1


@pytest.mark.parametrize(("verb", "holds"), [("train", True), ("audit", True), ("review", False), ("new", False)])
def test_the_footer_about_settings_stands_where_it_holds(
    verb: str, holds: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ("Any setting of fullcast.toml" in run(capsys, verb, "--help")[1]) is holds


@pytest.mark.parametrize(
    "words",
    [
        ["export", "dataset", "proc/foo"],
        ["pack", "proc/foo.tar"],
        ["judge", "base", "--out", "proc/foo"],
        ["pocket", "show", "--out", "proc/foo"],
        ["review", "--page", "proc/foo/y.html"],
    ],
)
def test_a_place_that_cannot_be_written_is_said_before_the_work(
    words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*words: object) -> NoReturn:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.chdir(tmp_path)
    (tmp_path / "proc").mkdir()
    run(capsys, "new", ".")
    monkeypatch.setattr(tempfile, "mkdtemp", refused)
    code, out, err = run(capsys, *words)
    assert code == 2 and out == "" and "cannot be written" in err and err.count("\n") == 1


def test_what_the_system_refuses_is_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    run(capsys, "new", str(tmp_path))
    (tmp_path / "workspace.json").unlink()
    (tmp_path / "workspace.json").mkdir()
    code, out, err = run(capsys, "plan", "-w", str(tmp_path))
    assert code == 2 and out == "" and err.count("\n") == 1
    assert f"{tmp_path / 'workspace.json'}: " in err and "give another place" in err


def test_settings_lists_names_defaults_and_meanings(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "settings", "training", "--json")
    rows = {row["name"]: row for row in json.loads(out)["settings"]}
    assert "training.learning_rate" in rows and rows["training.learning_rate"]["meaning"]
    assert all(name.startswith("training") for name in rows)


def test_a_demo_of_another_kind_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FULLCAST_DEMO", "Smallest")
    code, _, err = run(capsys, "demo", str(tmp_path / "d"))
    assert code == 2 and "FULLCAST_DEMO is 'Smallest'; set it to smallest" in err and not (tmp_path / "d").exists()


def test_settings_may_stand_on_the_command_line() -> None:
    words = ["train", "--training.learning-rate", "1e-5", "--json", "--mixture.separate_shots", "--show.x=a=b"]
    spelt = spell_settings(words)
    assert spelt == [
        "train",
        "--set=training.learning-rate=1e-5",
        "--json",
        "--set=mixture.separate_shots=true",
        "--set=show.x=a=b",
    ]
    assert pairs([word.removeprefix("--set=") for word in spelt if "--set" in word]) == {
        "training.learning-rate": "1e-5",
        "mixture.separate_shots": "true",
        "show.x": "a=b",
    }
    with pytest.raises(FullcastError):
        pairs(["seed"])


def test_a_setting_that_is_true_or_false_takes_nothing_else_that_follows() -> None:
    places = "--set=generation.plan-places="
    for words, spelt in (
        (["--generation.plan-places", "-w", "demo"], [f"{places}true", "-w", "demo"]),
        (["--generation.plan-places", "2 people, park"], [f"{places}true", "2 people, park"]),
        (["--generation.plan-places", "false", "-w", "demo"], [f"{places}false", "-w", "demo"]),
        (["--generation.plan-places"], [f"{places}true"]),
        (["--training.held-out-share", "-1", "x"], ["--set=training.held-out-share=-1", "x"]),
        (["--generation.negative-prompt", ""], ["--set=generation.negative-prompt="]),
    ):
        assert spell_settings(words) == spelt


@pytest.mark.parametrize("after", [[], ["-w", "demo"], ["--json"]])
def test_a_setting_without_its_value_is_not_true(after: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "train", "--training.learning-rate", *after)
    assert code == 2 and out == "" and "--training.learning-rate: give a value" in err


def test_a_setting_that_there_is_not_is_named_before_its_missing_value(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(capsys, "new", str(tmp_path))
    code, _, err = run(capsys, "train", "--generation.plan-place", "-w", str(tmp_path))
    assert code == 2 and "Did you mean 'plan_places'" in err


def test_help_is_fast_and_runs_as_a_module() -> None:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import sys; from fullcast.cli import main; main(['--help'])"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1] / "src",
    )
    assert "Usage: fullcast" in result.stdout
    loaded = {line.rsplit("|", 1)[-1].strip() for line in result.stderr.splitlines()}
    # numpy and pyarrow alone would double the time to the first line
    assert loaded.isdisjoint({"torch", "numpy", "pyarrow", "pydantic", "av", "rich.progress"})


def test_names_are_borne_where_the_terminal_has_not_their_letters(tmp_path: Path) -> None:
    def told(*more: str, **environment: str) -> bytes:
        words = [sys.executable, "-m", "fullcast", "new", "山の show", "--show", "ヤマノススメ", *more]
        where = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src"), **environment}
        done = subprocess.run(words, cwd=tmp_path, env=where, capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else done.stderr

    assert told(PYTHONIOENCODING="cp1252").startswith(str(tmp_path / r"\u5c71\u306e show is ready").encode())
    shutil.rmtree(tmp_path / "山の show")
    assert json.loads(told("--json", PYTHONIOENCODING="cp1252"))["workspace"] == str(tmp_path / "山の show")


def test_short_work_shows_no_bar_and_long_work_does(capsys: pytest.CaptureFixture[str]) -> None:
    bars = Bars()
    bars.start("quick", 2)
    bars.advance()
    assert bars.bar is None
    bars.patience_s = -1.0
    bars.advance(note="loss 0.3")
    assert bars.bar is not None
    bars.done()
    assert bars.bar is None and "quick" in capsys.readouterr().err


def test_a_reader_that_has_enough_is_no_error() -> None:
    """`fullcast settings | head`: the other end of the pipe is closed before everything is written."""
    words = [sys.executable, "-m", "fullcast", "settings"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
    assert process.returncode == 1 and told == ""
