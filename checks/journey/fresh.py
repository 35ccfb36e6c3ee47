"""Lines 1 and 5: the two commands on a fresh clone, and the house's own tests."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from checks.framework import ROOT, Context, Figure, Goal, passed, short
from checks.journey import CHECK
from checks.shows import command, must


@CHECK.line(1, "a fresh clone: make demo, make demo again, make test")
def fresh_clone(context: Context) -> Iterator[Figure]:
    """Clones the commit under test into an empty folder; TORCH_INDEX and pip's own configuration are passed on."""
    clone = Path(tempfile.mkdtemp(prefix="fullcast-clone-"))
    try:
        must(command(["git", "clone", "--quiet", ROOT, clone]), "git clone")
        variables = [f"{name}={os.environ[name]}" for name in ("PYTHON", "TORCH_INDEX") if name in os.environ]
        context.say("make demo, from nothing")
        # An environment that is active here must not be seen there.
        clean = {"VIRTUAL_ENV": "", "PYTHONPATH": ""}
        demo = command(["make", "demo", *variables], cwd=clone, environment=clean)
        yield passed("make demo succeeds", demo.code == 0, "" if demo.code == 0 else demo.told)
        yield Figure("make demo, minutes with installation", demo.seconds / 60, Goal("<=", 15))
        said = re.findall(r"\S+report\.html", demo.out)
        page = clone / said[-1] if said else None
        yield passed("it ends with the path of report.html", page is not None and page.is_file(), str(page or ""))
        if demo.code == 0:
            again = command(["make", "demo", *variables], cwd=clone, environment=clean)
            yield Figure("make demo again, seconds", again.seconds, Goal("<=", 60))
        test = command(["make", "test", *variables], cwd=clone, environment=clean)
        yield passed("make test passes", test.code == 0, (test.out.strip().splitlines() or [""])[-1])
        yield Figure("make test, minutes", test.seconds / 60)
    finally:
        shutil.rmtree(clone, ignore_errors=True)


@CHECK.line(5, "the import rule, the journey from end to end, the README's commands")
def house_tests(context: Context) -> Iterator[Figure]:
    tests = (("test_architecture.py", None), ("journey/test_smallest.py", 180), ("test_readme.py", None))
    for name, seconds in tests:
        path = ROOT / "tests" / name
        if not path.exists():
            yield short(name, f"{path.relative_to(ROOT)} is not there")
            continue
        ran = command([sys.executable, "-m", "pytest", "-q", path], environment={"FULLCAST_DEMO": "smallest"})
        yield passed(f"{name} passes", ran.code == 0, (ran.out.strip().splitlines() or [""])[-1])
        yield Figure(f"{name}, seconds", ran.seconds, Goal("<=", seconds) if seconds else None)
