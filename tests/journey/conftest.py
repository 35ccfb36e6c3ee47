"""Every module of the journey is imported before the first test.

Verbs import what they need when they are asked. A module imported while a test has put something else in a name's place
would keep that for all tests after it in the same process: which ones, depends on who got which test.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from fullcast import journey

for module in iter_modules(journey.__path__, f"{journey.__name__}."):
    import_module(module.name)
