"""WebDataset: tar archives whose members belong together by the part of their name before the first dot.

``pictures-000000.tar`` holds ``KEY.png``, ``KEY.txt`` (the caption; none for no caption) and ``KEY.json`` (people,
weight and all else, as in imagefolder's table). Archives are plain tar, so that a reader may stream them or jump.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from fullcast.formats.foreign import STAGE, ForeignDataset, ForeignPicture, by_name
from fullcast.formats.imagefolder import described_picture, unweighted
from fullcast.formats.items import Exported, Item, Names, export_dir, leave_report, safe_part
from fullcast.formats.sidecars import PickledFile, find_pickle
from fullcast.ports import Progress, silent
from fullcast.records import Drop
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.pictures import PICTURE_SUFFIXES, encode_png

SHARD = "pictures-{:06d}.tar"
MAX_BYTES = 512 * 1024 * 1024
"""Of one archive: half of what cloud stores like best as one object, and shuffled by the hundred."""

PICKLED = frozenset({"pyd", "pickle", "pkl", "pth", "pt"})
"""Extensions that WebDataset's own decoders unpickle, or may."""


def export_webdataset(
    items: Iterable[Item], out_dir: Path, progress: Progress = silent, max_bytes: int = MAX_BYTES
) -> Exported:
    """Writes all items, atomically; the same items give the same bytes."""
    names = Names()
    weights: list[float] = []
    with export_dir(out_dir) as folder:
        writer = _Shards(folder, max_bytes)
        try:
            for item in items:
                key = names.take(key_of(item.name))
                files = {"png": encode_png(item.pixels)}
                if item.caption:
                    files["txt"] = item.caption.encode()
                files["json"] = json.dumps(item.described(), ensure_ascii=False).encode()
                writer.add(key, files)
                weights.append(item.weight)
                progress.advance()
        finally:
            writer.close()
        if not weights:
            raise FullcastError("there is nothing to export; prepare some pictures first")
        return leave_report(folder, unweighted("webdataset", names, weights, writer.count, 'each picture\'s "weight"'))


def key_of(name: str) -> str:
    """A member's name up to its first dot: dots of the name itself become underscores."""
    return safe_part(name).replace(".", "_")


class _Shards:
    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.count = 0
        self._tar: tarfile.TarFile | None = None
        self._bytes = 0

    def add(self, key: str, files: dict[str, bytes]) -> None:
        size = sum(map(len, files.values()))
        if self._tar is None or (self._bytes and self._bytes + size > self.max_bytes):
            self.close()
            self._tar = tarfile.open(self.folder / SHARD.format(self.count), "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
            self.count += 1
            self._bytes = 0
        for extension, data in files.items():
            info = tarfile.TarInfo(f"{key}.{extension}")  # owner and time stay 0: same items, same bytes
            info.size = len(data)
            self._tar.addfile(info, io.BytesIO(data))
        self._bytes += size

    def close(self) -> None:
        if self._tar is not None:
            self._tar.close()
            self._tar = None


def read_webdataset(path: Path) -> ForeignDataset:
    """All archives of a folder, or one; samples without a picture are passed over with a reason.

    Nothing is extracted: pictures are read from where they lie in the archive. Members that WebDataset's decoders would
    unpickle are refused.
    """
    shards = sorted(path.glob("*.tar")) if path.is_dir() else [path] if path.is_file() else []
    if not shards:
        raise FullcastError(f"{path} holds no .tar; give a WebDataset archive or the folder with its archives")
    pictures: list[ForeignPicture] = []
    drops: list[Drop] = []
    keys: set[str] = set()
    for shard in shards:
        try:
            found = _read_shard(shard, drops)
        except PickledFile:
            raise
        except UnreadableFile as error:
            if len(shards) == 1:
                raise
            drops.append(Drop(shard.name, STAGE, error.reason, error.detail))
            continue
        for picture in found:
            if picture.name in keys:
                drops.append(Drop(f"{shard.name}:{picture.name}", STAGE, "same-name", "there was one before"))
            else:
                keys.add(picture.name)
                pictures.append(picture)
    return ForeignDataset(by_name(pictures), (), tuple(drops))


def _read_shard(shard: Path, drops: list[Drop]) -> list[ForeignPicture]:
    samples: dict[str, dict[str, tarfile.TarInfo]] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                key, extension = _split(member.name)
                if member.isfile() and extension and not PurePosixPath(member.name).name.startswith("."):
                    samples.setdefault(key, {})[extension.lower()] = member
            return [p for key, files in samples.items() if (p := _sample(shard, tar, key, files, drops)) is not None]
    except (tarfile.TarError, OSError) as error:
        raise UnreadableFile(shard, "unreadable", f"is no plain tar archive that can be read ({error})") from None


def _split(name: str) -> tuple[str, str]:
    """Folders belong to the key; the extension is all behind the first dot of the last part."""
    folder, _, last = name.rpartition("/")
    stem, _, extension = last.partition(".")
    return (f"{folder}/{stem}" if folder else stem), extension


def _sample(
    shard: Path, tar: tarfile.TarFile, key: str, files: dict[str, tarfile.TarInfo], drops: list[Drop]
) -> ForeignPicture | None:
    if refused := sorted(PICKLED & set(files)):
        raise PickledFile(f"{shard}:{key}.{refused[0]}", "a kind of member that decoders unpickle")
    kind = next((extension for extension in files if f".{extension}" in PICTURE_SUFFIXES), None)
    if kind is None:
        drops.append(Drop(f"{shard.name}:{key}", STAGE, "no-picture", f"it has: {', '.join(sorted(files))}"))
        return None
    name = f"{key}.{kind}"
    try:
        caption = _text(tar, files["txt"], f"{shard}:{key}.txt") if "txt" in files else None
        row = json.loads(_text(tar, files["json"], f"{shard}:{key}.json")) if "json" in files else {}
    except (UnreadableFile, ValueError) as error:
        drops.append(Drop(f"{shard.name}:{key}", STAGE, "damaged-metadata", str(error)))
        return None
    if (where := find_pickle(row)) is not None:
        raise PickledFile(f"{shard}:{key}.json", f"under {where}")
    facts = dict(row) if isinstance(row, dict) else {"json": row}
    facts |= {k: _text(tar, m, f"{shard}:{key}.{k}") for k, m in files.items() if k in ("cls", "caption", "tags")}
    if caption is None and facts.get("text") == "":
        facts["text"] = None  # ours: no caption at all has no .txt
    if caption is not None:
        facts["text"] = caption
    member = files[kind]
    try:
        return described_picture(shard, name, facts, None, (member.offset_data, member.size))
    except UnreadableFile as error:
        drops.append(Drop(f"{shard.name}:{key}", STAGE, error.reason, error.detail))
        return None


def _text(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> str:
    file = tar.extractfile(member)
    assert file is not None  # a plain file, or it would not be in the list
    try:
        return file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFile(name, "damaged-metadata", "is no UTF-8 text") from None
