"""Settings that drawing takes from the recipe where the command line gives none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fullcast.generation.config import GenerationConfig
from fullcast.journey import Journey, making, new_workspace
from fullcast.journey.doors import Doors
from fullcast.records import Cast, Character
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import write_png

CAST = Cast("test", (Character("aoi", "aoi"),))


@pytest.fixture()
def journey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journey:
    """Its model draws nothing, and keeps what it was asked with."""
    new_workspace(tmp_path / "show", "show")
    (tmp_path / "show" / "fullcast.toml").write_text('device = "cpu"\n[generation]\nseed = 7\ndevice = "cuda:1"\n')
    ASKED.clear()
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    for verb in ("generate", "grid"):
        monkeypatch.setattr(f"fullcast.generation.{verb}.{verb}", lambda *given, **k: ASKED.append(given) or [])
    monkeypatch.setattr(making, "find_checkpoint", lambda j, given: making.Checkpoint(tmp_path, CAST, "x"))
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: (7, 5) if "0" in str(device) else (8, 0))
    load = lambda folder: SimpleNamespace(for_drawing=lambda *given: DRAWN_IN.append(given))  # noqa: E731
    monkeypatch.setattr("fullcast.models.stable_diffusion.family.StableDiffusion.load", load)
    monkeypatch.setattr(Doors, "use_threads", lambda self: None)
    return Journey.open(tmp_path / "show")


ASKED: list[tuple] = []
DRAWN_IN: list[tuple[str, str]] = []


def seeds() -> list[int]:
    return [value.seed for given in ASKED for value in given if isinstance(value, GenerationConfig)]


def test_the_settings_seed_counts_where_none_is_given(journey: Journey) -> None:
    journey.generate("park", cast="aoi")
    journey.generate("park", cast="aoi", seed=0)
    journey.grid("cfg=1,2", "character=aoi", cast="aoi")
    journey.grid("cfg=1,2", "character=aoi", cast="aoi", seed=3)
    assert seeds() == [7, 0, 7, 3]
    with pytest.raises(FullcastError, match="seed = -1 is not accepted"):
        journey.generate("park", cast="aoi", seed=-1)


def test_pictures_are_drawn_on_the_device_of_the_settings(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    DRAWN_IN.clear()
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(FullcastError, match=r"'cuda:1', and torch .* finds none here"):
        making.open_model(journey, Path("x"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    making.open_model(journey, Path("x"))
    for settings in ({"generation.device": "auto"}, {"generation.device": "cuda:0"}, {"generation.dtype": "float32"}):
        making.open_model(Journey.open(journey.workspace.root, settings), Path("x"))
    assert DRAWN_IN == [("cuda:1", "bfloat16"), ("cpu", "float32"), ("cuda:0", "float16"), ("cuda:1", "float32")]
    assert Doors(journey.workspace, journey.recipe).painters(Path("nowhere")).count == 1


def test_inpaint_without_words_asks_for_them(journey: Journey, tmp_path: Path) -> None:
    write_png(tmp_path / "x.png", np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(FullcastError, match="--prompt"):
        journey.inpaint(tmp_path / "x.png", box="0,0,8,8")
    with pytest.raises(FullcastError, match=r"gone\.png"):
        journey.inpaint(tmp_path / "gone.png", box="0,0,8,8")


def test_a_stage_of_a_recipe_without_stages_and_an_unknown_export_are_said(journey: Journey) -> None:
    from fullcast.journey.exporting import _stage

    with pytest.raises(FullcastError, match=r"no .*stages.*leave it out"):
        _stage(SimpleNamespace(stages=[SimpleNamespace(name="")]), "nope")
    with pytest.raises(FullcastError, match="checkpoint, safetensors, lora, lora-peft"):
        journey.export("foo", Path("out"))


def test_wrong_targets_are_said_before_anything_is_drawn(journey: Journey, monkeypatch: pytest.MonkeyPatch) -> None:
    from fullcast.journey import proving

    def way_of(journey: Journey, given: str, kind: str) -> str:
        if given == "nowhere":
            raise FullcastError("nowhere is no model folder")
        return given

    monkeypatch.setattr(proving, "judge_cast", lambda j: CAST)
    monkeypatch.setattr(proving, "scenes_for", lambda *given: ([], []))
    monkeypatch.setattr(proving, "way_of", way_of)
    monkeypatch.setattr(proving, "draw_and_judge", lambda *given: pytest.fail("drew before every target was found"))
    with pytest.raises(FullcastError, match="nowhere is no model folder"):
        journey.judge("base", "nowhere")
