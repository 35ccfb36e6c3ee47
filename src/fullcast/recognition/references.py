"""A folder of reference pictures -> the Cast.

``references/<character>/*.png`` shows the character's plain look, ``references/<character>/<form>/*.png`` its other
looks. Deeper folders are one form together, ``none`` says nothing, as in the seed's references: what lies in
``<character>/hairdown/none/uniform`` shows the form ``hairdown uniform``. ``references/unknown/*.png``, if there,
shows people who are not in the cast: they help to set the threshold.
``references/cast.toml`` may overrule what folder names say::

    show = "Yama no Susume"
    licence = "fan work, non-commercial"

    [characters.aoi]                    # the folder's name
    name = "yukimura aoi"
    trigger_word = "aoi"
    licence = "CC BY 4.0"
    [characters.aoi.forms.hairdown]
    name = "hairdown"
    trigger_word = "hairdown"
"""

from __future__ import annotations

import math
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from fullcast.models.base import Embedder, PersonDetector
from fullcast.ports import Progress, silent
from fullcast.recognition.castfile import rounded
from fullcast.recognition.detect import HEAD
from fullcast.recognition.embed import as_drawn, degraded, head_crop
from fullcast.recognition.identify import SCORINGS, TWINS, Calibration, Gallery, calibrate
from fullcast.recognition.methods import CLASSIFIER, NEAREST, choose_method
from fullcast.recognition.words import trigger_words
from fullcast.records import UNKNOWN, Cast, Character, Drop, Form
from fullcast.store.errors import FullcastError, UnreadableFile
from fullcast.store.given import composed, files_below, is_utf8
from fullcast.store.pictures import PICTURE_SUFFIXES, read_picture, resize
from fullcast.store.toml_text import toml_key

CAST_TOML = "cast.toml"
NOTHING = "none"
"""A folder of this name adds nothing to the form."""
_LOOSE = "it lies in no character's folder; put it into references/NAME, or references/NAME/FORM"
REFERENCES_OF_THRESHOLD = 8
"""The nearest of so many is what an embedder's own threshold means (`models.base.Embedder`)."""
MAX_SIDE = 2048
"""Pixels of a reference's longer side that are looked at: a page of 600 dpi on its canvas would take 0.5 GB."""
_KEYS = {
    "file": {"show", "licence", "characters"},
    "character": {"name", "trigger_word", "licence", "forms"},
    "form": {"name", "trigger_word"},
}


@dataclass(frozen=True, slots=True)
class BuiltCast:
    cast: Cast
    calibration: Calibration
    drops: tuple[Drop, ...] = ()
    """Pictures that cannot be read or lie in nobody's folder (and, unless strict, folders without any)."""
    headless: tuple[str, ...] = ()
    """References in which no head was found; the whole picture was taken for one."""


@dataclass(slots=True)
class _Look:
    """The references of one form while they are gathered."""

    folder: Path
    character: str
    """The character's folder name; ``unknown`` for strangers."""
    form: str
    """The names of the folders inside the character's, but `NOTHING`; '' for the plain look."""
    crops: list[np.ndarray] = field(default_factory=list)


