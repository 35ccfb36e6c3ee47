"""Folders of pictures (fan art, regularization, references) to images, with the tags that came beside them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fullcast.ingest.config import IngestConfig
from fullcast.ingest.filters import merged
from fullcast.ingest.fingerprint import Fingerprint, make_fingerprint
from fullcast.ingest.planes import mean_laplacian
from fullcast.ingest.sidecars import read_sidecar
from fullcast.ports import Progress, silent
from fullcast.records import Drop, Image, Source
from fullcast.store.atomic import replacing
from fullcast.store.errors import UnreadableFile
from fullcast.store.given import BESIDE, files_below
from fullcast.store.pictures import PICTURE_SUFFIXES, file_id, read_picture

VERSION = 7
"""Raised when the same files would give other records. 6: files that are no pictures are counted, tags after a rating
stay, artists' tags are several; 7: fields before a colon and tags by category are read wherever they stand, JPEGs that
lack rows are truncated, EXIF that cannot be read costs no picture."""

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
    known: Mapping[str, tuple[Image, Fingerprint]] | None = None,
) -> PicturesResult:
    """Every picture below `folder`, sorted by path; a file that cannot be used becomes a Drop. Hidden files are left.

    Of files with the same bytes the first is used, with all that was said beside any of them.

    Paths are relative to `root` (default: `folder`). Pictures outside `root` must be copied: with `copy_to` (below
    `root`) each is, as ``{id}{suffix}``. What lies beside a picture is read by `sidecars`. `known`: pictures by id that
    an earlier run took in; they are not decoded again.
    """
    root = root or folder
    result = PicturesResult()
    below, lost = files_below(folder)
    below = [path for path in below if not path.name.startswith(".")]
    files = [path for path in below if path.suffix.lower() in PICTURE_SUFFIXES]
    others = (path for path in below if path.suffix.lower() not in PICTURE_SUFFIXES | BESIDE)
    result.drops.extend(Drop(_name(error.path, folder), STAGE, error.reason, error.detail) for error in lost)
    result.drops.extend(Drop(_name(path, folder), STAGE, "other-file", "no picture by its name") for path in others)
    progress.start(f"pictures of {folder.name}", len(files))
    seen: dict[str, tuple[int, str]] = {}
    for path in files:
        name = _name(path, folder)
        try:
            image, fingerprint = _collect(path, source, config, _placer(root, copy_to), known or {})
        except UnreadableFile as error:
            result.drops.append(Drop(name, STAGE, error.reason, error.detail))
        else:
            if image.id in seen:
                index, first = seen[image.id]
                result.images[index] = merged(result.images[index], image)
                result.drops.append(Drop(name, STAGE, "same-file", f"the same bytes as {first}"))
            else:
                seen[image.id] = len(result.images), name
                result.images.append(image)
                result.fingerprints.append(fingerprint)
        progress.advance()
    progress.done()
    return result


def _name(path: Path | str, folder: Path) -> str:
    return Path(path).relative_to(folder).as_posix()


def _collect(
    path: Path,
    source: Source,
    config: IngestConfig,
    place: Callable[[Path, str], str],
    known: Mapping[str, tuple[Image, Fingerprint]],
) -> tuple[Image, Fingerprint]:
    image_id = file_id(path)
    seen, fingerprint = known[image_id] if image_id in known else _look(path, image_id, source, config)
    sidecar = read_sidecar(path)
    tags = sidecar.tags + ((f"rating:{sidecar.rating}",) if sidecar.rating else ())
    image = Image(
        id=image_id,
        path=place(path, image_id),
        width=seen.width,
        height=seen.height,
        source=source,
        sharpness=seen.sharpness,
        tags=tags,
        artist=sidecar.artist,
        licence=sidecar.licence,
        url=sidecar.url,
    )
    return image, fingerprint


def _look(path: Path, image_id: str, source: Source, config: IngestConfig) -> tuple[Image, Fingerprint]:
    """What a picture's pixels say; the record has no path yet."""
    rgb = read_picture(path)
    height, width = rgb.shape[:2]
    if min(width, height) < config.min_side:
        raise UnreadableFile(
            path, "too-small", f"{width}x{height}; the shorter side must have {config.min_side} pixels"
        )
    fingerprint = make_fingerprint(image_id, rgb)
    sharpness = round(mean_laplacian(fingerprint.luma_array), 4)
    return Image(image_id, "", width, height, source, sharpness=sharpness), fingerprint


def _placer(root: Path, copy_to: Path | None) -> Callable[[Path, str], str]:
    """(file, id) to its path in the records, copying where asked."""

    def place(path: Path, image_id: str) -> str:
        if copy_to is not None:
            target = copy_to / f"{image_id}{path.suffix.lower()}"
            if not target.exists():
                with replacing(target) as temporary:
                    shutil.copyfile(path, temporary)
            path = target
        # The last link is not followed: a picture of the workspace may lie on another disk.
        for given, whole in ((path, root), (path.parent.resolve() / path.name, root.resolve())):
            if given.is_relative_to(whole):
                return given.relative_to(whole).as_posix()
        raise ValueError(f"{path} lies outside {root}: pass copy_to, for no absolute path is stored")

    return place
