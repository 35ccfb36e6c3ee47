"""Region bias and guidance: against plain attention, plain formulas, and what they promise."""

import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

from fullcast.diffusion.guidance import guided
from fullcast.diffusion.regions import SILENT, box_masks, halved, key_bias


def test_boxes_cover_the_cells_whose_centres_they_hold():
    left, tiny = box_masks([(0.0, 0.0, 0.5, 1.0), (0.99, 0.99, 1.0, 1.0)], 3, 4)
    assert left.tolist() == [[True, True, False, False]] * 3
    assert tiny.sum() == 1 and tiny[2, 3]


def test_a_small_region_survives_every_halving():
    masks = box_masks([(0.99, 0.99, 1.0, 1.0)], 13, 21)
    for size in ((7, 11), (4, 6), (2, 3), (1, 2)):
        masks = halved(masks)
        assert tuple(masks.shape[1:]) == size and masks.any()


def test_bias_silences_other_regions_and_weighs_the_global_words():
    masks = box_masks([(0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.75, 1.0)], 1, 4)
    bias = key_bias(masks, 2, 0.5)
    assert bias.shape == (4, 6)
    half = torch.tensor(0.5).log().item()
    assert bias[0].tolist() == pytest.approx([half, half, 0, 0, SILENT, SILENT])
    assert bias[2].tolist() == pytest.approx([half, half, SILENT, SILENT, 0, 0])
    assert bias[3].tolist() == pytest.approx([0, 0, SILENT, SILENT, SILENT, SILENT])


def test_log_beta_is_a_weight_of_the_global_words_in_the_softmax():
    scores, beta = torch.randn(1, 4, dtype=torch.float64), 0.3
    bias = key_bias(torch.ones(1, 1, 1, dtype=torch.bool), 2, beta).double()
    weights = torch.tensor([beta, beta, 1.0, 1.0], dtype=torch.float64) * scores.exp()
    assert torch.allclose((scores + bias).softmax(-1), weights / weights.sum(), rtol=1e-6)


def test_guidance_equals_diffusers():
    without, towards = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    pulled = without + 4 * (towards - without)
    assert torch.equal(guided(without, towards, 4.0), pulled)
    assert torch.allclose(guided(without, towards, 4.0, 0.7), rescale_noise_cfg(pulled, towards, 0.7), atol=1e-5)
    assert torch.allclose(guided(without, towards, 1.0), towards, atol=1e-6)
