"""Losses against float64 written from their formulas; make check-trainer-5 does the same for weights and targets."""

import numpy as np
import pytest
import torch

from fullcast.diffusion.losses import (
    huber_scale,
    masked_mean,
    offset_noise,
    pseudo_huber,
    squared_error,
    to_latent_size,
)
from fullcast.diffusion.weighting import min_snr_weights, velocity_weights


def test_pseudo_huber_is_squared_near_and_linear_far():
    small, large = torch.full((1, 1, 1, 1), 1e-3), torch.full((1, 1, 1, 1), 1e3)
    nothing, c = torch.zeros(1, 1, 1, 1), torch.tensor([0.1])
    assert float(pseudo_huber(small, nothing, c)) == pytest.approx(1e-6, rel=1e-3)
    assert float(pseudo_huber(large, nothing, c)) == pytest.approx(2 * 0.1 * 1e3, rel=1e-3)


def test_hubers_scale_falls_from_one_to_its_least():
    t = torch.tensor([0, 500, 1000])
    assert huber_scale(t, 1000, 0.01).tolist() == pytest.approx([1, 0.1, 0.01])
    assert huber_scale(t, 1000, 0.01, "constant").tolist() == pytest.approx([0.01] * 3)
    with pytest.raises(ValueError, match="constant and exponential"):
        huber_scale(t, 1000, 0.01, "linear")


def test_a_mask_counts_by_its_area_and_an_empty_one_does_not_hide_a_picture():
    error = torch.ones(3, 2, 4, 4)
    error[:, :, :2] = 5
    mask = torch.zeros(3, 1, 4, 4)
    mask[0, :, :2] = 1
    mask[1, :, :1, :1] = 1
    assert masked_mean(error, mask).tolist() == [5, 5, 3], "a small mask weighs what a large one does"
    assert masked_mean(error, None).tolist() == [3, 3, 3] == masked_mean(error, mask, 1.0).tolist()


def test_a_latent_counts_the_share_of_its_pixels():
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :4] = 1
    assert to_latent_size(mask, 2, 2)[0, 0].tolist() == [[0.5, 0], [0.5, 0]]


def test_offset_noise_moves_whole_channels():
    noise, offset = torch.randn(2, 3, 4, 4), torch.randn(2, 3)
    moved = offset_noise(noise, offset, 0.1) - noise
    assert torch.allclose(moved, 0.1 * offset[:, :, None, None].expand_as(moved), atol=1e-6)


def test_a_squared_error_is_taken_in_float32():
    said = torch.full((1, 1, 1, 1), 1.0, dtype=torch.bfloat16)
    assert squared_error(said, torch.full((1, 1, 1, 1), 1.001)).item() == pytest.approx(1e-6, rel=1e-2)


def test_min_snr_of_noise_alone_is_one_for_epsilon_and_nothing_for_v():
    snr = torch.tensor([0.0, 1.0, 50.0], dtype=torch.float64)
    assert min_snr_weights(snr, 5.0, "epsilon").tolist() == pytest.approx([1, 1, 0.1])
    assert min_snr_weights(snr, 5.0, "v_prediction").tolist() == pytest.approx([0, 0.5, 5 / 51])
    assert np.isfinite(min_snr_weights(snr, 5.0, "sample").numpy()).all()


def test_an_error_in_the_picture_weighs_what_it_would_as_an_error_in_v():
    power = torch.tensor([0.99, 0.5, 0.1, 0.0], dtype=torch.float64)  # alpha squared; the last step is pure noise
    alpha, sigma = power.sqrt(), (1 - power).sqrt()
    x, noise, off = (torch.randn(4, dtype=torch.float64) for _ in range(3))
    noisy = alpha * x + sigma * noise
    said = x + 0.1 * off
    error_v = ((alpha * noisy - said) / sigma - (alpha * noise - sigma * x)) ** 2
    weights = velocity_weights(power / (1 - power), most=1e9)
    assert torch.allclose(weights * (said - x) ** 2, error_v)
    assert velocity_weights(power / (1 - power), most=16).tolist() == pytest.approx([16, 2, 1 / 0.9, 1])
