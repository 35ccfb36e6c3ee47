"""Grids: only what the axes say changes, every pair is drawn, and what cannot be is said before a model is loaded."""

import numpy as np
import pytest

from fullcast.generation.config import GenerationConfig
from fullcast.generation.grid import Axis, grid
from fullcast.generation.metadata import read_recipe
from fullcast.models.stable_diffusion.build import build_pocket_pipeline
from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.records import UNKNOWN, Cast, Character, Placement, Scene
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import read_picture
from tests.journey.drawn_show import TINY

CAST = Cast("show", (Character("aoi", "aoi"), Character("mio", "mio")))
CONFIG = GenerationConfig(num_inference_steps=3, batch_size=3)
PARK = Scene("park", "park", (Placement("aoi"), Placement("mio")))
PLACED = Scene("placed", "park", (Placement("aoi", cell=(0, 1)), Placement("mio", cell=(4, 1), negative_prompt="hat")))


@pytest.fixture(scope="module")
def model() -> StableDiffusion:
    return StableDiffusion(build_pocket_pipeline(TINY, seed=1))


def test_grid_holds_every_pair_with_labels(model, tmp_path):
    loaded = []

    def load(name):
        loaded.append(name)
        return model

    scene = Scene("g", "park", (Placement("aoi"),))
    out = tmp_path / "grid.png"
    x, y = Axis.parse("character=aoi,mio"), Axis.parse("seed=1,2,3")
    pictures = grid(load, scene, CAST, CONFIG, x, y, out, checkpoint="base")
    assert [(p.scene.people[0].character, p.seed) for p in pictures] == [
        ("aoi", 1), ("mio", 1), ("aoi", 2), ("mio", 2), ("aoi", 3), ("mio", 3),
    ]  # fmt: skip
    assert loaded == ["base"]
    sheet = read_picture(out)
    assert sheet.shape[0] > 3 * 32 and sheet.shape[1] > 2 * 48
    last = read_picture(tmp_path / "grid" / pictures[-1].path)
    assert np.array_equal(sheet[-38:-6, -54:-6], last)


def asked_of(pictures):
    return [[(p.character, p.cell) for p in picture.scene.people] for picture in pictures]


def test_counts_of_a_grids_prompts_ask_for_somebody_beside_the_named(model, tmp_path):
    config, seed = CONFIG.model_copy(update={"num_inference_steps": 1}), Axis.parse("seed=0")
    nobody, aoi = (UNKNOWN, None), ("aoi", None)

    def drawn(scene, axis, y=seed):
        return grid(lambda name: model, scene, CAST, config, Axis.parse(axis), y, tmp_path / "g.png")

    scene = Scene("g", "4 people, park", (Placement("aoi"), *[Placement(UNKNOWN)] * 3))
    pictures = drawn(scene, "prompt=1 person, park|2 people, park|park")
    assert asked_of(pictures) == [[aoi], [aoi, nobody], [aoi, nobody, nobody, nobody]]
    assert pictures[1].prompt == "2 people, aoi, person, park"
    assert asked_of(drawn(Scene("g", "2 people, park"), "character=aoi,mio")) == [
        [aoi, nobody],
        [("mio", None), nobody],
    ]
    by_prompt = drawn(Scene("g", "park"), "character=aoi", Axis.parse("prompt=1 person|3 people"))
    assert asked_of(by_prompt) == [[aoi], [aoi, nobody, nobody]]
    with pytest.raises(FullcastError, match="asks for 1 people and 2 are named"):
        drawn(PARK, "prompt=2 people|1 person")


def test_a_character_on_an_axis_brings_its_place_or_takes_that_of_the_first(model, tmp_path):
    config = CONFIG.model_copy(update={"num_inference_steps": 1})
    boxed = Scene("g", "park", (Placement("mio", box=(0.0, 0.0, 0.5, 1.0)), Placement("mio")))
    for scene, second in ((PLACED, ("aoi", (0, 1))), (boxed, ("aoi", None))):
        x, y = Axis.parse("character=aoi@4:1,aoi"), Axis.parse("seed=0")
        pictures = grid(lambda name: model, scene, CAST, config, x, y, tmp_path / "g.png")
        assert [people[0] for people in asked_of(pictures)] == [("aoi", (4, 1)), second]
        assert pictures[0].scene.people[0].box is None
        assert pictures[1].scene.people[0].box == scene.people[0].box


def test_a_grid_without_a_suffix_is_a_png_and_can_be_drawn_again(model, tmp_path):
    config = CONFIG.model_copy(update={"num_inference_steps": 1})
    for _ in range(2):
        grid(lambda name: model, PARK, CAST, config, Axis.parse("seed=0"), Axis.parse("steps=1"), tmp_path / "mygrid")
        assert (tmp_path / "mygrid.png").is_file() and len(list((tmp_path / "mygrid").iterdir())) == 1
    with pytest.raises(FullcastError, match="is a folder"):
        load = lambda name: pytest.fail("loaded")  # noqa: E731
        (tmp_path / "pictures").mkdir()
        grid(load, PARK, CAST, config, Axis.parse("seed=0"), Axis.parse("steps=1"), tmp_path / "pictures")


def test_grid_over_checkpoints_and_settings(model, tmp_path):
    x, y = Axis.parse("checkpoint=a,b"), Axis.parse("cfg=1,3")
    pictures = grid(lambda name: model, PARK, CAST, CONFIG, x, y, tmp_path / "g.png")
    assert [(p.checkpoint, p.guidance_scale) for p in pictures] == [("a", 1.0), ("b", 1.0), ("a", 3.0), ("b", 3.0)]


def test_places_are_planned_once_for_a_grid(model, tmp_path):
    """Only the axes change: without it every cell would draw a layout of its own."""
    config = CONFIG.model_copy(update={"plan_places": True, "num_inference_steps": 1})
    x, y = Axis.parse("seed=1,2,3"), Axis.parse("character=aoi,mio")
    pictures = grid(lambda name: model, PARK, CAST, config, x, y, tmp_path / "g.png")
    regions = {read_recipe(tmp_path / "g" / p.path)[0].regions[0]["box"][2] for p in pictures}
    cells = {tuple(person.cell for person in p.scene.people) for p in pictures}
    assert len(cells) == len(regions) == 1 and None not in cells.pop()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cfg=50", "guidance_scale = 50.0 is not accepted: input should be less than or equal to 30"),
        ("steps=0", "num_inference_steps = 0 is not accepted: input should be greater than or equal to 1"),
        ("seed=-1", "seed = -1 is not accepted"),
        ("seed=99999999999999999999", "seed = 99999999999999999999 is not accepted"),
    ],
)
def test_values_that_an_axis_does_not_take_are_said(text, says, tmp_path):
    with pytest.raises(FullcastError, match=says):
        grid(lambda name: None, PARK, CAST, CONFIG, Axis.parse(text), Axis.parse("prompt=a|b"), tmp_path / "g.png")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sed=1", r"guidance_scale \(cfg\), num_inference_steps \(steps\)"),
        ("seed=", "is no axis"),
        ("seed=a", "is no seed"),
    ],
)
def test_wrong_axes_are_said(text, says):
    with pytest.raises(FullcastError, match=says):
        Axis.parse(text)
