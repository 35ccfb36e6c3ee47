"""Makes ``expected.json``: what dghs-imgutils (MIT) answers on small graphs of the foreign networks' signatures.

Run once, in an environment of its own that holds dghs-imgutils, onnx and nothing of Fullcast's:

    python -m venv golden && golden/bin/pip install dghs-imgutils onnx
    golden/bin/python tests/models/golden/make.py

The hub is faked: `hf_hub_download` hands out the graphs that lie beside this file. They are tiny and random, but they
look: every output depends on pixels, so that a wrong order of channels, filter, size, padding or normalisation shows.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

HERE = Path(__file__).parent
GRAPHS = HERE / "graphs"
FLOAT = TensorProto.FLOAT

YOLO = {  # task: folder, labels, (imgsz) as the repositories have them, all with the thresholds of their own call
    "face": ("anime_face_detection/face_detect_v1.4_s", ["face"]),
    "head": ("anime_head_detection/head_detect_v2.0_s", ["head"]),
    "person": ("anime_person_detection/person_detect_v1.1_m", ["person"]),
    "halfbody": ("anime_halfbody_detection/halfbody_detect_v1.0_s", ["halfbody"]),
    "hand": ("anime_hand_detection/hand_detect_v1.0_s", ["hand"]),
    "censor": ("anime_censor_detection/censor_detect_v1.0_s", ["nipple_f", "penis", "pussy"]),
}
WD = {"SwinV2_v3": "wd-swinv2-tagger-v3", "ConvNextV2": "wd-v1-4-convnextv2-tagger-v2"}
CCIP = "ccip-caformer-24-randaug-pruned"
TEXT = "ch_PP-OCRv4_det"
CLASSES = {  # folder: labels, in an order of their own
    "anime_classification/mobilenetv3_v1.5_dist": ["3d", "bangumi", "comic", "illustration", "not_painting"],
    "anime_aesthetic/swinv2pv3_v0_448_ls0.2_x": ["masterpiece", "best", "great", "good", "normal", "low", "worst"],
}

TAGS = [  # name, category
    *(("general", 9), ("sensitive", 9), ("questionable", 9), ("explicit", 9)),
    *(
        (name, 0)
        for name in ("1girl", "long_hair", "^_^", "o_o", ">_@", "3:", "c.c._(cosplay)", "d_d", "|_|", "6+girls")
    ),
    *((name, 4) for name in ("hatsune_miku", "aoi_(show)", "k_(series)")),
]


def save(path, nodes, inputs, outputs, constants, metadata=None):
    graph = helper.make_graph(
        nodes,
        "golden",
        [helper.make_tensor_value_info(n, FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, metadata or {})
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())


def make_yolo(path, labels, seed, size=64, cell=8):
    """Each cell's mean colour goes through a fixed map to box offsets and scores; boxes overlap on purpose."""
    rng = np.random.default_rng(seed)
    n = (size // cell) ** 2
    weights = np.zeros((4 + len(labels), 3, 1, 1), np.float32)
    weights[:4] = rng.normal(scale=6, size=(4, 3, 1, 1))
    weights[4:] = rng.normal(scale=4, size=(len(labels), 3, 1, 1))
    bias = -weights.sum(axis=(1, 2, 3)) / 2 - 0.8 * (np.arange(4 + len(labels)) > 3)  # grey scores 0.3
    y, x = np.mgrid[0 : size // cell, 0 : size // cell].reshape(2, -1) * cell + cell / 2
    base = np.stack([x, y, np.full(n, 22.0), np.full(n, 26.0)])[None].astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["images"], ["cells"], kernel_shape=[cell, cell], strides=[cell, cell]),
        helper.make_node("Conv", ["cells", "weights", "bias"], ["maps"]),
        helper.make_node("Reshape", ["maps", "shape"], ["rows"]),
        helper.make_node("Split", ["rows", "parts"], ["offsets", "logits"], axis=1),
        helper.make_node("Add", ["offsets", "base"], ["boxes"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["output0"], axis=1),
    ]
    constants = {
        "weights": weights,
        "bias": bias.astype(np.float32),
        "shape": np.array([0, 4 + len(labels), n], np.int64),
        "parts": np.array([4, len(labels)], np.int64),
        "base": base,
    }
    shapes = {"images": ["B", 3, size, size]}, {"output0": ["B", 4 + len(labels), n]}
    names = str(dict(enumerate(labels)))
    save(path, nodes, *shapes, constants, {"names": names, "imgsz": str([size, size])})


def make_wd(path, seed, size=448):
    """Means of a 4x4 grid of the picture, B, G, R apart, through a fixed map and a sigmoid; a second output."""
    rng = np.random.default_rng(seed)
    nodes = [
        helper.make_node("Transpose", ["input_1"], ["chw"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["chw"], ["grid"], kernel_shape=[112, 112], strides=[112, 112]),
        helper.make_node("Flatten", ["grid"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["predictions"]),
        helper.make_node("Identity", ["flat"], ["embedding"]),
    ]
    weights = rng.normal(scale=0.006, size=(48, len(TAGS))).astype(np.float32)
    bias = rng.normal(scale=1.0, size=len(TAGS)).astype(np.float32)
    outputs = {"predictions": ["B", len(TAGS)], "embedding": ["B", 48]}
    save(path, nodes, {"input_1": ["B", size, size, 3]}, outputs, {"weights": weights, "bias": bias})


def make_ccip(folder, seed=7, size=384):
    rng = np.random.default_rng(seed)
    feat = [
        helper.make_node("AveragePool", ["input"], ["grid"], kernel_shape=[96, 96], strides=[96, 96]),
        helper.make_node("Flatten", ["grid"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["output"]),
    ]
    weights = rng.normal(size=(48, 16)).astype(np.float32)
    save(folder / "model_feat.onnx", feat, {"input": ["B", 3, size, size]}, {"output": ["B", 16]}, {"weights": weights})
    metric = [
        helper.make_node("Mul", ["input", "input"], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "last"], ["sums"], keepdims=1),
        helper.make_node("Sqrt", ["sums"], ["lengths"]),
        helper.make_node("Div", ["input", "lengths"], ["unit"]),
        helper.make_node("Transpose", ["unit"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["unit", "turned"], ["cosine"]),
        helper.make_node("Sub", ["one", "cosine"], ["distance"]),
        helper.make_node("Mul", ["distance", "half"], ["output"]),
    ]
    constants = {"last": np.array([1], np.int64), "one": np.ones(1, np.float32), "half": np.full(1, 0.5, np.float32)}
    save(folder / "model_metrics.onnx", metric, {"input": ["N", 16]}, {"output": ["N", "N"]}, constants)
    (folder / "metrics.json").write_text(json.dumps({"threshold": 0.17847511429108218}))


def make_text(path):
    """Bright pixels are text: a sigmoid of the mean of the three channels, smoothed over 5 x 5."""
    weights = np.full((1, 3, 5, 5), 1 / 75, np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "weights"], ["mean"], pads=[2, 2, 2, 2]),
        helper.make_node("Mul", ["mean", "gain"], ["loud"]),
        helper.make_node("Sigmoid", ["loud"], ["y"]),
    ]
    constants = {"weights": weights, "gain": np.full(1, 3.0, np.float32)}
    save(path, nodes, {"x": ["B", 3, "H", "W"]}, {"y": ["B", 1, "H", "W"]}, constants)


def make_classifier(folder, labels, seed, size):
    """Means of a 4x4 grid through a fixed map and a softmax."""
    rng = np.random.default_rng(seed)
    nodes = [
        helper.make_node("AveragePool", ["input"], ["grid"], kernel_shape=[size // 4] * 2, strides=[size // 4] * 2),
        helper.make_node("Flatten", ["grid"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["output"], axis=1),
    ]
    weights = rng.normal(scale=0.5, size=(48, len(labels))).astype(np.float32)
    shapes = {"input": ["B", 3, size, size]}, {"output": ["B", len(labels)]}
    save(folder / "model.onnx", nodes, *shapes, {"weights": weights})
    (folder / "meta.json").write_text(json.dumps({"labels": labels}))


def make_graphs():
    for seed, (folder, labels) in enumerate(YOLO.values()):
        make_yolo(GRAPHS / folder / "model.onnx", labels, seed)
    for seed, folder in enumerate(WD.values()):
        make_wd(GRAPHS / folder / "model.onnx", seed)
        lines = ["tag_id,name,category,count", *(f"{i},{name},{c},1" for i, (name, c) in enumerate(TAGS))]
        (GRAPHS / folder / "selected_tags.csv").write_text("\n".join(lines) + "\n")
    make_ccip(GRAPHS / CCIP)
    make_text(GRAPHS / TEXT / "model.onnx")
    for seed, (folder, labels) in enumerate(CLASSES.items(), 20):
        make_classifier(GRAPHS / folder, labels, seed, size=384 if "classification" in folder else 448)
    scores = np.linspace(0.2, 5.9, 24)
    np.savez(GRAPHS / list(CLASSES)[1] / "samples.npz", np.stack([scores, (scores / 6) ** 1.5]))


def make_pictures():
    """Of three shapes: noise in patches, a ramp of colours, a drawn scene. PNG, so that every reader sees the same."""
    rng = np.random.default_rng(3)
    patches = rng.integers(0, 256, (9, 13, 3), dtype=np.uint8)
    Image.fromarray(patches).resize((130, 90), Image.NEAREST).save(HERE / "patches.png")
    y, x = np.mgrid[0:150, 0:70]
    ramp = np.stack([x * 3.6, y * 1.7, (x * y / 41) % 256], axis=2).astype(np.uint8)
    Image.fromarray(ramp).save(HERE / "ramp.png")
    scene = np.full((120, 200, 3), (30, 40, 60), np.uint8)
    scene[14:30, 20:90] = (250, 250, 245)
    scene[80:100, 110:180] = (240, 255, 250)
    for i in range(40):  # a leaning line of text
        scene[50 + i // 4 : 60 + i // 4, 30 + i : 34 + i] = 255
    scene = np.clip(scene + rng.integers(-5, 6, scene.shape), 0, 255).astype(np.uint8)  # no two scores are equal
    Image.fromarray(scene).save(HERE / "scene.png")


def fake_download(repo_id, filename, *_, **__):
    """The graphs beside this file, whichever of their repositories is named."""
    from huggingface_hub.errors import EntryNotFoundError

    for tail in (f"{repo_id}/{filename}", filename):
        parts = Path(tail).parts
        for k in range(len(parts)):
            path = GRAPHS.joinpath(*parts[k:])
            if path.is_file() and len(parts) - k >= 2:
                return str(path)
    raise EntryNotFoundError.__new__(EntryNotFoundError)


def expected():
    from imgutils import detect
    from imgutils.generic import classify, yolo
    from imgutils.metrics import anime_dbaesthetic, ccip, dbaesthetic
    from imgutils.ocr import detect as ocr
    from imgutils.tagging import wd14
    from imgutils.validate import anime_classify_score

    for module in (yolo, ccip, ocr, wd14, classify, dbaesthetic):
        module.hf_hub_download = fake_download
    yolo.YOLOModel._check_model_name = lambda self, name: None
    classify.ClassifyModel._check_model_name = lambda self, name: None
    calls = {
        "face": detect.detect_faces,
        "head": lambda p: detect.detect_heads(p, model_name="head_detect_v2.0_s"),
        "person": detect.detect_person,
        "halfbody": detect.detect_halfbody,
        "hand": detect.detect_hands,
        "censor": detect.detect_censors,
    }
    pictures = [HERE / f"{name}.png" for name in ("patches", "ramp", "scene")]
    answer = {"made_with": made_with()}
    for task, call in calls.items():
        answer[task] = {p.stem: [[list(map(int, b)), s, float(c)] for b, s, c in call(str(p))] for p in pictures}
    for model in WD:
        answer[model] = {}
        for p in pictures:
            plain = wd14.get_wd14_tags(str(p), model, no_underline=True)
            gaps = wd14.get_wd14_tags(
                str(p), model, no_underline=True, general_mcut_enabled=True, character_mcut_enabled=True
            )
            answer[model][p.stem] = {"plain": plain, "by_gap": gaps}
    features = ccip.ccip_batch_extract_features([str(p) for p in pictures])
    answer["ccip"] = {
        "features": features.tolist(),
        "differences": ccip.ccip_batch_differences(list(features)).tolist(),
        "threshold": ccip.ccip_default_threshold(),
    }
    kinds, aesthetic = (folder.split("/")[1] for folder in CLASSES)
    answer["class"] = {p.stem: anime_classify_score(str(p), kinds) for p in pictures}
    answer["quality"] = {
        p.stem: dict(
            zip(("percentile", "score"), map(float, anime_dbaesthetic(str(p), aesthetic, ("percentile", "score"))))
        )
        for p in pictures
    }
    answer["text"] = {
        p.stem: [[list(map(int, b)), float(c)] for b, _, c in ocr.detect_text_with_ocr(str(p))]
        if hasattr(ocr, "detect_text_with_ocr")
        else [[list(map(int, b)), float(c)] for b, _, c in ocr._detect_text(str(p))]
        for p in pictures
    }
    return answer


def made_with():
    from importlib.metadata import version

    return {name: version(name) for name in ("dghs-imgutils", "onnxruntime", "pillow", "numpy")}


if __name__ == "__main__":
    make_graphs()
    make_pictures()
    (HERE / "expected.json").write_text(json.dumps(expected()) + "\n")
