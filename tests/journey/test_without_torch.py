"""What a machine can do that has `fullcast[prepare]` or less: no torch, no diffusers, perhaps no transformers."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fullcast.journey import Journey
from fullcast.records import Video
from fullcast.store.tables import write_records
from tests.journey.test_packing import home  # noqa: F401  (a fixture: a show of twelve pictures)

ABSENT = """
import importlib.util
import sys

HIDDEN, known = {hidden!r}, importlib.util.find_spec

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
importlib.util.find_spec = lambda name, package=None: None if name in HIDDEN else known(name, package)
"""
PREPARES = ("torch", "diffusers", "accelerate", "peft")
"""What `fullcast[prepare,report]` does not bring."""
NOTHING = (*PREPARES, "transformers")
VERB = """
from fullcast.cli import main
sys.argv = ["fullcast", *sys.argv[1:]]
main()
"""
CHECKPOINTS = """
from pathlib import Path
from fullcast.journey.telling import latest_run
from fullcast.store.workspace import Workspace
workspace = Workspace.open(Path(sys.argv[1]))
(workspace.runs_dir / "a" / "checkpoints" / "step-000005").mkdir(parents=True)
print(latest_run(workspace).name)
"""


def run(code: str, *words: str, hidden: tuple[str, ...] = NOTHING) -> subprocess.CompletedProcess[str]:
    code = ABSENT.format(hidden=hidden) + code
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)


def test_what_was_trained_is_found_and_told(tmp_path):
    place = str(tmp_path / "show")
    assert run(VERB, "new", place).returncode == 0
    found = run(CHECKPOINTS, place)
    assert found.stdout.strip() == "a", found.stderr


def test_verbs_name_what_they_want(tmp_path):
    place = str(tmp_path / "show")
    run(VERB, "new", place)
    drawn = run(VERB, "generate", "1person", "-w", place)
    assert drawn.returncode != 0
    assert "this needs torch" in drawn.stderr and "fullcast[generate] is enough to draw" in drawn.stderr


@pytest.fixture(scope="module")
def trained(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """The show with a run whose metrics are there to be read."""
    root = shutil.copytree(home, tmp_path_factory.mktemp("trained") / "show", ignore=shutil.ignore_patterns("runs"))
    write_records(root / "data" / "show" / "videos.parquet", [], Video)
    run_dir = Journey.open(root).workspace.runs_dir / "a"
    (run_dir / "checkpoints" / "step-000005").mkdir(parents=True)
    (run_dir / "metrics.jsonl").write_text(json.dumps({"step": 5, "loss": 0.1, "seconds": 2.0, "images_per_s": 1.0}))
    return root


@pytest.mark.parametrize("verb", ["plan", "card", "export dataset"])
def test_what_needs_no_network_is_done_without_torch(trained: Path, tmp_path: Path, verb: str):
    place = [str(tmp_path / "out")] if verb.startswith("export") else []
    done = run(VERB, *verb.split(), *place, "-w", str(trained), hidden=PREPARES)
    assert done.returncode == 0, done.stderr
    assert "PyTorch" not in done.stderr, "transformers need not say what is missing"
