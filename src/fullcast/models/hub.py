"""Where a network's files are: a local path, or the Hugging Face cache; downloaded only when told to.

``hf:owner/repository/folder`` names a folder of a repository (the folder may be left out). Single files are asked for
by name; no repository is ever listed, and without leave nothing is sent over the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fullcast.store.errors import FullcastError

PREFIX = "hf:"


def is_address(given: str) -> bool:
    """Whether `given` names a repository instead of a path."""
    return given.startswith(PREFIX)


def from_hub(
    address: str,
    files: Sequence[str],
    optional: Sequence[str] = (),
    *,
    download: bool = False,
    cache_dir: Path | None = None,
) -> Path:
    """The local folder that holds `files` of ``hf:owner/repository/folder``; `optional` ones come if they are there.

    `cache_dir`: None is huggingface_hub's own (HF_HOME). Raises FullcastError when the address is malformed, or a file
    is not in the cache and may not or cannot be downloaded.
    """
    owner, repository, folder = _parts(address)
    try:
        import huggingface_hub
    except ImportError:
        raise FullcastError(
            f"{address} is an address on the Hugging Face hub; pip install huggingface_hub, or give a local path"
        ) from None
    repo = f"{owner}/{repository}"
    first: Path | None = None
    for file in (*files, *optional):
        name = f"{folder}/{file}" if folder else file
        found = huggingface_hub.try_to_load_from_cache(repo, name, cache_dir=cache_dir)
        if not isinstance(found, str):
            if not download and file in files:
                raise FullcastError(
                    f"{address}: {name} is not in the Hugging Face cache; download it with models.download = true, or "
                    "give the path of a folder that has it"
                )
            found = _download(repo, name, cache_dir, file in optional) if download else None
        first = first or (Path(found).parent if found else None)
    if first is None:
        raise FullcastError(f"{address}: no file was asked for")
    return first


def _download(repo: str, name: str, cache_dir: Path | None, optional: bool) -> str | None:
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return huggingface_hub.hf_hub_download(repo, name, cache_dir=cache_dir)
    except EntryNotFoundError as error:
        if optional:
            return None
        raise FullcastError(f"{repo} on the Hugging Face hub has no file {name}") from error
    except Exception as error:  # no connection, no leave, no space: a family of its own for each
        first = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise FullcastError(f"{name} of {repo} could not be downloaded: {first}") from error


def _parts(address: str) -> tuple[str, str, str]:
    owner, _, rest = address.removeprefix(PREFIX).partition("/")
    repository, _, folder = rest.partition("/")
    if not owner or not repository or ".." in address:
        raise FullcastError(f"{address!r} is no address; wanted is hf:owner/repository or hf:owner/repository/folder")
    return owner, repository, folder.strip("/")
