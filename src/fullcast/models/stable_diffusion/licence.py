"""Whose licence a model has: what its folder's card or its file's metadata say. What is trained on it inherits that."""

from __future__ import annotations

import re
from pathlib import Path

from fullcast.models.stable_diffusion.metadata import read_metadata

CARDS = ("README.md", "CARD.md")
_LINE = re.compile(r"^(license|license_name|licence):\s*[\"']?([^\"'\n#]+)", re.MULTILINE)


def licence_of(model: str | Path) -> str:
    """The licence's name as the model states it ("creativeml-openrail-m"); "" where it states none.

    A diffusers folder: the front matter of its card; a `license_name` says more than "other". A .safetensors file:
    modelspec.license.
    """
    path = Path(model)
    if path.is_file():
        return read_metadata(path).get("modelspec.license", "") if path.suffix == ".safetensors" else ""
    for card in CARDS:
        if (path / card).is_file():
            text = (path / card).read_text(encoding="utf-8", errors="replace")
            front = text.split("---")[1] if text.startswith("---") and text.count("---") >= 2 else ""
            told = {key: value.strip() for key, value in _LINE.findall(front)}
            return told.get("license_name") or told.get("license") or told.get("licence") or ""
    return ""