def build_cast(
    references_dir: Path,
    embedder: Embedder,
    detector: PersonDetector,
    show_name: str,
    *,
    strict: bool = True,
    drawn: bool = False,
    read: Callable[[Path], np.ndarray] = read_picture,
    progress: Progress = silent,
) -> BuiltCast:
    """The cast of a folder, its references embedded, its threshold calibrated on them.

    `drawn`: it is to recognise people in drawn pictures (the judge's cast). References are then seen as those hold them
    (`embed.as_drawn`), twins of the cast do not raise the threshold (`identify.calibrate`), and where the nearest
    references and the classifier are equally right the classifier names: it parts twins better (`methods.identify_by`).

    `read`: opens a picture; one for which it raises UnreadableFile is a drop.

    Raises FullcastError when the folder is missing or empty, a key of cast.toml is unknown, two characters share a
    name, or (if `strict`; else it is a drop) a folder holds no picture that can be read.
    """
    settings = _read_settings(references_dir)
    looks = find_looks(references_dir)
    drops, headless = _read_looks(looks, embedder, detector, read, progress)
    drops += [Drop(name, "cast", "bad-name", detail) for name, detail in _bad_names(references_dir).items()]
    drops += [Drop(path.name, "cast", "not-a-reference", _LOOSE) for path in _pictures(references_dir)]
    empty = [look for look in looks if not look.crops]
    if empty and strict:
        raise FullcastError(f"{empty[0].folder} has {_say_empty(empty[0])}")
    for look in empty:
        item = look.folder.relative_to(references_dir).as_posix()
        drops.append(Drop(item, "cast", "no-references", _say_empty(look)))
    known = _each_once(look for look in looks if look.crops and look.character != UNKNOWN)
    strangers = [crop for look in looks if look.character == UNKNOWN for crop in look.crops]
    cast = _assemble(known, settings, embedder, show_name, references_dir, as_drawn if drawn else degraded)
    others = embedder.embed(strangers) if strangers else None
    calibration = _calibrated(cast, _stated(embedder, Gallery.of(cast)), others, drawn)
    gallery = Gallery.of(cast, calibration.scoring)
    naming = choose_method(gallery, calibration.slope, CLASSIFIER if drawn else NEAREST)
    naming = replace(naming, scoring=calibration.scoring if drawn else "")
    cast = replace(cast, threshold=calibration.threshold, naming=naming)
    return BuiltCast(cast, calibration, tuple(drops), tuple(headless))


def _stated(embedder: Embedder, gallery: Gallery) -> float:
    """The embedder's own threshold for as many references of a look as there are in the mean: the nearest of several is
    nearer than a single one, of whoever it is. Between one and eight it grows with their logarithm."""
    per_look = len(gallery.vectors) / len(gallery.forms)
    share = min(1.0, math.log2(per_look) / math.log2(REFERENCES_OF_THRESHOLD))
    return embedder.pair_threshold + share * (embedder.threshold - embedder.pair_threshold)


def _calibrated(cast: Cast, prior: float, others: np.ndarray | None, drawn: bool) -> Calibration:
    """Where the classifier says who (`drawn`), the similarity only says whether: the one that parts the cast's own from
    those left out best, of equals the nearest reference alone. Else the one that names best.

    A drawn head of 22 px is near to a few references and not to the mean of all: the mean refused 0.077 of true heads
    of one show, the nearest 0.002 (n = 598).
    """

    def tried(scoring: str | None) -> Calibration:
        gallery = Gallery.of(cast, scoring)
        views = list(np.moveaxis(gallery.views, 1, 0)) if gallery.views is not None else []
        return calibrate(gallery, prior, views, others, 0.0 if drawn else TWINS)

    if not drawn:
        return tried(None)
    return max((tried(scoring) for scoring in SCORINGS), key=lambda c: round(c.accepted + c.rejected, 3))


def find_looks(references_dir: Path) -> list[_Look]:
    """The form folders, in the order of their names; crops still empty."""
    if not references_dir.is_dir():
        raise FullcastError(f"{references_dir}: there is no such folder; wanted is references/<character>/*.png")
    looks = _looks(references_dir)
    if not any(look.character != UNKNOWN for look in looks):
        raise FullcastError(
            f"{references_dir} has no folder of a character; put 3 to 10 pictures of each into "
            f"{references_dir.name}/<character>, or let `fullcast cast cluster` propose people to be named"
        )
    names = Counter(composed(look.folder.relative_to(references_dir).as_posix()) for look in looks)
    for name in (name for name, count in names.items() if count > 1):
        raise FullcastError(
            f"{references_dir} has two folders {name}, written in two ways of Unicode; put their pictures into one"
        )
    return looks


def has_references(references_dir: Path) -> bool:
    """Whether there is a picture of anybody of a cast."""
    looks = _looks(references_dir) if references_dir.is_dir() else []
    return any(_pictures(look.folder) for look in looks if look.character != UNKNOWN)


def cast_inputs(references_dir: Path) -> tuple[list[Path], list[str]]:
    """All that `build_cast` reads: files, and what is there by name only (folders of looks, names it cannot use)."""
    looks = find_looks(references_dir)
    files = [path for look in looks for path in _pictures(look.folder)]
    settings = references_dir / CAST_TOML
    folders = [look.folder.relative_to(references_dir).as_posix() for look in looks]
    loose = [path.name for path in _pictures(references_dir)]
    return [*files, *([settings] if settings.is_file() else [])], [*folders, *loose, *_bad_names(references_dir)]


