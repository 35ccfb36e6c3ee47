"""EveryDream 1 and 2 folders: pictures, captions beside them, and ``multiply.txt`` in each folder.

Rules as the two trainers document and show them (README of EveryDream1; DATA.md and BALANCING.md of EveryDream2):

* ``multiply.txt`` holds for its own folder, not for those below;
* EveryDream1 cuts the fraction off: 2.9 is two copies, and 0.5 drops the folder;
* EveryDream2 draws the fraction anew in each epoch: 2.3 is two copies, and a third for 30 % of the pictures. It reads 0
  as 1, passes over folders that begin with a dot, and knows YAML: ``local.yaml`` for a folder, ``global.yaml`` for what
  lies below it too, ``<stem>.yaml`` for one picture;
* the caption is ``<stem>.txt``, else ``<stem>.caption``, else the file name up to the first underscore;
* EveryDream1 takes file names in small letters only (``.JPG`` is no picture to it).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
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
    share_error,
)
from fullcast.formats.sidecars import PickledFile, number_of, read_text, read_yaml
from fullcast.formats.whole import MAX_MEAN, whole_repeats
from fullcast.ports import Progress, silent
from fullcast.records import Drop
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.pictures import write_png

MULTIPLY = "multiply.txt"
DECIMALS = 3
"""Of EveryDream2's multiplies as we write them: half a thousandth of a visit is the most that rounding moves."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".jfif"})
FOLDER_NUMBERS = ("cond_dropout", "flip_p", "loss_scale")
"""EveryDream2's further files of one number, ``cond_dropout.txt`` ...; they hold for their own folder."""


def export_everydream(
    items: Iterable[Item],
    weights: np.ndarray,
    out_dir: Path,
    version: int = 2,
    progress: Progress = silent,
    *,
    max_mean: float = MAX_MEAN,
) -> Exported:
    """Writes a folder tree for EveryDream 1 or 2, atomically.

    weights: (n,) of all items in their order: multiplies need their sum beforehand. Pictures of one folder with
    different multiplies go into folders below it, named ``x0.250`` (``x3`` for EveryDream1, which knows whole ones).
    max_mean: EveryDream1's longest epoch, in copies of the mean picture.
    """
    _check_version(version)
    weights = checked_weights(weights)
    multiplies, notes = _whole(weights, max_mean) if version == 1 else _fractional(weights)
    decimals = 0 if version == 1 else DECIMALS
    written: dict[PurePosixPath, float] = {}
    names, visits = Names(), {}
    with export_dir(out_dir) as root:
        for item, multiply in zip(items, multiplies.tolist(), strict=True):
            progress.advance()
            visits[names.take(item.name)] = multiply
            if multiply == 0:
                continue
            folder = safe_folder(item.folder) / f"x{multiply:.{decimals}f}"
            if folder not in written:
                written[folder] = multiply
                (root / folder).mkdir(parents=True)
                (root / folder / MULTIPLY).write_text(f"{multiply:.{decimals}f}\n", encoding="utf-8")
            write_png(root / folder / f"{item.name}.png", item.pixels)
            # Without any file the trainers would take the file name for a caption: no caption is an empty file.
            (root / folder / f"{item.name}.txt").write_text(item.caption, encoding="utf-8", newline="")
        skipped = int((weights == 0).sum())
        exported = Exported(
            *(f"everydream{version}", len(visits) - skipped, skipped, len(written), float(multiplies.sum())),
            share_error(multiplies, weights),
            visits,
            tuple(notes),
        )
        return leave_report(root, exported)


def read_everydream(root: Path, version: int = 2) -> ForeignDataset:
    """The pictures under ``root`` as EveryDream1 or 2 would see them, and what that one does differently."""
    _check_version(version)
    if not root.is_dir():
        raise FullcastError(f"{root} is no folder; give the data_root of an EveryDream training")
    reader = _Reader(root, version)
    reader.walk(root, _Settings())
    return ForeignDataset(by_name(reader.pictures), tuple(reader.notes()), tuple(reader.drops))


def _check_version(version: int) -> None:
    if version not in (1, 2):
        raise FullcastError(f"EveryDream has versions 1 and 2; got {version}")


def _whole(weights: np.ndarray, max_mean: float) -> tuple[np.ndarray, list[str]]:
    whole = whole_repeats(weights, max_mean=max_mean)
    multiplies = whole.repeats.astype(np.float64)
    notes = [
        "EveryDream1 walks one bucket after the other and drops the remainder of each: these shares are those of a "
        "whole epoch, and no part of an epoch has them"
    ]
    if whole.raised.any():
        notes.append(
            f"{int(whole.raised.sum())} pictures of less than half a visit have 1: "
            f"{percent_of(multiplies[whole.raised], multiplies.sum())} of the visits instead of "
            f"{percent_of(weights[whole.raised], weights.sum())}"
        )
    return multiplies, notes


def _fractional(weights: np.ndarray) -> tuple[np.ndarray, list[str]]:
    positive = weights > 0
    scaled = weights * positive.sum() / weights.sum()
    multiplies = np.where(positive, np.maximum(np.round(scaled, DECIMALS), 10.0**-DECIMALS), 0.0)
    notes = []
    if skipped := int((~positive).sum()):
        notes.append(f"{skipped} pictures of weight 0 are left out: EveryDream2 would read a multiply of 0 as 1")
    fraction = multiplies % 1 > 0
    if fraction.any():
        notes.append(
            f"{int(fraction.sum())} pictures have a fraction, which EveryDream2 draws in every epoch from the front of "
            "its list: folders get their share, single pictures up to a third more or less of their fraction"
        )
    cut = np.floor(multiplies)
    if (cut != multiplies).any():
        lost = positive & (cut == 0)
        error = share_error(cut, weights) if cut.sum() else 1.0
        notes.append(
            f"EveryDream1 would cut the fractions off: {int(lost.sum())} pictures below 1 dropped, "
            f"{error:.2%} of the visits elsewhere; export everydream1 for it"
        )
    return multiplies, notes


