"""Figures cut out of their pictures: which pixels are the person's, from the predicted boxes and the colours alone.

The cut is the binary segmentation of Boykov & Jolly (2001), iterated as GrabCut does (Rother et al. 2004): colours of
the surroundings against colours of the box's core, a smoothness term that is cheap where the picture has an edge, and
a minimum cut. Drawings have few colours, so the colour models are histograms over the window's own palette.

A cut-out that is not sound is not used. The test is the outline: in a drawing a figure ends where the colour changes,
so an outline that runs through even colour has cut into the figure or taken something of the background along.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.cluster.vq import kmeans2, vq

from fullcast.mixture.composites.mincut import min_cut
from fullcast.mixture.crops import area, intersection
from fullcast.records import Box, Person
from fullcast.store.pictures import resize

PALETTE = 40
"""Colours of a window. Twice what a drawn figure and its surroundings have."""

REACH = 0.9
"""How far, in head heights, arms may reach out of the body's box: a raised hand does."""

NECK = 0.4
"""Length of a neck, in head heights below the head's box."""

ROUNDS = 3
"""Of colour model and cut; the third changes less than 1 % of the pixels."""

OUTLINE_STEP = 18.0
"""Range of a channel (0 to 255) within three pixels of the outline that counts as an edge of the drawing."""

OPENED = 2
"""Pixels: threads of background, and what hangs on by them, are thinner than twice this; heads are about 77 high."""

MAX_FOREIGN = 0.04
"""Share of a figure that may have colours of its surroundings."""

MAX_OUT_OF_BOX = 0.06
"""Share of a figure that may lie outside its boxes: more is a waving arm or, as likely, a pole behind it."""

MAX_BESIDE_HEAD = 0.05
"""Area beside the head, over the head's, above which a cut-out is not sound: a window behind it was taken along. Hands
raised beside the head go with it, which is the price."""


@dataclass(frozen=True)
class CutOut:
    """A figure without its background."""

    person: Person
    rgb: np.ndarray
    """(h, w, 3) uint8."""
    alpha: np.ndarray
    """(h, w) float32 in [0, 1]."""
    head_xyxy: Box
    """In pixels of ``rgb``."""
    outline: float
    """Share of the outline that lies on an edge of the drawing, in [0, 1]."""

    @property
    def head_height(self) -> float:
        return self.head_xyxy[3] - self.head_xyxy[1]


def cut_out(
    picture: np.ndarray,
    person: Person,
    others: Sequence[Box],
    floor: float,
    work_head_px: float,
    min_below: float = 0.9,
) -> CutOut | None:
    """The person of (H, W, 3) uint8 ``picture`` down to row ``floor``, or None if no sound cut was found.

    others: boxes of everybody else in it. work_head_px: larger heads are shrunk to it first.
    min_below: what must be seen of the figure below its head, in head heights. The figure ends at the bottom in a
    straight cut: it is meant to stand at the lower edge of a picture.
    """
    if person.head_xyxy is None:
        return None
    window = _window(picture, person, floor, min_below)
    if window is None:
        return None
    scale = min(1.0, work_head_px / (person.head_xyxy[3] - person.head_xyxy[1]))
    size = (max(8, round((window[2] - window[0]) * scale)), max(8, round((window[3] - window[1]) * scale)))
    rgb = resize(picture, size, box=window)

    def moved(box: Box) -> Box:
        return tuple(  # type: ignore[return-value]
            (v - window[i % 2]) * size[i % 2] / (window[2 + i % 2] - window[i % 2]) for i, v in enumerate(box)
        )

    head, body = moved(person.head_xyxy), moved(person.xyxy)
    mask = _cut(rgb, head, body, [moved(box) for box in others])
    if mask is None:
        return None
    mask = _down_to_the_hips(mask, head)
    outline = outline_on_edges(rgb, mask)
    if not _is_sound(mask, head, body, min_below):
        return None
    return _trimmed(person, rgb, mask, head, outline)


