"""Near-duplicates over the whole show, from fingerprints only: openings, flashbacks, the same art from two sources.

Pairs that may be equal come from an index (a ball tree over 48 numbers per picture); each is then compared place by
place, after registration where the camera stood a little elsewhere. No chunks: every picture meets every other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from fullcast.ingest.camera import View, register, warp
from fullcast.ingest.compare import Surface, Tolerances, aligned_difference, difference
from fullcast.ingest.config import IngestConfig
from fullcast.ingest.fingerprint import Fingerprint
from fullcast.ingest.planes import to_size
from fullcast.records import Image
from fullcast.store.seeding import rng

VERSION = 6

NEAR_DUPLICATE = "near-duplicate"
"""Why a picture is not used of which a kept one shows the same."""

_GRID = (16, 32)
_DIMENSIONS = 48
# Root mean square difference, in luma levels, of the blurred 32x16 pictures. Equals differ by 1 to 3; a camera that
# moved until the views overlap by 0.9 only, by up to 14.
_RADIUS = 18.0
# Random projections keep distances to about 1 / sqrt(2 * 48) = 10 %.
_SLACK = 1.35
_CHROMA_LIMIT = 12.0
_OFFSET_LIMIT = 8
_AGREES = 0.6
# Below this share of changed edges it is not the camera that moved.
_CAMERA_MOVED = 0.25
_SHARPER = 1.1
_SECOND = ("regularization", "crop")
"""Sources that never stand for a picture of another one: what shows the cast is no regularization, and a crop is
nothing without its original."""


@dataclass(frozen=True, slots=True)
class DuplicatesResult:
    dropped: Mapping[str, str] = field(default_factory=dict)
    """Id of each dropped image: id of the kept one that it repeats."""
    repeats: tuple[str, ...] = ()
    """Ids of the shots of which nothing is left, for all of it is seen in others: openings, flashbacks."""
    same_files: tuple[int, ...] = ()
    """Positions in `images` of those whose very file had come before: ids cannot tell the two apart."""
    num_compared: int = 0
    """Pairs that the index proposed."""


def find_duplicates(
    images: Sequence[Image], fingerprints: Sequence[Fingerprint], config: IngestConfig
) -> DuplicatesResult:
    """Which images repeat another one. `images` come in the order of the show: of equals the earlier is kept, unless
    a later one is free of subtitles, larger, or sharper by a tenth; but no shot loses everything to later ones. A
    regularization picture or a crop never stands for a picture of another source.

    Images of one shot are not compared: sampling did, at twice the resolution. Images already dropped take no part.
    """
    prints = {f.image_id: f for f in fingerprints}
    first = {image.id: at for at, image in reversed(list(enumerate(images)))}
    same_files = tuple(at for at, image in enumerate(images) if first[image.id] != at)
    images = [i for at, i in enumerate(images) if not i.dropped and i.id in prints and first[i.id] == at]
    if len(images) < 2:
        return DuplicatesResult(same_files=same_files)
    faces = [prints[i.id] for i in images]
    compare = _Comparison(faces, config)
    neighbours: dict[int, list[int]] = defaultdict(list)
    num_compared = 0
    for a, b in _candidates(faces):
        if images[a].shot_id and images[a].shot_id == images[b].shot_id:
            continue
        num_compared += 1
        if compare(a, b):
            neighbours[a].append(b)
            neighbours[b].append(a)
    keeper = _choose(images, faces, neighbours)
    _rescue(images, faces, keeper)
    dropped = {images[i].id: images[k].id for i, k in sorted(keeper.items())}
    return DuplicatesResult(dropped, _emptied(images, keeper), same_files, num_compared)


def _choose(
    images: Sequence[Image], faces: Sequence[Fingerprint], neighbours: Mapping[int, list[int]]
) -> dict[int, int]:
    """{dropped: kept}: from the best on, each kept picture takes its neighbours with it. No chains: equality to the
    kept one itself is asked for."""

    def rank(i: int) -> tuple:
        near = [images[j].sharpness for j in neighbours[i] if _same_size(images[i], images[j])]
        sharper = bool(near) and images[i].sharpness > _SHARPER * max(near)
        second = images[i].source in _SECOND
        return second, faces[i].has_text, -images[i].width * images[i].height, not sharper, i

    keeper: dict[int, int] = {}
    kept: set[int] = set()
    for i in sorted(neighbours, key=rank):
        if i in keeper:
            continue
        kept.add(i)
        for j in neighbours[i]:
            if j not in keeper and j not in kept:
                keeper[j] = i
    return keeper


def _same_size(a: Image, b: Image) -> bool:
    return (a.width, a.height) == (b.width, b.height)


def _rescue(images: Sequence[Image], faces: Sequence[Fingerprint], keeper: dict[int, int]) -> None:
    """A shot that lost everything, and to later shots too, takes those pictures back; of those with subtitles for which
    a clean one stands no more than the first, and only where it has no other: a letter that is trained on comes back
    in pictures, but no part of the story goes."""
    members: dict[str, list[int]] = defaultdict(list)
    for i, image in enumerate(images):
        if image.shot_id:
            members[image.shot_id].append(i)
    for shot in members.values():
        if any(i not in keeper for i in shot):
            continue
        lost = [i for i in shot if keeper[i] > i]
        for i in [i for i in lost if faces[i].has_text <= faces[keeper[i]].has_text] or lost[:1]:
            winner = keeper.get(i)
            if winner is None or winner in shot:
                continue
            for j in [j for j, k in keeper.items() if k == winner]:
                keeper[j] = i
            del keeper[i]
            keeper[winner] = i


def _emptied(images: Sequence[Image], keeper: Mapping[int, int]) -> tuple[str, ...]:
    left = {image.shot_id for i, image in enumerate(images) if i not in keeper}
    return tuple(sorted({image.shot_id for image in images if image.shot_id} - left))


def _candidates(faces: Sequence[Fingerprint]) -> Iterator[tuple[int, int]]:
    """Pairs (a, b), a < b, whose blurred small pictures are near."""
    from sklearn.neighbors import BallTree

    vectors = np.stack([_embed(f) for f in faces])
    projection = rng(0, "dedup", "projection").standard_normal((vectors.shape[1], _DIMENSIONS)).astype(np.float32)
    # Scaled so that distances are root mean square levels again.
    points = (vectors - 128) @ projection / np.sqrt(_DIMENSIONS * vectors.shape[1])
    tree = BallTree(points)
    for start in range(0, len(points), 1024):
        found = tree.query_radius(points[start : start + 1024], _RADIUS * _SLACK)
        for a, near in enumerate(found, start):
            for b in np.sort(near[near > a]):
                if np.sqrt(np.mean((vectors[a] - vectors[b]) ** 2)) <= _RADIUS:
                    yield a, int(b)


def _embed(face: Fingerprint) -> np.ndarray:
    """(400,) float32: the luma at 32x16 without the lowest quarter, where subtitles stand, blurred."""
    rows, columns = _GRID
    small = to_size(face.luma_array, (columns, rows)).astype(np.float32)
    return cv2.GaussianBlur(small, (0, 0), 1.5)[: rows * 3 // 4].ravel()


class _Comparison:
    """Compares two fingerprints; keeps the surfaces that it prepared."""

    def __init__(self, faces: Sequence[Fingerprint], config: IngestConfig) -> None:
        self.faces = faces
        self.iou = config.camera_iou
        self.tolerances = Tolerances(
            config.noise_floor, config.edge_tolerance, config.duplicate_threshold, config.subtitle_band
        )
        self._surfaces: dict[int, Surface] = {}

    def surface(self, i: int) -> Surface:
        if i not in self._surfaces:
            if len(self._surfaces) > 2000:  # 230 kB each with what is derived
                self._surfaces.clear()
            self._surfaces[i] = Surface(self.faces[i].luma_array)
        return self._surfaces[i]

    def __call__(self, i: int, j: int) -> bool:
        a, b = self.faces[i], self.faces[j]
        if abs(a.width / a.height - b.width / b.height) > 0.02 * a.width / a.height:
            return False
        chroma = np.abs(a.chroma_array.astype(np.int16) - b.chroma_array)
        if np.quantile(chroma, 0.75) > _CHROMA_LIMIT:
            return False
        first, second = self.surface(i), self.surface(j)
        if first.luma.shape != second.luma.shape:
            second = Surface(_fit(second.luma, first.luma.shape))
        second = _same_light(first, second)
        change = difference(first, second, self.tolerances)
        if change.same or change.moved < _CAMERA_MOVED:
            return change.same
        return self._same_moved(first, second)

    def _same_moved(self, a: Surface, b: Surface) -> bool:
        aspect = a.luma.shape[0] / a.luma.shape[1]
        found = register(View(a.luma.astype(np.float32)), View(b.luma.astype(np.float32)))
        if found.agreement < _AGREES or found.motion.overlap(aspect) < self.iou:
            return False
        seen, shown = warp(b.luma, found.motion)
        return aligned_difference(a, Surface(seen), shown, self.tolerances).same


def _fit(luma: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    from fullcast.store.pictures import resize

    return resize(luma, (shape[1], shape[0]))


def _same_light(a: Surface, b: Surface) -> Surface:
    """b with the median difference of light taken out, if that is small: encodings differ by a level or two."""
    offset = int(np.median(a.luma[::4, ::4].astype(np.int16) - b.luma[::4, ::4]))
    if offset == 0 or abs(offset) > _OFFSET_LIMIT:
        return b
    return Surface(np.clip(b.luma.astype(np.int16) + offset, 0, 255).astype(np.uint8))
