"""Checks of issue 4: weights that are delivered, an order that is the same everywhere, exports that others can read."""

from __future__ import annotations

from importlib import import_module

from checks.framework import Check

CHECK = Check("mixture")
LINES = range(1, 8)

# exact: 1; order: 2; fixtures: 3; formats: 4; geometry: 5; composites: 6; page: 7. They register with CHECK, so it
# comes first. One that cannot be imported stops everything: a line that is not there must not look like a line passed.
for _name in ("exact", "order", "fixtures", "formats", "geometry", "composites", "page"):
    import_module(f"{__name__}.{_name}")

if sorted(CHECK.lines) != [*LINES]:
    raise ImportError(f"the lines of issue 4 are 1 to 7; there are {sorted(CHECK.lines)}")
