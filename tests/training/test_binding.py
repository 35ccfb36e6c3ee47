"""Words bound to regions while training: the mask holds, plain visits stay plain, every bit resumes."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from fullcast.diffusion.losses import squared_error
from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.models.stable_diffusion.folder import load_pipeline
from fullcast.ports import Batch
from fullcast.training.binding import distinct, region_tensors, told_of
from fullcast.training.config import TrainingConfig
from fullcast.training.latents import LatentStore
from fullcast.training.loop import train
from fullcast.training.metrics import read_metrics
from fullcast.training.step import Network, Prepared, loss_of, prepare
from tests.models.tiny_families import tiny_pipeline
from tests.training.test_features import live, resumed_is_uninterrupted, with_settings
from tests.training.test_train import Captions, Pixels, Stream, base  # noqa: F401

LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)


class Bound(Captions):
    """Red and blue pictures have two figures, green one, white none."""

    def regions(self, sample_id, visit):
        told = {"red": [(LEFT, "1 person, aoi"), (RIGHT, "1 person, mio")], "green": [(RIGHT, "1 person, mio")]}
        return told.get(sample_id, told["red"] if sample_id == "blue" else [])


@pytest.fixture
def model(base):  # noqa: F811
    model = StableDiffusion.of(load_pipeline(base))
    model.for_training(torch.device("cpu"), True)
    return model


def ready(model, tmp_path, **settings) -> tuple[Prepared, TrainingConfig]:
    store = LatentStore(tmp_path / "latents", model)
    batch = Stream().batch(0)
    store.fill({(v.sample_id, batch.width, batch.height) for v in batch.visits}, Pixels())
    config = with_settings(region_share=1.0, caption_dropout_rate=0.0, **settings)
    return prepare(batch, store, Bound(), config, 1000), config


def order(batch: Batch) -> list[str]:
    return [visit.sample_id for visit in batch.visits]


def test_every_row_has_its_own_figures_and_the_rest_is_silent(model, tmp_path):
    made, _ = ready(model, tmp_path)
    most = dict(zip(order(Stream().batch(0)), made.region_masks.flatten(2).any(2).sum(1).tolist(), strict=True))
    assert most == {"red": 2, "blue": 2, "green": 1, "white": 0}
    row = order(Stream().batch(0)).index("red")
    assert made.region_captions[row] == ["1 person, aoi", "1 person, mio"]
    half = made.region_masks.shape[-1] // 2
    assert made.region_masks[row, 0, :, :half].all() and not made.region_masks[row, 0, :, half:].any()
    once, which = distinct(made.token_ids, made.region_ids)
    assert len(once) < which.numel()
    assert torch.equal(once[which][:, 0], made.token_ids) and torch.equal(once[which][:, 1:], made.region_ids)


def test_share_draws_visits_and_dropped_captions_are_bound_to_nothing(model):
    batch, items = Stream().batch(0), [f"{i}" for i in range(4)]
    config = with_settings(region_share=0.5)
    drawn = [told_of(batch, [f"{k}/{i}" for i in items], [False] * 4, Bound(), config) for k in range(200)]
    bound = [bool(told) for row in drawn for told, name in zip(row, order(batch), strict=True) if name != "white"]
    assert 0.4 < sum(bound) / len(bound) < 0.6
    assert told_of(batch, items, [True] * 4, Bound(), with_settings(region_share=1.0)) == [[]] * 4
    assert told_of(batch, items, [False] * 4, Captions(), with_settings(region_share=0.0)) == []
    assert region_tensors([[], []], model, (4, 8, 12)) == (None, None, [])


def test_the_loss_is_that_of_the_sampler_under_the_same_regions(model, tmp_path):
    from fullcast.diffusion.schedule import add_noise, target

    made, config = ready(model, tmp_path)
    power_T = model.alphas_cumprod()
    with torch.no_grad(), model.regions(list(made.region_masks), config.region_global):
        ours = loss_of(Network(model, True), model, made, power_T, config)
    errors = []
    for row, (caption, said) in enumerate(zip(made.captions, made.region_captions, strict=True)):
        one = slice(row, row + 1)
        x, e, t = made.latents[one], made.noise[one], made.timesteps[one]
        words = model.encode_prompts([caption, *said]).flatten(0, 1)[None]
        with torch.no_grad(), model.regions(list(made.region_masks[one]), config.region_global):
            prediction = model.predict(add_noise(x, e, t, power_T), t, words)
        wanted = target(model.prediction_type, x, e, t, power_T)
        errors.append(squared_error(prediction, wanted).mean() * made.loss_weights[row])
    assert float(ours) == pytest.approx(float(torch.stack(errors).mean()), rel=1e-5)


def test_bound_training_differs_and_goes_on_where_it_stopped(base, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(Captions, "regions", Bound.regions, raising=False)
    resumed_is_uninterrupted(base, with_settings(region_share=0.6), tmp_path)
    train(base, Stream(num_steps=4), Pixels(), Captions(), with_settings(), tmp_path / "plain")
    bound, plain = live(tmp_path / "whole"), live(tmp_path / "plain")
    assert any(not torch.equal(bound[name], plain[name]) for name in bound)


@pytest.mark.parametrize(
    "settings",
    [{"gradient_checkpointing": True}, {"gradient_accumulation": 2}],
    ids=["checkpointing", "in parts"],
)
def test_the_step_is_the_same_by_other_ways(base, tmp_path, settings):  # noqa: F811
    for name, more in (("plain", {}), ("other", settings)):
        config = with_settings(region_share=1.0, **more)
        train(base, Stream(num_steps=2), Pixels(), Bound(), config, tmp_path / name)
    losses = [
        [m["loss"] for m in read_metrics(tmp_path / n / "metrics.jsonl") if "loss" in m] for n in ("plain", "other")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_cached_words_of_a_frozen_encoder_are_the_encoders_own(base, tmp_path):  # noqa: F811
    for name, cached in (("live", False), ("cached", True)):
        config = with_settings(region_share=1.0, text_encoder_learning_rate=0.0, cache_text=cached)
        train(base, Stream(num_steps=2), Pixels(), Bound(), config, tmp_path / name)
    losses = [
        [m["loss"] for m in read_metrics(tmp_path / n / "metrics.jsonl") if "loss" in m] for n in ("live", "cached")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_sdxl_hears_the_pooled_vector_of_the_whole_caption():
    model = StableDiffusion.of(tiny_pipeline("sdxl"))
    words = model.encode_prompts(["2 people, park", "aoi", "mio"])
    both = model.side_by_side(words, torch.tensor([[0, 1, 2]]))
    assert torch.equal(both.pooled, words.pooled[:1])
    assert torch.equal(both.embeds[0], words.embeds.flatten(0, 1))


def test_regions_are_not_compiled():
    with pytest.raises(ValidationError, match="compile and region_share"):
        TrainingConfig(compile=True, region_share=0.5)
