"""The folders of the seed pipeline, written: ``screenshots/2_characters/A+B/face_height_ratio_25-50/multiply.txt``.

Each picture ``X.png`` has its caption ``X.txt`` and its metadata ``X.json`` in the first version's words (n_faces,
facepos, fh_ratio, cropped, characters, tags, n_people ...); under ``fullcast`` the same file holds what that version
has no word for. Rules of the hierarchy and of ``multiply.txt`` as that pipeline has them:

* the first level is the number of *different known* names, ``6+_characters`` from six on; the second the sorted names
  with ``+``, or ``character_others`` for nobody and for combinations of fewer than ten pictures; the third the largest
  face's share of the height in four ranges; regularization is sorted by concept alone;
* a folder has one multiply, with two decimals, from 1 (the folder that needs least) to at most 100.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from fullcast.formats.items import Exported, Item, Names, checked_weights, export_dir, leave_report, safe_part
from fullcast.formats.items import share_error as error_of
from fullcast.ports import Progress, silent
from fullcast.records import UNKNOWN, Box, Person, Sample
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import write_png

MULTIPLY = "multiply.txt"
DECIMALS = 2
MIN_MULTIPLY = 1.0
MAX_MULTIPLY = 100.0
"""Its defaults; weights beyond the cap are not delivered, and the report says how much."""

MANY = 6
"""From here on a count is ``6+`` in folders and ``many`` in captions."""

MIN_COMBINATION = 10
"""Pictures that a combination of names needs for a folder of its own."""

OTHERS = "character_others"
MAX_COMBINATION = 100
"""Characters of a folder name; longer ones are ``character_others``."""


def export_seed(
    items: Iterable[Item],
    samples: Sequence[Sample],
    weights: np.ndarray,
    out_dir: Path,
    progress: Progress = silent,
    *,
    max_multiply: float = MAX_MULTIPLY,
) -> Exported:
    """Writes the hierarchy, atomically.

    samples: those of all items in their order, and weights (n,) of them: folders and their multiplies need all of them
    beforehand.
    """
    weights = checked_weights(weights)
    if len(samples) != len(weights):
        raise FullcastError(f"every sample needs a weight; got {len(samples)} samples and {len(weights)} weights")
    folders = seed_folders(samples)
    multiplies, clipped = folder_multiplies(folders, weights, max_multiply)
    names, visits = Names(), {}
    given = np.zeros(len(weights))
    with export_dir(out_dir) as root:
        for index, (item, folder) in enumerate(zip(items, folders, strict=True)):
            progress.advance()
            visits[names.take(item.name)] = 0.0
            if weights[index] == 0:
                continue
            where = root / folder
            if not where.exists():
                where.mkdir(parents=True)
                (where / MULTIPLY).write_text(f"{multiplies[folder]:.{DECIMALS}f}\n", encoding="utf-8")
            write_png(where / f"{item.name}.png", item.pixels)
            (where / f"{item.name}.txt").write_text(item.caption, encoding="utf-8", newline="")
            content = json.dumps(metadata_of(item), ensure_ascii=False, indent=1)
            (where / f"{item.name}.json").write_text(content + "\n", encoding="utf-8")
            visits[item.name] = given[index] = multiplies[folder]
        skipped = int((weights == 0).sum())
        notes = _notes(given, weights, clipped, skipped, max_multiply)
        exported = Exported(
            *("seed", len(visits) - skipped, skipped, len(multiplies), float(given.sum())),
            error_of(given, weights),
            visits,
            tuple(notes),
        )
        return leave_report(root, exported)


def _notes(
    given: np.ndarray, weights: np.ndarray, clipped: Sequence[str], skipped: int, max_multiply: float
) -> list[str]:
    notes = ["a folder has one multiply: pictures of one folder get the mean of their weights"]
    if clipped:
        notes.append(
            f"{len(clipped)} folders would need more than {max_multiply:g} and get {max_multiply:g}: "
            + ", ".join(clipped[:5])
            + (" ..." if len(clipped) > 5 else "")
        )
    if skipped:
        notes.append(f"{skipped} pictures of weight 0 are left out")
    cut = np.floor(given)
    if (cut != given).any():
        notes.append(
            f"EveryDream1, for which these folders were made, cuts the decimals off: with it "
            f"{error_of(cut, weights):.2%} of the visits go to other pictures"
        )
    return notes


def folder_multiplies(
    folders: Sequence[str], weights: np.ndarray, max_multiply: float = MAX_MULTIPLY
) -> tuple[dict[str, float], list[str]]:
    """The multiply of each folder that has a picture of weight above 0, and which were held down to the cap."""
    total: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for folder, weight in zip(folders, weights.tolist(), strict=True):
        if weight > 0:
            total[folder] += weight
            count[folder] += 1
    mean = {folder: total[folder] / count[folder] for folder in count}
    least = min(mean.values())
    wanted = {folder: round(MIN_MULTIPLY * value / least, DECIMALS) for folder, value in mean.items()}
    clipped = sorted(folder for folder, value in wanted.items() if value > max_multiply)
    return {folder: min(value, max_multiply) for folder, value in wanted.items()}, clipped


def seed_folders(samples: Sequence[Sample]) -> list[str]:
    """POSIX folder of each sample; which combinations are rare is counted over all of them."""
    keys = [(_top(sample), *_names_level(sample)) for sample in samples]
    counts = Counter(keys)
    folders = []
    for sample, key in zip(samples, keys, strict=True):
        if sample.source == "regularization":
            folders.append(str(PurePosixPath("regularization", _concept(sample))))
            continue
        top, number, names = key
        if counts[key] < MIN_COMBINATION or len(names) >= MAX_COMBINATION:
            names = OTHERS
        quarter = min(3, int(sample.head_height * 4))
        folders.append(f"{top}/{number}/{names}/face_height_ratio_{25 * quarter}-{25 * quarter + 25}")
    return folders


def _top(sample: Sample) -> str:
    return "fanart" if sample.source == "fanart" else safe_part(sample.source)


def _names_level(sample: Sample) -> tuple[str, str]:
    names = sorted({spelt(person) for person in sample.people if _known(person)})
    number = f"{MANY}+_characters" if len(names) >= MANY else f"{len(names)}_character{'s' * (len(names) != 1)}"
    return number, "+".join(safe_part(name.replace("+", "＋")) for name in names) or OTHERS


def _concept(sample: Sample) -> str:
    folder = PurePosixPath(sample.path).parent.name
    return safe_part(folder) if folder and folder != "regularization" else "others"


def spelt(person: Person) -> str:
    """The seed's spelling of a look: a class of its own, with a space ("KuraueHinata Hairdown")."""
    return f"{person.character} {person.form}" if person.form else person.character


