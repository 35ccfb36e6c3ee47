"""The house's plan, held by a test: imports point one way, rooms do not know each other, truth stays out of reach.

Every module is parsed, none is run, so that an import inside a function counts as one at the top does.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
PACKAGE = "fullcast"

ROOMS = ("ingest", "people", "captions", "mixture", "training", "generation", "judging")

LEVELS: dict[str, int] = {
    "records": 0,
    "ports": 1,
    "store": 2,
    "formats": 3,
    "diffusion": 3,
    "models": 4,
    "recognition": 5,
    **dict.fromkeys(ROOMS, 6),
    "recipe": 7,
    "journey": 8,
    "audit": 9,
    "cli": 10,
    "studio": 10,
}
"""Who may import whom: a module imports from its own part and from parts with a lower number, never from a higher."""

# pocket draws a show and holds weights: it stands beside the rooms and may use what lies under them; it is used by
# journey, audit and cli alone. The package's own __init__ and __main__ are doors to everything.
POCKET_USERS = {"journey", "audit", "cli", "pocket", "__main__"}
POCKET_LEVEL = 6
DOORS = {"__init__", "__main__"}

HEAVY = ("torch", "av", "onnxruntime", "diffusers", "transformers", "scipy", "sklearn", "matplotlib", "duckdb", "peft")
"""What a room's config and everything that `fullcast --help` needs must not load."""

TRUTH_READERS = {"audit", "pocket"}


@dataclass(frozen=True)
class Module:
    path: Path
    name: str
    """Dotted, below the package: "people.detect"; the package itself is "__init__"."""
    tree: ast.Module

    @property
    def part(self) -> str:
        return self.name.split(".")[0]

    def imports(self) -> Iterator[tuple[str, int]]:
        """(absolute dotted name, line) of everything imported anywhere in the module."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.name, node.lineno
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    package = [PACKAGE, *self.name.split(".")][: -node.level]
                    base = ".".join([*package, *([base] if base else [])])
                for alias in node.names:
                    yield f"{base}.{alias.name}", node.lineno

    def imported_parts(self) -> Iterator[tuple[str, int]]:
        """(part of Fullcast, line)."""
        for name, line in self.imports():
            pieces = name.split(".")
            if pieces[0] == PACKAGE:
                yield (pieces[1] if len(pieces) > 1 and not pieces[1].startswith("__") else "__init__"), line


def parse(root: Path) -> list[Module]:
    modules = []
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root / PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        modules.append(Module(path, name, ast.parse(path.read_text(encoding="utf-8"), str(path))))
    return modules


def import_errors(module: Module) -> list[str]:
    """Every import of the module that points the wrong way, as a sentence."""
    errors = []
    if module.part in DOORS:
        return errors
    own = POCKET_LEVEL if module.part == "pocket" else LEVELS.get(module.part)
    if own is None:
        return [f"{module.name}: the part {module.part!r} has no place in the house; see LEVELS"]
    for part, line in module.imported_parts():
        where = f"{module.name}:{line} imports {part}"
        if part in (module.part, "__init__"):
            continue
        if part == "pocket":
            if module.part not in POCKET_USERS:
                errors.append(f"{where}: only {sorted(POCKET_USERS)} may")
        elif part not in LEVELS:
            errors.append(f"{where}: which has no place in the house")
        elif LEVELS[part] >= own:
            errors.append(f"{where}: {'a room beside it' if LEVELS[part] == own else 'imports point the other way'}")
    return errors


def heavy_errors(module: Module) -> list[str]:
    """Networks and codecs imported, also inside a function, where none may be."""
    return [f"{module.name}:{line} imports {name}" for name, line in module.imports() if name.split(".")[0] in HEAVY]


def truth_errors(module: Module) -> list[str]:
    """String constants that could name a truth file, outside those who may read it. Docstrings may speak of truth."""
    if module.part in TRUTH_READERS:
        return []
    spoken = {
        id(node.value)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        f"{module.name}:{node.lineno} says {node.value!r}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in spoken
        and _names_a_truth_file(node.value)
    ]


def encoding_errors(module: Module) -> list[str]:
    """Text read or written in whatever encoding the machine has: names may be Japanese, and Windows has not UTF-8."""
    calls = [n for n in ast.walk(module.tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    return [
        f"{module.name}:{call.lineno} {call.func.attr} without encoding"  # type: ignore[attr-defined]
        for call in calls
        if (own := {"read_text": 0, "write_text": 1}.get(call.func.attr)) is not None  # type: ignore[attr-defined]
        and len(call.args) <= own
        and "encoding" not in {keyword.arg for keyword in call.keywords}
    ]


def _names_a_truth_file(text: str) -> bool:
    """ "truth", "truth.parquet", "data/truth-1.csv", "truth*": a file's name, not a sentence with the word in it."""
    last = text.lower().replace("\\", "/").rsplit("/", 1)[-1]
    return last.startswith("truth") and " " not in last


