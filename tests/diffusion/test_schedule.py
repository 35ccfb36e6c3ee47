"""Schedules and weights against diffusers and against the papers' own statements."""

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr as theirs

from fullcast.diffusion import schedule
from fullcast.diffusion.draws import noise, uniform
from fullcast.diffusion.weighting import biased_timesteps, min_snr_weights


@pytest.fixture(autouse=True)
def same_draws():
    torch.manual_seed(0)


def sd_betas() -> torch.Tensor:
    return schedule.betas(1000, 0.00085, 0.012, "scaled_linear")


def test_zero_terminal_snr_equals_diffusers():
    ours = schedule.rescale_zero_terminal_snr(sd_betas())
    assert torch.allclose(ours, theirs(sd_betas()), atol=1e-12)
    power = (1 - ours).cumprod(0)
    assert power[-1] == 0
    assert torch.isclose(power[0], 1 - sd_betas()[0], atol=1e-12)


def test_noising_and_velocity_equal_diffusers():
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", rescale_betas_zero_snr=True
    )
    power = schedule.alphas_cumprod(1000, 0.00085, 0.012, "scaled_linear", True)
    x, e = torch.randn(4, 2, 3, 5), torch.randn(4, 2, 3, 5)
    t = torch.tensor([0, 300, 900, 999])
    assert torch.allclose(schedule.add_noise(x, e, t, power), scheduler.add_noise(x, e, t), atol=1e-5)
    assert torch.allclose(schedule.velocity(x, e, t, power), scheduler.get_velocity(x, e, t), atol=1e-5)
    assert torch.equal(schedule.add_noise(x, e, t, power)[3], e[3])


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_the_true_target_gives_the_true_sample(kind):
    power = schedule.alphas_cumprod(1000, 0.00085, 0.012, "scaled_linear", False)
    x, e = torch.randn(3, 2, 4, 4, dtype=torch.float64), torch.randn(3, 2, 4, 4, dtype=torch.float64)
    t = torch.tensor([5, 500, 995])
    noisy = schedule.add_noise(x, e, t, power)
    said = schedule.target(kind, x, e, t, power)
    assert torch.allclose(schedule.predicted_sample(kind, said, noisy, t, power), x, atol=1e-9)
    assert torch.allclose(schedule.prediction_of(kind, x, noisy, t, power), said, atol=1e-9)


def test_equally_noisy_timesteps_of_another_schedule():
    plain, rescaled = (schedule.alphas_cumprod(1000, 0.00085, 0.012, "scaled_linear", zero) for zero in (False, True))
    own = schedule.equally_noisy(rescaled, plain)
    within = own < 999
    assert torch.equal(schedule.equally_noisy(plain, plain), torch.arange(1000))
    assert own[0] == 0 and (own.diff() >= 0).all() and 0.85 < within.double().mean() < 0.95
    assert ((rescaled.sqrt() - plain[own].sqrt())[within].abs() < 1e-3).all()


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_min_snr_is_one_weight_in_terms_of_the_sample(kind):
    """Whatever is predicted, a given error of x_0 must cost min(SNR, gamma) times its square."""
    power = schedule.alphas_cumprod(1000, 0.00085, 0.012, "scaled_linear", False)
    t = torch.tensor([1, 50, 400, 999])
    x, e = torch.randn(4, 1, 8, 8, dtype=torch.float64), torch.randn(4, 1, 8, 8, dtype=torch.float64)
    noisy = schedule.add_noise(x, e, t, power)
    said = schedule.target(kind, x, e, t, power) + 0.1 * torch.randn_like(x)
    wrong_x = schedule.predicted_sample(kind, said, noisy, t, power)
    snr = schedule.signal_to_noise(power)[t]
    loss = (said - schedule.target(kind, x, e, t, power)).square().mean((1, 2, 3))
    weighted = min_snr_weights(snr, 5.0, kind) * loss
    assert torch.allclose(weighted, snr.clamp(max=5.0) * (wrong_x - x).square().mean((1, 2, 3)), rtol=1e-6)


def test_biased_timesteps_have_the_asked_share_and_cover_everything():
    u = (np.arange(100_000) + 0.5) / 100_000
    t = biased_timesteps(u, 1000, 600, 0.6)
    assert (t >= 600).mean() == pytest.approx(0.6, abs=1e-4)
    assert t.min() == 0 and t.max() == 999
    counts = np.bincount(t, minlength=1000)
    assert counts[:600].min() >= 66 and counts[:600].max() <= 67 and set(counts[600:]) == {150}
    assert np.array_equal(biased_timesteps(u, 1000, 600, 0.4), np.floor(u * 1000).astype(int))
    assert (biased_timesteps(u, 1000, 600, 1.0) >= 600).all() and (biased_timesteps(u, 1000, 600, 0.0) < 600).all()


def test_draws_do_not_depend_on_the_batch_and_are_prefix_exact():
    items = [f"7/{i}" for i in range(6)]
    whole = noise(3, "noise", items, (4, 3, 5))
    halves = torch.cat([noise(3, "noise", items[:1], (4, 3, 5)), noise(3, "noise", items[1:], (4, 3, 5))])
    assert torch.equal(whole, halves)
    assert torch.equal(noise(3, "noise", items, (7,)), whole.reshape(6, -1)[:, :7])
    assert not torch.equal(whole[0], whole[1]) and not torch.equal(whole, noise(4, "noise", items, (4, 3, 5)))
    big = noise(0, "noise", ["a"], (100_000,))
    assert abs(big.mean()) < 0.01 and abs(big.std() - 1) < 0.01
    assert np.array_equal(uniform(1, "t", items)[2:3], uniform(1, "t", items[2:3]))
