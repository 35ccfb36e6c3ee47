"""Line 7: docs/preparation.md shows one episode in pictures, and its figures are those that the checks printed.

    python -m checks.preparation.page WORKSPACE    draws the pictures anew from a prepared workspace, writes the figures

The table of the page stands between two marks and is made from checks/preparation.json; the check makes it again and
compares, so that a figure in the page is one that a command printed.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from checks.framework import ROOT, Context, Figure, Goal, passed, result_path
from checks.preparation import CHECK
from fullcast.store.pictures import read_picture

PAGE = ROOT / "docs" / "preparation.md"
PICTURES_DIR = ROOT / "docs" / "pictures"
BEGIN, END = "<!-- figures: python -m checks.preparation.page -->", "<!-- end of figures -->"
FEWEST = 6
"""Shots, drawings, duplicates, people, words, crops."""


@CHECK.line(7, "docs/preparation.md: pictures of one episode, figures with their commands")
def page(context: Context) -> Iterator[Figure]:
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    yield passed("the page is there", bool(text))
    shown = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    files = [PAGE.parent / name for name in shown]
    missing = [path.name for path in files if not path.is_file()]
    yield Figure("pictures in it", len(files), Goal(">=", FEWEST))
    yield Figure("pictures that are missing", len(missing), Goal("=", 0), note=", ".join(missing))
    empty = [path.name for path in files if path.is_file() and not _shows_something(path)]
    yield Figure("pictures that show nothing", len(empty), Goal("=", 0), note=", ".join(empty))
    results = _results()
    commands = [f"make check-preparation-{k}" for k in sorted(CHECK.lines) if k != 7]
    unsaid = [command for command in commands if command not in text]
    yield Figure("lines whose command the page does not give", len(unsaid), Goal("=", 0), note=", ".join(unsaid))
    yield passed("its figures are those of checks/preparation.json", _between(text) == figures(results))


def _shows_something(path: Path) -> bool:
    picture = read_picture(path)
    return picture.shape[1] >= 600 and len(np.unique(picture[::8, ::8].reshape(-1, 3), axis=0)) > 100


def _results() -> Mapping[str, Any]:
    """Lines of checks/preparation.json by number; the seventh is this one."""
    try:
        lines = json.loads(result_path(CHECK.name).read_text(encoding="utf-8"))["lines"]
    except (OSError, ValueError, KeyError):
        return {}
    return {number: line for number, line in lines.items() if number != "7"}


def figures(results: Mapping[str, Any]) -> str:
    """Markdown: one table for each line of the check that was run, with its command, commit and verdicts."""
    parts = []
    for number, line in sorted(results.items(), key=lambda item: int(item[0])):
        machine = line["machine"]
        where = f"{machine['cores']} cores of {machine['cpu']}, load {machine['load']:g} at the end"
        parts += [
            f"### `make check-preparation-{number}`: {line['title']}",
            "",
            f"{line['verdict']}. Commit {line['commit'][:7]}, {line['date'][:10]}, {line['seconds']:.0f} s; {where}.",
            "",
            "| figure | value | goal | n | 95 % interval | |",
            "|---|---|---|---|---|---|",
            *map(_row, line["figures"]),
            "",
        ]
    return "\n".join(parts).strip()


def _row(figure: Mapping[str, Any]) -> str:
    value = "-" if figure["value"] is None else f"{figure['value']:.4g}"
    interval = "" if figure["low"] is None else f"{figure['low']:.3f} to {figure['high']:.3f}"
    note = " ".join(str(figure["note"]).replace("|", "/").split())
    name = f"{figure['name']} ({note[:90]})" if note else figure["name"]
    verdict = "" if figure["verdict"] == "-" else figure["verdict"]
    return f"| {name} | {value} | {figure['goal'] or ''} | {figure['n'] or ''} | {interval} | {verdict} |"


def _between(text: str) -> str:
    _, _, rest = text.partition(BEGIN)
    return rest.partition(END)[0].strip()


def main(workspace: str = "") -> None:
    if workspace:
        from checks.preparation.pictures import draw_all

        for name, path in draw_all(Path(workspace), PICTURES_DIR).items():
            print(f"{name}: {path.relative_to(ROOT)}, {path.stat().st_size // 1000} kB")
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    PAGE.write_text(f"{head}{BEGIN}\n\n{figures(_results())}\n\n{END}{tail}", encoding="utf-8")
    print(f"figures of {', '.join(sorted(_results()))} written to {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
