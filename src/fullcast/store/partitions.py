"""Map stages: one result per partition, computed once for one key, written to a temporary name and renamed last.

The key is the hash of a partition's inputs, of the part of the config that its stage reads, of its models and of the
stage's own VERSION. A kill at any moment costs at most the partition in work; a result with the same key is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fullcast.store.atomic import replacing, replacing_dir, write_text

_KEY_FILE = "partition.key"


def partition_key(
    inputs: Sequence[str] | Mapping[str, str], config: Any = None, models: Sequence[str] = (), version: int | str = 1
) -> str:
    """20 hex digits over all that a result depends on.

    `inputs`: ids of files (`file_id`) or keys of earlier partitions, in an order that matters; a mapping when names
    matter too. `config`: a pydantic model, or JSON-ready values: only the part that the stage reads.
    """
    plain = config.model_dump(mode="json") if hasattr(config, "model_dump") else config
    value = {
        "inputs": dict(inputs) if isinstance(inputs, Mapping) else list(inputs),
        "config": plain,
        "models": list(models),
        "version": str(version),
    }
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:20]


def cached(result_path: Path, key: str, make: Callable[[Path], None]) -> bool:
    """Have the file `result_path` made under `key`, unless it already is; True: `make` ran.

    `make` gets a temporary path (same suffix) and must leave the whole result there. The key stands beside the result
    in ``{name}.key`` and is written after it, so that a kill in between computes again and never trusts a wrong pair.
    """
    if is_cached(result_path, key):
        return False
    key_path = _key_path(result_path)
    with replacing(result_path) as temporary:
        make(temporary)
        key_path.unlink(missing_ok=True)
    write_text(key_path, key + "\n")
    return True


def cached_dir(result_dir: Path, key: str, make: Callable[[Path], None]) -> bool:
    """The same for a result that is a folder (kept frames and their table); the key is a file inside it."""
    if is_cached(result_dir, key):
        return False
    with replacing_dir(result_dir) as temporary:
        make(temporary)
        write_text(temporary / _KEY_FILE, key + "\n")
    return True


def is_cached(result_path: Path, key: str) -> bool:
    """Whether the result, a file or a folder, is there and was made under `key`."""
    return result_path.exists() and stored_key(result_path) == key


def stored_key(result_path: Path) -> str:
    """The key that a result was made under; '' when it has none (never finished, or not there)."""
    try:
        return _key_path(result_path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _key_path(result_path: Path) -> Path:
    return result_path / _KEY_FILE if result_path.is_dir() else result_path.with_name(result_path.name + ".key")