def _window(picture: np.ndarray, person: Person, floor: float, min_below: float) -> Box | None:
    """The body's box with room for arms and surroundings, inside the picture; None where the head touches an edge."""
    height, width = picture.shape[:2]
    head = person.head_xyxy
    assert head is not None
    high = head[3] - head[1]
    if head[0] < 2 or head[1] < 2 or head[2] > width - 2 or head[3] + (min_below + 0.1) * high > min(height, floor):
        return None
    x0, y0, x1, y1 = person.xyxy
    side = (REACH + 0.4) * high
    bottom = min(floor, y1 - 0.05 * (y1 - y0), height)
    return max(0.0, x0 - side), max(0.0, min(y0, head[1]) - 0.5 * high), min(float(width), x1 + side), bottom


def _cut(rgb: np.ndarray, head: Box, body: Box, others: Sequence[Box]) -> np.ndarray | None:
    """(h, w) bool: the figure; None when the colours tell nothing."""
    high = head[3] - head[1]
    rows, columns = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    outside = ~_inside(rows, columns, body, high * REACH) | (rows < head[1] - 0.2 * high)
    around = ~_inside(rows, columns, _union(body, head), 0.08 * high)
    not_theirs = np.ones(rgb.shape[:2], bool)
    for box in others:
        stranger = _inside(rows, columns, box, 0.15 * high) & ~_inside(rows, columns, body, 0.0)
        outside |= stranger
        not_theirs &= ~stranger
    core = _core(rows, columns, head, body)
    if (around & not_theirs).sum() < 50 or core.sum() < 50:
        return None
    palette, label = _palette(rgb)
    weights = _edges(rgb)
    behind = _behind(label, around, outside, core, high)
    mask = _inside(rows, columns, _union(body, head), -0.06 * (body[2] - body[0])) & ~behind
    background = (around & not_theirs) | behind
    for _ in range(ROUNDS):
        cost = _log_ratio(label, mask | core, background, len(palette))
        cost = np.where(around, np.minimum(cost, 1.0) - 0.6, cost)  # a figure outside its box is the exception
        cost = np.where(core, 50.0, np.where(outside, -50.0, np.where(behind, -6.0, cost)))
        mask = min_cut(cost, weights)
        background = (around & not_theirs & ~mask) | (outside & not_theirs) | behind
    mask = _without_rim(label, mask, core, background, len(palette))
    if _foreign_colours(label, mask, core, background, len(palette))[1] > MAX_FOREIGN:
        return None
    found, _ = ndimage.label(mask)
    main = np.bincount(found[core & mask].ravel(), minlength=1)
    if len(main) < 2:
        return None
    mask = found == int(np.argmax(main[1:])) + 1
    return _without_holes(ndimage.binary_opening(mask, iterations=OPENED) | (mask & core), head)


def _behind(label: np.ndarray, around: np.ndarray, outside: np.ndarray, core: np.ndarray, high: float) -> np.ndarray:
    """(h, w) bool: even areas that go on beyond the box. A window behind a shoulder does, a sleeve hardly."""
    behind = np.zeros(label.shape, bool)
    for colour in np.unique(label):
        areas, count = ndimage.label(label == colour)
        sizes = np.bincount(areas.ravel(), minlength=count + 1)
        beyond = np.bincount(areas[around], minlength=count + 1)
        reaching = np.bincount(areas[outside], minlength=count + 1) > 0
        sure = np.bincount(areas[core], minlength=count + 1) > 0.02 * sizes
        goes_on = (beyond > 0.3 * sizes) & (reaching | (beyond > 0.15 * high * high)) & ~sure
        goes_on[0] = False
        behind |= goes_on[areas]
    return behind


def _without_holes(mask: np.ndarray, head: Box) -> np.ndarray:
    """Holes in the head are eyes and flowers in a colour of the background; a small one elsewhere is a button."""
    holes, count = ndimage.label(ndimage.binary_fill_holes(mask) & ~mask)
    high = head[3] - head[1]
    for number, where in enumerate(ndimage.find_objects(holes, count), start=1):
        inside = holes[where] == number
        if where[0].start < head[3] - 0.1 * high or inside.sum() < 0.02 * high * high:
            mask[where] |= inside
    return mask


