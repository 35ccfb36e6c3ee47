"""Checks of "the whole journey on one machine". The goals are those of the issue, and stand in checks only."""

from __future__ import annotations

from importlib import import_module

from checks.framework import Check

CHECK = Check("journey")
LINES = range(1, 8)

# fresh: 1, 5; three_shows: 2; whole_scenes: 3; opened: 4; bad_input: 6; moved: 7. They register with CHECK, so it comes
# first. One that cannot be imported stops everything: a line that is not there must not look like a line passed.
for _name in ("fresh", "three_shows", "whole_scenes", "opened", "bad_input", "moved"):
    import_module(f"{__name__}.{_name}")

if sorted(CHECK.lines) != [*LINES]:
    raise ImportError(f"the lines of the journey are 1 to 7; there are {sorted(CHECK.lines)}")
