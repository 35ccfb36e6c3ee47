"""Small real ONNX graphs with the signatures of the foreign families, for tests of doors and of what stands on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MARKER = (255, 0, 255)
"""A square of this colour, CELL pixels wide, is what the marker detector sees."""
CELL = 8


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Mapping[str, Sequence[int | str]],
    constants: Mapping[str, np.ndarray],
    metadata: Mapping[str, str] | None = None,
    half: bool = False,
) -> Path:
    """Writes a graph; `half`: inputs, outputs and constants in float16."""
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT

    def constant(name: str, value: np.ndarray) -> onnx.TensorProto:
        if value.dtype.kind == "f":
            value = value.astype(np.float16 if half else np.float32)
        return numpy_helper.from_array(value, name)

    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in outputs.items()],
        [constant(name, value) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def constant_yolo(
    path: Path,
    output: np.ndarray,
    height: int,
    width: int,
    names: str = "{0: 'person', 1: 'head'}",
    batch: int | str = "B",
) -> Path:
    """A detector that answers `output` (4 + C, N) for every picture, whatever is on it."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Squeeze", ["mean", "last"], ["flat"]),
        helper.make_node("Mul", ["flat", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "answer"], ["output0"]),
    ]
    constants = {"last": np.array([3]), "zero": np.zeros(1), "answer": output[None].astype(float)}
    shapes = {"images": [batch, 3, height, width]}, {"output0": [batch, *output.shape]}
    return save(path, nodes, *shapes, constants, {"names": names, "imgsz": str([height, width])})


def marker_yolo(path: Path, height: int, width: int, head: int = 40, body: tuple[int, int] = (64, 120)) -> Path:
    """A detector of drawn figures: around each magenta CELL x CELL square, aligned to the grid, a head and a person.

    The head is `head` pixels square with the marker in its centre; the person has the head at its top.
    """
    rows, columns = height // CELL, width // CELL
    y, x = np.mgrid[0:rows, 0:columns].reshape(2, -1) * CELL + CELL / 2
    full = np.ones_like(x, dtype=float)
    heads = np.stack([x, y, full * head, full * head])
    people = np.stack([x, y - head / 2 + body[1] / 2, full * body[0], full * body[1]])
    weights = np.array([1, -1, 1], dtype=float).reshape(1, 3, 1, 1)  # 2 for magenta, at most 1 for all that is not
    cells = rows * columns
    nodes = [
        helper.make_node("AveragePool", ["images"], ["cells"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("Conv", ["cells", "weights", "bias"], ["match"]),
        helper.make_node("Reshape", ["match", "as_row"], ["row"]),
        helper.make_node("Mul", ["row", "zero"], ["nothing"]),
        helper.make_node("Concat", ["row", "nothing"], ["person_row"], axis=2),
        helper.make_node("Concat", ["nothing", "row"], ["head_row"], axis=2),
        helper.make_node("Add", ["nothing_boxes", "boxes"], ["placed"]),
        helper.make_node("Concat", ["nothing", "nothing"], ["wide"], axis=2),
        helper.make_node("Concat", ["wide", "wide", "wide", "wide"], ["nothing_boxes"], axis=1),
        helper.make_node("Concat", ["placed", "person_row", "head_row"], ["output0"], axis=1),
    ]
    nodes = [*nodes[:6], nodes[7], nodes[8], nodes[6], nodes[9]]
    constants = {
        "weights": weights,
        "bias": np.array([-1.05]),  # magenta: 0.95
        "as_row": np.array([0, 1, cells]),
        "zero": np.zeros(1),
        "boxes": np.concatenate([people, heads], axis=1)[None],
    }
    shapes = {"images": ["B", 3, height, width]}, {"output0": ["B", 6, 2 * cells]}
    return save(path, nodes, *shapes, constants, {"names": "{0: 'person', 1: 'head'}", "threshold": "0.5"})


def colour_embedder(
    path: Path, size: int = 16, dim: int = 8, metadata: Mapping[str, str] | None = None, half: bool = False
) -> Path:
    """An embedder whose vector is a fixed linear map of the crop's mean colour (less grey)."""
    projection = np.linalg.qr(np.random.default_rng(0).normal(size=(dim, dim)))[0][:3]
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("ReduceMean", ["mean"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["mean", "grey"], ["colour"]),
        helper.make_node("MatMul", ["colour", "projection"], ["output"]),
    ]
    shapes = {"input": ["B", 3, size, size]}, {"output": ["B", dim]}
    return save(path, nodes, *shapes, {"projection": projection}, metadata, half)


def mean_tagger(path: Path, size: int = 8, weights: np.ndarray | None = None, bias: np.ndarray | None = None) -> Path:
    """A tagger: sigmoid of a linear map (3, T) of the mean B, G, R in 0 to 255."""
    weights = np.eye(3) if weights is None else weights
    bias = np.zeros(weights.shape[1]) if bias is None else bias
    nodes = [
        helper.make_node("ReduceMean", ["input_1"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["predictions"]),
    ]
    shapes = {"input_1": ["B", size, size, 3]}, {"predictions": ["B", weights.shape[1]]}
    return save(path, nodes, *shapes, {"weights": weights, "bias": bias})
