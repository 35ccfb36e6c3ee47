"""What simple means reach on the same show: a figure of ours that they reach as well is worth nothing.

They are given what ours must find: true boxes, true heads, the best threshold. So each errs on the side of too good.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullcast.audit.measures import SAME_PERSON, Kept, Pair, distinct_views
from fullcast.audit.truth import PICTURE_KINDS, TrueFrame, TruePerson, Truth, in_image
from fullcast.judging.statistics import Estimate, share
from fullcast.records import Box, iou
from fullcast.store.pictures import resize

HISTOGRAM_BINS = 8
THUMBNAIL_PX = 16
SMALL = (160, 90)
"""(width, height) of the pictures that background difference works on."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference picture: whose, in which form, its pixels and its head there (the whole picture if unknown)."""

    character: str
    form: str
    picture: np.ndarray
    head_xyxy: Box


def histogram(picture: np.ndarray) -> np.ndarray:
    """(512,) unit vector: how many pixels of (H, W, 3) uint8 fall into each of 8x8x8 colours."""
    bins = picture.reshape(-1, 3).astype(np.int64) * HISTOGRAM_BINS // 256
    index = (bins[:, 0] * HISTOGRAM_BINS + bins[:, 1]) * HISTOGRAM_BINS + bins[:, 2]
    counts = np.sqrt(np.bincount(index, minlength=HISTOGRAM_BINS**3).astype(float))
    return counts / max(1e-9, float(np.linalg.norm(counts)))


def thumbnail(picture: np.ndarray, head: Box) -> np.ndarray:
    """(768,) unit vector: the head at 16x16, its mean taken away so that light does not decide."""
    small = resize(picture, (THUMBNAIL_PX, THUMBNAIL_PX), box=_inside(head, picture)).astype(float).ravel()
    small -= small.mean()
    return small / max(1e-9, float(np.linalg.norm(small)))


class NearestReference:
    """Names a true person by the nearest reference; never says `unknown`."""

    def __init__(self, references: Sequence[Reference]) -> None:
        self.names = [(r.character, r.form) for r in references]
        self.histograms = np.stack([histogram(r.picture) for r in references])
        self.thumbnails = np.stack([thumbnail(r.picture, r.head_xyxy) for r in references])

    def by_histogram(self, picture: np.ndarray, box: Box) -> tuple[str, str]:
        """By the colours inside the true person box."""
        x0, y0, x1, y1 = (round(v) for v in _inside(box, picture))
        return self.names[int(np.argmax(self.histograms @ histogram(picture[y0:y1, x0:x1])))]

    def by_thumbnail(self, picture: np.ndarray, head: Box) -> tuple[str, str]:
        """By the true head at 16x16."""
        return self.names[int(np.argmax(self.thumbnails @ thumbnail(picture, head)))]


def name_pairs(
    pairs: Sequence[Pair],
    references: Sequence[Reference],
    pictures: Mapping[str, Path],
    read: Callable[[Path], np.ndarray],
) -> tuple[dict[int, tuple[str, str]], dict[int, tuple[str, str]]]:
    """What colours and thumbnails say of each pair, by its index; ``read(path)`` gives (H, W, 3) uint8."""
    nearest = NearestReference(references)
    colours, thumbs = {}, {}
    by_image: dict[str, list[int]] = defaultdict(list)
    for index, pair in enumerate(pairs):
        by_image[pair.image.id].append(index)
    for image_id, indices in by_image.items():
        picture = read(pictures[image_id])
        for index in indices:
            pair = pairs[index]
            colours[index] = nearest.by_histogram(picture, in_image(pair.true.xyxy, pair.image))
            thumbs[index] = nearest.by_thumbnail(picture, in_image(pair.true.head_xyxy, pair.image))
    return colours, thumbs


@dataclass(slots=True)
class ShotLumas:
    """Small grey pictures of one video, as many as its background models and hashes need."""

    times: list[float]
    lumas: np.ndarray
    """(T, 90, 160) uint8."""
    width: int
    """Pixels of the video's own frames."""
    height: int


def background_recall(kept: Kept, truth: Truth, videos: Mapping[str, ShotLumas]) -> Estimate:
    """True people of kept frames that background difference finds at IoU 0.5, at the best of six thresholds.

    The background of a shot is the median of its frames; what differs by more than the threshold is a person.
    ``videos``: file name -> its frames.
    """
    backgrounds = _backgrounds(truth, videos)
    best = 0
    total = sum(len(kept.frames[i.id].people) for i in kept.images)
    for threshold in (8, 16, 24, 32, 48, 64):
        hits = 0
        for image in kept.images:
            frame = kept.frames[image.id]
            background = backgrounds.get((frame.video, frame.shot))
            if background is not None and frame.people:
                boxes = _blobs(np.abs(_luma_at(videos[frame.video], frame.time_s) - background) > threshold)
                hits += _count_hits(boxes, frame.people, videos[frame.video])
        best = max(best, hits)
    return share(best, total)


def phash(luma: np.ndarray) -> int:
    """64-bit perceptual hash: signs about the median of the 8x8 lowest DCT frequencies of the 32x32 picture."""
    from scipy.fft import dctn

    small = resize(luma, (32, 32)).astype(float)
    low = dctn(small, norm="ortho")[:8, :8].ravel()
    bits = low > np.median(low[1:])
    return int("".join("1" if bit else "0" for bit in bits), 2)


