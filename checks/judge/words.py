"""Line 7: docs/judging.md says what each number means, with a picture, and what it does not mean."""

from __future__ import annotations

import re
from collections.abc import Iterable

from checks.framework import ROOT, Context, Figure, Goal, passed
from checks.judge import CHECK
from fullcast.judging.verdict import FAILURES
from fullcast.store.pictures import read_picture

PAGE = ROOT / "docs" / "judging.md"
NUMBERS = (
    "S_N", "In place", "p_eff", "S_N@k", "Counting", "Recall, precision, F1", "Who is taken for whom", "Hybrids",
    "Identity lift", "Hair leakage", "Places", "Counterfactual pairs", "Detect-and-Compare", "KID and MMD", "Diversity",
    "Copied", "Compositions", "Head sizes", "Comparison", "Corrected success",
)  # fmt: skip
"""Every number that the page shows, by its heading."""


@CHECK.line(7, "docs/judging.md: each number in words, with a picture, and what it does not mean")
def words(context: Context) -> Iterable[Figure]:
    text = PAGE.read_text(encoding="utf-8")
    parts = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", text, re.M | re.S))
    missing = [name for name in NUMBERS if name not in parts]
    yield Figure("numbers without words", len(missing), Goal("=", 0), len(NUMBERS), note=", ".join(missing))
    unsaid = [name for name in NUMBERS if "not mean" not in parts.get(name, "").lower()]
    yield Figure("numbers that do not say what they do not mean", len(unsaid), Goal("=", 0), note=", ".join(unsaid))
    pictures = {name: re.findall(r"!\[[^\]]+\]\(([^)]+)\)", part) for name, part in parts.items()}
    bare = [name for name in NUMBERS if not pictures.get(name)]
    yield Figure("numbers without a picture", len(bare), Goal("=", 0), note=", ".join(bare))
    for path in sorted({p for found in pictures.values() for p in found}):
        picture = read_picture(PAGE.parent / path)
        yield passed(f"{path} opens", picture.shape[2] == 3)
    told = [word for word in ("missing", "extra", "duplicate", "intruder", "unknown", "hybrid") if word not in text]
    yield Figure("words of the taxonomy that are not explained", len(told), Goal("=", 0), len(FAILURES))
