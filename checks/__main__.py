"""``python -m checks journey`` runs all lines, ``python -m checks journey 2`` one. Exit code 1 if any is SHORT."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Sequence

import checks
from checks.framework import Check, run

HELPERS = {"framework", "shows", "elsewhere", "ceiling", "__main__"}


def names() -> list[str]:
    """Every check that there is: one module each."""
    return sorted(m.name for m in pkgutil.iter_modules(checks.__path__) if m.name not in HELPERS)


def main(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] not in names():
        print(f"usage: python -m checks NAME [K]; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    check: Check = importlib.import_module(f"checks.{arguments[0]}").CHECK
    known = sorted(check.lines)
    chosen = [int(k) for k in arguments[1:]] if all(k.isdigit() for k in arguments[1:]) else [0]
    if unknown := [k for k in chosen if k not in known]:
        print(f"check {check.name} has no line {unknown[0]}; it has {', '.join(map(str, known))}", file=sys.stderr)
        return 2
    return run(check, chosen or known)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
