"""Settings that drawing takes from the recipe where the command line gives none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fullcast.generation.config import GenerationConfig
from fullcast.journey import Journey, making, new_workspace
from fullcast.journey.doors import Doors
from fullcast.models.stable_diffusion.folder import save_pipeline
from fullcast.recognition.castfile import write_cast
from fullcast.records import Cast, Character
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import write_png
from tests.models.tiny_families import tiny_pipeline

CAST = Cast("test", (Character("aoi", "aoi"),))


@pytest.fixture()
def journey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journey:
    """Its model draws nothing, and keeps what it was asked with."""
    new_workspace(tmp_path / "show", "show")
    (tmp_path / "show" / "fullcast.toml").write_text('device = "cpu"\n[generation]\nseed = 7\ndevice = "cuda:1"\n')
    ASKED.clear()
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    for verb in ("generate", "grid", "inpaint"):
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


def test_words_of_textual_inversions_are_drawn_with(tmp_path: Path) -> None:
    new_workspace(tmp_path / "show", "show")
    vectors = torch.randn(2, 16)
    torch.save({"zorble": vectors}, tmp_path / "show" / "zorble.bin")
    folder = save_pipeline(tiny_pipeline("sd1"), tmp_path / "model")
    settings = {"generation.textual_inversions": '["zorble.bin"]', "device": "cpu"}
    journey = Journey.open(tmp_path / "show", settings)
    model, plain = making.open_model(journey, folder), making.open_model(Journey.open(tmp_path / "show"), folder)
    heard = model.pipeline.text_encoder.get_input_embeddings()(model.token_ids(["a zorble"])[0, 2:4])
    assert torch.equal(heard, vectors) and model.sha256() != plain.sha256(), "its pictures are not the plain model's"
    assert Doors(journey.workspace, journey.recipe).painters(folder).count == 1, "others would not know the word"
    (tmp_path / "show" / "zorble.bin").unlink()
    with pytest.raises(FullcastError, match=r"generation\.textual_inversions: there is no file .*zorble\.bin"):
        making.open_model(journey, folder)


def test_the_settings_seed_counts_where_none_is_given(journey: Journey) -> None:
    journey.generate("park", cast="aoi")
    journey.generate("park", cast="aoi", seed=0)
    journey.grid("cfg=1,2", "character=aoi", cast="aoi")
    journey.grid("cfg=1,2", "character=aoi", cast="aoi", seed=3)
    assert seeds() == [7, 0, 7, 3]
    with pytest.raises(FullcastError, match="seed = -1 is not accepted"):
        journey.generate("park", cast="aoi", seed=-1)


def test_a_scene_s_own_seed_counts_where_none_is_given(journey: Journey, tmp_path: Path) -> None:
    (tmp_path / "scenes.jsonl").write_text('{"prompt": "park", "seed": 5}\n{"prompt": "sea"}\n')
    journey.generate(scenes=tmp_path / "scenes.jsonl")
    journey.generate(scenes=tmp_path / "scenes.jsonl", seed=3)
    assert [[scene.seed for scene in given[1]] for given in ASKED] == [[5, -1], [-1, -1]] and seeds() == [7, 3]


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


def picture_and_mask(tmp_path: Path) -> tuple[Path, Path]:
    for name, value in (("x.png", 0), ("mask.png", 255)):
        write_png(tmp_path / name, np.full((64, 64, 3), value, np.uint8))
    return tmp_path / "x.png", tmp_path / "mask.png"


def no_model(journey: Journey, folder: Path) -> None:
    pytest.fail("a model was loaded")


@pytest.mark.parametrize("box", ["nan,0,8,8", "0,0,inf,8", "0,0,-inf,8", "0,0,8", "a,b,c,d"])
def test_boxes_that_are_none_are_said(journey: Journey, tmp_path: Path, box: str) -> None:
    picture, _ = picture_and_mask(tmp_path)
    with pytest.raises(FullcastError, match=rf"--box {box}: give x0,y0,x1,y1 in pixels"):
        journey.inpaint(picture, box=box, prompt="hat")


def test_what_inpaint_does_not_take_is_said_before_a_model_is_loaded(
    journey: Journey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "open_model", no_model)
    picture, mask = picture_and_mask(tmp_path)
    write_png(tmp_path / "small.png", np.full((8, 8, 3), 255, np.uint8))
    (tmp_path / "folder").mkdir()
    for given, says in (
        ({"strength": 0.0}, r"strength is 0\.0; give more than 0 and at most 1 \(near 0 keeps"),
        ({"strength": 1.5}, r"strength is 1\.5"),
        ({"mask": tmp_path / "small.png"}, "the mask is 8x8 pixels"),
        ({"cast": "nobody"}, "nobody in the cast is called 'nobody'"),
        ({"out": tmp_path / "folder"}, "folder is a folder; give a file to write"),
        ({"out": tmp_path / "y.jpg"}, r"pictures are written as PNG; give a name that ends in \.png"),
        ({"out": picture}, r"would replace .*x\.png, which is read here; give another name"),
        ({"out": tmp_path / "x"}, r"would replace .*x\.png"),
        ({"out": mask}, r"would replace .*mask\.png"),
        ({"out": picture / "y.png"}, r"x\.png is a file"),
    ):
        with pytest.raises(FullcastError, match=says):
            journey.inpaint(picture, **{"mask": mask, "prompt": "hat"} | given)  # type: ignore[arg-type]


def test_latest_is_a_word_wherever_a_checkpoint_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_workspace(tmp_path)
    newest = tmp_path / "data" / "runs" / "x" / "checkpoints" / "step-6"
    newest.mkdir(parents=True)
    (newest / "model_index.json").write_text("{}")
    write_cast(newest / "cast.json", CAST)
    monkeypatch.setattr(making, "latest_checkpoint", lambda workspace: newest)
    found = {making.find_checkpoint(Journey.open(tmp_path), given).name for given in ("", "latest")}
    assert found == {"data/runs/x/checkpoints/step-6"}


def test_a_grids_checkpoints_are_all_found_before_a_model_is_loaded(
    journey: Journey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(journey: Journey, given: str) -> making.Checkpoint:
        if given == "gone":
            raise FullcastError("there is no gone")
        return making.Checkpoint(tmp_path, CAST, "runs/x/step-6" if given in ("", "latest") else given)

    monkeypatch.setattr(making, "find_checkpoint", found)
    with pytest.raises(FullcastError, match="there is no gone"):
        journey.grid("checkpoint=base,gone", "seed=1")
    assert not ASKED
    latest = journey.grid("checkpoint=base,latest", "seed=1")
    assert ASKED[0][4].values == ("base", "runs/x/step-6"), "tomorrow latest is another"
    assert latest.data["path"] == journey.grid("checkpoint=base,runs/x/step-6", "seed=1").data["path"]


def test_grids_and_folders_that_cannot_be_written_are_said_before_a_model_is_loaded(
    journey: Journey, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    for out, says in (
        ("folder", "is a folder"),
        ("file", "file is a file"),
        ("file/g.png", "file is a file"),
        ("g.jpg", "as PNG"),
    ):
        with pytest.raises(FullcastError, match=says):
            journey.grid("seed=1,2", "character=aoi", out=tmp_path / out)
    with pytest.raises(FullcastError, match="file is a file"):
        journey.generate("park", cast="aoi", out=tmp_path / "file")
    assert not ASKED
    answer = journey.grid("seed=1,2", "character=aoi", out=tmp_path / "mygrid")
    assert answer.data["path"] == str(tmp_path / "mygrid.png")


def test_a_grid_of_other_settings_is_another_file(journey: Journey) -> None:
    other = Journey.open(journey.workspace.root, {"generation.guidance_scale": "2"})
    paths = [j.grid("seed=1,2", "character=aoi").data["path"] for j in (journey, journey, other)]
    assert paths[0] == paths[1] != paths[2]


def test_a_generated_picture_of_another_recipe_is_never_replaced(
    journey: Journey, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict] = []
    monkeypatch.setattr("fullcast.generation.generate.generate", lambda *given, **k: told.append(k) or [])
    journey.generate("park", cast="aoi")
    assert told[0]["keep_others"] is True


def test_a_prompt_or_a_cast_beside_scenes_is_refused(journey: Journey, tmp_path: Path) -> None:
    (tmp_path / "scenes.jsonl").write_text('{"prompt": "park"}\n')
    for given in ({"prompt": "sea"}, {"cast": "aoi"}):
        with pytest.raises(FullcastError, match="beside --scenes"):
            journey.generate(scenes=tmp_path / "scenes.jsonl", **given)
    assert not ASKED
    journey.generate(scenes=tmp_path / "scenes.jsonl")
    assert len(ASKED) == 1


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

    monkeypatch.setattr(proving, "check_judge", lambda j: CAST)
    monkeypatch.setattr(proving, "scenes_for", lambda *given: ([], []))
    monkeypatch.setattr(proving, "way_of", way_of)
    monkeypatch.setattr(proving, "draw_and_judge", lambda *given: pytest.fail("drew before every target was found"))
    with pytest.raises(FullcastError, match="nowhere is no model folder"):
        journey.judge("base", "nowhere")
