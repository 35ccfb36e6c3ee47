"""A partition's key holds the VERSION: results that change without it would never be made anew."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from fullcast.people.config import PeopleConfig
from fullcast.people.detect import VERSION, detect_partition
from fullcast.records import Image
from tests.recognition import drawn

GOLDEN = {1: "f3877229ce833ac1", 2: "f3877229ce833ac1", 3: "f3877229ce833ac1", 4: "f3877229ce833ac1"}
"""VERSION -> digest of what the stage makes of the drawn picture. Changed results: raise VERSION, add a line.
2: what is not believed is a drop; faces and half bodies count. 3: doubles are drops. 4: heads of faces end with the
picture."""


def test_results_change_only_with_the_version(tmp_path: Path) -> None:
    figures = {(36, 36): drawn.COLOURS["aoi"], (196, 116): drawn.COLOURS["mio"], (500, 276): drawn.STRANGER}
    Pillow.fromarray(drawn.picture(figures)).save(tmp_path / "a.png")
    images = [Image("a", "a.png", drawn.WIDTH, drawn.HEIGHT, "screenshots")]
    config = PeopleConfig()
    found = detect_partition(images, tmp_path, drawn.detector(tmp_path), drawn.embedder(tmp_path), config)
    assert len(found.people) == 3
    text = []
    for p in found.people:
        vector = [] if p.embedding is None else (np.round(p.embedding.astype(float), 3) + 0.0).tolist()
        text.append(f"{p.id} {p.xyxy} {p.head_xyxy} {p.confidence:.3f} {p.head_confidence:.3f} {vector}")
    assert hashlib.sha256("\n".join(text).encode()).hexdigest()[:16] == GOLDEN[VERSION]
