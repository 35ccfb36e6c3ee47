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
from recipes.pocket.bank import Bank
from recipes.pocket.nets import Detector, TaggerNet
from recipes.pocket.state import SHIPPED, state_dir, weights_of

OPSET = 17
DETECTOR_THRESHOLD = 0.5
TAGGER_THRESHOLD = 0.5


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
    threshold = held_out_threshold(net.eval(), which)
    print(which, "threshold", threshold)
    metadata = {"threshold": f"{threshold:.4f}", "crop_scale": str(embedder.CROP_SCALE)}
    example = torch.zeros(1, 3, embedder.SIZE, embedder.SIZE)
    write(net, example, SHIPPED / embedder.WHICH[which].file, ("input", "output"), metadata)


def held_out_threshold(net: nn.Module, which: str) -> float:
    """Cosine at which as many strangers pass as known people are refused, on identities that the net never saw.

    Known: nearest of up to eight other crops of the same identity; strangers: nearest crop of sixteen other identities.
    """
    crops = embedder.Crops(Bank.load(), 1 - embedder.WHICH[which].parity, embedder.WHICH[which].sizes)
    vectors, labels = [], []
    with torch.no_grad():
        for step in range(40):
            x, y = crops.batch("threshold", step)
            vectors.append(net(x))
            labels.append(y)
    v, y = torch.cat(vectors).numpy(), torch.cat(labels).numpy()
    similarity = v @ v.T
    np.fill_diagonal(similarity, -1)
    rng = np.random.default_rng(5)
    known, strangers = [], []
    for i in range(len(y)):
        same = np.nonzero((y == y[i]) & (np.arange(len(y)) != i))[0][:8]
        if len(same) >= 3:
            known.append(similarity[i, same].max())
            other = rng.choice(np.nonzero(y != y[i])[0], 64, replace=False)
            strangers.append(similarity[i, other].max())
    grid = np.linspace(-0.2, 1, 241)
    refused = np.array([(np.array(known) < t).mean() for t in grid])
    passed = np.array([(np.array(strangers) >= t).mean() for t in grid])
    best = int(np.abs(refused - passed).argmin())
    print(which, "equal error", round(float(refused[best]), 4), "on", len(known))
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
