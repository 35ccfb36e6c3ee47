"""Checks of issue 4: weights that are delivered, an order that is the same everywhere, exports that others can read.

Each module holds the lines that it names; a module that is not there yet leaves its lines out of ``CHECK.lines``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from checks.framework import Check

CHECK = Check("mixture")

# exact: 1; order: 2; fixtures: 3 and 7; formats: 4; geometry: 5 and 6. They register with CHECK, so it comes first.
for _name in ("exact", "order", "fixtures", "formats", "geometry"):
    if find_spec(f"{__name__}.{_name}") is not None:
        import_module(f"{__name__}.{_name}")
