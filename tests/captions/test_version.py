"""As in people: the tagging stage's results may change only together with its VERSION."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from fullcast.captions.config import CaptionsConfig
from fullcast.captions.tagging import VERSION, tag_partition
from fullcast.models.wd_tagger import WdTagger
from fullcast.records import Image, Person
from tests import onnx_graphs

GOLDEN = {1: "6a471bc83b6463cd", 2: "6a471bc83b6463cd"}
"""VERSION -> digest of what the stage makes of the drawn picture. Changed results: raise VERSION, add a line.
2: taggers that rate say their rating."""


def test_results_change_only_with_the_version(tmp_path: Path) -> None:
    (tmp_path / "selected_tags.csv").write_text("name,category\nnight,0\nsmile,0\nred_hair,0\n")
    graph = onnx_graphs.mean_tagger(tmp_path / "model.onnx", 16, np.eye(3) / 32, np.full(3, -3.0))
    y, x = np.mgrid[0:120, 0:200]
    Pillow.fromarray(np.stack([x, y * 2, 255 - x], axis=2).astype(np.uint8)).save(tmp_path / "a.png")
    people = [
        Person("a/0", "a", (10, 10, 60, 110), 0.9, head_xyxy=(20, 10, 50, 44)),
        Person("a/1", "a", (120, 30, 190, 120), 0.9),
    ]
    images = [Image("a", "a.png", 200, 120, "screenshots")]
    found = tag_partition(images, people, tmp_path, WdTagger(graph, threads=1), CaptionsConfig())
    assert [entry.item for entry in found.words] == ["a", "a/0", "a/1"]
    text = [f"{w.item} {w.tags} {[round(p, 3) for p in w.probabilities]}" for w in found.words]
    assert hashlib.sha256("\n".join(text).encode()).hexdigest()[:16] == GOLDEN[VERSION]
