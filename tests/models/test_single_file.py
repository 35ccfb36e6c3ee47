"""Single files of SD 1.x, 2.x and SDXL: the published names, every bit both ways, and opened by diffusers itself."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fullcast.models.stable_diffusion.build import build_pocket_pipeline
from fullcast.models.stable_diffusion.config import PocketModelConfig
from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.models.stable_diffusion.folder import (
    clip_skip_of,
    folder_sha256,
    load_pipeline,
    read_facts,
    save_pipeline,
)
from fullcast.models.stable_diffusion.layout import entries, shipped_configs
from fullcast.models.stable_diffusion.metadata import modelspec, read_metadata, told_clip_skip, training_metadata
from fullcast.models.stable_diffusion.single_file import (
    folder_to_single,
    load_single_file,
    read_single_file,
    to_single,
)
from fullcast.store.errors import FullcastError
from tests.models.tiny_families import published, random_weights, shapes, tiny_configs, tiny_pipeline

FAMILIES = ("sd1", "sd2", "sdxl")


def write_tiny(family: str, path: Path, configs: dict, **more: torch.Tensor) -> dict[str, torch.Tensor]:
    tensors = dict(to_single(family, configs, random_weights(family, configs)))
    save_file({**{k: v.contiguous() for k, v in tensors.items()}, **more}, path)
    return tensors


@pytest.mark.parametrize("family", FAMILIES)
def test_names_sources_and_shapes_are_the_published_ones(family):
    rows = published(family)
    ours = {
        e.single: (list(f"{e.component}/{s}" for s in e.sources), e.op)
        for e in entries(family, shipped_configs(family))
    }
    assert ours == {name: (row["from"], row["op"]) for name, row in rows["single_file"].items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_shipped_configs_build_the_published_networks(family):
    """Full size, no weights: every name, every shape, every count of diffusers' and transformers' own classes."""
    rows, built = published(family), shapes(family, shipped_configs(family))
    for component, expected in rows["diffusers"].items():
        assert {k: list(v) for k, v in built[component].items()} == expected
        assert sum(math.prod(shape) for shape in built[component].values()) == rows["parameters"][component]


@pytest.mark.parametrize("family", FAMILIES)
def test_there_and_back_every_bit_is_the_same(family, tmp_path):
    configs = tiny_configs(family)
    path = tmp_path / "tiny.safetensors"
    written = write_tiny(family, path, configs)
    told = {"modelspec.prediction_type": "epsilon"}
    save_file({k: v.contiguous() for k, v in written.items()}, path, metadata=told)
    given = read_single_file(path, configs)
    assert given.family == family and given.left_out == ()
    weights = random_weights(family, configs)
    assert given.components.keys() == weights.keys()
    for component, tensors in weights.items():
        assert given.components[component].keys() == tensors.keys()
        assert all(torch.equal(given.components[component][k], t) for k, t in tensors.items())
    folder = save_pipeline(load_single_file(path, configs), tmp_path / "folder")
    again = load_file(folder_to_single(folder, tmp_path / "again.safetensors"))
    assert again.keys() == written.keys() == set(published(family)["single_file"])
    assert all(torch.equal(again[k], t) for k, t in written.items())


@pytest.mark.parametrize("family", FAMILIES)
def test_diffusers_opens_our_file_and_sees_the_same_weights(family, tmp_path):
    import diffusers

    ours = tiny_pipeline(family)
    folder = save_pipeline(ours, tmp_path / "folder")
    path = folder_to_single(folder, tmp_path / "model.safetensors", metadata=modelspec(family, "tiny", (64, 64)))
    # diffusers has the width of OpenCLIP fixed by family unless this tensor tells it
    theirs = getattr(diffusers, type(ours).__name__).from_single_file(path, config=str(folder), local_files_only=True)
    for name in ("unet", "vae", *(["text_encoder"] if family != "sd2" else [])):
        a, b = getattr(ours, name).state_dict(), getattr(theirs, name).state_dict()
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k].float()) for k in a), name


def test_a_base_in_one_file_draws_as_its_folder_does(tmp_path, monkeypatch):
    from fullcast.models.stable_diffusion import single_file

    monkeypatch.setattr(single_file, "shipped_configs", lambda family: tiny_configs(family))
    folder = save_pipeline(tiny_pipeline("sd1"), tmp_path / "folder")
    path = folder_to_single(folder, tmp_path / "model.safetensors")
    one, other = StableDiffusion.load(path), StableDiffusion.load(folder)
    assert one.sha256() == other.sha256() and one.default_size == other.default_size == (64, 64)
    noisy, words = torch.randn(1, 4, 8, 8), one.encode_prompts(["two people"])
    with torch.no_grad():
        assert torch.equal(words, other.encode_prompts(["two people"]))
        drawn = [model.predict(noisy, torch.tensor(500), words) for model in (one, other)]
        assert torch.allclose(*drawn, atol=1e-5)  # tensors from a mapped file are aligned otherwise
    assert len(folder_sha256(path)) == 64


def test_ckpt_in_its_wrapping_without_text_model_and_with_what_is_not_needed(tmp_path):
    configs = tiny_configs("sd1")
    tensors = dict(to_single("sd1", configs, random_weights("sd1", configs)))
    old = {name.replace("transformer.text_model.", "transformer."): t.half() for name, t in tensors.items()}
    old |= {"betas": torch.ones(1000), "model_ema.decay": torch.tensor(0.9)}
    torch.save({"state_dict": old, "epoch": 3, "global_step": 840_000}, tmp_path / "old.ckpt")
    given = read_single_file(tmp_path / "old.ckpt", configs)
    assert given.left_out == ("betas", "model_ema.decay") and given.prediction_type == "epsilon"
    key = "text_model.embeddings.token_embedding.weight"
    assert torch.equal(
        given.components["text_encoder"][key], random_weights("sd1", configs)["text_encoder"][key].half()
    )


def test_what_a_model_predicts_is_asked_for_and_kept(tmp_path):
    configs = tiny_configs("sd2")
    path = tmp_path / "two.safetensors"
    write_tiny("sd2", path, configs)
    with pytest.raises(FullcastError, match=r"parameterization: v.*two\.yaml"):
        read_single_file(path, configs)
    (tmp_path / "two.yaml").write_text('model:\n  params:\n    parameterization: "v"\n')
    assert load_single_file(path, configs).scheduler.config.prediction_type == "v_prediction"
    (tmp_path / "two.yaml").write_text("parameterization: eps")
    assert read_single_file(path, configs).prediction_type == "epsilon"

    illustrious = tiny_pipeline("sdxl", prediction_type="v_prediction", zero_terminal_snr=True)
    folder = save_pipeline(illustrious, tmp_path / "xl")
    again = folder_to_single(folder, tmp_path / "xl.safetensors")
    extra = load_file(again).keys() - set(published("sdxl")["single_file"])
    assert extra == {"v_pred", "ztsnr"}
    scheduler = load_single_file(again, tiny_configs("sdxl")).scheduler
    assert scheduler.config.prediction_type == "v_prediction" and scheduler.alphas_cumprod[-1] < 1e-6


def test_what_is_no_whole_model_is_refused_with_one_sentence(tmp_path):
    configs = tiny_configs("sd1")
    tensors = {k: v.contiguous() for k, v in to_single("sd1", configs, random_weights("sd1", configs))}
    part = {k: v for k, v in tensors.items() if not k.startswith("first_stage_model.")}
    save_file(part, tmp_path / "part.safetensors")
    with pytest.raises(FullcastError, match=r"248 of its 1130 tensors are missing, first_stage_model"):
        read_single_file(tmp_path / "part.safetensors", configs)
    save_file({"x": torch.ones(1)}, tmp_path / "lora.safetensors")
    with pytest.raises(FullcastError, match="no checkpoint of Stable Diffusion"):
        read_single_file(tmp_path / "lora.safetensors")
    first = "model.diffusion_model.input_blocks.0.0.weight"
    save_file(tensors | {first: torch.ones(8, 9, 3, 3)}, tmp_path / "inpaint.safetensors")
    with pytest.raises(FullcastError, match="inpainting"):
        read_single_file(tmp_path / "inpaint.safetensors")
    save_file(tensors, tmp_path / "tiny.safetensors")
    with pytest.raises(FullcastError, match=r"has the shape .* in the published model"):
        load_single_file(tmp_path / "tiny.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "tiny.safetensors").read_bytes()[:5000])
    with pytest.raises(FullcastError, match="no whole safetensors file"):
        read_single_file(tmp_path / "cut.safetensors")


def test_a_pocket_model_has_a_shape_of_its_own_and_stays_a_folder(tmp_path):
    folder = save_pipeline(build_pocket_pipeline(PocketModelConfig()), tmp_path / "pocket")
    with pytest.raises(FullcastError, match=r"3 levels of 1 layers .* use: fullcast export checkpoint FOLDER"):
        folder_to_single(folder, tmp_path / "pocket.safetensors")
    assert not (tmp_path / "pocket.safetensors").exists()


def test_an_sdxl_folder_is_read_again(tmp_path):
    folder = save_pipeline(tiny_pipeline("sdxl"), tmp_path / "xl")
    assert read_facts(folder).family == "sdxl"
    again = load_pipeline(folder)
    a, b = again.text_encoder_2.state_dict(), tiny_pipeline("sdxl").text_encoder_2.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in b)
    assert again.tokenizer_2.pad_token == "!" and again.tokenizer_2.pad_token_id == 0


def test_the_layer_that_is_heard_is_written_and_read_back(tmp_path):
    model = StableDiffusion.of(tiny_pipeline("sd1"))
    model.use_clip_skip(2)
    folder = save_pipeline(model.pipeline, tmp_path / "folder")
    told = modelspec("sd1", "x", (512, 512), clip_skip=clip_skip_of(folder))
    path = folder_to_single(folder, tmp_path / "x.safetensors", metadata=told)
    assert read_metadata(path)["modelspec.encoder_layer"] == "2" and clip_skip_of(path) == 2
    again = StableDiffusion.of(load_single_file(path, tiny_configs("sd1")))
    again.use_clip_skip(None)  # what a recipe says that does not speak of it
    assert torch.equal(again.encode_prompts(["two people"]), model.encode_prompts(["two people"]))
    assert "modelspec.encoder_layer" not in modelspec("sd1", "x", (512, 512))
    for nothing in ("0", "13", "last"):
        assert told_clip_skip(told | {"modelspec.encoder_layer": nothing}) == 1
    assert told_clip_skip(modelspec("sdxl", "x", (1024, 1024), clip_skip=2)) == 1, "it has no other layer to hear"


def test_metadata_says_what_it_is_and_no_path(tmp_path):
    folder = save_pipeline(tiny_pipeline("sd1"), tmp_path / "folder")
    told = modelspec("sd1", "Our show", (512, 512), licence="CreativeML OpenRAIL-M", description="")
    told |= training_metadata("sd1", {"seed": 3, "steps": 100, "datasets": [{"name": "show"}]})
    path = folder_to_single(folder, tmp_path / "model.safetensors", torch.float16, told)
    said = read_metadata(path)
    assert said["modelspec.license"] == "CreativeML OpenRAIL-M" and said["modelspec.resolution"] == "512x512"
    assert said["modelspec.architecture"] == "stable-diffusion-v1" and "modelspec.description" not in said
    assert said["ss_v2"] == "False" and said["ss_base_model_version"] == "sd_v1" and said["ss_seed"] == "3"
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    assert said["modelspec.hash_sha256"] == "0x" + hashlib.sha256(raw[8 + length :]).hexdigest()
    assert json.loads(raw[8 : 8 + length])["__metadata__"] == said
    assert all(t.dtype == torch.float16 for t in load_file(path).values())
    for leak in ("/home/me/show", "C:\\Users\\me", "~/show", '{"dir": "/data"}'):
        with pytest.raises(FullcastError, match="names a folder of this machine"):
            training_metadata("sd1", {"dataset_dirs": leak})
    assert modelspec("sd1", "and/or", (1, 1), usage_hint="see https://example.org/a")
