"""The README's commands are run as they stand, on the smallest show; its promises about them are looked at."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fullcast

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()]


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FULLCAST_DEMO": "smallest", "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "fullcast", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


def test_the_commands_of_the_readme_run_in_its_order(folder: Path) -> None:
    """Those without -w after `new` run in the demo's workspace: the README's own show is the reader's."""
    ours = [shlex.split(command)[1:] for command in COMMANDS if command.startswith("fullcast ")]
    tried = ("demo", "generate", "inpaint", "grid", "audit", "export", "settings")
    assert [words[0] for words in ours] == [*tried, "new", "prepare", "plan", "train", "generate", "judge", "card"]
    for words in ours:
        at_home = "-w" in words or words[0] in ("demo", "settings", "new")
        where = folder if at_home else folder / "demo"
        if "aoi,hinata,mio" in words:  # the pocket show's cast has other names than the reader's
            names = sorted(path.name for path in (where / "references").iterdir())[:3]
            words = [",".join(names) if word == "aoi,hinata,mio" else word for word in words]
        done = run(words, where)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        if words[0] == "demo":
            report = Path(done.stdout.strip().splitlines()[-1])
            assert report.name == "report.html" and report.read_text().startswith("<!doctype html>")


def test_make_targets_and_extras_of_the_readme_exist() -> None:
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text()))
    assert set(re.findall(r"(?m)^make (\w+)", "\n".join(COMMANDS))) <= targets
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"\.\[(\w+)\]", TEXT)) <= set(extras)


def test_the_python_of_the_readme_uses_names_that_exist() -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
    for name in re.findall(r"fullcast\.(\w+)", code):
        assert getattr(fullcast, name)
    for method in re.findall(r"journey\.(\w+)\(", code):
        assert callable(getattr(fullcast.Journey, method))
    assert len(fullcast.__all__) - 1 == 10 and all(getattr(fullcast, name) for name in fullcast.__all__)


def test_links_of_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert target.startswith("http") or (ROOT / target).exists(), target
