"""Writes what was trained as the files that ship: src/fullcast/pocket/weights/. Parts that are not trained are left out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from recipes.pocket import detector, embedder, tagger
from recipes.pocket.crops import CROP_SCALE, SIZE
from recipes.pocket.nets import Detector, TaggerNet
from recipes.pocket.state import SHIPPED, state_dir, weights_of

OPSET = 17
DETECTOR_THRESHOLD = 0.5
TAGGER_THRESHOLD = 0.5
HELD_OUT_PICTURES = 2_000


class Decoded(nn.Module):
    def __init__(self, net: Detector) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        return self.net.decode(images)


def write(net: nn.Module, example: Tensor, path: Path, names: tuple[str, str], metadata: dict[str, str]) -> None:
    """One ONNX file with a free batch axis, weights as float16 that are cast when it is loaded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        net.eval(), (example,), str(path), input_names=[names[0]], output_names=[names[1]], opset_version=OPSET,
        dynamic_axes={names[0]: {0: "batch"}, names[1]: {0: "batch"}}, dynamo=False,
    )  # fmt: skip
    model = halved(onnx.load(str(path)))
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, str(path))


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights stored as float16 behind a Cast; the computation stays float32."""
    graph = model.graph
    casts = []
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < 256:
            continue
        half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name + ".half")
        casts.append(helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
        graph.initializer.remove(tensor)
        graph.initializer.append(half)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def export_detector() -> None:
    net = Detector()
    net.load_state_dict(weights_of("detector"))
    names = json.dumps({0: "person", 1: "head"})
    example = torch.zeros(1, 3, detector.HEIGHT, detector.WIDTH)
    size = f"[{detector.HEIGHT}, {detector.WIDTH}]"
    metadata = {"names": names, "threshold": str(DETECTOR_THRESHOLD), "imgsz": size, "letterbox": "true"}
    write(Decoded(net), example, SHIPPED / "pocket-detector.onnx", ("images", "output0"), metadata)


def export_embedder(which: str) -> None:
    net = embedder.WHICH[which].net()
    net.load_state_dict(weights_of(f"embedder-{which}"))
    vectors, labels = held_out(net.eval(), which)
    threshold, pair = equal_error(vectors, labels, 8, 64), equal_error(vectors, labels, 1, 16)
    metadata = {"threshold": f"{threshold:.4f}", "pair_threshold": f"{pair:.4f}", "crop_scale": str(CROP_SCALE)}
    example = torch.zeros(1, 3, SIZE, SIZE)
    write(net, example, SHIPPED / embedder.WHICH[which].file, ("input", "output"), metadata)


def held_out(net: nn.Module, which: str) -> tuple[np.ndarray, np.ndarray]:
    """((N, D) unit vectors, (N,) identities) of people whom the network never saw."""
    crops = embedder.WHICH[which].unseen(HELD_OUT_PICTURES)
    vectors, labels = [], []
    with torch.no_grad():
        for step in range(min(40, len(crops.identities) // embedder.BATCH)):
            x, y, _ = embedder.batch(crops, step)
            vectors.append(net(x))
            labels.append(y)
    return torch.cat(vectors).numpy(), torch.cat(labels).numpy()


def equal_error(v: np.ndarray, y: np.ndarray, references: int, strangers: int) -> float:
    """Cosine at which as many strangers pass as known people are refused.

    Known: the nearest of up to so many other crops of the same identity; strangers: the nearest of so many of others.
    """
    similarity = v @ v.T
    np.fill_diagonal(similarity, -1)
    rng = np.random.default_rng(5)
    known, foreign = [], []
    for i in range(len(y)):
        same = np.nonzero((y == y[i]) & (np.arange(len(y)) != i))[0]
        if len(same) >= 3:
            known.append(similarity[i, rng.permutation(same)[:references]].max())
            foreign.append(similarity[i, rng.choice(np.nonzero(y != y[i])[0], strangers, replace=False)].max())
    grid = np.linspace(-0.2, 1, 241)
    refused = np.array([(np.array(known) < t).mean() for t in grid])
    passed = np.array([(np.array(foreign) >= t).mean() for t in grid])
    best = int(np.abs(refused - passed).argmin())
    print(f"nearest of {references}: threshold {grid[best]:.3f}, equal error {refused[best]:.4f} on {len(known)}")
    return float(grid[best])


def export_tagger() -> None:
    net = TaggerNet(len(tagger.TAGS))
    net.load_state_dict(weights_of("tagger"))
    folder = SHIPPED / "pocket-tagger"
    example = torch.zeros(1, tagger.SIZE, tagger.SIZE, 3)
    write(net, example, folder / "model.onnx", ("input", "output"), {"threshold": str(TAGGER_THRESHOLD)})
    with (folder / "selected_tags.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["tag_id", "name", "category", "count"])
        rows.writerows([k, tag.replace(" ", "_"), 0, 0] for k, tag in enumerate(tagger.TAGS))


def export_base() -> None:
    from fullcast.models.stable_diffusion.family import StableDiffusion
    from fullcast.store.atomic import replacing_dir

    checkpoints = sorted((state_dir("base") / "run" / "checkpoints").glob("step-*"))
    with replacing_dir(SHIPPED / "pocket-base") as folder:
        StableDiffusion.load(checkpoints[-1]).write(folder, torch.float16)


def main() -> None:
    done = []
    for name, ready, export in (
        ("detector", state_dir("detector") / "state.safetensors", export_detector),
        ("labeller", state_dir("embedder-labeller") / "state.safetensors", lambda: export_embedder("labeller")),
        ("judge", state_dir("embedder-judge") / "state.safetensors", lambda: export_embedder("judge")),
        ("tagger", state_dir("tagger") / "state.safetensors", export_tagger),
        ("base", state_dir("base") / "run" / "checkpoints", export_base),
    ):
        if ready.exists():
            export()
            done.append(name)
    total = sum(p.stat().st_size for p in SHIPPED.rglob("*") if p.is_file())
    print("exported", ", ".join(done), f"{total / 1e6:.1f} MB in {SHIPPED}")


if __name__ == "__main__":
    main()
