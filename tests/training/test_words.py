"""Words on their way to the network: SDXL's two encoders, CLIP skip, tags left out, captions encoded once, none."""

from __future__ import annotations

import copy

import pytest
import torch

from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.models.stable_diffusion.folder import load_pipeline, save_pipeline
from fullcast.ports import Batch
from fullcast.store.errors import FullcastError
from fullcast.training.loop import train
from fullcast.training.step import Network
from fullcast.training.words import TextCache, varied
from tests.models.tiny_families import tiny_pipeline
from tests.training.test_features import QUIET, live, with_settings
from tests.training.test_train import Captions, Pixels, Stream, base  # noqa: F401


def test_sdxl_trains_both_text_encoders_and_stays_plain(tmp_path):
    folder = save_pipeline(tiny_pipeline("sdxl"), tmp_path / "xl")

    class Small(Stream):
        def batch(self, step):
            return Batch(step, 64, 64, super().batch(step).visits[:2])

    config = with_settings(zero_terminal_snr=True, prediction_type="v_prediction", learning_rate=1e-3)
    done = train(folder, Small(2, 2), Pixels(), Captions(), config, tmp_path / "run")
    names = live(tmp_path / "run")
    assert any(n.startswith("text_encoder_2.") for n in names) and any(n.startswith("denoiser.") for n in names)
    again = load_pipeline(done.checkpoint)
    assert again.scheduler.config.rescale_betas_zero_snr and again.scheduler.config.prediction_type == "v_prediction"
    before = load_pipeline(folder).text_encoder_2.state_dict()
    assert any(not torch.equal(before[k], v) for k, v in again.text_encoder_2.state_dict().items())


def test_sdxl_hears_and_predicts_as_diffusers_does(tmp_path):
    model = StableDiffusion.of(tiny_pipeline("sdxl"))
    pipeline = model.pipeline
    with torch.no_grad():
        ours = model.encode_prompts(["two people", "a wall"])
        theirs, _, pooled, _ = pipeline.encode_prompt(["two people", "a wall"], do_classifier_free_guidance=False)
        assert torch.allclose(ours.embeds, theirs, atol=1e-6) and torch.allclose(ours.pooled, pooled, atol=1e-6)
        x = torch.randn(2, 4, 8, 8)
        factor = model.size_multiple
        sizes = torch.tensor([[8.0 * factor, 8 * factor, 0, 0, 8 * factor, 8 * factor]] * 2)
        added = {"text_embeds": pooled, "time_ids": sizes}
        expected = pipeline.unet(x, 500, encoder_hidden_states=theirs, added_cond_kwargs=added)[0]
        assert torch.allclose(model.predict(x, torch.tensor([500, 500]), ours), expected, atol=1e-5)


@pytest.mark.parametrize("zeros", [True, False])
def test_sdxl_is_trained_on_the_nothing_that_it_draws_without_words(zeros):
    """Dropped captions, live and cached, the probe and drawing say the same nothing: zeros where the folder says so."""
    model = StableDiffusion.of(tiny_pipeline("sdxl"))
    model.pipeline.register_to_config(force_zeros_for_empty_prompt=zeros)
    model.for_training(torch.device("cpu"), text_encoder=True)
    texts = ["a wall", "", "sea"]
    with torch.no_grad():
        drawn, plain = model.encode_negatives(texts), model.encode_prompts(texts)
        live = model.encode_captions(model.token_ids(texts))
        cached = TextCache(model).words(texts)
        x, t = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([100, 500, 900])
        assert torch.equal(Network(model, True)(x, t, model.token_ids(texts)), model.predict(x, t, drawn))
    for said in (live, cached):
        assert torch.allclose(said.embeds, drawn.embeds, atol=1e-6)
        assert torch.allclose(said.pooled, drawn.pooled, atol=1e-6)
    assert bool(drawn.embeds[1].any()) is not zeros and torch.equal(drawn.embeds[0], plain.embeds[0])


def test_clip_skip_is_that_of_diffusers_and_is_carried_along(tmp_path):
    model = StableDiffusion.of(tiny_pipeline("sd1"))
    plain = model.encode_prompts(["two people"])
    model.use_clip_skip(2)
    with torch.no_grad():
        ours = model.encode_prompts(["two people"])
        shorter = copy.deepcopy(model.pipeline.text_encoder)  # hearing the last layer but one is having one layer less
        del getattr(shorter, "text_model", shorter).encoder.layers[-1]
        theirs = shorter(model.token_ids(["two people"]))[0]
    assert torch.allclose(ours, theirs, atol=1e-6) and not torch.allclose(ours, plain, atol=1e-3)
    folder = save_pipeline(model.pipeline, tmp_path / "model")
    assert StableDiffusion.load(folder).clip_skip == 2
    model.for_training(torch.device("cpu"), text_encoder=True)
    last = [name for name, _ in model.parameters("text_encoder") if ".layers.11." in name]
    assert last == [], "nobody hears the last layer"
    with pytest.raises(FullcastError, match="has 12 layers"):
        model.use_clip_skip(13)


def test_tags_are_left_out_and_shuffled_by_item_alone():
    config = with_settings(tag_dropout_rate=0.5, shuffle_tags=True, keep_tags=2)
    caption = "2 people, aoi, " + ", ".join(f"tag{i}" for i in range(40))
    one, again, other = (varied(caption, item, config) for item in ("3/a/0", "3/a/0", "4/a/1"))
    assert one == again != other and one.startswith("2 people, aoi, ")
    assert 10 < len(one.split(", ")) < 32 and set(one.split(", ")) <= set(caption.split(", "))
    assert varied(caption, "x", QUIET) == caption


def test_cached_words_do_not_depend_on_their_neighbours(base):  # noqa: F811
    model = StableDiffusion.load(base)
    cache = TextCache(model, most_bytes=2 * model.encode_prompts([""]).nbytes)
    first = cache.words(["a red wall", "", "a blue wall"])
    assert torch.equal(cache.words(["a blue wall", "a red wall"]), first[[2, 0]]) and len(cache._said) == 2
    with torch.no_grad():
        assert torch.allclose(first, model.encode_prompts(["a red wall", "", "a blue wall"]), atol=1e-5)


def test_a_cached_frozen_text_encoder_trains_and_is_another_run(base, tmp_path):  # noqa: F811
    config = with_settings(cache_text=True, text_encoder_learning_rate=0.0)
    assert train(base, Stream(num_steps=1), Pixels(), Captions(), config, tmp_path).finished
    assert "cache_text" in config.about_weights() and "cache_text" not in QUIET.about_weights()
