"""Folders of pictures (fan art, regularization, references) to images, with the tags that came beside them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fullcast.ingest.config import IngestConfig
from fullcast.ingest.fingerprint import Fingerprint, make_fingerprint
from fullcast.ingest.planes import mean_laplacian
from fullcast.ingest.sidecars import read_sidecar
from fullcast.ports import Progress, silent
from fullcast.records import Drop, Image, Source
from fullcast.store.atomic import replacing
from fullcast.store.errors import UnreadableFile
from fullcast.store.pictures import PICTURE_SUFFIXES, file_id, read_picture

VERSION = 3
"""Raised when the same files would give other records."""

STAGE = "ingest"


@dataclass(frozen=True, slots=True)
class PicturesResult:
    images: list[Image] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    fingerprints: list[Fingerprint] = field(default_factory=list)


def collect_pictures(
    folder: Path,
    source: Source,
    config: IngestConfig,
    progress: Progress = silent,
    *,
    root: Path | None = None,
    copy_to: Path | None = None,
) -> PicturesResult:
    """Every picture below `folder`, sorted by path; a file that cannot be used becomes a Drop.

    Paths are relative to `root` (default: `folder`). Pictures outside `root` must be copied: with `copy_to` (below
    `root`) each is, as ``{id}{suffix}``. What lies beside a picture is read by `sidecars`.
    """
    root = root or folder
    result = PicturesResult()
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in PICTURE_SUFFIXES)
    progress.start(f"pictures of {folder.name}", len(files))
    seen: dict[str, str] = {}
    for path in files:
        name = path.relative_to(folder).as_posix()
        try:
            image, fingerprint = _collect(path, source, config, _placer(root, copy_to), seen)
        except UnreadableFile as error:
            result.drops.append(Drop(name, STAGE, error.reason, error.detail))
        else:
            seen[image.id] = name
            result.images.append(image)
            result.fingerprints.append(fingerprint)
        progress.advance()
    progress.done()
    return result


def _collect(
    path: Path, source: Source, config: IngestConfig, place: Callable[[Path, str], str], seen: dict[str, str]
) -> tuple[Image, Fingerprint]:
    rgb = read_picture(path)
    height, width = rgb.shape[:2]
    if min(width, height) < config.min_side:
        raise UnreadableFile(
            path, "too-small", f"{width}x{height}; the shorter side must have {config.min_side} pixels"
        )
    image_id = file_id(path)
    if image_id in seen:
        raise UnreadableFile(path, "same-file", f"the same bytes as {seen[image_id]}")
    sidecar = read_sidecar(path)
    fingerprint = make_fingerprint(image_id, rgb)
    tags = sidecar.tags + ((f"rating:{sidecar.rating}",) if sidecar.rating else ())
    image = Image(
        id=image_id,
        path=place(path, image_id),
        width=width,
        height=height,
        source=source,
        sharpness=round(mean_laplacian(fingerprint.luma_array), 4),
        tags=tags,
        artist=sidecar.artist,
        licence=sidecar.licence or config.licence,
        url=sidecar.url,
    )
    return image, fingerprint


def _placer(root: Path, copy_to: Path | None) -> Callable[[Path, str], str]:
    """(file, id) to its path in the records, copying where asked."""
    whole = root.resolve()

    def place(path: Path, image_id: str) -> str:
        if copy_to is not None:
            target = copy_to / f"{image_id}{path.suffix.lower()}"
            if not target.exists():
                with replacing(target) as temporary:
                    shutil.copyfile(path, temporary)
            path = target
        try:
            return path.resolve().relative_to(whole).as_posix()
        except ValueError as error:
            raise ValueError(f"{path} lies outside {root}: pass copy_to, for no absolute path is stored") from error

    return place
