"""What a training says of itself in its own folder and beside each of its checkpoints: recipe, origin, machine.

Report, card and exports tell of a model what it was trained with, which today's recipe and plan may not be any more.
"""

from __future__ import annotations

import json
import os
import platform
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from fullcast.journey.doors import POCKET
from fullcast.models.stable_diffusion.licence import PROVENANCE
from fullcast.recipe import Recipe, make_recipe, read_recipe, write_recipe

RUN_RECIPE = "fullcast.toml"
"""The resolved recipe, as it lies in a run and beside every checkpoint."""

_HUB_FOLDER = re.compile(r"models--([^/]+?)--([^/]+)")


@dataclass(frozen=True)
class RunFacts:
    """Of a run or of a checkpoint."""

    recipe: Recipe | None = None
    """What it was trained with; None: a model of somebody else, which does not say."""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plan(self) -> str:
        """Fingerprint of its plan; "" where it is not known."""
        return str(self.provenance.get("plan", ""))

    @property
    def licence(self) -> str:
        return str(self.provenance.get("licence", ""))

    @property
    def machines(self) -> tuple[str, ...]:
        """On which it was trained, in their order; () for a training from before that was written down."""
        return tuple(self.provenance.get("machines", ()))


def read_run(folder: Path) -> RunFacts:
    """What lies in the folder of a run or a checkpoint; a base in one file tells nothing here."""
    recipe, origin = folder / RUN_RECIPE, folder / PROVENANCE
    return RunFacts(
        read_recipe(recipe) if recipe.is_file() else None,
        json.loads(origin.read_text(encoding="utf-8")) if origin.is_file() else {},
    )


def hide_places(recipe: Path) -> None:
    """Writes a recipe that is published anew where it names a place on this machine: by the last name of it."""
    values = tomllib.loads(recipe.read_text(encoding="utf-8"))
    hidden = _without_places(values)
    if hidden != values:
        write_recipe(recipe, make_recipe(hidden))


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_places(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_places(inner) for inner in value]
    if not isinstance(value, str):
        return value
    networks = value.split("+")  # several detectors
    is_place = [any(kind(name.strip()).is_absolute() for kind in (PurePosixPath, PureWindowsPath)) for name in networks]
    told = (
        base_name(name.strip().replace("\\", "/")) if place else name
        for name, place in zip(networks, is_place, strict=True)
    )
    return "+".join(told) if any(is_place) else value


def machine() -> str:
    """This one, in words."""
    return f"{os.cpu_count()} CPU cores ({platform.machine()}), {_accelerator()}"


def _accelerator() -> str:
    try:
        import torch
    except ModuleNotFoundError:
        return "no torch"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    name = torch.cuda.get_device_name(0) if count else "no GPU"
    return f"{count} x {name}" if count > 1 else name


def base_name(given: str) -> str:
    """What a page may call the base of a recipe: never a path. A folder in Hugging Face's cache is named by its
    repository, "owner/name", any other by itself."""
    if given == POCKET:
        return "Fullcast's pocket base"
    path = Path(given)
    found = next((match for part in reversed(path.parts) if (match := _HUB_FOLDER.fullmatch(part))), None)
    return "/".join(found.groups()) if found else path.name