def _looks(references_dir: Path) -> list[_Look]:
    return [look for folder in _folders(references_dir) for look in _looks_below(folder, composed(folder.name), ())]


def _looks_below(folder: Path, character: str, form: tuple[str, ...], above: tuple[Path, ...] = ()) -> Iterator[_Look]:
    """The folder's own look, where it has pictures or holds no folder, then those of the folders in it; a link to one
    of those `above` is not entered."""
    above = (*above, folder.resolve())
    inside = [below for below in _folders(folder) if below.resolve() not in above]
    if _pictures(folder) or not inside:
        yield _Look(folder, character, " ".join(form))
    for below in inside:
        said = composed(below.name)
        yield from _looks_below(below, character, form if said == NOTHING else (*form, said), above)


def _each_once(looks: Iterable[_Look]) -> list[_Look]:
    """Looks whose pictures lie in several folders (``aoi`` and ``aoi/none``) as one."""
    found: dict[tuple[str, str], _Look] = {}
    for look in looks:
        if (first := found.setdefault((look.character, look.form), look)) is not look:
            first.crops.extend(look.crops)
    return list(found.values())


def named_pictures(references_dir: Path) -> list[tuple[Path, str, str]]:
    """(file, character, form) of every picture of the cast, named as `build_cast` does; strangers left out."""
    characters = _read_settings(references_dir).get("characters", {})
    found = []
    for look in find_looks(references_dir):
        own = characters.get(look.character, {})
        form = own.get("forms", {}).get(look.form, {}).get("name", look.form)
        if look.character != UNKNOWN:
            found += [(path, own.get("name", look.character), form) for path in _pictures(look.folder)]
    return found


def _read_looks(
    looks: list[_Look],
    embedder: Embedder,
    detector: PersonDetector,
    read: Callable[[Path], np.ndarray],
    progress: Progress,
) -> tuple[list[Drop], list[str]]:
    """Fills the looks' crops; what could not be read, and where no head was found."""
    drops: list[Drop] = []
    headless: list[str] = []
    files = [(look, path) for look in looks for path in _pictures(look.folder)]
    progress.start("references", len(files))
    for look, path in files:
        item = path.relative_to(look.folder.parent).as_posix()
        try:
            picture = _at_most(read(path), MAX_SIDE)
        except UnreadableFile as error:
            drops.append(Drop(item, "cast", error.reason, error.detail))
        else:
            crop = reference_crop(picture, detector, embedder.crop_scale)
            look.crops.append(picture if crop is None else crop)
            if crop is None:
                headless.append(item)
        progress.advance()
    progress.done()
    return drops, headless


def reference_crop(picture: np.ndarray, detector: PersonDetector, crop_scale: float) -> np.ndarray | None:
    """(S, S, 3): the crop of the most certain head of a picture of one person; None without a head.

    The picture is shown twice, as it is and in the middle of a white 16:9 canvas of twice its height: a head that
    fills a square picture is larger, and by a plain resize wider, than any head that a detector learnt from frames.
    """
    height, width = picture.shape[:2]
    canvas_height = 2 * max(height, math.ceil(width * 9 / 16))
    canvas = np.full((canvas_height, math.ceil(canvas_height * 16 / 9), 3), 255, dtype=np.uint8)
    top, left = (canvas.shape[0] - height) // 2, (canvas.shape[1] - width) // 2
    canvas[top : top + height, left : left + width] = picture
    plain, framed = detector.detect([picture, canvas])
    heads = [(d.confidence, d.xyxy) for d in plain if d.label == HEAD]
    for d in framed:
        if d.label == HEAD:
            x0, y0, x1, y1 = d.xyxy
            heads.append((d.confidence, (x0 - left, y0 - top, x1 - left, y1 - top)))
    return head_crop(picture, max(heads)[1], crop_scale) if heads else None