def _inside(rows: np.ndarray, columns: np.ndarray, box: Box, margin: float) -> np.ndarray:
    x0, y0, x1, y1 = box
    across = (columns >= x0 - margin) & (columns < x1 + margin)
    return across & (rows >= y0 - margin) & (rows < y1 + margin)


def _union(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _core(rows: np.ndarray, columns: np.ndarray, head: Box, body: Box) -> np.ndarray:
    """What is surely the figure: the inner half of the head and a strip below it."""
    x, y = (head[0] + head[2]) / 2, (head[1] + head[3]) / 2
    wide, high = head[2] - head[0], head[3] - head[1]
    face = ((columns - x) / (0.30 * wide)) ** 2 + ((rows - y) / (0.33 * high)) ** 2 < 1
    strip = (np.abs(columns - x) < 0.14 * wide) & (rows > y) & (rows < min(body[3], head[3] + 1.3 * high))
    return face | strip


def _palette(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(k, 3) colours and (h, w) the index of each pixel's: k-means over the window, started at spread-out pixels."""
    pixels = rgb.reshape(-1, 3).astype(np.float32)
    order = np.lexsort(pixels.T)
    start = pixels[order[np.linspace(0, len(order) - 1, PALETTE).astype(int)]]
    with warnings.catch_warnings():  # a start that no pixel is nearest to stays where it is, and harms nothing
        warnings.simplefilter("ignore", UserWarning)
        centres, _ = kmeans2(pixels[:: max(1, len(pixels) // 6000)], start, iter=8, minit="matrix")
    return centres, vq(pixels, centres)[0].reshape(rgb.shape[:2])


def _log_ratio(label: np.ndarray, figure: np.ndarray, background: np.ndarray, count: int) -> np.ndarray:
    """(h, w) log of how much likelier a colour is in the figure, clipped to [-3, 3]."""
    f = np.bincount(label[figure], minlength=count) + 2.0
    b = np.bincount(label[background], minlength=count) + 2.0
    return np.clip(np.log(f / f.sum()) - np.log(b / b.sum()), -3, 3)[label]


def _without_rim(
    label: np.ndarray, mask: np.ndarray, core: np.ndarray, background: np.ndarray, count: int
) -> np.ndarray:
    """The figure without what of the surroundings hangs on its outline: pieces in foreign colours that reach out of it.

    The cut takes along what lies between an arm and the body, or the strip to the box's edge, where the way around it
    is longer than the way past it. Pieces enclosed by the figure stay, and count against it.
    """
    for _ in range(ROUNDS):
        foreign, share = _foreign_colours(label, mask, core, background, count)
        if share == 0:
            break
        pieces, number = ndimage.label(mask & foreign[label])
        outside = ndimage.binary_dilation(~mask, border_value=1)
        rim = np.zeros(number + 1, bool)
        rim[np.unique(pieces[outside])] = True
        rim[0] = False
        if not rim.any():
            break
        mask = mask & ~rim[pieces]
    return mask


def _foreign_colours(
    label: np.ndarray, mask: np.ndarray, core: np.ndarray, background: np.ndarray, count: int
) -> tuple[np.ndarray, float]:
    """((count,) bool: colours that the figure's core has hardly and its surroundings have plenty of; the share of the
    figure in them)."""
    inside = np.bincount(label[mask], minlength=count)
    sure = np.bincount(label[mask & core], minlength=count)
    behind = np.bincount(label[background & ~mask], minlength=count)
    foreign = (behind > 0.5 * inside) & (sure < 0.03 * inside)
    return foreign & (inside > 0), float(inside[foreign].sum() / max(1, inside.sum()))


def _edges(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Costs of a cut between a pixel and its right (h, w-1) and lower (h-1, w) neighbour."""
    values = rgb.astype(np.float32)
    steps = [np.square(np.diff(values, axis=axis)).sum(-1) for axis in (1, 0)]
    beta = 1 / (2 * max(1e-6, float(np.mean(np.concatenate([s.ravel() for s in steps])))))
    return tuple(0.3 + 3.0 * np.exp(-beta * s) for s in steps)  # type: ignore[return-value]


def _down_to_the_hips(mask: np.ndarray, head: Box) -> np.ndarray:
    """Cut off where the figure no longer fills its middle: between the legs, behind a fence. A neck is thinner."""
    x, half = (head[0] + head[2]) / 2, 0.3 * (head[2] - head[0])
    strip = mask[:, max(0, round(x - half)) : round(x + half) + 1]
    filled = strip.mean(axis=1) >= 0.8 if strip.size else np.zeros(len(mask), bool)
    shoulders = round(head[3] + NECK * (head[3] - head[1]))
    below = np.flatnonzero(~filled[shoulders:])
    end = shoulders + int(below[0]) if len(below) else len(mask)
    return mask[:end]


def outline_on_edges(rgb: np.ndarray, mask: np.ndarray) -> float:
    """Share of the outline (the straight cut below left out) at which the colours inside and outside differ."""
    rgb = rgb[: len(mask)].astype(np.float32)
    inside = mask & ~ndimage.binary_erosion(mask, border_value=1)
    inside[-3:] = False
    low = np.stack([ndimage.minimum_filter(rgb[..., c], 7) for c in range(3)], -1)
    high = np.stack([ndimage.maximum_filter(rgb[..., c], 7) for c in range(3)], -1)
    return float(((high - low).max(-1)[inside] >= OUTLINE_STEP).mean()) if inside.any() else 0.0


def _is_sound(mask: np.ndarray, head: Box, body: Box, min_below: float) -> bool:
    """Whether shape and size are those of a figure with this head."""
    high = head[3] - head[1]
    if len(mask) < head[3] + min_below * high or not mask.any():
        return False
    x0, y0, x1, y1 = (round(v) for v in head)
    skull = mask[max(0, y0) : y1, max(0, x0) : x1].mean()
    rows, columns = np.nonzero(mask)
    reach = 0.08 * high
    in_box = np.zeros_like(mask)
    for box in (head, body):
        left, top = max(0, round(box[0] - reach)), max(0, round(box[1] - reach))
        in_box[top : round(box[3] + reach), left : round(box[2] + reach)] = True
    in_boxes = (mask & ~in_box).sum() <= MAX_OUT_OF_BOX * mask.sum()
    top_fits = abs(rows.min() - head[1]) < 0.22 * high
    wide = 0.12 * (head[2] - head[0])
    neck, left, right = round(head[3] - 0.1 * high), max(0, round(head[0] - wide)), round(head[2] + wide)
    beside = mask[:neck, :left].sum() + mask[:neck, right:].sum() <= MAX_BESIDE_HEAD * area(head)
    away = mask[:, : max(0, round(body[0] - 0.75 * high))].any() or mask[:, round(body[2] + 0.75 * high) :].any()
    return bool(0.5 <= skull <= 0.99 and top_fits and in_boxes and beside and not away)


def _trimmed(person: Person, rgb: np.ndarray, mask: np.ndarray, head: Box, outline: float) -> CutOut:
    """The figure's rectangle, its edge pulled in by a pixel: those on the edge hold colour of the background."""
    solid = ndimage.binary_erosion(mask, iterations=1, border_value=1)
    alpha = np.clip(ndimage.gaussian_filter(solid.astype(np.float32), 0.7) * 1.6 - 0.3, 0, 1)
    rows, columns = np.nonzero(alpha > 0.02)
    y0, y1, x0, x1 = rows.min(), len(mask), columns.min(), columns.max() + 1
    box = (head[0] - x0, head[1] - y0, head[2] - x0, head[3] - y0)
    return CutOut(person, rgb[y0:y1, x0:x1], alpha[y0:y1, x0:x1], box, outline)


def covered(box: Box, others: Sequence[Box]) -> float:
    """Largest share of ``box`` that lies in one of the other boxes, in [0, 1]."""
    return max((area(intersection(box, other)) for other in others), default=0.0) / max(area(box), 1e-9)
