"""Files beside pictures, read without ever running what somebody put into them.

waifuc keeps what is no plain JSON as a base64 **pickle** inside ``.X_meta.json`` and opens it with ``pickle.loads``:
whoever shares such a dataset can run code on the machine that loads it. Here nothing is unpickled, nowhere: a file with
a pickle in it is refused, and so are object arrays in ``.npy`` and constructors of Python objects in YAML.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from fullcast.store.errors import FullcastError, UnreadableFile

PICKLE = "pickle"
"""The reason of a `PickledFile`."""

_FIRST_OF_PICKLE = re.compile(rb"\x80[\x02-\x05]")
"""PROTO and its number: the first two bytes of every pickle since protocol 2 (2003)."""

_LOOKS_BASE64 = re.compile(r"gA[I-X][A-Za-z0-9+/\s_-]+=*")
"""In base64 0x80 and a protocol from 2 to 5 begin with gA and a letter from I to X."""

_OLD_PICKLE = re.compile(rb"^[(c]?[\w.]+\n[\w.]+\n.*R?\.\s*$", re.DOTALL)
"""Protocol 0: the opcode c, a module, a name."""


class PickledFile(UnreadableFile):
    """A file that holds a pickle: opening it could run code."""

    def __init__(self, path: object, where: str) -> None:
        super().__init__(path, PICKLE, f"holds a pickle ({where}), which can run code when it is opened")


def read_json(path: Path) -> Any:
    """A JSON file without pickles in it. Raises `PickledFile`, or `UnreadableFile` for what is no JSON."""
    data = _read(path)
    if _FIRST_OF_PICKLE.match(data):
        raise PickledFile(path, "the whole file")
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        if _OLD_PICKLE.match(data):
            raise PickledFile(path, "the whole file") from None
        raise UnreadableFile(path, "damaged-metadata", f"is no JSON ({error})") from None
    where = find_pickle(value)
    if where is not None:
        raise PickledFile(path, f"under {where}" if where else "the whole file")
    return value


def find_pickle(value: Any, where: str = "") -> str | None:
    """Where in JSON-ready data a pickle is, as "a.b.2"; None: nowhere."""
    if isinstance(value, dict):
        if "__type" in value and "base64" in value:  # waifuc's way
            return where
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)  # type: ignore[assignment]
    else:
        return where if isinstance(value, str) and _is_base64_pickle(value) else None
    for key, child in children:
        found = find_pickle(child, f"{where}.{key}" if where else str(key))
        if found is not None:
            return found
    return None


def read_vector(path: Path) -> np.ndarray:
    """(D,) float32 from a ``.npy`` file; more axes are flattened when all but one are 1."""
    data = _read(path)
    if _FIRST_OF_PICKLE.match(data):
        raise PickledFile(path, "the whole file")
    try:
        vector = np.squeeze(np.load(path, allow_pickle=False))
    except (ValueError, EOFError, OSError) as error:
        if "allow_pickle" in str(error) or "Object arrays" in str(error):
            raise PickledFile(path, "an array of objects") from None
        raise UnreadableFile(path, "damaged-metadata", f"is no array that can be read ({error})") from None
    if vector.ndim != 1 or vector.dtype.kind not in "fiu":
        raise UnreadableFile(path, "damaged-metadata", f"should be one vector of numbers; it is {vector.shape}")
    return vector.astype(np.float32)


def read_yaml(path: Path) -> Any:
    """A YAML file of plain values. Raises `PickledFile` for one that makes Python objects."""
    try:
        import yaml
    except ModuleNotFoundError:
        raise FullcastError(f"{path} is YAML, which needs PyYAML; run: pip install 'fullcast[prepare]'") from None
    try:
        return yaml.safe_load(_read(path).decode("utf-8-sig"))
    except yaml.constructor.ConstructorError as error:
        raise PickledFile(path, f"a Python object in YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UnreadableFile(path, "damaged-metadata", f"is no YAML ({' '.join(str(error).split())})") from None


def number_of(said: Any, path: object, what: str = "a multiply") -> float:
    """What a file says a picture comes how often: a finite number of 0 or more. Raises `UnreadableFile`."""
    try:
        value = float(said)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise UnreadableFile(path, "damaged-metadata", f"{what} is one number of 0 or more; it says {str(said)[:40]!r}")
    return value


def read_text(path: Path) -> str:
    """UTF-8, with or without a mark. Raises `UnreadableFile` for other encodings."""
    try:
        return _read(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFile(path, "damaged-metadata", "is no UTF-8 text; convert it first") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFile(path, "unreadable", f"cannot be read ({error.strerror or error})") from error


def _is_base64_pickle(text: str) -> bool:
    """Decodes to something that begins as a pickle does and ends with its STOP."""
    if not _LOOKS_BASE64.fullmatch(text):
        return False
    try:
        data = base64.b64decode("".join(text.split()), altchars=b"-_" if "-" in text or "_" in text else None)
    except (binascii.Error, ValueError):
        return False
    return bool(_FIRST_OF_PICKLE.match(data)) and data.endswith(b".")
