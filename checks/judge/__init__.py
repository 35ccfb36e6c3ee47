"""Checks of issue 5: the judge judged, its statistics, its metrics, its speed, its words."""

from __future__ import annotations

from importlib import import_module

from checks.framework import Check

CHECK = Check("judge")
LINES = range(1, 8)

# ruler: 1; intervals: 2; known: 3; speed: 4; ranking: 5; bad_input: 6; words: 7. They register with CHECK, so it comes
# first. One that cannot be imported stops everything: a line that is not there must not look like a line passed.
for _name in ("ruler", "intervals", "known", "speed", "ranking", "bad_input", "words"):
    import_module(f"{__name__}.{_name}")

if sorted(CHECK.lines) != [*LINES]:
    raise ImportError(f"the lines of issue 5 are 1 to 7; there are {sorted(CHECK.lines)}")
