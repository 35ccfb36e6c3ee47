"""The sheet and its labels, from the command line."""

from __future__ import annotations

import base64
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from fullcast.cli import main
from fullcast.journey import new_workspace
from fullcast.journey.blind import VERDICTS
from fullcast.judging.rows import read_rows, write_rows
from fullcast.recognition.castfile import write_cast
from fullcast.store.workspace import Workspace
from tests.judging.cases import CAST, ask, perfect, row
from tests.judging.test_judge import draw


@pytest.fixture()
def judged(tmp_path: Path) -> Path:
    """A workspace after a judgement of two models; the second picture of each is wrong. One file is gone."""
    new_workspace(tmp_path / "show", "show")
    workspace = Workspace.open(tmp_path / "show")
    rows = []
    for series in ("Prompts only", "Before <training>"):
        for i in range(4):
            scene = ask(f"n1-{i}", "aoi")
            found = row(scene, perfect(scene)[: i % 2], series=series)
            path = workspace.judging_dir / "drawn" / f"{len(rows)}.png"
            if len(rows):
                draw(path, {2: "aoi"} if i % 2 else {})
            rows.append(replace(found, path=workspace.relative(path)))
    write_rows(workspace.judging_dir / "page" / "judge.parquet", rows, {"names": json.dumps(CAST.names)})
    write_cast(workspace.show_dir / "cast.json", CAST)
    return workspace.root


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join("".join(capsys.readouterr()).split())


def test_the_sheet_shows_pictures_and_names_and_not_what_the_judge_said(judged: Path) -> None:
    main(["blind", "sheet", "-w", str(judged), "--out", str(judged / "sheet")])
    html = (judged / "sheet" / "blind.html").read_text()
    assert html.count("<article") == 8 and html.count('data-do="unclear"') == 8 and html.count("file missing") == 1
    pictures = [base64.b64decode(p) for p in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)]
    assert len(pictures) == 7
    lowered = re.sub(r"base64,[^\"]+", "", html).lower()
    for secret in ("prompts only", "before", "success", "missing person", "parquet", "drawn/"):
        assert secret not in lowered
    only = judged / "only"
    main(["blind", "sheet", "-w", str(judged), "--series", "Prompts only", "--count", "2", "--out", str(only)])
    assert {r.series for r in read_rows(only / VERDICTS)} == {"Prompts only"} and len(read_rows(only / VERDICTS)) == 2


def test_labels_are_compared_with_the_verdicts_of_their_numbers(judged: Path, tmp_path: Path) -> None:
    main(["blind", "sheet", "-w", str(judged)])
    folder = judged / "data" / "judging" / "blind"
    rows = read_rows(folder / VERDICTS)
    same = {str(n): "right" if r.verdict.success else "wrong" for n, r in enumerate(rows, 1)}
    (tmp_path / "anna.json").write_text(json.dumps(same))
    (tmp_path / "ben.json").write_text(json.dumps(same | {"1": "right" if same["1"] == "wrong" else "wrong"}))
    main(["blind", "agree", str(tmp_path / "anna.json"), str(tmp_path / "ben.json"), "-w", str(judged)])
    data = json.loads((folder / "agreement.json").read_text())
    assert data["persons"]["anna"]["kappa"] == 1 and data["persons"]["anna"]["disagreed"] == []
    assert data["persons"]["ben"]["disagreed"] == [1] and data["persons"]["ben"]["same"]["value"] == 7 / 8
    assert data["persons"]["anna"]["by_person"]["value"] == 0.5
    assert data["kappa"]["anna, ben"] == pytest.approx(0.75)


def test_committed_labels_give_the_committed_figures_without_a_workspace(tmp_path: Path) -> None:
    """Those that docs/judging.md tells."""
    committed = Path(__file__).parents[2] / "benchmarks" / "labels" / "two-hours"
    for path in committed.iterdir():
        shutil.copy(path, tmp_path)
    before = json.loads((tmp_path / "agreement.json").read_text())
    (tmp_path / "agreement.json").unlink()
    main(["blind", "agree", str(tmp_path / "first.json"), str(tmp_path / "second.json"), "--sheet", str(tmp_path)])
    assert json.loads((tmp_path / "agreement.json").read_text()) == before
    assert before["pictures"] == 100 and set(before["persons"]) == {"first", "second"}


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ('{"1": "yes"}', "says 'yes'; wanted is"),
        ("[1, 2]", "holds no labels; wanted is"),
        ("{}", "holds no labels; wanted is"),
        ("not json", "holds no labels; wanted is"),
        ('{"1": []}', "says []; wanted is"),
        ('{"9": "right"}', "speaks of picture 9, and the sheet has 1 to 8"),
        (None, "cannot be read (No such file or directory); wanted is"),
    ],
)
def test_bad_labels_are_told_in_a_sentence(
    judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], labels: str | None, said: str
) -> None:
    main(["blind", "sheet", "-w", str(judged)])
    if labels is not None:
        (tmp_path / "labels.json").write_text(labels)
    with pytest.raises(SystemExit) as stopped:
        main(["blind", "agree", str(tmp_path / "labels.json"), "-w", str(judged)])
    assert stopped.value.code == 2 and said in told(capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sheet", "--series", "nobody's"], 'there is no series "nobody\'s"; judged last were: Prompts only; Before'),
        (["sheet", "--count", "0"], "ask for at least one picture"),
        (["agree"], "no labels were given"),
        (["agree", "a.json"], "holds no sheet; make one: fullcast blind sheet"),
    ],
)
def test_bad_requests_are_told_in_a_sentence(
    judged: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["blind", *arguments, "-w", str(judged)])
    assert stopped.value.code == 2 and said in told(capsys)


def test_before_a_judgement_there_is_nothing_to_label(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new_workspace(tmp_path / "show", "show")
    with pytest.raises(SystemExit) as stopped:
        main(["blind", "sheet", "-w", str(tmp_path / "show")])
    assert stopped.value.code == 2 and "no judged pictures in" in told(capsys)
