"""Line 4: every door gives the numbers of the original, by the committed answers of dghs-imgutils."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator

from checks.framework import ROOT, Context, Figure, Goal, passed
from checks.preparation import CHECK
from checks.shows import command

GOLDEN = ROOT / "tests" / "models" / "golden"
TESTS = ("tests/models/test_golden.py", "tests/models/test_animeface.py")
DOORS = 12
"""Six detectors, two taggers, identity (features and metric), text, animeface."""


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
