"""kohya's sd-scripts: a dataset TOML, the folders ``<repeats>_<class>``, and metadata files.

Rules as docs/config_README-en.md and the behaviour of its loader state them:

* a subset's ``image_dir`` is not searched below; every picture in it is seen ``num_repeats`` times in an epoch, a whole
  number of at least 1, and a subset of 0 is passed over;
* a picture's caption is the **first line** of ``<stem><caption_extension>``, stripped; a caption file of no bytes
  stops the training; without any file the subset's ``class_tokens`` are the caption, which in the folder style is the
  folder's name after the number;
* folders are direct children of ``train_data_dir``; one whose name does not begin with a number is passed over;
* in a dataset with ``is_reg`` subsets their pictures come as often as all others together: once through with their
  repeats, then one more of each in turn; those behind the last one needed never come;
* a metadata file holds ``{path: {"caption": ..., "tags": ...}}``, and the caption is both with a comma.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fullcast.formats.foreign import STAGE, ForeignDataset, ForeignPicture, by_name
from fullcast.formats.items import (
    Exported,
    Item,
    Names,
    checked_weights,
    export_dir,
    leave_report,
    percent_of,
    safe_folder,
    safe_part,
)
from fullcast.formats.sidecars import read_json, read_text
from fullcast.formats.whole import MAX_MEAN, whole_repeats
from fullcast.ports import Progress, silent
from fullcast.records import Drop
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.pictures import write_png

TOML = "dataset.toml"
IMAGES = "img"
EXTENSION = ".txt"
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".avif", ".jxl"})
SUBSET_KEYS = ("num_repeats", "class_tokens", "caption_extension", "is_reg", "caption_prefix", "caption_suffix")


def export_kohya(
    items: Iterable[Item],
    weights: np.ndarray,
    out_dir: Path,
    resolution: int = 512,
    progress: Progress = silent,
    *,
    max_mean: float = MAX_MEAN,
) -> Exported:
    """Writes ``img/<repeats>_<folder>/`` and ``dataset.toml``, atomically: either way in delivers the same.

    weights: (n,) of all items in their order. resolution: pixels of a side, for the TOML. max_mean: the longest epoch,
    in repeats of the mean picture.
    """
    weights = checked_weights(weights)
    whole = whole_repeats(weights, max_mean=max_mean)
    counts: Counter[str] = Counter()
    names, visits, lines = Names(), {}, 0
    with export_dir(out_dir) as root:
        for item, repeats in zip(items, whole.repeats.tolist(), strict=True):
            progress.advance()
            visits[names.take(item.name)] = float(repeats)
            if repeats == 0:
                continue
            folder = f"{repeats}_{safe_part('__'.join(safe_folder(item.folder).parts))}"
            if folder not in counts:
                (root / IMAGES / folder).mkdir(parents=True)
            counts[folder] += 1
            caption = " ".join(item.caption.splitlines())
            lines += caption != item.caption
            write_png(root / IMAGES / folder / f"{item.name}.png", item.pixels)
            # A line end, so that no caption at all is an empty first line: of no bytes the trainer stops, and without a
            # file it takes the folder's name.
            (root / IMAGES / folder / f"{item.name}{EXTENSION}").write_text(
                caption + "\n", encoding="utf-8", newline=""
            )
        (root / TOML).write_text(_toml(sorted(counts), resolution), encoding="utf-8")
        skipped = int((weights == 0).sum())
        notes = _notes(weights, whole.repeats, whole.raised, skipped, lines)
        exported = Exported(
            *("kohya", len(visits) - skipped, skipped, len(counts), float(whole.repeats.sum()), whole.share_error),
            visits,
            tuple(notes),
        )
        return leave_report(root, exported)


def _notes(weights: np.ndarray, repeats: np.ndarray, raised: np.ndarray, skipped: int, lines: int) -> list[str]:
    notes = [
        f"repeats are whole numbers from {int(repeats[repeats > 0].min())} to {int(repeats.max())}; the largest error "
        f"of one picture is {_largest_error(weights, repeats):.0%} of its weight"
    ]
    if raised.any():
        notes.append(
            f"{int(raised.sum())} pictures of less than half a visit have 1 repeat: "
            f"{percent_of(repeats[raised], repeats.sum())} of the visits instead of "
            f"{percent_of(weights[raised], weights.sum())}"
        )
    if skipped:
        notes.append(f"{skipped} pictures of weight 0 are left out")
    if lines:
        notes.append(f"{lines} captions of several lines were joined: only the first line would be read")
    notes.append(
        "regularization pictures are ordinary subsets: is_reg would repeat them until they are as many as all others"
    )
    return notes


def _largest_error(weights: np.ndarray, repeats: np.ndarray) -> float:
    seen = weights > 0
    share, asked = repeats[seen] / repeats.sum(), weights[seen] / weights.sum()
    return float(np.abs(share / asked - 1).max())


def _toml(folders: list[str], resolution: int) -> str:
    lines = [
        "# Paths are relative to this file's folder: start sd-scripts there, or give --train_data_dir img instead.",
        "[general]",
        "enable_bucket = true",
        f'caption_extension = "{EXTENSION}"',
        "shuffle_caption = false",
        "",
        "[[datasets]]",
        f"resolution = {resolution}",
    ]
    for folder in folders:
        lines += [
            "",
            "[[datasets.subsets]]",
            f"image_dir = {json.dumps(f'{IMAGES}/{folder}', ensure_ascii=False)}",
            f"num_repeats = {folder.split('_')[0]}",
        ]
    return "\n".join(lines) + "\n"


# --- reading


@dataclass(frozen=True)
class _Subset:
    folder: Path | None
    metadata: Path | None
    num_repeats: int
    settings: Mapping[str, Any]
    dataset: int = 0
    """Number of the [[datasets]] table that it stands in."""

    @property
    def class_tokens(self) -> str | None:
        return self.settings.get("class_tokens")


def read_kohya(path: Path, caption_extension: str = "") -> ForeignDataset:
    """``path``: a dataset TOML, a folder of ``<repeats>_<class>`` folders, one of those, or a metadata JSON.

    caption_extension: of folders that no TOML describes; '': ``.txt`` or else ``.caption``. Names are relative to the
    folder of ``path``; pictures of subsets elsewhere are named by their folder's last part.
    """
    notes: list[str] = []
    if path.is_dir():
        root = path
        toml = path / TOML
        subsets = _toml_subsets(toml) if toml.is_file() else list(_folder_subsets(path, notes))
    elif path.suffix.lower() == ".toml":
        root, subsets = path.parent, _toml_subsets(path)
    elif path.suffix.lower() == ".json":
        root, subsets = path.parent, [_Subset(None, path, 1, {})]
    else:
        raise FullcastError(f"{path} is no kohya dataset: give its TOML, its metadata JSON or its folder")
    pictures: list[ForeignPicture] = []
    drops: list[Drop] = []
    names: set[str] = set()
    of_subset: list[tuple[_Subset, int]] = []
    for subset in subsets:
        if subset.num_repeats < 1:
            notes.append(f"{_called(subset)}: num_repeats {subset.num_repeats} was dropped, it must be at least 1")
            continue
        for picture in _pictures(subset, root, caption_extension, drops):
            if picture.name not in names:
                names.add(picture.name)
                pictures.append(picture)
                of_subset.append((subset, len(pictures) - 1))
            else:
                notes.append(f"{picture.name} stands in two subsets; it is imported once")
    if not pictures and not drops:
        raise FullcastError(
            f"{path} is no kohya dataset: it has no folder with pictures whose name begins with a number, as in 10_aoi"
            + "".join(f"; {note}" for note in notes[:3])
            if path.is_dir()
            else f"{path} names no folder with pictures"
        )
    _balance_reg(pictures, of_subset, notes)
    return ForeignDataset(by_name(pictures), tuple(notes), tuple(drops))


def _balance_reg(pictures: list[ForeignPicture], of_subset: list[tuple[_Subset, int]], notes: list[str]) -> None:
    """Gives pictures of ``is_reg`` subsets the visits that the loader gives them, dataset by dataset."""
    for dataset in sorted({subset.dataset for subset, _ in of_subset}):
        inside = [(subset, index) for subset, index in of_subset if subset.dataset == dataset]
        reg = [index for subset, index in inside if subset.settings.get("is_reg")]
        others = sum(subset.num_repeats for subset, _ in inside if not subset.settings.get("is_reg"))
        if not reg:
            continue
        visits = reg_visits([int(pictures[index].multiply) for index in reg], others)
        for index, count in zip(reg, visits, strict=True):
            pictures[index] = replace(pictures[index], multiply=float(count))
        never = visits.count(0)
        notes.append(
            f"is_reg: {len(reg)} regularization pictures come {sum(visits)} times in an epoch, as often as all others "
            "together, whatever their num_repeats" + (f"; {never} of them never" if never else "")
        )


def reg_visits(repeats: Sequence[int], others: int) -> list[int]:
    """Visits of regularization pictures in their order, for ``others`` visits to all other pictures."""
    visits, done = [0] * len(repeats), 0
    for index, count in enumerate(repeats):
        if done >= others:
            return visits
        visits[index] = count
        done += count
    more, rest = divmod(max(0, others - done), len(repeats) or 1)
    return [count + more + (index < rest) for index, count in enumerate(visits)]


def _folder_subsets(path: Path, notes: list[str]) -> Iterator[_Subset]:
    """Children named ``<repeats>_<class>`` of the folder, or of ``img`` and ``reg`` in it; or the folder itself."""
    if (own := _repeats(path)) is not None and any(p.suffix.lower() in SUFFIXES for p in path.iterdir()):
        yield _folder_subset(path, own, False)
        return
    roots = [(path, False), *((path / name, reg) for name, reg in ((IMAGES, False), ("reg", True)))]
    for root, is_reg in roots:
        for folder in sorted(root.iterdir()) if root.is_dir() else []:
            if not folder.is_dir() or folder.name in (IMAGES, "reg", "log", "model"):
                continue
            repeats = _repeats(folder)
            if repeats is None:
                notes.append(f"{folder.name} was dropped: its name begins with no number")
            else:
                yield _folder_subset(folder, repeats, is_reg)


def _folder_subset(folder: Path, repeats: int, is_reg: bool) -> _Subset:
    tokens = "_".join(folder.name.split("_")[1:])
    return _Subset(folder, None, repeats, {"class_tokens": tokens, "num_repeats": repeats, "is_reg": is_reg})


def _repeats(folder: Path) -> int | None:
    try:
        return int(folder.name.split("_")[0])
    except ValueError:
        return None


def _toml_subsets(path: Path) -> list[_Subset]:
    """All subsets with what general and their dataset say for them; the lower level wins."""
    try:
        content = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise FullcastError(f"{path} is no TOML: {error}") from None
    general = content.get("general", {})
    if not isinstance(general, dict):
        raise FullcastError(f"{path}: general should be a table, [general]; it is {str(general)[:40]!r}")
    subsets = []
    for number, dataset in enumerate(_tables(content, "datasets", path)):
        above = {**general, **{k: v for k, v in dataset.items() if k != "subsets"}}
        for subset in _tables(dataset, "subsets", path):
            values = {**above, **subset}
            subsets.append(
                _Subset(
                    _located(path, values.get("image_dir")),
                    _located(path, values.get("metadata_file")),
                    _whole_repeats(values.get("num_repeats", 1), path),
                    values,
                    number,
                )
            )
    if not subsets:
        raise FullcastError(f"{path} has no [[datasets.subsets]]; a kohya dataset needs one with image_dir")
    return subsets


def _tables(content: Mapping[str, Any], name: str, path: Path) -> list[dict[str, Any]]:
    found = content.get(name, [])
    if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
        brackets = "[[datasets.subsets]]" if name == "subsets" else "[[datasets]]"
        raise FullcastError(f"{path}: {name} should be tables, {brackets}; it is {str(found)[:40]!r}")
    return found


def _whole_repeats(said: Any, path: Path) -> int:
    if isinstance(said, int) and not isinstance(said, bool):
        return said
    raise FullcastError(f"{path}: num_repeats is a whole number; it says {str(said)[:40]!r}")


def _located(toml: Path, given: Any) -> Path | None:
    """As given, or below the TOML's folder where it lies: datasets are moved."""
    if not given:
        return None
    path = Path(str(given)).expanduser()
    return path if path.is_absolute() and path.exists() else toml.parent / path


