"""Line 6: composites beside frames. Are they told apart, and do their records say who stands in them?

Blindness. The frames of a show are split by shot into two halves. From each half composites are made, of its own
figures and backgrounds, and its own crops of as many people are taken in the same numbers. Both come as training
pictures, the middle of each, in one size. A classifier is trained on one half and asked on the other, so that it
cannot know shots by heart: what it can learn is how composites look. Three are asked, and the best one counts:

* a linear one (logistic regression, C chosen inside the training half) on histograms of local contrast at three
  scales and in four bands of the picture, where seams and false sharpness would show;
* a random forest of 300 trees on the same and on an 8x8 thumbnail, where misplaced figures and wrong light would;
* a support vector machine (RBF) on histograms of edge directions in 8x8 cells (HOG: Dalal & Triggs 2005), which knows
  where in a picture lines run how: empty scenery, figures too far apart, upright joints.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from checks.framework import Context, Figure, Goal, passed
from checks.mixture import CHECK
from checks.mixture.shown import Shown, read_shown
from fullcast.audit.truth import in_image
from fullcast.mixture.composites.backdrops import find_backdrops
from fullcast.mixture.composites.making import Composites, make_composites
from fullcast.mixture.config import MixtureConfig
from fullcast.mixture.crops import share_inside
from fullcast.mixture.pixels import WorkspacePixels
from fullcast.mixture.samples import cut_samples
from fullcast.records import Image, Sample
from fullcast.store.pictures import read_picture, resize
from fullcast.store.seeding import key

MAX_ACCURACY = Goal("<=", 0.75)
SIDE = 64
PER_HALF = 200


@CHECK.line(6, "composites: told from frames by a classifier, and counted and named right")
def composites(context: Context) -> Iterator[Figure]:
    (seed,) = context.seeds("mixture-6", 1)
    show = read_shown(context, seed)
    with tempfile.TemporaryDirectory(prefix="fullcast-composites-") as folder:
        halves = [make_half(show, half, Path(folder), seed, PER_HALF) for half in (0, 1)]
        yield from records_are_right(show, halves, Path(folder))
        yield from blindness(halves)


@dataclass(frozen=True)
class Half:
    """Composites of half of a show's shots, and both kinds as training pictures."""

    made: Composites
    composites: np.ndarray
    """(n, height, width, 3) uint8."""
    frames: np.ndarray


def half_of(image: Image) -> int:
    return key(0, "half", image.shot_id or image.id) % 2


def make_half(show: Shown, half: int, folder: Path, seed: int, count: int) -> Half:
    config = MixtureConfig()
    config = config.model_copy(update={"composites": config.composites.model_copy(update={"count": count})})
    images = [i for i in show.images if not i.dropped and i.source == "screenshots" and half_of(i) == half]

    def read(image: Image) -> np.ndarray:
        return read_picture(show.root / image.path)

    made = make_composites(
        images, show.people, read, config, seed, folder, f"half{half}", show.scene_tags, cast=show.cast
    )
    false = cut_samples(made.images, made.people, config).samples
    true = [s for s in cut_samples(images, show.people, config).samples if s.num_people in config.composites.people]
    # As many composites of each number of people as there are crops, so that numbers tell nothing.
    have = Counter(s.num_people for s in true)
    want = Counter(s.num_people for s in false)
    both = {n: min(have[n], want[n]) for n in have}
    return Half(
        made,
        pixels(folder, _some(false, both)),
        pixels(show.root, _some(true, both)),
    )


def _some(samples: list[Sample] | tuple[Sample, ...], counts: dict[int, int]) -> list[Sample]:
    left = dict(counts)
    kept = []
    for sample in sorted(samples, key=lambda s: key(0, "pick", s.id)):
        if left.get(sample.num_people, 0) > 0:
            left[sample.num_people] -= 1
            kept.append(sample)
    return kept


def pixels(root: Path, samples: list[Sample]) -> np.ndarray:
    """(n, 64, 64, 3): every sample's middle at its bucket's height: neither shape nor size of a picture may tell."""
    source = WorkspacePixels(root, samples)
    out = []
    for sample in samples:
        wide = max(SIDE, round(SIDE * sample.width / sample.height))
        left = (wide - SIDE) // 2
        out.append(source.pixels(sample.id, wide, SIDE)[:, left : left + SIDE])
    return np.stack(out) if out else np.zeros((0, SIDE, SIDE, 3), np.uint8)


def blindness(halves: list[Half]) -> Iterator[Figure]:
    sizes = [(len(h.composites), len(h.frames)) for h in halves]
    yield Figure("pictures to tell apart", float(sum(map(sum, sizes))), Goal(">=", 100), note=f"by half: {sizes}")
    for name in ("linear", "forest", "shape"):
        right = np.concatenate([_answers(name, halves[a], halves[1 - a]) for a in (0, 1)])
        low, high = wilson(int(right.sum()), len(right))
        yield Figure(f"told right by the {name} classifier", float(right.mean()), MAX_ACCURACY, len(right), low, high)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    z, p = 1.96, hits / n
    centre, spread = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return float((centre - spread) / (1 + z * z / n)), float((centre + spread) / (1 + z * z / n))


