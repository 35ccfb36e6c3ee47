"""Line 4: every export read by its peer's documented rules, written again in tests/formats/peers.py; round trips."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from checks.framework import Context, Figure, Goal, passed
from checks.mixture import CHECK
from fullcast.formats.everydream import export_everydream, read_everydream
from fullcast.formats.foreign import ForeignDataset, ForeignPicture
from fullcast.formats.imagefolder import export_imagefolder, read_imagefolder
from fullcast.formats.items import Exported, Item
from fullcast.formats.kohya import export_kohya, read_kohya
from fullcast.formats.seed import export_seed
from fullcast.formats.seed_reading import read_seed
from fullcast.formats.webdataset import export_webdataset, read_webdataset
from fullcast.store.pictures import decode_picture
from tests.formats import peers
from tests.formats.gallery import LONG, make_items, weights_of

NUM_PICTURES = 450
EPOCHS = 100
"""Of EveryDream2, whose fractions are drawn: a third of its folders' shares is known to 1 % then."""

Visits = Mapping[tuple[str, str], float]

EXPORTS: dict[str, Callable[[list[Item], Path], Exported]] = {
    "everydream1": lambda items, out: export_everydream(items, weights_of(items), out, 1),
    "everydream2": lambda items, out: export_everydream(items, weights_of(items), out, 2),
    "kohya": lambda items, out: export_kohya(items, weights_of(items), out),
    "imagefolder": lambda items, out: export_imagefolder(items, out),
    "webdataset": lambda items, out: export_webdataset(items, out, max_bytes=400_000),
    "seed": lambda items, out: export_seed(items, [item.sample for item in items], weights_of(items), out),
}
READERS: dict[str, Callable[[Path], ForeignDataset]] = {
    "everydream1": lambda path: read_everydream(path, 1),
    "everydream2": lambda path: read_everydream(path, 2),
    "kohya": read_kohya,
    "imagefolder": read_imagefolder,
    "webdataset": read_webdataset,
    "seed": read_seed,
}
PEERS: dict[str, Callable[[Path], Visits]] = {
    "everydream1": peers.everydream1_epoch,
    "kohya": lambda path: peers.kohya_toml_epoch(path / "dataset.toml"),
    "imagefolder": peers.imagefolder_epoch,
    "webdataset": peers.webdataset_epoch,
    "seed": peers.seed_epoch,
}
OWN_WEIGHTS = ("imagefolder", "webdataset")
"""Formats that hold the weight itself; the others hold a number of visits."""


@CHECK.line(4, "every export is delivered as its report says, and comes back whole")
def formats(context: Context) -> Iterator[Figure]:
    items = make_items(NUM_PICTURES, seed=4)
    yield from _what_is_in_it(items)
    for name in EXPORTS:
        context.say(name)
        out = context.work_dir / "mixture-formats" / name
        shutil.rmtree(out, ignore_errors=True)
        exported = EXPORTS[name](items, out)
        yield Figure(f"{name}: share of visits that the format moves", exported.share_error, n=exported.num_images)
        if name == "everydream2":
            yield from _drawn(items, exported, out)
        else:
            yield from _delivered(name, items, exported, PEERS[name](out))
        if name == "kohya":
            same = peers.kohya_folders_epoch(out / "img") == peers.kohya_toml_epoch(out / "dataset.toml")
            yield passed("kohya: its folders deliver what its TOML does", same)
        yield from _round_trip(name, items, exported, READERS[name](out))
        shutil.rmtree(out, ignore_errors=True)


def _what_is_in_it(items: list[Item]) -> Iterator[Figure]:
    weights = weights_of(items)
    captions = {item.caption for item in items}
    yield passed(
        "the pictures have names in Japanese, a comma in a folder, a caption of 300, none at all, weights of 0",
        all(
            (
                any("絵" in item.name for item in items),
                any("," in item.folder for item in items),
                len(LONG) == 300 and {LONG, ""} <= captions,
                (weights == 0).any(),
            )
        ),
        f"{len(items)} pictures, weights over {np.log10(weights.max() / weights[weights > 0].min()):.1f} powers of ten",
    )


