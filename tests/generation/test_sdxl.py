"""SDXL drawn by our own sampler: equal to diffusers', with places, inpainted, and while it trains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fullcast.generation.again import regenerate
from fullcast.generation.generate import generate
from fullcast.generation.inpaint import box_mask, inpaint
from fullcast.generation.metadata import read_recipe
from fullcast.generation.preview import ScenePreview
from fullcast.generation.sampler import denoise
from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.records import Scene
from fullcast.store.pictures import read_picture
from tests.generation.test_generate import CAST, CONFIG, PARK, PLACED
from tests.models.tiny_families import tiny_pipeline


@pytest.fixture(scope="module")
def sdxl() -> StableDiffusion:
    pipeline = tiny_pipeline("sdxl")
    pipeline.set_progress_bar_config(disable=True)
    with torch.no_grad():  # norms that let signals pass: words, the pooled vector and sizes then move the latents
        for network in (pipeline.unet, pipeline.text_encoder, pipeline.text_encoder_2):
            for name, parameter in network.named_parameters():
                if "norm" in name and name.endswith("weight"):
                    parameter.fill_(1)
    return StableDiffusion.of(pipeline)


@pytest.mark.parametrize("negative", ["", "night"])
def test_sdxl_draws_as_the_diffusers_pipeline_does(sdxl, tmp_path, negative):
    """Both encoders, the pooled vector and the sizes; without a negative prompt zeros, as the folder says."""
    config = CONFIG.model_copy(update={"guidance_rescale": 0.0})
    scenes = [Scene("xl", "a girl in the park", negative_prompt=negative), Scene("other", "sea", negative_prompt="x")]
    picture, _ = generate(sdxl, scenes, CAST, config, tmp_path)
    sdxl.pipeline.scheduler = sdxl.scheduler("ddim")
    theirs = sdxl.pipeline(
        "a girl in the park",
        negative_prompt=negative or None,
        width=64,
        height=64,
        num_inference_steps=3,
        guidance_scale=config.guidance_scale,
        latents=torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(0)),
        output_type="latent",
    ).images
    recipe = read_recipe(tmp_path / picture.path)[0]
    ours, without = (denoise(sdxl, [r]) for r in (recipe, replace(recipe, negative_prompt="day")))
    assert torch.allclose(ours, theirs, atol=1e-3 * float(theirs.abs().max()))
    assert (ours - without).abs().max() > 0.01 * theirs.abs().max(), "the words matter here"
    drawn = np.rint((sdxl.decode(theirs)[0].permute(1, 2, 0).numpy() + 1) * 127.5)
    assert np.abs(read_picture(tmp_path / picture.path) - drawn).max() <= 1


def test_sdxl_binds_places_and_paints_again(sdxl, tmp_path):
    [placed] = generate(sdxl, [PLACED], CAST, CONFIG, tmp_path / "a")
    [plain] = generate(sdxl, [PLACED], CAST, CONFIG.model_copy(update={"region_steps": 0.0}), tmp_path / "b")
    image = read_picture(tmp_path / "a" / placed.path)
    assert (image != read_picture(tmp_path / "b" / plain.path)).any()
    again = regenerate(sdxl, tmp_path / "a" / placed.path, tmp_path / "again.png")
    assert again.read_bytes() == (tmp_path / "a" / placed.path).read_bytes()
    mask = box_mask((10, 5, 31, 22), 64, 64)
    inpaint(sdxl, tmp_path / "a" / placed.path, mask, PARK, CAST, CONFIG, tmp_path / "out.png", seed=3)
    painted = read_picture(tmp_path / "out.png")
    assert np.array_equal(painted[~mask], image[~mask]) and (painted[mask] != image[mask]).any()
    ScenePreview((PARK,), CAST, CONFIG)(sdxl.pipeline, 7, tmp_path)
    assert read_recipe(tmp_path / "park-0.png")[0].checkpoint == "step-000007"


def test_sdxl_draws_with_half_the_bits(sdxl, tmp_path):
    rounded = StableDiffusion.of(tiny_pipeline("sdxl"))
    for name in ("unet", "text_encoder", "text_encoder_2"):
        getattr(rounded.pipeline, name).load_state_dict(getattr(sdxl.pipeline, name).state_dict())
    rounded.pipeline.vae.load_state_dict(sdxl.pipeline.vae.state_dict())
    rounded.for_drawing("cpu", "bfloat16")
    generate(sdxl, [PLACED], CAST, CONFIG, tmp_path / "exact")
    generate(rounded, [PLACED], CAST, CONFIG, tmp_path / "near")
    exact, near = (read_picture(tmp_path / p / "placed-0.png").astype(float) for p in ("exact", "near"))
    assert np.abs(exact - near).mean() < 6