def _answers(name: str, train: Half, test: Half) -> np.ndarray:
    """(n,) bool: right or not, on the half that was not trained on."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    xs, ys = [], []
    for half in (train, test):
        stack = np.concatenate([half.composites, half.frames])
        xs.append(np.stack([FEATURES[name](picture) for picture in stack]))
        ys.append(np.r_[np.ones(len(half.composites)), np.zeros(len(half.frames))])
    if name == "linear":
        chosen = GridSearchCV(LogisticRegression(max_iter=2000), {"C": np.logspace(-4, 4, 6)}, cv=4)
        model = make_pipeline(StandardScaler(), chosen)
    elif name == "forest":
        model = RandomForestClassifier(300, random_state=0, min_samples_leaf=2)
    else:
        model = make_pipeline(StandardScaler(), SVC())
    return model.fit(xs[0], ys[0]).predict(xs[1]) == ys[1]


def texture(picture: np.ndarray) -> np.ndarray:
    """Histograms of |differences| of neighbours, at three scales, across and down, in four horizontal bands."""
    parts = []
    luma = picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    for _ in range(3):
        for axis in (0, 1):
            for band in np.array_split(np.abs(np.diff(luma, axis=axis)), 4, axis=0):
                counts = np.histogram(band, [0, 1, 2, 4, 8, 16, 32, 64, 256])[0]
                parts.append(counts / max(1, counts.sum()))
        h, w = luma.shape[0] // 2 * 2, luma.shape[1] // 2 * 2
        luma = luma[:h, :w].reshape(h // 2, 2, w // 2, 2).mean((1, 3))
    return np.concatenate(parts)


def thumbnail(picture: np.ndarray) -> np.ndarray:
    return resize(picture, (8, 8)).astype(np.float32).ravel()


def orientations(picture: np.ndarray) -> np.ndarray:
    """Histograms of 8 edge directions, weighed by the edges' strength, in 8x8 cells of 8 px, each cell normalised."""
    down, across = np.gradient(picture.astype(np.float32).mean(-1))
    direction = (np.arctan2(down, across) % np.pi / np.pi * 8).astype(int) % 8
    cell = np.arange(SIDE) // 8
    counts = np.zeros((8, 8, 8), np.float32)
    np.add.at(counts, (cell[:, None], cell[None, :], direction), np.hypot(down, across))
    return (counts / (np.linalg.norm(counts, axis=-1, keepdims=True) + 20)).ravel()


FEATURES = {"linear": texture, "forest": lambda p: np.r_[texture(p), thumbnail(p)], "shape": orientations}


def records_are_right(show: Shown, halves: list[Half], folder: Path) -> Iterator[Figure]:
    made = [h.made for h in halves]
    images = [i for m in made for i in m.images]
    people = [p for m in made for p in m.people]
    of_image = defaultdict(list)
    for person in people:
        of_image[person.image_id].append(person)
    yield Figure("composites made", len(images), Goal(">=", 1), note=f"of {2 * PER_HALF} asked for")
    for n, number in sorted(Counter(len(of_image[i.id]) for i in images).items()):
        yield Figure(f"of {n} people", number)
    yield passed("every one says composite, and its parent is a frame", all(_named(i, show) for i in images))
    whole = [bool(p.head_xyxy) and _in(p.head_xyxy, i) for i in images for p in of_image[i.id]]
    yield Figure("heads inside their composite", float(np.mean(whole)), Goal("=", 1.0), len(whole))
    twice = [len({p.character for p in of_image[i.id]}) < len(of_image[i.id]) for i in images]
    yield Figure("composites with somebody twice", float(np.sum(twice)), Goal("=", 0))
    yield from _by_truth(show, people)
    yield from _backgrounds_empty(show, made)


def _named(image: Image, show: Shown) -> bool:
    return image.source == "composite" and image.parent in {i.id for i in show.images}


def _in(head: tuple[float, float, float, float] | None, image: Image) -> bool:
    return head is not None and share_inside(head, (0.0, 0.0, image.width, image.height)) > 0.98


def _by_truth(show: Shown, people: list) -> Iterator[Figure]:
    """Names of figures against who truly is where they were cut from; heads that hold one true head."""
    predicted = {p.id: p for p in show.people}
    sources = [p.detector.removeprefix("cut-out:") for p in people]
    yield passed("every figure names the person it was cut from", all(s in predicted for s in sources))
    right, single = [], []
    for source in sources:
        person = predicted[source]
        frame = show.truth.get(person.image_id)
        if frame is None or person.head_xyxy is None:
            continue
        image = show.by_id[person.image_id]
        heads = [(in_image(t.head_xyxy, image), t.name) for t in frame.people]
        inside = [name for box, name in heads if share_inside(box, person.head_xyxy) > 0.5]
        single.append(len(inside) == 1)
        right.append(inside == [person.name])
    yield Figure("figures that are one true person", float(np.mean(single)), Goal(">=", 0.98), len(single))
    yield Figure("figures with the true name and form", float(np.mean(right)), Goal(">=", 0.95), len(right))


def _backgrounds_empty(show: Shown, made: list[Composites]) -> Iterator[Figure]:
    """Frames whose scenery was used and in which a true head was not painted over: nobody counted whoever is there."""
    of_image = defaultdict(list)
    for person in show.people:
        of_image[person.image_id].append(person)
    floor = MixtureConfig().composites.floor
    used = sorted({i.parent for m in made for i in m.images})
    taken = []
    for backdrop in find_backdrops([show.by_id[i] for i in used], of_image):
        frame = show.truth.get(backdrop.image.id)
        if frame is not None:
            heads = [in_image(t.head_xyxy, backdrop.image) for t in frame.people]
            heads = [
                h
                for h in heads
                if share_inside(h, (0.0, 0.0, backdrop.image.width, floor * backdrop.image.height)) > 0.1
            ]
            taken.append(any(max(share_inside(h, hole) for hole in backdrop.holes) < 0.9 for h in heads))
    yield Figure("backgrounds with a true head in them", float(np.mean(taken)), Goal("<=", 0.01), len(taken))
