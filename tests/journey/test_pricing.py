"""What a plan says of memory: what is trained, in which numbers, how many pictures at once; recipes keep their word."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from fullcast.journey.pricing import as_trained, at_once
from fullcast.models.stable_diffusion.work import Work
from fullcast.recipe import Recipe, read_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
SDXL = replace(Work(), unet_parameters=2567e6, text_parameters=123e6 + 695e6)


def memory_gb(work: Work, recipe: Recipe) -> float:
    training = recipe.training
    return as_trained(work, recipe).memory_gb(
        *(recipe.mixture.area_px, at_once(recipe)),
        checkpointing=training.gradient_checkpointing,
        text_encoder=training.text_encoder_learning_rate > 0,
        ema=training.ema_decay > 0,
        lora=training.lora_rank > 0,
    )


def asked(**training: object) -> Recipe:
    return Recipe.model_validate({"training": training, "mixture": {"area_px": 512 * 512, "batch_size": 8}})


@pytest.mark.parametrize(("name", "work"), [("sd15", Work()), ("sdxl-lora", SDXL)])
def test_a_recipe_fits_on_the_card_that_its_header_names(name, work):
    path = RECIPES / f"{name}.toml"
    text = path.read_text(encoding="utf-8")
    [told] = re.findall(r"on one GPU of (\d+) GB or more", text)
    recipe = read_recipe(path)
    needed = memory_gb(work, recipe)
    assert needed < int(told) and f": {needed:.0f} GB" in text


@pytest.mark.parametrize(
    ("name", "work", "most", "settings"),
    [
        ("sd15", Work(), 16, {"weights_dtype": "bf16"}),
        ("sd15", Work(), 12, {"weights_dtype": "bf16", "ema_decay": 0.0}),
        ("sdxl-lora", SDXL, 16, {"weights_dtype": "bf16"}),
    ],
)
def test_what_a_recipe_says_of_smaller_cards_holds(name, work, most, settings):
    recipe = read_recipe(RECIPES / f"{name}.toml")
    smaller = recipe.model_copy(update={"training": recipe.training.model_copy(update=settings)})
    assert memory_gb(work, smaller) < most < memory_gb(work, recipe)


def test_numbers_and_parts_count_and_a_lora_is_its_own_teacher():
    plain, million = memory_gb(Work(), asked()), 859.5 + 123.1
    for settings, less in (
        ({"weights_dtype": "bf16"}, 2 + 2 + 4),
        ({"optimizer": "adamw8bit"}, 6),
        ({"ema_decay": 0.0}, 4),
        ({"prior_preservation": True}, -4),
        ({"prior_preservation": True, "weights_dtype": "bf16"}, 8 - 2),
    ):
        assert plain - memory_gb(Work(), asked(**settings)) == pytest.approx(less * million / 1e3)
    assert plain - memory_gb(Work(), asked(gradient_accumulation=3)) == pytest.approx(5 * 3.6), "3 of 8 at once"
    assert at_once(asked(processes=2, gradient_accumulation=2)) == 2
    assert memory_gb(Work(), asked(lora_rank=4, prior_preservation=True)) == memory_gb(Work(), asked(lora_rank=4))


def test_states_and_latents_are_as_large_as_they_are_written():
    half = as_trained(Work(), asked(weights_dtype="bf16"))
    assert half.state_gb(text_encoder=False) == pytest.approx((2 + 4 + 4) * 0.8595)
    assert Work().latent_bytes_per_px * 512 * 512 == 2 * 4 * 64 * 64 * 2, "mean and deviation, float16"
