"""Checks of issue 3: how right, how fast and how robust preparation is.

Each module holds the lines that it names; a module that is not there yet leaves its lines out of ``CHECK.lines``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from checks.framework import Check

CHECK = Check("preparation")

# speed: 1; shows: 2; real_art: 3; doors: 4; imports: 5; robust: 6; page: 7. They register with CHECK, so it comes first.
for _name in ("speed", "shows", "real_art", "doors", "imports", "robust", "page"):
    if find_spec(f"{__name__}.{_name}") is not None:
        import_module(f"{__name__}.{_name}")