@dataclass(frozen=True)
class _Settings:
    """What YAML files say for a folder; those nearer to a picture win."""

    values: Mapping[str, Any] = field(default_factory=dict)

    def over(self, more: Mapping[str, Any]) -> _Settings:
        return _Settings({**self.values, **more})


class _Reader:
    """Walks the tree as the trainer does, and counts what it does otherwise than the other one."""

    def __init__(self, root: Path, version: int) -> None:
        self.root = root
        self.version = version
        self.pictures: list[ForeignPicture] = []
        self.drops: list[Drop] = []
        self.cut: Counter[str] = Counter()
        self.zeros = 0
        self.hidden = 0
        self.capitals = 0

    def walk(self, folder: Path, above: _Settings) -> None:
        entries = sorted(folder.iterdir())
        files = [path for path in entries if path.is_file() and path.suffix.lower() in SUFFIXES]
        try:
            shared, own = self._settings(folder, above)
        except PickledFile:
            raise
        except UnreadableFile as error:
            # What the folder's file says nobody knows; what lies below may still have its own.
            self.drops += [Drop(self._name(path), STAGE, error.reason, str(error)) for path in files]
            shared, own, files = above, {}, []
        for path in files:
            self._picture(path, shared.over(own))
        for path in entries:
            if path.is_dir():
                if path.name.startswith(".") and self.version == 2:
                    self.hidden += sum(p.suffix.lower() in SUFFIXES for p in path.rglob("*"))
                else:
                    self.walk(path, shared)

    def _settings(self, folder: Path, above: _Settings) -> tuple[_Settings, dict[str, Any]]:
        """(what holds below the folder too, what holds for its own pictures)."""
        shared, own = above, {}
        if self.version == 2:
            shared = above.over(self._yaml(folder, "global"))
            own = self._yaml(folder, "local") | self._numbers(folder)
        path = folder / MULTIPLY
        if path.is_file():
            own["multiply"] = read_text(path).strip()
            number_of(own["multiply"], path)
        return shared, own

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _picture(self, path: Path, settings: _Settings) -> None:
        name = self._name(path)
        if self.version == 1 and path.suffix != path.suffix.lower():
            self.capitals += 1
            return
        try:
            values = dict(settings.values)
            if self.version == 2:
                values |= self._yaml(path.parent, path.stem)
            caption, tags = self._caption(path, values)
            visits, said = self._visits(path, values.get("multiply"))
        except PickledFile:
            raise
        except UnreadableFile as error:
            self.drops.append(Drop(name, STAGE, error.reason, error.detail))
            return
        facts = values | ({"multiply": said} if said is not None else {})
        self.pictures.append(ForeignPicture(path, caption, visits, tags, facts=facts, name=name))

    def _caption(self, path: Path, values: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
        for suffix in (".txt", ".caption"):
            beside = path.with_suffix(suffix)
            if beside.is_file():
                return read_text(beside), ()
        if prompt := values.get("main_prompt"):
            listed = values.get("tags") or ()
            tags = tuple(_tag(tag) for tag in ([listed] if isinstance(listed, str | dict) else listed))
            return ", ".join((str(prompt), *tags)), tags
        return path.stem.split("_")[0], ()

    def _visits(self, path: Path, said: Any) -> tuple[float, Any]:
        """Visits in an epoch by the version's rule, and what the file says."""
        if said is None:
            return 1.0, None
        value = number_of(said, path)
        if self.version == 1:
            if value != int(value):
                self.cut[f"{value:g} was dropped" if value < 1 else f"{value:g} counted as {int(value)}"] += 1
            return float(int(value)), said
        if value == 0:
            self.zeros += 1
        return value or 1.0, said

    def _numbers(self, folder: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in FOLDER_NUMBERS:
            if (path := folder / f"{name}.txt").is_file():
                found[name] = read_text(path).strip()
        if (path := folder / "batch_id.txt").is_file():
            found["batch_id"] = read_text(path).strip()
        if (folder / "shuffle_tags.txt").is_file():
            found["shuffle_tags"] = True
        return found

    def _yaml(self, folder: Path, stem: str) -> dict[str, Any]:
        for suffix in (".yaml", ".yml"):
            if (path := folder / f"{stem}{suffix}").is_file():
                value = read_yaml(path)
                if value is not None and not isinstance(value, dict):
                    raise UnreadableFile(path, "damaged-metadata", "should hold names and values")
                return dict(value or {})
        return {}

    def notes(self) -> list[str]:
        notes = [f"{said} ({count} pictures)" for said, count in sorted(self.cut.items())]
        if self.zeros:
            notes.append(f"0 meant 1 ({self.zeros} pictures): EveryDream2 has no way to leave a picture out")
        if self.hidden:
            notes.append(f"folders that begin with a dot were passed over ({self.hidden} pictures)")
        if self.capitals:
            notes.append(f"names that end in capitals (.JPG) were passed over ({self.capitals} pictures)")
        fractions = sum(picture.multiply % 1 > 0 for picture in self.pictures)
        if fractions:
            notes.append(f"fractions are drawn in every epoch ({fractions} pictures); EveryDream1 would cut them off")
        return notes


def _tag(tag: Any) -> str:
    """``{tag: long hair, weight: 0.5}`` or plain text."""
    return str(tag.get("tag", "")) if isinstance(tag, dict) else str(tag)