def _at_most(picture: np.ndarray, side: int) -> np.ndarray:
    """The picture, its longer side no longer than so many pixels."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    return picture if scale >= 1 else resize(picture, (max(1, round(width * scale)), max(1, round(height * scale))))


def _assemble(
    looks: list[_Look],
    settings: Mapping[str, Any],
    embedder: Embedder,
    show_name: str,
    references_dir: Path,
    views: Callable[[np.ndarray], list[np.ndarray]],
) -> Cast:
    by_folder: dict[str, list[_Look]] = {}
    for look in looks:
        by_folder.setdefault(look.character, []).append(look)
    own = settings.get("characters", {})
    _known(own, set(by_folder), "characters", references_dir)
    words = trigger_words(list(by_folder), {f: c["trigger_word"] for f, c in own.items() if "trigger_word" in c})
    characters = []
    for folder, forms in by_folder.items():
        mine = own.get(folder, {})
        check_name(mine.get("name", folder), f"[characters.{toml_key(folder)}]")
        characters.append(
            Character(
                name=mine.get("name", folder),
                trigger_word=words[folder],
                forms=_forms(forms, mine.get("forms", {}), embedder, references_dir, views, folder),
                licence=mine.get("licence", settings.get("licence", "")),
            )
        )
    names = [c.name for c in characters]
    for name in names:
        if names.count(name) > 1 or name == UNKNOWN or "/" in name:
            raise FullcastError(f"{references_dir}: the name {name!r} is taken or not allowed; each needs its own")
    return Cast(settings.get("show", show_name), tuple(characters), embedder.name)


def check_name(name: str, table: str) -> None:
    """FullcastError for a name of a character or a form that no command could ask for: in --cast a comma begins the
    next name and an @ a place. `table`: of cast.toml, where another name may be said."""
    if any(sign in name for sign in ",@"):
        raise FullcastError(
            f"the name {name!r} has a comma or an @ in it, which are signs in --cast; say another in "
            f"references/{CAST_TOML}: {table} name = ..."
        )


def _forms(
    looks: list[_Look],
    own: Mapping[str, Any],
    embedder: Embedder,
    references_dir: Path,
    views: Callable[[np.ndarray], list[np.ndarray]],
    folder: str,
) -> tuple[Form, ...]:
    for look in looks:
        name = own.get(look.form, {}).get("name", look.form)
        check_name(name, f"[characters.{toml_key(folder)}.forms.{toml_key(look.form)}]")
    _known(own, {look.form for look in looks}, "forms", references_dir)
    given = {form: value["trigger_word"] for form, value in own.items() if "trigger_word" in value}
    words = {"": ""} | trigger_words([look.form for look in looks if look.form], given)
    return tuple(
        Form(
            name=own.get(look.form, {}).get("name", look.form),
            trigger_word=words[look.form],
            references=rounded(embedder.embed(look.crops)),
            views=rounded(np.stack([embedder.embed(views(crop)) for crop in look.crops])),
        )
        for look in looks
    )


# -------------------------------------------------------------------------------------------------- the folder


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "_")) and is_utf8(p.name))


def _pictures(folder: Path) -> list[Path]:
    files = (p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES and not p.name.startswith("."))
    return sorted(p for p in files if is_utf8(p.name))


def _bad_names(references_dir: Path) -> dict[str, str]:
    """What no table can hold the name of, with the reason."""
    lost = (error for error in files_below(references_dir)[1] if error.reason == "bad-name")
    return {Path(error.path).relative_to(references_dir).as_posix(): error.detail for error in lost}


def _say_empty(look: _Look) -> str:
    """Without the folder's path: drops are stored, and no stored file names a place on this machine."""
    return (
        "no picture that can be read; put 3 to 10 head-and-shoulder pictures of "
        f"{look.character} there, or remove the folder"
    )


def _read_settings(references_dir: Path) -> Mapping[str, Any]:
    path = references_dir / CAST_TOML
    if not path.is_file():
        return {}
    try:
        settings = tomllib.loads(composed(path.read_text(encoding="utf-8-sig")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FullcastError(f"{path} is no TOML: {error}") from error
    _known(settings, _KEYS["file"], "keys", path)
    for character in settings.get("characters", {}).values():
        _known(character, _KEYS["character"], "keys of a character", path)
        for form in character.get("forms", {}).values():
            _known(form, _KEYS["form"], "keys of a form", path)
    return settings


def _known(given: Mapping[str, Any], accepted: set[str], what: str, path: Path) -> None:
    for key in given:
        if key not in accepted:
            raise FullcastError(f"{path}: {key!r} is not among the {what} known here: {', '.join(sorted(accepted))}")
