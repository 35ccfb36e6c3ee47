"""No picture is looked at twice for the same question, and another question is another answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fullcast.judging.cache import Sights, question_key
from fullcast.judging.config import JudgingConfig
from fullcast.judging.judge import Entry, judge
from fullcast.records import Cast, Character, Form, Found, Placement, Scene
from tests.judging.test_judge import CAST, ColorLook, draw

ASKED = Scene("one", "park", (Placement("aoi"),))
OTHER = Scene("other", "park", (Placement("hinata"),))


class Counting(ColorLook):
    def __init__(self) -> None:
        self.looked = 0

    def look(self, images: Sequence[np.ndarray]) -> list[list[Found]]:
        self.looked += len(images)
        return super().look(images)


def entries(folder: Path, scene: Scene = ASKED) -> list[Entry]:
    return [Entry(path.name, path, scene) for path in sorted(folder.glob("*.png"))]


def test_second_time_nothing_is_looked_at(tmp_path: Path):
    pictures, kept = tmp_path / "pictures", tmp_path / "seen"
    for i in range(4):
        draw(pictures / f"{i}.png", {i: "aoi"})
    (pictures / "copy.png").write_bytes((pictures / "0.png").read_bytes())
    look, key = Counting(), question_key("colours", CAST)
    first = judge(entries(pictures), look, CAST, JudgingConfig(batch_size=2), sights=Sights(kept, key))
    assert look.looked == first.num_looked == 4 and len(first.rows) == 5
    again = judge(entries(pictures), look, CAST, sights=Sights(kept, key))
    assert look.looked == 4 and again.num_looked == 0 and again.rows == first.rows
    # Another scene is another verdict on the same sight.
    other = judge(entries(pictures, OTHER), look, CAST, sights=Sights(kept, key))
    assert look.looked == 4 and not any(v.success for v in other.verdicts) and all(v.success for v in again.verdicts)
    # A changed picture is looked at.
    draw(pictures / "0.png", {0: "mio"})
    assert judge(entries(pictures), look, CAST, sights=Sights(kept, key)).num_looked == 1


def test_other_networks_or_another_cast_are_another_question(tmp_path: Path):
    references = Cast("t", (Character("aoi", "aoi", (Form("", references=np.ones((2, 4), np.float32)),)),), "e", 0.5)
    moved = replace(references, threshold=0.6)
    form = Form("", references=np.full((2, 4), 2, np.float32))
    redrawn = replace(references, characters=(Character("aoi", "aoi", (form,)),))
    keys = [question_key("a", references), question_key("b", references), question_key("a", moved)]
    assert len({*keys, question_key("a", redrawn)}) == 4
    assert question_key("a", references) == keys[0]


def test_a_damaged_cache_is_looked_at_again(tmp_path: Path):
    draw(tmp_path / "p" / "1.png", {1: "aoi"})
    look, key = Counting(), question_key("colours", CAST)
    judge(entries(tmp_path / "p"), look, CAST, sights=Sights(tmp_path / "seen", key))
    for table in (tmp_path / "seen").rglob("*.parquet"):
        table.write_bytes(b"PAR1")
    assert judge(entries(tmp_path / "p"), look, CAST, sights=Sights(tmp_path / "seen", key)).num_looked == 1
