"""What a machine that only prepares can do: no torch, no diffusers, no transformers."""

import subprocess
import sys

ABSENT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "diffusers", "transformers"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""
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


def run(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", ABSENT + code, *words], capture_output=True, text=True, check=False)


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
