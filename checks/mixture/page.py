"""Line 7: docs/mixture.md is the idea in one page, and its picture and its tables are what the command makes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from checks.framework import ROOT, Context, Figure, Goal, passed
from checks.mixture import CHECK
from fullcast.journey import Journey, new_workspace

PAGE = ROOT / "docs" / "mixture.md"
ONE_PAGE = 750
"""Words: what a printed page holds in small type."""
TABLES = ("delivered ", "card ")
"""How the first lines of the plan's tables begin that the page shows."""


@CHECK.line(7, "docs/mixture.md: the idea in one page, with planned against delivered")
def page(context: Context) -> Iterable[Figure]:
    text = PAGE.read_text(encoding="utf-8")
    yield Figure("words of the page", len(re.findall(r"\w[\w'.,]*", text)), Goal("<=", ONE_PAGE))
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+\.(?:svg|png))\)", text)
    there = [p for p in pictures if (PAGE.parent / p).is_file()]
    yield Figure("pictures in the page that are there", len(there), Goal(">=", 1), n=len(pictures))
    drawn = "".join((PAGE.parent / p).read_text(encoding="utf-8") for p in there if p.endswith(".svg"))
    for who in ("Fullcast", "EveryDream1", "EveryDream2"):
        yield passed(f"the picture shows {who}", who in drawn)
    yield passed("the page names the command that draws it", "fullcast plan" in text and "plan.svg" in text)
    context.say("planning it again")
    folder = planned_again(context)
    same = (folder / "plan.svg").read_text(encoding="utf-8") == drawn
    yield passed("the same command draws the same picture", same, "bytes of the committed one")
    told = (folder / "plan.txt").read_text(encoding="utf-8").splitlines()
    shown = [block for block in code_blocks(text) if block[0].startswith(TABLES)]
    yield Figure("tables of the plan in the page", len(shown), Goal("=", len(TABLES)))
    lines = [line for block in shown for line in block]
    stray = sum(line not in told for line in lines)
    yield Figure("lines of them that the command does not print", stray, Goal("=", 0), n=len(lines))


def code_blocks(text: str) -> list[list[str]]:
    """Blocks that are indented by four spaces, line by line without the indent."""
    blocks: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("    "):
            inside = False
        elif inside:
            blocks[-1].append(line[4:])
        else:
            blocks.append([line[4:]])
            inside = True
    return blocks


def planned_again(context: Context) -> Path:
    """As the page says: a new workspace with the seed's recipe, planned."""
    folder = context.work_dir / "yama-no-susume"
    shutil.rmtree(folder, ignore_errors=True)
    new_workspace(folder, recipe="yama-no-susume")
    journey = Journey.open(folder)
    journey.plan()
    return journey.workspace.plan_dir
