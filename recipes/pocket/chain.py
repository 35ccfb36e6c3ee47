"""The straight way through the pocket VAE, trained before the rest: five linear convolutions, then planted into it.

An AutoencoderKL with all residual branches at zero is a chain of linear convolutions around two group norms. That chain
alone costs a fiftieth of the whole network and reaches in minutes what the whole needed half an hour for. Planted, the
network starts there, its encoder is final (so that latents do not change any more while the decoder goes on learning),
and only the decoder's branches are left to train.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.nn import functional

from fullcast.store.seeding import rng as keyed
from recipes.pocket.bank import Bank
from recipes.pocket.pictures import random_picture, rows_by_style
from recipes.pocket.state import Slice

LATENT_CHANNELS = 12
HALF, QUARTER, UPPER = 12, 28, 28
"""Channels at half size, at quarter size in the encoder, and at half size in the decoder."""
SIZE = (128, 64)
NUM_PICTURES = 3000
BATCH = 16
TOTAL_STEPS = 5000
LEARNING_RATE = 4e-3
CONSTANT = 16.0
"""Of the channels that hold a group norm's divisor still, in units of the signal's spread: 1 % of play is left."""


class Chain(nn.Module):
    """Encoder and decoder without a single non-linearity; strides, paddings and upsampling as in AutoencoderKL."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([nn.Conv2d(3, HALF, 3, 2), nn.Conv2d(HALF, QUARTER, 3, 2)])
        self.to_latents = nn.Conv2d(QUARTER, LATENT_CHANNELS, 3, padding=1)
        self.up = nn.ModuleList([nn.Conv2d(LATENT_CHANNELS, UPPER, 3, padding=1), nn.Conv2d(UPPER, 3, 3, padding=1)])

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, QUARTER, H/4, W/4)."""
        for conv in self.down:
            x = conv(functional.pad(x, (0, 1, 0, 1)))
        return x

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.to_latents(self.features(x))

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        for conv in self.up:
            z = conv(functional.interpolate(z, scale_factor=2.0, mode="nearest"))
        return z


def pool() -> torch.Tensor:
    """(NUM_PICTURES, H, W, 3) uint8: drawn once, seen often; a linear map has nothing to learn by heart."""
    bank = Bank.load()
    rows = rows_by_style(bank)
    drawn = [random_picture(bank, keyed(11, "chain", i), *SIZE, small=0.15, rows=rows).rgb for i in range(NUM_PICTURES)]
    return torch.from_numpy(np.stack(drawn))


def train(seconds: float) -> None:
    chain = Chain()
    optimizer = torch.optim.Adam(chain.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99))
    run = Slice("chain", {"model": chain}, optimizer, seconds)
    pictures, errors = pool(), []
    while run.step < TOTAL_STEPS and not run.over():
        warm, progress = min(1.0, (run.step + 1) / 100), run.step / TOTAL_STEPS
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * warm * (0.005 + 0.995 * 0.5 * (1 + np.cos(np.pi * progress)))
        rng = keyed(11, "chain batch", run.step)
        x = pictures[rng.integers(0, NUM_PICTURES, BATCH)].permute(0, 3, 1, 2).float() / 127.5 - 1
        if rng.random() < 0.5:
            x = x.flip(3)
        d = chain.decode(chain.encode(x)) - x
        edges = (d[..., 1:] - d[..., :-1]).square().mean() + (d[..., 1:, :] - d[..., :-1, :]).square().mean()
        optimizer.zero_grad()
        (d.square().mean() + 0.25 * edges).backward()
        optimizer.step()
        run.step += 1
        errors.append(float(d.detach().abs().mean()) * 127.5)
        if run.step % 250 == 0:
            run.note(mae=round(float(np.mean(errors)), 3))
            errors.clear()
    run.save()


@torch.no_grad()
def plant(chain: Chain, model: AutoencoderKL, pixels: torch.Tensor) -> None:
    """Makes `model` (16-32-64, 4 groups, branches at zero) compute what `chain` does, to about 1 %.

    A group norm and a SiLU stand before each `conv_out`. Both are passed by pairs v and -v, because silu(v) - silu(-v)
    is v, in groups whose variance two large constants hold still. `pixels` (N, 3, H, W) tell the spread of signals.
    """
    encoder, decoder = model.encoder, model.decoder
    _keep_first(encoder.conv_in, 3)
    _set(encoder.down_blocks[0].downsamplers[0].conv, chain.down[0], HALF)
    _keep_first(encoder.down_blocks[1].resnets[0].conv_shortcut, HALF)
    _set(encoder.down_blocks[1].downsamplers[0].conv, chain.down[1], QUARTER)
    spread = chain.features(pixels).flatten(2).std((0, 2))
    signal = _pairs(encoder.down_blocks[2].resnets[0].conv_shortcut, encoder.conv_norm_out, spread)
    _read_pairs(encoder.conv_out, chain.to_latents, signal)
    for conv in (model.quant_conv, model.post_quant_conv):
        _keep_first(conv, LATENT_CHANNELS)
        conv.weight[LATENT_CHANNELS:] = 0
        conv.bias[LATENT_CHANNELS:] = -9.0  # the logarithm of a variance: almost none
    _keep_first(decoder.conv_in, LATENT_CHANNELS)
    _set(decoder.up_blocks[0].upsamplers[0].conv, chain.up[0], UPPER)
    _keep_first(decoder.up_blocks[1].resnets[0].conv_shortcut, UPPER)
    _set(decoder.up_blocks[1].upsamplers[0].conv, chain.up[1], 3)
    signal = _pairs(decoder.up_blocks[2].resnets[0].conv_shortcut, decoder.conv_norm_out, torch.full((3,), 0.6))
    eye = nn.Conv2d(3, 3, 3, padding=1)
    _keep_first(eye, 3)
    _read_pairs(decoder.conv_out, eye, signal)


def _keep_first(conv: nn.Conv2d, count: int) -> None:
    """Output i of the first `count` becomes input i; the other outputs stay as they are."""
    middle = conv.kernel_size[0] // 2
    conv.weight[:count] = 0
    conv.bias[:count] = 0
    for i in range(count):
        conv.weight[i, i, middle, middle] = 1


def _set(conv: nn.Conv2d, source: nn.Conv2d, count: int) -> None:
    """The first `count` outputs become those of `source`, reading the first inputs alone."""
    conv.weight[:count] = 0
    conv.weight[:count, : source.in_channels] = source.weight[:count]
    conv.bias[:count] = source.bias[:count]


def _pairs(shortcut: nn.Conv2d, norm: nn.GroupNorm, spread: torch.Tensor) -> list[tuple[int, int, float]]:
    """Writes signal i as v and -v into groups of `norm`; returns (place of v, place of -v, divisor) of each signal."""
    size, signals = norm.num_channels // norm.num_groups, len(spread)
    room = (size - 2) // 2
    places = []
    shortcut.weight.zero_()
    shortcut.bias.zero_()
    for group in range(norm.num_groups):
        mine = range(group * room, min(signals, (group + 1) * room))
        first = group * size
        constant = CONSTANT * max((float(spread[i]) for i in mine), default=1.0)
        shortcut.bias[first], shortcut.bias[first + 1] = constant, -constant
        variance = 2 * (constant**2 + sum(float(spread[i]) ** 2 for i in mine)) / size
        for at, i in enumerate(mine):
            plus = first + 2 + 2 * at
            shortcut.weight[plus, i], shortcut.weight[plus + 1, i] = 1, -1
            places.append((plus, plus + 1, variance**0.5))
    return places


def _read_pairs(conv: nn.Conv2d, source: nn.Conv2d, places: list[tuple[int, int, float]]) -> None:
    """`conv` over silu(v / d) and silu(-v / d) becomes `source` over v."""
    count = source.out_channels
    conv.weight[:count] = 0
    for i, (plus, minus, divisor) in enumerate(places):
        conv.weight[:count, plus] = source.weight[:, i] * divisor
        conv.weight[:count, minus] = -source.weight[:, i] * divisor
    conv.bias[:count] = source.bias


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1e9)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    train(args.seconds)


if __name__ == "__main__":
    main()
