"""The average, the clean stop, and settings."""

import signal

import pytest
import torch

from fullcast.training.ema import Ema
from fullcast.training.stop import stop_on_signals


def test_average_follows_its_formula():
    live = {"w": torch.nn.Parameter(torch.zeros(3))}
    ema, expected = Ema(live, 0.9), torch.zeros(3)
    for step in range(1, 300):
        with torch.no_grad():
            live["w"].fill_(float(step))
        ema.update(live, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert torch.allclose(ema.shadow["w"], expected, rtol=1e-5)
    # Of a straight line the average lags decay / (1 - decay) steps behind.
    assert ema.shadow["w"][0].item() == pytest.approx(299 - 9, abs=0.1)


def test_shown_average_leaves_every_bit_as_it_was():
    live = {"w": torch.nn.Parameter(torch.randn(5))}
    ema = Ema(live, 0.5)
    with torch.no_grad():
        live["w"].add_(1 / 3)
    before = live["w"].detach().clone()
    with ema.shown(live):
        assert torch.equal(live["w"], ema.shadow["w"]) and not torch.equal(live["w"], before)
    assert torch.equal(live["w"], before)


def test_sigterm_asks_for_a_stop_and_handlers_come_back():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts its background jobs with SIGINT ignored
    former = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with stop_on_signals() as asked:
        assert not asked()
        signal.raise_signal(signal.SIGTERM)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == former


def test_average_of_every_fourth_step_follows_the_average_of_all():
    """Weights that wander: after the first steps one of four is looked at, and the averages stay together."""
    live = {"w": torch.nn.Parameter(torch.zeros(2000))}
    each, fourth = Ema(live, 0.98), Ema(live, 0.98, every=4)
    draw = torch.Generator().manual_seed(0)
    for step in range(1, 601):
        with torch.no_grad():
            live["w"].add_(torch.randn(2000, generator=draw))
        each.update(live, step)
        fourth.update(live, step)
        if step == 40:
            assert torch.equal(each.shadow["w"], fourth.shadow["w"])
    apart = (each.shadow["w"] - fourth.shadow["w"]).std()
    lag = (each.shadow["w"] - live["w"].detach()).std()
    assert 0 < apart < 0.4 * lag