def _delivered(name: str, items: list[Item], exported: Exported, seen: Visits) -> Iterator[Figure]:
    """Picture by picture, and the share error worked out again from what was seen."""
    counts = {stem: count for (stem, _), count in seen.items()}
    said = {stem: visits for stem, visits in exported.visits.items() if visits}
    wrong = sum(counts.get(stem) != said.get(stem) for stem in counts.keys() | said.keys())
    yield Figure(f"{name}: pictures whose visits are not those of the report", wrong, Goal("=", 0), n=len(said))
    captions = dict(seen.keys())
    lost = sum(captions.get(item.name) != item.caption for item in items if item.name in said)
    yield Figure(f"{name}: captions that its reader sees otherwise", lost, Goal("=", 0), n=len(said))
    yield _told(name, items, exported, counts)


def _told(name: str, items: list[Item], exported: Exported, counts: Mapping[str, float]) -> Figure:
    given = np.array([counts.get(item.name, 0.0) for item in items])
    asked = weights_of(items)
    error = float(np.abs(given / given.sum() - asked / asked.sum()).sum() / 2)
    return Figure(
        f"{name}: share error measured, less the one told", abs(error - exported.share_error), Goal("<=", 1e-9)
    )


def _drawn(items: list[Item], exported: Exported, out: Path) -> Iterator[Figure]:
    """EveryDream2 draws fractions with a known bias inside its list: shares of folders hold, over epochs."""
    visits: Counter[str] = Counter()
    images = peers.everydream2_list(out)
    for epoch in range(EPOCHS):
        for (stem, _), count in peers.everydream2_epoch(images, epoch).items():
            visits[stem] += count
    never = sum(visits[stem] == 0 for stem, said in exported.visits.items() if said * EPOCHS > 20)
    yield Figure("everydream2: pictures never seen of those with 20 visits or more", never, Goal("=", 0))
    groups: dict[str, list[str]] = {}
    for item in items:
        groups.setdefault(item.folder, []).append(item.name)
    worst = max(
        abs(sum(visits[n] for n in names) / EPOCHS / sum(exported.visits[n] for n in names) - 1)
        for names in groups.values()
    )
    yield Figure(
        "everydream2: largest error of a folder's visits", worst, Goal("<=", 0.02), n=EPOCHS, note="over epochs"
    )
    stray = sum(visits[stem] > 0 for stem, said in exported.visits.items() if said == 0)
    yield Figure("everydream2: pictures of weight 0 that were seen", stray, Goal("=", 0))
    captions = dict(peers.everydream2_epoch(images, 0).keys())
    lost = sum(captions[item.name] != item.caption for item in items if item.name in captions)
    yield Figure("everydream2: captions that its reader sees otherwise", lost, Goal("=", 0), n=len(captions))
    first = peers.everydream1_epoch(out)
    given = np.array([first.get((item.name, item.caption), 0) for item in items], dtype=np.float64)
    asked = weights_of(items)
    error = float(np.abs(given / given.sum() - asked / asked.sum()).sum() / 2)
    told = any(f"{error:.2%} of the visits elsewhere" in note for note in exported.notes)
    yield passed("everydream2: what EveryDream1 would do with it is told", told, f"{error:.2%} of the visits elsewhere")


def _round_trip(name: str, items: list[Item], exported: Exported, found: ForeignDataset) -> Iterator[Figure]:
    pictures: dict[str, ForeignPicture] = {Path(p.name).stem: p for p in found.pictures}
    kept = [item for item in items if exported.visits[item.name]]
    missing = len({item.name for item in kept} ^ set(pictures)) + len(found.drops)
    yield Figure(f"{name} and back: files lost, or more than were written", missing, Goal("=", 0), n=len(kept))
    wrong: Counter[str] = Counter()
    for item in kept:
        if (picture := pictures.get(item.name)) is None:
            continue
        wanted = item.weight if name in OWN_WEIGHTS else exported.visits[item.name]
        wrong["captions"] += (picture.caption or "") != item.caption
        wrong["weights"] += picture.multiply != wanted
        wrong["pixels"] += not np.array_equal(decode_picture(picture.read_bytes()), item.pixels)
        if name in (*OWN_WEIGHTS, "seed"):
            people = [(p.character, p.form, p.tags, p.head is None) for p in picture.people]
            wrong["people"] += people != [(p.character, p.form, p.tags, not p.head_xyxy) for p in item.sample.people]
    for what, count in wrong.items():
        yield Figure(f"{name} and back: {what} that changed", count, Goal("=", 0), n=len(kept))
