"""Checks of issue 3: how right, how fast and how robust preparation is. Each module holds the line that it names."""

from __future__ import annotations

from importlib import import_module

from checks.framework import Check

CHECK = Check("preparation")

LINES = {1: "speed", 2: "shows", 3: "real_art", 4: "doors", 5: "imports", 6: "robust", 7: "page"}

# They register with CHECK, so it comes first.
for _name in LINES.values():
    import_module(f"{__name__}.{_name}")
