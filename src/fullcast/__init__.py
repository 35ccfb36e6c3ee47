"""Fullcast turns a show into an image model that knows its whole cast, and proves it with numbers.

The same as the command line, from Python::

    import fullcast

    fullcast.new_workspace("my-show")          # then put files into it
    journey = fullcast.Journey.open("my-show")
    journey.prepare(); journey.plan(); journey.train()
    journey.generate("3 people, park", cast="aoi,hinata,mio")
    journey.judge(); journey.card()

Every verb returns an `Answer`: text for people, data for machines. Names are imported when they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0.dev0"

_NAMES = {
    "Journey": "fullcast.journey",
    "Answer": "fullcast.journey",
    "new_workspace": "fullcast.journey",
    "demo": "fullcast.journey.demo",
    "Workspace": "fullcast.store.workspace",
    "Recipe": "fullcast.recipe",
    "read_recipe": "fullcast.recipe",
    "read_records": "fullcast.store.tables",
    "read_picture": "fullcast.store.pictures",
    "FullcastError": "fullcast.store.errors",
}

__all__ = ["__version__", *_NAMES]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'fullcast' has no attribute {name!r}")
    return getattr(import_module(_NAMES[name]), name)