def _called(subset: _Subset) -> str:
    return (subset.folder or subset.metadata or Path("a subset")).name


def _pictures(subset: _Subset, root: Path, extension: str, drops: list[Drop]) -> Iterator[ForeignPicture]:
    if subset.metadata is not None:
        yield from _from_metadata(subset, root)
        return
    if subset.folder is None or not subset.folder.is_dir():
        drops.append(Drop(_called(subset), STAGE, "missing", "image_dir is no folder"))
        return
    extension = subset.settings.get("caption_extension") or extension
    for path in sorted(subset.folder.iterdir()):
        if path.is_file() and path.suffix.lower() in SUFFIXES:
            try:
                own = _own_caption(path, [extension] if extension else [EXTENSION, ".caption"])
            except UnreadableFile as error:
                drops.append(Drop(_name(path, root), STAGE, error.reason, error.detail))
                continue
            first = (own.splitlines() or [""])[0].strip() if own is not None else subset.class_tokens
            facts = {"caption_file": own} if own is not None and own.strip() != first else {}
            yield _picture(path, root, first, subset, facts)


def _own_caption(path: Path, extensions: list[str]) -> str | None:
    """The whole text of the caption file; None: there is none."""
    for extension in extensions:
        if (file := path.with_suffix(extension)).is_file():
            return read_text(file)
    return None


