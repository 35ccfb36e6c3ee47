"""What is trained on and what comes of it, in every form: a base in one file, a LoRA that stands alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file

from fullcast.journey import Journey
from fullcast.journey.doors import Doors
from fullcast.journey.making import find_checkpoint
from fullcast.journey.packing import unpack
from fullcast.journey.proving import _picture_folder
from fullcast.models.stable_diffusion.folder import KOHYA_FILE, clip_skip_of, save_pipeline
from fullcast.models.stable_diffusion.metadata import modelspec, read_metadata
from fullcast.models.stable_diffusion.single_file import folder_to_single
from fullcast.store.errors import FullcastError
from tests.journey.test_packing import home  # noqa: F401
from tests.models.tiny_families import tiny_configs, tiny_pipeline
from tests.training.test_train import hashes

SHORT = {
    "mixture.num_steps": "2",
    "mixture.area_px": "4096",
    "mixture.bucket_step_px": "64",
    "training.learning_rate": "1e-5",
    "training.prior_preservation": "false",
    "training.validation_share": "0",
}


@pytest.fixture
def own(home: Path, tmp_path: Path) -> Path:  # noqa: F811
    """The prepared show in a folder of its own."""
    return shutil.copytree(home, tmp_path / "show", ignore=shutil.ignore_patterns("runs", "latents"))


@pytest.fixture
def one_file(own: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A base of SD 1.x in one file, with all its layers and few channels."""
    from fullcast.models.stable_diffusion import single_file

    monkeypatch.setattr(single_file, "shipped_configs", tiny_configs)
    folder = save_pipeline(tiny_pipeline("sd1"), own.parent / "tiny")
    told = modelspec("sd1", "x", (512, 512), licence="file-licence", clip_skip=2)
    path = folder_to_single(folder, own / "x.safetensors", metadata=told)
    shutil.rmtree(folder)
    return path


def test_a_base_in_one_file_is_planned_trained_and_packed(own: Path, one_file: Path, tmp_path: Path) -> None:
    (own / "x.yaml").write_text("model:\n  params:\n    parameterization: eps\n")
    journey = Journey.open(own, {**SHORT, "models.base": "x.safetensors"})
    assert journey.plan().data["captions"]["token_limit"] == 75
    trained = journey.train()
    assert trained.data["finished"]
    model = own / trained.data["checkpoint"]
    assert (model / "unet").is_dir() and (model / "tokenizer" / "vocab.json").is_file()
    packed = journey.pack(tmp_path / "job.tar")
    assert packed.data["base"]["name"] == "x.safetensors"
    unpack(tmp_path / "job.tar", tmp_path / "job", one_file)
    assert Journey.open(tmp_path / "job").train().data["finished"]
    with pytest.raises(FullcastError, match=r"put it at .*bare.models.base\.safetensors"):
        unpack(tmp_path / "job.tar", tmp_path / "bare", None)
    journey.pack(tmp_path / "whole.tar", with_base=True)
    unpack(tmp_path / "whole.tar", tmp_path / "whole", None)
    assert (tmp_path / "whole" / "models" / "base.safetensors").read_bytes() == one_file.read_bytes()
    assert (tmp_path / "whole" / "models" / "base.yaml").read_bytes() == (own / "x.yaml").read_bytes()
    assert Journey.open(tmp_path / "whole").train().data["finished"]
    assert find_checkpoint(journey, "base").folder == one_file, "the base is judged beside what was trained"
    assert Doors(journey.workspace, journey.recipe).painters(one_file).folder == one_file


def test_a_base_says_nothing_of_a_training(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fullcast.models.stable_diffusion import single_file

    monkeypatch.setattr(single_file, "shipped_configs", tiny_configs)
    save_pipeline(tiny_pipeline("sd1"), own / "tiny")
    journey = Journey.open(own, {**SHORT, "models.base": "tiny"})
    out = tmp_path / "base.safetensors"
    answer = journey.export("safetensors", out, checkpoint="base", training_metadata=True)
    assert not [key for key in read_metadata(out) if key.startswith("ss_")]
    assert "no ss_* keys were written" in answer.text


def lora_alone(own: Path, base: str) -> Journey:
    settings = {**SHORT, "models.base": base, "training.lora_rank": "2", "training.lora_merged": "false"}
    journey = Journey.open(own, settings)
    assert journey.train().data["finished"]
    return journey


def test_a_lora_that_stands_alone_is_exported_with_all_it_says(own: Path, tmp_path: Path) -> None:
    (own / "base" / "README.md").write_text("---\nlicense: show-licence\n---\n")
    journey = lora_alone(own, "base")
    checkpoint = find_checkpoint(journey, "", lora_alone=True).folder
    assert not (checkpoint / "unet").exists()
    told = read_metadata(checkpoint / KOHYA_FILE)
    assert told["modelspec.license"] == "show-licence" and told["modelspec.trigger_phrase"] == "aoi, mio"
    for layout in ("lora", "lora-peft"):
        journey.export(layout, tmp_path / f"{layout}.safetensors", half=True)
        told = read_metadata(tmp_path / f"{layout}.safetensors")
        assert told["modelspec.license"] == "show-licence" and told["modelspec.trigger_phrase"] == "aoi, mio"
    half = load_file(tmp_path / "lora.safetensors")
    assert half.keys() == load_file(checkpoint / KOHYA_FILE).keys() and {str(t.dtype) for t in half.values()} == {
        "torch.float16"
    }
    with pytest.raises(FullcastError, match=r"holds its LoRA alone .* fullcast export checkpoint FOLDER"):
        journey.generate("park")
    assert _picture_folder(journey, str(checkpoint.relative_to(own))) is None, "nor is it a folder of pictures to judge"
    with pytest.raises(FullcastError, match="holds its LoRA alone"):
        journey.export("safetensors", tmp_path / "whole.safetensors")
    with pytest.raises(FullcastError, match=r"is a LoRA on 'base' .* models\.base is 'pocket-base'"):
        Journey.open(own, {"models.base": "pocket"}).export("lora", tmp_path / "other.safetensors")


def test_a_lora_that_stands_alone_and_its_base_are_the_merged_model(own: Path, tmp_path: Path) -> None:
    journey = lora_alone(own, "base")
    journey.export("checkpoint", tmp_path / "merged")
    shutil.rmtree(own / "data" / "runs")
    whole = journey.with_recipe(
        journey.recipe.model_copy(update={"training": journey.recipe.training.model_copy(update={"lora_merged": True})})
    )
    trained = own / whole.train().data["checkpoint"]
    expected = {name: found for name, found in hashes(trained).items() if not name.startswith("state")}
    assert hashes(tmp_path / "merged") == expected
    assert find_checkpoint(journey, str(tmp_path / "merged")).cast.names == ("aoi", "mio")


def test_a_lora_on_one_file_is_exported_too(own: Path, one_file: Path, tmp_path: Path) -> None:
    journey = lora_alone(own, "x.safetensors")
    journey.export("lora", tmp_path / "lora.safetensors")
    told = read_metadata(tmp_path / "lora.safetensors")
    assert told["modelspec.architecture"] == "stable-diffusion-v1/lora"
    assert told["modelspec.license"] == "file-licence"
    assert told["modelspec.encoder_layer"] == "2", "as the base says, where the recipe says nothing"
    journey.export("checkpoint", tmp_path / "merged")
    assert (tmp_path / "merged" / "unet").is_dir() and clip_skip_of(tmp_path / "merged") == 2
