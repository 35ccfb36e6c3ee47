"""The CCIP door: resize, CLIP normalisation, unit vectors, metadata, half precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from fullcast.models.ccip import CcipEmbedder
from fullcast.store.errors import FullcastError
from tests import onnx_graphs

MEAN, STD = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])


def identity(path: Path, size: int, half: bool = False) -> Path:
    """Gives back the prepared pixels themselves."""
    shapes = {"input": ["B", 3, size, size]}, {"output": ["B", 3 * size * size]}
    return onnx_graphs.save(path, [helper.make_node("Flatten", ["input"], ["output"])], *shapes, {}, half=half)


def test_pixels_reach_the_network_in_clip_normalisation_and_vectors_are_unit(tmp_path: Path) -> None:
    crop = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    vector = CcipEmbedder(identity(tmp_path / "id.onnx", 4), threads=1).embed([crop])[0]
    expected = ((crop / 255 - MEAN) / STD).transpose(2, 0, 1).ravel()
    assert np.allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)
    assert vector.dtype == np.float32


def test_aspect_ratio_is_not_kept_and_the_filter_is_bilinear(tmp_path: Path) -> None:
    """8 wide, 4 high, left half black, right half white, to 4x4: bilinear with antialias mixes 1/8 over the edge."""
    crop = np.zeros((4, 8, 3), np.uint8)
    crop[:, 4:] = 255
    prepared = CcipEmbedder(identity(tmp_path / "id.onnx", 4), threads=1).prepare(crop)
    row = prepared[0, 0] * STD[0] + MEAN[0]
    assert np.allclose(row, [0, 1 / 8, 7 / 8, 1], atol=0.005)


@pytest.mark.parametrize("half", [False, True])
def test_a_batch_equals_its_members_and_half_precision_is_close(tmp_path: Path, half: bool) -> None:
    door = CcipEmbedder(onnx_graphs.colour_embedder(tmp_path / "c.onnx", half=half), threads=1, batch=2)
    crops = [np.full((9, 5 + i, 3), (40 * i, 200, 30), np.uint8) for i in range(5)]
    together = door.embed(crops)
    assert together.shape == (5, door.dim) == (5, 8)
    assert np.allclose(together, np.concatenate([door.embed([crop]) for crop in crops]), atol=1e-6)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    full = CcipEmbedder(onnx_graphs.colour_embedder(tmp_path / "full.onnx"), threads=1).embed(crops)
    assert np.allclose(together, full, atol=0.01)
    assert door.embed([]).shape == (0, 8)


def test_the_file_states_its_threshold_and_its_crop_and_the_caller_may_overrule(tmp_path: Path) -> None:
    path = onnx_graphs.colour_embedder(tmp_path / "c.onnx", metadata={"threshold": "0.62", "crop_scale": "1.3"})
    door = CcipEmbedder(path, threads=1)
    assert (door.threshold, door.crop_scale, door.size) == (0.62, 1.3, 16)
    assert door.pair_threshold == 0.62  # a file that states one means both
    assert CcipEmbedder(path, threshold=0.4, threads=1).threshold == 0.4
    both = onnx_graphs.colour_embedder(tmp_path / "b.onnx", metadata={"threshold": "0.6", "pair_threshold": "0.4"})
    assert (CcipEmbedder(both, threads=1).threshold, CcipEmbedder(both, threads=1).pair_threshold) == (0.6, 0.4)
    assert CcipEmbedder(both, threshold=0.5, threads=1).pair_threshold == 0.5
    plain = CcipEmbedder(onnx_graphs.colour_embedder(tmp_path / "plain.onnx"), threads=1)
    assert (plain.threshold, plain.crop_scale) == (0.5, 1.5)


def test_a_detector_is_no_embedder(tmp_path: Path) -> None:
    path = onnx_graphs.constant_yolo(tmp_path / "det.onnx", np.zeros((6, 4)), 32, 32)
    with pytest.raises(FullcastError, match="is no CCIP embedder: it takes images"):
        CcipEmbedder(path)
