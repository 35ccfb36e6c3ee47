"""The cast file: written beside every checkpoint, so that a model can plan, repair and be judged without its dataset.

JSON; embeddings are base64 of little-endian float16, (K, D) in row order. Half precision moves a cosine by less than
0.001. Whoever makes a Cast passes its vectors through `rounded` first, so that the file changes no bit of them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fullcast.records import Cast, Character, Form, Naming
from fullcast.store.atomic import write_json
from fullcast.store.errors import FullcastError

CAST_FILE = "cast.json"
"""Its name beside a checkpoint and in a workspace."""

FORMAT, VERSION = "fullcast-cast", 1


def write_cast(path: Path, cast: Cast) -> None:
    """Atomically; the same cast gives the same bytes."""
    write_json(path, cast_to_json(cast))


def read_cast(path: Path) -> Cast:
    """Raises FullcastError with one sentence when the file is missing, damaged or of a later version."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FullcastError(f"{path}: there is no cast file; `fullcast prepare` writes one") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FullcastError(f"{path} is damaged: it is no JSON ({error})") from error
    try:
        return cast_from_json(value)
    except FullcastError as error:
        raise FullcastError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FullcastError(f"{path} is no cast file: {type(error).__name__} at {error}") from error


def cast_to_json(cast: Cast) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "show": cast.show,
        "embedder": cast.embedder,
        "threshold": cast.threshold,
        "layout": dict(cast.layout),
        "naming": {k: None if v != v else v for k, v in asdict(cast.naming).items()},
        "characters": [
            {
                "name": character.name,
                "trigger_word": character.trigger_word,
                "licence": character.licence,
                "forms": [_form_to_json(form) for form in character.forms],
            }
            for character in cast.characters
        ],
    }


def cast_from_json(value: Mapping[str, Any]) -> Cast:
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise FullcastError(f"not a cast file: wanted is a JSON object with format {FORMAT!r}")
    if value["version"] > VERSION:
        raise FullcastError(
            f"written by a later Fullcast (file version {value['version']}, known {VERSION}); update it"
        )
    characters = tuple(
        Character(c["name"], c["trigger_word"], tuple(_form_from_json(f) for f in c["forms"]), c["licence"])
        for c in value["characters"]
    )
    given: dict[str, Any] = {k: float("nan") if v is None else v for k, v in value.get("naming", {}).items()}
    naming = Naming(**given)
    threshold = float(value["threshold"])
    return Cast(value["show"], characters, value["embedder"], threshold, dict(value["layout"]), naming)


def _form_to_json(form: Form) -> dict[str, Any]:
    value: dict[str, Any] = {"name": form.name, "trigger_word": form.trigger_word, "tags": list(form.tags)}
    for name in ("references", "views"):
        if (vectors := getattr(form, name)) is not None:
            half = np.ascontiguousarray(vectors, dtype="<f2")
            value[name] = {"shape": list(half.shape), "float16": base64.b64encode(half.tobytes()).decode()}
    return value


def _form_from_json(value: Mapping[str, Any]) -> Form:
    references, views = (_vectors(value.get(name)) for name in ("references", "views"))
    return Form(value["name"], value["trigger_word"], tuple(value["tags"]), references, views)


def _vectors(stored: Mapping[str, Any] | None) -> np.ndarray | None:
    if stored is None:
        return None
    half = np.frombuffer(base64.b64decode(stored["float16"]), dtype="<f2").reshape(stored["shape"])
    return half.astype(np.float32)


def rounded(vectors: np.ndarray) -> np.ndarray:
    """(..., D) float32 as they will be after a round trip through the file; lengths within 0.0005 of 1."""
    return vectors.astype("<f2").astype(np.float32)
