"""Whose licence a model has: what its folder's card or its file's metadata say. What is trained on it inherits that."""

from __future__ import annotations

import json
import re
from pathlib import Path

from fullcast.models.stable_diffusion.metadata import read_metadata

CARDS = ("README.md", "CARD.md")
PROVENANCE = "provenance.json"
"""What Fullcast writes beside every checkpoint."""
_LINE = re.compile(r"^(license|license_name|licence):\s*[\"']?([^\"'\n#]+)", re.MULTILINE)


def licence_of(model: str | Path) -> str:
    """The licence's name as the model states it ("creativeml-openrail-m"); "" where it states none.

    A diffusers folder: the front matter of its card; a `license_name` says more than "other"; a checkpoint of
    Fullcast without a card: what its provenance.json states. A .safetensors file: modelspec.license.
    """
    path = Path(model)
    if path.is_file():
        return read_metadata(path).get("modelspec.license", "") if path.suffix == ".safetensors" else ""
    for card in CARDS:
        if (path / card).is_file():
            text = (path / card).read_text(encoding="utf-8", errors="replace")
            front = text.split("---")[1] if text.startswith("---") and text.count("---") >= 2 else ""
            told = {key: value.strip() for key, value in _LINE.findall(front)}
            if licence := told.get("license_name") or told.get("license") or told.get("licence"):
                return licence
    return _of_provenance(path / PROVENANCE)


def _of_provenance(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8")).get("licence") or "")
    except (OSError, ValueError, AttributeError):  # none, or somebody else's file of that name
        return ""