MODULES = parse(SRC)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.name)
def test_imports_point_one_way(module: Module) -> None:
    assert import_errors(module) == []


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.name)
def test_nobody_who_prepares_trains_generates_or_judges_can_name_a_truth_file(module: Module) -> None:
    assert truth_errors(module) == []


def test_text_is_utf8_on_every_machine() -> None:
    assert [error for module in MODULES for error in encoding_errors(module)] == []


@pytest.mark.parametrize(
    "module",
    [m for m in MODULES if (m.name.split(".")[-1] == "config" and m.part in ROOMS) or m.name in ("recipe", "records")],
    ids=lambda m: m.name,
)
def test_configs_know_no_network_and_no_codec(module: Module) -> None:
    assert heavy_errors(module) == []


def test_the_command_line_starts_without_networks_and_codecs() -> None:
    code = f"import sys, fullcast.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=SRC)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr


def test_no_room_of_its_own_for_odds_and_ends() -> None:
    names = {piece for module in MODULES for piece in module.name.split(".")}
    assert names.isdisjoint({"utils", "util", "helpers", "common", "misc"})


BAD = {
    "people/a.py": ("from fullcast.ingest.config import IngestConfig", import_errors, "a room beside it"),
    "people/b.py": ("from ..captions import compose", import_errors, "a room beside it"),
    "store/c.py": ("def f():\n    from fullcast.models import base", import_errors, "the other way"),
    "records.py": ("import fullcast.ports", import_errors, "the other way"),
    "ingest/d.py": ("from fullcast import journey", import_errors, "the other way"),
    "judging/e.py": ("from fullcast.pocket import show", import_errors, "only"),
    "training/config.py": ("def f():\n    import torch.nn", heavy_errors, "torch"),
    "oddments/f.py": ("import fullcast.records", import_errors, "no place"),
    "judging/g.py": ("path = root / 'truth.parquet'", truth_errors, "truth.parquet"),
    "mixture/h.py": ("for p in root.glob('data/truth*'): pass", truth_errors, "truth"),
}


@pytest.mark.parametrize("name", BAD)
def test_the_rule_finds_each_kind_of_breach(tmp_path: Path, name: str) -> None:
    source, rule, expected = BAD[name]
    path = tmp_path / PACKAGE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source + "\n")
    (module,) = parse(tmp_path)
    assert any(expected in error for error in rule(module)), rule(module)


def test_the_rule_lets_what_is_right_pass(tmp_path: Path) -> None:
    good = tmp_path / PACKAGE / "people" / "good.py"
    good.parent.mkdir(parents=True)
    good.write_text(
        '"""Truth is never read here: truth.parquet belongs to the audit."""\n'
        "import numpy\nfrom fullcast.records import Person\nfrom fullcast.recognition import embed\n"
        "from .config import PeopleConfig\nmessage = 'the truth is elsewhere'\n"
    )
    (module,) = parse(tmp_path)
    assert import_errors(module) == [] and truth_errors(module) == []
