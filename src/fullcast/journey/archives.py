"""The one file that `pack` writes, opened: nothing is in it but what belongs there, and a kill leaves old or new whole.

What is unpacked is first whole in a temporary folder on the disk that it goes to, and then renamed, name by name.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from fullcast.store.atomic import TEMPORARY
from fullcast.store.errors import FullcastError
from fullcast.store.workspace import Workspace

FORMAT = 1
MANIFEST = "manifest.json"
JOB, RESULTS = "job", "results"
UNPACKING = f"{TEMPORARY}unpack"
"""What is being unpacked, inside the folder that it is unpacked into."""


def new_archive(path: Path) -> tarfile.TarFile:
    """Links are followed: a model of the Hugging Face cache is a folder of links to files that stay at home."""
    return tarfile.open(path, "w", dereference=True)


def add(archive: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def add_files(archive: tarfile.TarFile, files: Iterable[tuple[Path, str]]) -> None:
    for path, name in files:
        archive.add(path, name, recursive=False)


def read_manifest(archive: Path) -> dict[str, Any]:
    """What an archive is. FullcastError when it is none of ours, or of a later version."""
    try:
        with tarfile.open(archive) as file:
            member = file.extractfile(MANIFEST)
            about = json.loads(member.read() if member else b"")
    except FileNotFoundError:
        raise FullcastError(f"there is no file {archive}; give the one that fullcast pack wrote") from None
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise FullcastError(f"{archive} is no archive of fullcast pack ({error})") from None
    if about.get("format") != FORMAT or about.get("kind") not in (JOB, RESULTS):
        raise FullcastError(f"{archive} has the format {about.get('format')}; this Fullcast knows {FORMAT}: update it")
    if about["kind"] == RESULTS and not re.fullmatch(r"[\w-]+", str(about.get("run"))):
        raise FullcastError(f"{archive} calls its run {about.get('run')!r}, as fullcast pack calls none; pack it anew")
    return about


def may_unpack_into(folder: Path) -> bool:
    """Whether nothing is there, or only what a kill has left of a job that was being unpacked."""
    begun = (folder / UNPACKING).is_dir() and not Workspace.is_at(folder)
    return begun or not folder.exists() or not any(folder.iterdir())


@contextmanager
def extracted(archive: Path, folder: Path, only: str = "") -> Iterator[Path]:
    """Yields a temporary folder inside `folder` with every file of the archive; it stays if the block fails.

    `only`: the folder below which everything in it has to be, beside the manifest. FullcastError, before anything is
    written, for what is elsewhere, and for links and paths that lead out.
    """
    temporary = folder / UNPACKING
    try:
        with tarfile.open(archive) as file:
            members = file.getmembers()
            for member in members:
                _require_accepted(archive, member, PurePosixPath(only))
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            file.extractall(temporary, members, filter="data")
    except (OSError, tarfile.TarError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise FullcastError(f"{archive} could not be unpacked: {error}") from None
    try:
        yield temporary
    except OSError as error:
        raise FullcastError(f"{archive} could not be unpacked: {error}; unpack it again") from None
    shutil.rmtree(temporary, ignore_errors=True)


def _require_accepted(archive: Path, member: tarfile.TarInfo, only: PurePosixPath) -> None:
    path = PurePosixPath(member.name)
    inside = path.is_relative_to(only) and ".." not in path.parts and not path.is_absolute()
    if not member.isreg() or (not inside and member.name != MANIFEST):
        wanted = f"plain files below {only}" if only.parts else "plain files"
        raise FullcastError(
            f"{archive} holds {member.name!r}, and fullcast pack writes {wanted} alone; nothing was unpacked: pack it "
            "anew"
        )


def move_in(temporary: Path, folder: Path, last: str = "") -> None:
    """Everything in `temporary` gets its name in `folder`, in place of what has it there; the greatest name first, so
    that the newest checkpoint is there before older ones lose their state, and `last` when all else is there."""
    for path in sorted(temporary.iterdir(), key=lambda p: (p.name != last, p.name), reverse=True):
        target = folder / path.name
        old = target.with_name(f"{TEMPORARY}{os.getpid()}-old-{target.name}")
        if target.is_dir():
            os.replace(target, old)
        os.replace(path, target)
        shutil.rmtree(old, ignore_errors=True)