def _from_metadata(subset: _Subset, root: Path) -> Iterator[ForeignPicture]:
    assert subset.metadata is not None
    content = read_json(subset.metadata)
    if not isinstance(content, dict) or not all(isinstance(value, dict) for value in content.values()):
        raise UnreadableFile(subset.metadata, "damaged-metadata", "should be {picture: {caption, tags}}")
    below = subset.folder or subset.metadata.parent
    for key, value in sorted(content.items()):
        path = _picture_file(Path(key), below)
        parts = [str(value[k]) for k in ("caption", "tags") if value.get(k)]
        tags = tuple(tag.strip() for tag in str(value.get("tags") or "").split(",") if tag.strip())
        picture = _picture(path, root, ", ".join(parts) if parts else None, subset, dict(value))
        yield ForeignPicture(**{**vars(picture), "tags": tags})


def _picture_file(path: Path, below: Path) -> Path:
    """A key may be a full path, a name, or a name without suffix."""
    for candidate in (path, below / path, below / path.name):
        if candidate.is_file():
            return candidate
        for suffix in sorted(SUFFIXES):
            if (found := candidate.with_name(candidate.name + suffix)).is_file():
                return found
    return below / path.name


def _picture(path: Path, root: Path, caption: str | None, subset: _Subset, facts: Mapping[str, Any]) -> ForeignPicture:
    settings = {key: value for key, value in subset.settings.items() if key in SUBSET_KEYS}
    parts = [str(settings.get("caption_prefix") or ""), caption or "", str(settings.get("caption_suffix") or "")]
    words = " ".join(part for part in parts if part) if settings.keys() & {"caption_prefix", "caption_suffix"} else None
    return ForeignPicture(
        path,
        words or caption,
        float(subset.num_repeats),
        source="regularization" if settings.get("is_reg") else None,
        facts={**settings, **facts},
        name=_name(path, root),
    )


def _name(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return f"{path.parent.name}/{path.name}"
