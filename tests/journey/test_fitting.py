"""Sizes, rates and networks of the pocket model beside another base: the plan says so, training refuses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fullcast.journey import Journey, new_workspace
from fullcast.journey.fitting import check_chosen, pocket_eyes, unchosen
from fullcast.journey.pricing import work_of_base
from fullcast.models.stable_diffusion.work import is_sd1, side_px
from fullcast.recipe import find_preset, read_recipe
from fullcast.store.errors import FullcastError

FITTING = {"mixture.area_px": "262144", "training.learning_rate": "2e-6"}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A workspace with the settings files of an SD 1.5 in models/base: nothing else is read here."""
    new_workspace(tmp_path / "work")
    base = tmp_path / "work" / "models" / "base"
    for part, said in (("unet", {"sample_size": 64}), ("vae", {"block_out_channels": [128, 256, 512, 512]})):
        (base / part).mkdir(parents=True)
        (base / part / "config.json").write_text(json.dumps(said))
    return tmp_path / "work"


def opened(work: Path, **more: str) -> Journey:
    return Journey.open(work, {"models.base": "models/base", **{k.replace("__", "."): v for k, v in more.items()}})


def test_what_nobody_chose_is_refused_with_what_to_set(work: Path) -> None:
    with pytest.raises(FullcastError, match=r"512x512 .* at 96x96.*mixture\.area_px = 262144.*rate 0\.0001.*sd15"):
        check_chosen(opened(work))
    check_chosen(Journey.open(work, {"models.base": "models/base", **FITTING}))
    lora = opened(work, mixture__area_px="262144", training__lora_rank="16")
    assert unchosen(lora) == []
    assert unchosen(Journey.open(work)) == []  # pocket's own


def test_a_size_that_was_chosen_is_taken_however_small(work: Path) -> None:
    assert unchosen(opened(work, mixture__area_px="16384", training__learning_rate="1e-4")) == []


def test_networks_of_the_pocket_show_are_named(work: Path) -> None:
    [said] = pocket_eyes(opened(work, models__tagger="models/tagger"))
    assert "models.judge_embedder" in said and "models.tagger" not in said and "docs/your-show.md" in said
    assert pocket_eyes(Journey.open(work)) == []


def test_a_model_trained_from_the_pocket_base_is_asked_nothing(work: Path) -> None:
    (work / "models" / "base" / "unet" / "config.json").write_text('{"sample_size": [16, 36]}')
    (work / "models" / "base" / "vae" / "config.json").write_text('{"block_out_channels": [16, 32, 64]}')
    assert unchosen(opened(work)) == pocket_eyes(opened(work)) == []


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("cond_stage_model.transformer.text_model.x", 512),
        ("cond_stage_model.model.x", 768),
        ("conditioner.embedders.1.model.x", 1024),
        ("something.else", None),
    ],
)
def test_one_file_tells_its_size_by_its_names(tmp_path: Path, name: str, side: int | None) -> None:
    save_file({name: torch.zeros(1)}, tmp_path / "one.safetensors")
    assert side_px(tmp_path / "one.safetensors") == side
    assert is_sd1(tmp_path / "one.safetensors") is (side == 512)
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    assert side_px(tmp_path / "broken.safetensors") is None


def test_a_base_in_one_file_is_priced(work: Path) -> None:
    save_file({"cond_stage_model.transformer.text_model.x": torch.zeros(1)}, work / "models" / "base.safetensors")
    assert work_of_base(Journey.open(work, {"models.base": "models/base.safetensors"})) is not None
    assert read_recipe(find_preset("sd15")).cost.family == "sd1", (
        "a .ckpt does not tell, and the recipe promises a price"
    )
