"""Segmenters: on figures drawn here, whose pixels are known."""

from __future__ import annotations

import numpy as np

from fullcast.models.segment import BoxSegmenter, GraphCutSegmenter
from fullcast.records import Box


def scene() -> tuple[np.ndarray, list[np.ndarray], list[tuple[Box, Box]]]:
    """Two figures of flat colours before a ramp: their picture, masks, and (box, head box)."""
    y, x = np.mgrid[0:160, 0:240]
    picture = np.stack([60 + x // 4, 90 + y // 3, 160 - x // 5], axis=-1).astype(np.uint8)
    masks, people = [], []
    for middle, hair, dress in ((70, (190, 70, 60), (240, 230, 120)), (170, (40, 30, 30), (120, 200, 130))):
        head = np.hypot((x - middle) / 22, (y - 50) / 26) <= 1
        body = (y > 70) & (np.abs(x - middle) < 12 + (y - 70) * 0.3)
        picture[body] = dress
        picture[head] = hair
        masks.append(head | body)
        ys, xs = np.nonzero(head | body)
        box = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
        people.append((box, (middle - 22.0, 24.0, middle + 22.0, 76.0)))
    return picture, masks, people


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_a_graph_cut_follows_the_figure_and_the_box_does_not() -> None:
    picture, masks, people = scene()
    cut, box = GraphCutSegmenter().segment(picture, people), BoxSegmenter().segment(picture, people)
    assert cut.shape == box.shape == (2, 160, 240) and cut.dtype == bool
    for i, true in enumerate(masks):
        assert overlap(cut[i], true) > 0.9 > overlap(box[i], true)


def test_no_pixel_is_of_two_figures_and_none_lies_far_from_its_box() -> None:
    picture, _, people = scene()
    near = [people[0], ((60.0, 24.0, 140.0, 160.0), None)]
    for segmenter in (GraphCutSegmenter(), BoxSegmenter()):
        found = segmenter.segment(picture, near)
        assert not (found[0] & found[1]).any()
        assert not found[0][:, :20].any() and not found[0][:, 140:].any()


def test_nobody_and_boxes_of_no_size_have_empty_masks() -> None:
    picture, _, _ = scene()
    assert GraphCutSegmenter().segment(picture, []).shape == (0, 160, 240)
    assert not GraphCutSegmenter().segment(picture, [((5.0, 5.0, 6.0, 6.0), None)]).any()