def _known(person: Person) -> bool:
    return person.character not in ("", UNKNOWN)


def metadata_of(item: Item) -> dict[str, Any]:
    """The first version's metadata of a picture, JSON-ready."""
    sample = item.sample
    faces = [person for person in sample.people if person.head_xyxy is not None]
    headless = [person for person in sample.people if person.head_xyxy is None]
    n_people: int | str = len(sample.people) if len(sample.people) < MANY else "many"
    return {
        "n_faces": len(faces),
        "facepos": [_fraction(sample, person.head_xyxy) for person in faces if person.head_xyxy],
        "fh_ratio": round(sample.head_height, 6),
        "cropped": sample.kind != "full",
        # One name per face in the order of facepos; then known people whose head is not seen.
        "characters": [spelt(p) if _known(p) else UNKNOWN for p in faces] + [spelt(p) for p in headless if _known(p)],
        "general": "aniscreen" if sample.source == "screenshots" else "",
        "tags": list(dict.fromkeys([*sample.tags, *(tag for person in sample.people for tag in person.tags)])),
        "n_people": n_people,
        "rating": sample.rating,
        "fullcast": item.described(),
    }


def _fraction(sample: Sample, box: Box) -> list[float]:
    w, h = sample.width, sample.height
    return [round(float(v / side), 6) for v, side in zip(box, (w, h, w, h), strict=True)]
