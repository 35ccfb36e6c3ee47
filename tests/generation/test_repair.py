"""Who is wrong is found by assignment over the whole cast; only a better picture is kept, and only its part is new."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fullcast.generation.config import GenerationConfig
from fullcast.generation.repair import _placed, _without_heads, repair, wrong_figures
from fullcast.models.stable_diffusion.build import build_pocket_pipeline
from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.records import Cast, Character, Form, Found, Placement, Scene
from fullcast.store.pictures import read_picture, write_png
from tests.journey.drawn_show import TINY

CAST = Cast(
    "show", tuple(Character(name, name, (Form(""), Form("hairdown", "hairdown"))) for name in ("aoi", "mio", "rin"))
)
PAIR = Scene("s", "park", (Placement("aoi"), Placement("mio")))


def figure(x: float, name: str, form: str = "", **scores: float) -> Found:
    told = tuple(scores.get(other, 0.9 if other == name else 0.1) for other in CAST.names)
    return Found((x, 4, x + 12, 32), (x + 2, 4, x + 10, 14), 0.9, name, form, 0.9, 0.5, scores=told)


def test_the_wrong_one_is_found_and_who_it_should_have_been() -> None:
    assert wrong_figures([figure(0, "aoi"), figure(20, "mio")], PAIR, CAST) == []
    assert wrong_figures([figure(0, "mio"), figure(20, "aoi")], PAIR, CAST) == []  # order is no fault here
    assert wrong_figures([figure(0, "rin"), figure(20, "mio")], PAIR, CAST) == [(0, 0)]
    assert wrong_figures([figure(0, "aoi"), figure(20, "aoi", aoi=0.8)], PAIR, CAST) == [(1, 1)]


def test_another_look_is_wrong_only_where_a_look_was_asked_for() -> None:
    scene = Scene("s", "park", (Placement("aoi", "hairdown"),))
    assert wrong_figures([figure(0, "aoi", "hairdown")], scene, CAST) == []
    assert wrong_figures([figure(0, "aoi")], scene, CAST) == [(0, 0)]


def test_a_wrong_count_or_somebody_unknown_is_no_case_for_it() -> None:
    assert wrong_figures([figure(0, "aoi")], PAIR, CAST) == []
    assert wrong_figures([], PAIR, CAST) == []
    assert wrong_figures([figure(0, "rin")], Scene("s", "park", (Placement("unknown"),)), CAST) == []


class Says:
    """A look that gives the answers it was made with, one after the other; the last for ever."""

    name = "says"

    def __init__(self, *answers: list[Found]) -> None:
        self.answers = list(answers)

    def look(self, images: list[np.ndarray]) -> list[list[Found]]:
        return [self.answers.pop(0) if len(self.answers) > 1 else self.answers[0] for _ in images]


@pytest.fixture(scope="module")
def model() -> StableDiffusion:
    return StableDiffusion(build_pocket_pipeline(TINY, seed=1))


def test_only_better_is_kept_and_nothing_outside_the_figure_changes(model: StableDiffusion, tmp_path: Path) -> None:
    before = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    write_png(tmp_path / "a.png", before)
    config = GenerationConfig(num_inference_steps=2)
    wrong, right = [figure(0, "aoi"), figure(20, "rin")], [figure(0, "aoi"), figure(20, "mio")]
    done = repair(model, tmp_path / "a.png", PAIR, CAST, Says(wrong, wrong, right), config, tmp_path / "b.png")
    assert done.tries == 2 and done.character == "mio" and done.picture is not None
    after = read_picture(tmp_path / "b.png")
    assert (after[:, :18] == before[:, :18]).all() and (after[:, 35:] == before[:, 35:]).all()
    assert (after[8:28, 22:30] != before[8:28, 22:30]).any()
    kept = repair(model, tmp_path / "a.png", PAIR, CAST, Says(wrong), config, tmp_path / "c.png")
    assert kept.picture is None and kept.tries == 3 and not (tmp_path / "c.png").exists()
    assert repair(model, tmp_path / "a.png", PAIR, CAST, Says(right), config, tmp_path / "d.png").tries == 0


def test_where_the_first_wrong_figure_cannot_be_mended_the_next_one_is_tried(
    model: StableDiffusion, tmp_path: Path
) -> None:
    before = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    write_png(tmp_path / "a.png", before)
    both, one = [figure(0, "rin"), figure(20, "rin")], [figure(0, "rin"), figure(20, "mio")]
    seen = Says(both, both, both, both, one)
    done = repair(
        model, tmp_path / "a.png", PAIR, CAST, seen, GenerationConfig(num_inference_steps=2), tmp_path / "b.png"
    )
    assert done.tries == 4 and done.character == "mio" and done.picture is not None
    after = read_picture(tmp_path / "b.png")
    assert (after[:, :18] == before[:, :18]).all() and (after[8:28, 22:30] != before[8:28, 22:30]).any()


def test_one_character_in_two_looks_is_right_in_either_order() -> None:
    scene = Scene("s", "park", (Placement("aoi"), Placement("aoi", "hairdown")))
    assert wrong_figures([figure(0, "aoi", "hairdown"), figure(20, "aoi")], scene, CAST) == []
    assert wrong_figures([figure(0, "aoi"), figure(20, "aoi", "hairdown")], scene, CAST) == []
    assert wrong_figures([figure(0, "aoi"), figure(20, "aoi")], scene, CAST) == [(1, 1)]


def test_a_figure_without_a_head_is_placed_by_its_upper_fifth() -> None:
    headless = replace(figure(0, "rin"), xyxy=(0, 0, 40, 100), head_xyxy=None)
    assert _placed(PAIR, 0, headless, 100, 100).people[0].cell == (1, 1)
    assert _placed(PAIR, 0, replace(headless, head_xyxy=(0, 80, 40, 100)), 100, 100).people[0].cell == (1, 4)


def test_the_head_of_a_right_neighbour_inside_the_box_is_left_alone(model: StableDiffusion, tmp_path: Path) -> None:
    before = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    write_png(tmp_path / "a.png", before)
    near = replace(figure(28, "aoi"), head_xyxy=(28, 4, 40, 14))
    wrong, right = [figure(20, "rin"), near], [figure(20, "mio"), near]
    config = GenerationConfig(num_inference_steps=2)
    assert repair(model, tmp_path / "a.png", PAIR, CAST, Says(wrong, right), config, tmp_path / "b.png").tries == 1
    after = read_picture(tmp_path / "b.png")
    assert (after[4:14, 28:40] == before[4:14, 28:40]).all()
    assert (after[16:28, 24:30] != before[16:28, 24:30]).any() and (after[4:14, 22:28] != before[4:14, 22:28]).any()
    mask = np.zeros((32, 48), bool)
    mask[5:9, 30:34] = True
    assert (_without_heads(mask, wrong, [0]) == mask).all()  # nothing would be left
