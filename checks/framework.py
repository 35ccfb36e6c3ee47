"""What a check is, how it prints and what it leaves: value, goal, n, interval, PASS or SHORT, and a JSON file.

A line that cannot be run is SHORT with the reason: nothing is ever skipped in silence.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS_DIR = ROOT / "checks"


@dataclass(frozen=True, slots=True)
class Goal:
    """What a value must be: ``Goal(">=", 0.93)``."""

    relation: str
    """>= | <= | = """
    value: float

    def holds(self, value: float) -> bool:
        """nan never does."""
        if math.isnan(value):
            return False
        return {">=": value >= self.value, "<=": value <= self.value, "=": value == self.value}[self.relation]

    def __str__(self) -> str:
        return f"{self.relation} {self.value:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value with its goal; without a goal it is only told."""

    name: str
    value: float
    goal: Goal | None = None
    n: int = 0
    low: float = math.nan
    high: float = math.nan
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return "-"
        return "PASS" if self.goal.holds(self.value) else "SHORT"


Line = Callable[["Context"], Iterable[Figure]]


@dataclass
class Check:
    """The numbered lines of one issue."""

    name: str
    lines: dict[int, tuple[str, Line]] = field(default_factory=dict)

    def line(self, number: int, title: str) -> Callable[[Line], Line]:
        """Decorator: ``@CHECK.line(2, "three shows")``."""

        def register(function: Line) -> Line:
            self.lines[number] = (title, function)
            return function

        return register


@dataclass(frozen=True, slots=True)
class Context:
    """What a line is given."""

    commit: str
    work_dir: Path
    """Where shows and workspaces lie: build/checks of the repository, or FULLCAST_CHECKS_DIR. Kept between runs, so
    that a stopped check goes on."""
    say: Callable[[str], None]

    def seeds(self, purpose: str, count: int) -> list[int]:
        """Seeds of shows: SEED= (and its successors) if given, else from the hash of the commit under test."""
        given = os.environ.get("SEED", "")
        if given:
            return [int(given) + i for i in range(count)]
        digests = (hashlib.sha256(f"{self.commit}/{purpose}/{i}".encode()).digest() for i in range(count))
        return [int.from_bytes(d[:4], "big") % 1_000_000 for d in digests]


def short(name: str, reason: str) -> Figure:
    """A figure that could not be measured: SHORT, with the reason."""
    return Figure(name, math.nan, Goal("=", 1), note=f"could not run because {reason}")


def estimated(name: str, estimate: Mapping[str, Any], goal: Goal | None, note: str = "") -> Figure:
    """Of the product's own JSON: value, n, low, high."""
    return Figure(name, estimate["value"], goal, estimate["n"], estimate["low"], estimate["high"], note)


def passed(name: str, holds: bool, note: str = "") -> Figure:
    """A statement that is true or not."""
    return Figure(name, float(holds), Goal("=", 1), note=note)


def run(check: Check, numbers: Iterable[int]) -> int:
    """Runs lines, prints them, writes ``checks/NAME.json``; 0 when every goal holds."""
    context = Context(commit_hash(), work_dir(), lambda text: print(f"    {text}", file=sys.stderr, flush=True))
    all_hold = True
    for number in numbers:
        title, line = check.lines[number]
        print(f"\n{check.name} {number}: {title}", flush=True)
        began = datetime.now(UTC)
        figures = _measure(line, context)
        print(as_table(figures), flush=True)
        all_hold &= all(f.verdict != "SHORT" for f in figures)
        seconds = (datetime.now(UTC) - began).total_seconds()
        write_result(check.name, number, title, figures, context.commit, seconds)
    print(f"\n{check.name}: {'PASS' if all_hold else 'SHORT'}; written to {result_path(check.name)}")
    return 0 if all_hold else 1


def _measure(line: Line, context: Context) -> list[Figure]:
    """The line's figures; whatever stops it makes it SHORT, with what had been measured before."""
    figures: list[Figure] = []
    try:
        figures.extend(line(context))
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        print("".join(traceback.format_exception(error)[-3:]), file=sys.stderr)
        figures.append(short("the rest of this line", reason[:400]))
    return figures or [short("the whole line", "it measured nothing")]


def as_table(figures: Iterable[Figure]) -> str:
    """Aligned: name, value, goal, n, interval, verdict, note."""
    rows = [("what", "value", "goal", "n", "95 % interval", "", "")]
    for f in figures:
        interval = "" if math.isnan(f.low) else f"{f.low:.3f} to {f.high:.3f}"
        value = "-" if math.isnan(f.value) else f"{f.value:.4g}"
        rows.append((f.name, value, str(f.goal or ""), str(f.n or ""), interval, f.verdict, f.note))
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    return "\n".join(
        "  " + "  ".join([*(text.ljust(w) for text, w in zip(row, widths, strict=False)), row[6]]).rstrip()
        for row in rows
    )


def result_path(name: str) -> Path:
    return Path(os.environ.get("FULLCAST_CHECKS_RESULTS", RESULTS_DIR)) / f"{name}.json"


def write_result(name: str, number: int, title: str, figures: list[Figure], commit: str, seconds: float) -> None:
    """Replaces one line in the file; other lines keep the commit and the machine that they were measured on. A run on
    fewer pictures (FULLCAST_CHECKS_SMALL) says so: ``small``."""
    path = result_path(name)
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = {}
    content.setdefault("check", name)
    lines = content.setdefault("lines", {})
    small = {"small": True} if os.environ.get("FULLCAST_CHECKS_SMALL") else {}
    lines[str(number)] = small | {
        "title": title,
        "verdict": "SHORT" if any(f.verdict == "SHORT" for f in figures) else "PASS",
        "figures": [_plain(figure) for figure in figures],
        "commit": commit,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "seed": os.environ.get("SEED", "from the commit"),
        "machine": machine(),
    }
    content["lines"] = dict(sorted(lines.items(), key=lambda item: int(item[0])))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def _plain(figure: Figure) -> dict[str, Any]:
    """JSON has no nan: null."""
    row = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(figure).items()}
    return row | {"goal": str(figure.goal) if figure.goal else None, "verdict": figure.verdict}


def machine() -> Mapping[str, Any]:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "load": round(load, 2),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def commit_hash() -> str:
    """HEAD, with ``+`` where files under version control were changed since; what the checks themselves write is
    left out."""
    head = _git("rev-parse", "HEAD") or "no-commit"
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)checks/*.json")
    return head + ("+" if changed else "")


def work_dir() -> Path:
    return Path(os.environ.get("FULLCAST_CHECKS_DIR", ROOT / "build" / "checks"))


def _git(*words: str) -> str:
    answer = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
