"""Checks of issue 6: exact resume, speed over the bare step, full size, several processes, formulas, learning, LoRA."""

from __future__ import annotations

from importlib import import_module

from checks.framework import Check

CHECK = Check("trainer")

# kills: 1; speed: 2; full_size: 3; together: 4; formulas: 5; study: 6; adapters: 7. They register with CHECK.
for _name in ("kills", "speed", "full_size", "together", "formulas", "study", "adapters"):
    import_module(f"{__name__}.{_name}")
