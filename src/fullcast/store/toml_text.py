"""Values as TOML writes them (Python's library reads TOML and does not write it), and those that were misread."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel


def toml_value(value: Any) -> str:
    """One TOML value on one line."""
    if isinstance(value, BaseModel):  # in a list
        value = {name: item for name, item in value if item is not None}
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return repr(value) if not value.is_integer() or abs(value) >= 1e16 else f"{value:.1f}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{toml_key(k)} = {toml_value(v)}" for k, v in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return json.dumps(str(value), ensure_ascii=False)


def toml_key(name: str) -> str:
    bare = name.replace("_", "").replace("-", "")
    return name if bare.isascii() and bare.isalnum() else json.dumps(name, ensure_ascii=False)


def truths_for_numbers(given: Any, became: Any) -> Iterator[tuple[tuple[str | int, ...], bool]]:
    """Where a truth value became a number, and which it was."""
    if isinstance(given, bool):
        if isinstance(became, int | float) and not isinstance(became, bool):
            yield (), given
        return
    inner: Iterable[tuple[str | int, Any, Any]] = ()
    if isinstance(given, Mapping):
        held = became if isinstance(became, Mapping) else getattr(became, "__dict__", {})
        inner = ((name, value, held.get(name)) for name, value in given.items())
    elif isinstance(given, list) and isinstance(became, list | tuple):
        inner = ((index, *both) for index, both in enumerate(zip(given, became, strict=False)))
    for name, value, held_value in inner:
        yield from (((name, *place), truth) for place, truth in truths_for_numbers(value, held_value))
