"""Line 5: losses, weights and targets against float64 written from their papers; averages and schedules on a Gaussian.

The toy: x_0 ~ N(m, s^2) in one dimension. What a network should say is known in closed form, so each statement about a
schedule or a weight is a number and not a belief.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch

from checks.framework import Context, Figure, Goal
from checks.trainer import CHECK
from fullcast.diffusion import losses, schedule
from fullcast.diffusion.weighting import min_snr_weights, velocity_weights
from fullcast.training.ema import Ema

T = 1000
MEAN, SPREAD = 0.7, 0.5
NEAR = Goal("<=", 1e-5)


def tables(zero_terminal: bool) -> np.ndarray:
    """alphas_cumprod (T,) float64 in numpy, from the papers: latent diffusion's betas, Lin et al.'s algorithm 1."""
    beta = np.linspace(math.sqrt(0.00085), math.sqrt(0.012), T) ** 2
    power = np.cumprod(1 - beta)
    if zero_terminal:
        root = np.sqrt(power)
        first, last = root[0], root[-1]
        power = ((root - last) * first / (first - last)) ** 2
    return power


@CHECK.line(5, "losses, weights and targets against float64; EMA, min-SNR and zero terminal SNR on a Gaussian")
def formulas(context: Context) -> Iterable[Figure]:
    torch.manual_seed(0)
    for zero in (False, True):
        ours = schedule.alphas_cumprod(T, 0.00085, 0.012, "scaled_linear", zero)
        name = "zero terminal SNR" if zero else "SD's schedule"
        yield Figure(f"signal power, {name}", _worst(ours, tables(zero)), NEAR, n=T)
        yield from _targets(ours, tables(zero), name)
    yield from _weights()
    yield from _losses()
    yield _average()
    yield from _gaussian()


def _worst(ours: torch.Tensor, reference: np.ndarray) -> float:
    """Largest difference, relative where the reference is above 1."""
    a, b = ours.double().numpy(), np.asarray(reference, dtype=np.float64)
    return float(np.max(np.abs(a - b) / np.maximum(1, np.abs(b))))


def _targets(power: torch.Tensor, reference: np.ndarray, name: str) -> Iterator[Figure]:
    """Noising (Ho et al. 2020, eq. 4) and the three targets (Salimans and Ho 2022, section 4 and appendix D)."""
    t = torch.tensor([0, 1, 250, 500, 998, 999])
    x, e = torch.randn(6, 3, 4, 4), torch.randn(6, 3, 4, 4)
    alpha = np.sqrt(reference[t.numpy()])[:, None, None, None]
    sigma = np.sqrt(1 - reference[t.numpy()])[:, None, None, None]
    x64, e64 = x.double().numpy(), e.double().numpy()
    yield Figure(f"noising, {name}", _worst(schedule.add_noise(x, e, t, power), alpha * x64 + sigma * e64), NEAR, n=6)
    wanted = {"epsilon": e64, "v_prediction": alpha * e64 - sigma * x64, "sample": x64}
    for kind, expected in wanted.items():
        yield Figure(f"target {kind}, {name}", _worst(schedule.target(kind, x, e, t, power), expected), NEAR, n=6)


def _weights() -> Iterator[Figure]:
    """Hang et al. 2023, section 3.4: w = min(SNR, gamma) for x_0, over SNR for epsilon, over SNR + 1 for v."""
    for zero in (False, True):
        power = tables(zero)
        snr = power / (1 - power)
        with np.errstate(divide="ignore", invalid="ignore"):
            wanted = {
                "sample": np.minimum(snr, 5.0),
                "epsilon": np.minimum(1.0, np.where(snr > 0, 5.0 / np.where(snr > 0, snr, 1), np.inf)),
                "v_prediction": np.minimum(snr, 5.0) / (snr + 1),
            }
        for kind, expected in wanted.items():
            found = min_snr_weights(torch.from_numpy(snr), 5.0, kind)
            name = f"min-SNR weight {kind}{', zero terminal SNR' if zero else ''}"
            yield Figure(name, _worst(found, expected), NEAR, n=T)
        # Li and He 2025: the loss in v, of an answer in x_0; v = (alpha x_t - x_0) / sigma
        expected = np.minimum(1 / (1 - power), 16.0)
        found = velocity_weights(torch.from_numpy(snr), 16.0)
        yield Figure(f"weight of x_0 as v{', zero terminal SNR' if zero else ''}", _worst(found, expected), NEAR, n=T)


def _losses() -> Iterator[Figure]:
    said, wanted = torch.randn(5, 3, 4, 6), torch.randn(5, 3, 4, 6)
    e = (said.double() - wanted.double()).numpy()
    yield Figure("squared error", _worst(losses.squared_error(said, wanted), e**2), NEAR, n=e.size)
    t = torch.tensor([0, 10, 500, 900, 999])
    for kind, c in (("constant", np.full(5, 0.1)), ("exponential", 0.1 ** (t.numpy() / T))):
        scale = losses.huber_scale(t, T, 0.1, kind)
        yield Figure(f"Huber's c, {kind}", _worst(scale, c), NEAR, n=5)
        c4 = c[:, None, None, None]
        expected = 2 * c4 * (np.sqrt(e**2 + c4**2) - c4)
        found = losses.pseudo_huber(said, wanted, scale)
        yield Figure(f"pseudo-Huber, {kind}", _worst(found, expected), NEAR, n=e.size)
    mask = torch.rand(5, 1, 4, 6)
    m = 0.1 + 0.9 * mask.double().numpy()
    expected = (e**2 * m).sum((1, 2, 3)) / (m.sum((1, 2, 3)) * 3)
    found = losses.masked_mean(losses.squared_error(said, wanted), mask, 0.1)
    yield Figure("masked loss, by area", _worst(found, expected), NEAR, n=5)
    spread = losses.offset_noise(torch.randn(4000, 2, 4, 4), torch.randn(4000, 2), 0.1).mean((2, 3)).var()
    theory = 1 / 16 + 0.1**2  # of a channel's mean: 1 / hw of the noise's own, and the offset's
    yield Figure(
        "offset noise: variance of a channel's mean / theory", float(spread) / theory, Goal(">=", 0.95), n=8000
    )


def _average() -> Figure:
    """EMA in float64 with TensorFlow's rising decay: min(d, (1 + n) / (10 + n))."""
    live = {"w": torch.nn.Parameter(torch.zeros(4))}
    ema, expected, draw = Ema(live, 0.99), np.zeros(4), np.random.default_rng(0)
    for step in range(1, 501):
        now = draw.normal(size=4)
        with torch.no_grad():
            live["w"].copy_(torch.from_numpy(now))
        ema.update(live, step)
        decay = min(0.99, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * now
    return Figure("EMA after 500 steps", _worst(ema.shadow["w"], expected), NEAR, n=4)


# The Gaussian


def _gaussian() -> Iterator[Figure]:
    yield from _terminal()
    yield from _what_weights_do()
    draw = np.random.default_rng(1)
    live = {"w": torch.nn.Parameter(torch.zeros(2000))}
    ema, spread = Ema(live, 0.99), []
    for step in range(1, 2001):  # weights that jump about their optimum as SGD's do: w = N(0, 1) at each step
        with torch.no_grad():
            live["w"].copy_(torch.from_numpy(draw.normal(size=2000)))
        ema.update(live, step)
        spread.append(float(ema.shadow["w"].var()))
    theory = 0.01 / 1.99  # variance of an average of independent draws: (1 - d) / (1 + d)
    yield Figure("EMA: variance left of SGD's noise / (1 - d) / (1 + d)", spread[-1] / theory, Goal("<=", 1.1), n=2000)
    yield Figure("the same from below", spread[-1] / theory, Goal(">=", 0.9), n=2000)


def _terminal() -> Iterator[Figure]:
    """What the last step gives away of x_0, and with which mean sampling then begins from pure noise.

    At t = T - 1 the noisy x has mean alpha m. With alpha > 0 a sampler that begins at N(0, 1) begins where no training
    picture was: the optimal network takes 0 for a picture that is alpha m too dark, and answers
    E[x_0 | x = 0] = m - alpha s^2 (alpha m) / (alpha^2 s^2 + sigma^2). With zero terminal SNR the answer is m.
    """
    for zero in (False, True):
        power = schedule.alphas_cumprod(T, 0.00085, 0.012, "scaled_linear", zero)
        alpha = float(power[-1].sqrt())
        name = "zero terminal SNR" if zero else "SD's schedule"
        leak = alpha * MEAN
        goal = Goal("=", 0) if zero else Goal(">=", 0.01)
        yield Figure(f"mean brightness left in the last step, {name}", leak, goal)
        said, nothing, last = _regressed(power, T - 1), torch.zeros(1, 1, 1, 1), torch.tensor([T - 1])
        shown = float(schedule.predicted_sample("v_prediction", said, nothing, last, power))
        posterior = MEAN - alpha * SPREAD**2 * alpha * MEAN / (alpha**2 * SPREAD**2 + 1 - alpha**2)
        off = abs(shown - posterior)
        yield Figure(f"x_0 said of pure noise, less the known answer, {name}", off, Goal("<=", 0.02), n=200_000)


def _regressed(power: torch.Tensor, step: int) -> torch.Tensor:
    """v that least squares learns at a timestep, at x = 0: the network of the toy is a line."""
    draw = torch.Generator().manual_seed(2)
    n = 200_000
    x0 = MEAN + SPREAD * torch.randn(n, 1, 1, 1, generator=draw, dtype=torch.float64)
    e = torch.randn(n, 1, 1, 1, generator=draw, dtype=torch.float64)
    t = torch.full((n,), step)
    x = schedule.add_noise(x0, e, t, power).flatten()
    v = schedule.target("v_prediction", x0, e, t, power).flatten()
    slope, at_zero = np.polyfit(x.numpy(), v.numpy(), 1)
    return torch.tensor(at_zero, dtype=torch.float64).view(1, 1, 1, 1)


def _what_weights_do() -> Iterator[Figure]:
    """min-SNR makes one loss in x_0 of all three: a constant c for x_0, said as epsilon or v, has the same optimum.

    With weights w_t the best constant is sum(w_t) m / sum(w_t) = m for any of them; the loss at c differs from that at
    m by sum over t of min(SNR, gamma) (c - m)^2, whatever is predicted.
    """
    power = schedule.alphas_cumprod(T, 0.00085, 0.012, "scaled_linear", False)
    snr = schedule.signal_to_noise(power)
    expected = float(snr.clamp(max=5).mean()) * 0.3**2
    t = torch.arange(T)
    alpha, sigma = power.sqrt(), (1 - power).sqrt()
    errors = {"sample": torch.full((T,), 0.3), "epsilon": 0.3 * alpha / sigma, "v_prediction": 0.3 / sigma}
    for kind, error in errors.items():
        weighted = float((min_snr_weights(snr, 5.0, kind) * error.double() ** 2)[t].mean())
        yield Figure(f"min-SNR: cost of an error of 0.3 in x_0, said as {kind}", weighted / expected, Goal("<=", 1.001))