@dataclass(frozen=True, slots=True)
class HashScores:
    """What pHash reaches at its best threshold."""

    pair_f1: float
    """Of the pairs of frames that are true duplicates."""
    views_kept: float
    """Distinct views kept when frames nearer than the threshold to a kept one are dropped, ..."""
    repeats: float
    """... and true duplicates among those kept, at the threshold that keeps as few as possible at 80 % of views."""


def hash_duplicates(truth: Truth, videos: Mapping[str, ShotLumas], every: int = 6) -> HashScores:
    """pHash on every ``every``-th frame of the drawings of all episodes."""
    frames, hashes = [], []
    for video, known in truth.by_video.items():
        if video in videos:
            for frame in [f for f in known if f.kind in PICTURE_KINDS][::every]:
                frames.append(frame)
                hashes.append(phash(_luma_at(videos[video], frame.time_s).astype(np.uint8)))
    if len(frames) < 2:
        return HashScores(float("nan"), float("nan"), float("nan"))
    distance = _hamming(hashes)
    same = _same_views(frames)
    upper = np.triu_indices(len(frames), 1)
    scores = [_f1(distance[upper] <= t, same[upper]) for t in range(33)]
    views = max(1, len(distinct_views(frames)))
    kept_at = []
    for t in range(33):
        kept = _select(distance, t)
        chosen = distinct_views(frames[i] for i in kept)
        covered, repeats = len(chosen) / views, 1 - len(chosen) / len(kept)
        kept_at.append((covered, repeats))
    enough = [pair for pair in kept_at if pair[0] >= 0.8] or kept_at[:1]
    covered, repeats = min(enough, key=lambda pair: pair[1])
    return HashScores(max(scores), covered, repeats)


def _same_views(frames: Sequence[TrueFrame]) -> np.ndarray:
    """(T, T) bool: drawing and camera agree."""
    same = np.eye(len(frames), dtype=bool)
    by_drawing: dict[str, list[int]] = defaultdict(list)
    for index, frame in enumerate(frames):
        by_drawing[frame.drawing].append(index)
    for group in by_drawing.values():
        for i in group:
            for j in group:
                same[i, j] = frames[i].same_view(frames[j])
    return same


def _hamming(hashes: Sequence[int]) -> np.ndarray:
    """(T, T) number of bits that differ."""
    bits = np.array([[(h >> i) & 1 for i in range(64)] for h in hashes], dtype=np.int32)
    ones = bits.sum(1)
    return ones[:, None] + ones[None] - 2 * (bits @ bits.T)


def _select(distance: np.ndarray, threshold: int) -> list[int]:
    """In order: kept when farther than the threshold from everything kept before."""
    kept: list[int] = []
    for i in range(len(distance)):
        if not kept or distance[i, kept].min() > threshold:
            kept.append(i)
    return kept


def _f1(called: np.ndarray, true: np.ndarray) -> float:
    hits = int((called & true).sum())
    return 2 * hits / max(1, int(called.sum()) + int(true.sum()))


def _backgrounds(truth: Truth, videos: Mapping[str, ShotLumas]) -> dict[tuple[str, int], np.ndarray]:
    """(video, shot) -> median of up to 15 frames, (90, 160) float."""
    grouped: dict[tuple[str, int], list[float]] = defaultdict(list)
    for frame in truth.frames:
        if frame.video in videos:
            grouped[frame.video, frame.shot].append(frame.time_s)
    out = {}
    for (video, shot), times in grouped.items():
        picked = [times[i] for i in np.linspace(0, len(times) - 1, min(15, len(times))).round().astype(int)]
        out[video, shot] = np.median([_luma_at(videos[video], t) for t in picked], axis=0)
    return out


def _luma_at(video: ShotLumas, time_s: float) -> np.ndarray:
    return video.lumas[int(np.argmin(np.abs(np.asarray(video.times) - time_s)))].astype(np.float32)


def _blobs(mask: np.ndarray) -> list[Box]:
    """Boxes (xyxy as shares of the picture) of connected parts that cover at least 0.3 % of it, small gaps closed."""
    from scipy import ndimage

    labels, _ = ndimage.label(ndimage.binary_closing(mask, iterations=2))
    height, width = mask.shape
    boxes = []
    for rows, columns in ndimage.find_objects(labels):
        if (rows.stop - rows.start) * (columns.stop - columns.start) >= 0.003 * mask.size:
            boxes.append((columns.start / width, rows.start / height, columns.stop / width, rows.stop / height))
    return boxes


def _count_hits(boxes: Iterable[Box], people: Sequence[TruePerson], video: ShotLumas) -> int:
    """People who have a box at IoU 0.5; a box serves once."""
    free, hits = list(boxes), 0
    for person in people:
        x0, y0, x1, y1 = person.xyxy
        target = (x0 / video.width, y0 / video.height, x1 / video.width, y1 / video.height)
        best = max(free, key=lambda box: iou(box, target), default=None)
        if best is not None and iou(best, target) >= SAME_PERSON:
            free.remove(best)
            hits += 1
    return hits


def _inside(box: Box, picture: np.ndarray) -> Box:
    """The box within the picture, at least two pixels wide and high."""
    height, width = picture.shape[:2]
    x0, y0 = min(max(0.0, box[0]), width - 2.0), min(max(0.0, box[1]), height - 2.0)
    return x0, y0, max(x0 + 2, min(float(width), box[2])), max(y0 + 2, min(float(height), box[3]))
