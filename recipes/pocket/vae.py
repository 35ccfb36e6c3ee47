"""The pocket VAE: a real AutoencoderKL, factor 8, trained on crops of drawn pictures.

Loss: mean absolute error of pixels and of their differences to right and lower neighbours (edges: lines are what a
cartoon is made of, and plain L1 blurs them), plus 1e-6 of the usual KL term so that latents stay smooth.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from diffusers import AutoencoderKL

from fullcast.store.seeding import rng as keyed
from recipes.pocket.bank import Bank
from recipes.pocket.pictures import random_picture, rows_by_style
from recipes.pocket.state import Slice, ema_update

CHANNELS = (16, 32, 64, 96)
LATENT_CHANNELS = 16
SIZES = ((160, 96), (128, 128), (96, 160), (144, 112))
CROP = 64
BATCH = 16
TOTAL_STEPS = 5000
LEARNING_RATE = 1.5e-3


def build(latent_channels: int = LATENT_CHANNELS) -> AutoencoderKL:
    model = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=["DownEncoderBlock2D"] * len(CHANNELS),
        up_block_types=["UpDecoderBlock2D"] * len(CHANNELS),
        block_out_channels=CHANNELS,
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=8,
        sample_size=160,
    )
    # residual branches start at zero and the rest at gain 1: from a plain chain of convolutions the first 200 steps reach
    # a mean error of 22/255, with diffusers' own initial weights 33/255
    with torch.no_grad():
        for name, module in model.named_modules():
            if name.endswith("conv2"):
                module.weight.zero_()
                module.bias.zero_()
            elif isinstance(module, torch.nn.Conv2d) and "quant" not in name:
                module.weight.mul_(3**0.5)
    # the encoder starts almost sure of itself (std 0.05): with the usual std of 1 the first thousand steps only fight noise
    with torch.no_grad():
        model.quant_conv.weight[latent_channels:] *= 0.1
        model.quant_conv.bias[latent_channels:] = -6.0
    return model


class Crops:
    """Batches of 64 px crops that lie on multiples of 8, two from each of a handful of pictures."""

    def __init__(self, bank: Bank) -> None:
        self.bank, self.rows = bank, rows_by_style(bank)

    def batch(self, step: int) -> torch.Tensor:
        """(BATCH, 3, CROP, CROP) in [-1, 1]."""
        rng = keyed(11, "vae", step)
        crops = []
        while len(crops) < BATCH:
            width, height = SIZES[int(rng.integers(len(SIZES)))]
            picture = random_picture(self.bank, rng, width, height, small=0.3, rows=self.rows).rgb
            for _ in range(2):
                x, y = int(rng.integers(width - CROP + 1)), int(rng.integers(height - CROP + 1))
                crops.append(picture[y : y + CROP, x : x + CROP])
        batch = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()
        return (batch / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def reconstruction_loss(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    d = y - x
    edges = (d[..., 1:] - d[..., :-1]).abs().mean() + (d[..., 1:, :] - d[..., :-1, :]).abs().mean()
    return d.abs().mean() + 0.5 * edges


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--latent-channels", type=int, default=LATENT_CHANNELS)
    parser.add_argument("--name", default="vae")
    parser.add_argument("--steps", type=int, default=TOTAL_STEPS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = build(args.latent_channels).to(memory_format=torch.channels_last)
    ema = build(args.latent_channels)
    ema.load_state_dict(model.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    run = Slice(args.name, {"model": model, "ema": ema}, optimizer, args.seconds)
    crops = Crops(Bank.load())
    losses = []
    while run.step < args.steps and not run.over():
        progress = run.step / args.steps
        warm = min(1.0, (run.step + 1) / 200)
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * warm * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * progress)))
        x = crops.batch(run.step)
        posterior = model.encode(x).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=torch.Generator().manual_seed(run.step))
        y = model.decode(posterior.mean + posterior.std * noise).sample
        loss = reconstruction_loss(y, x) + 1e-6 * posterior.kl().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.step += 1
        ema_update(ema, model, min(0.999, run.step / (run.step + 10)))
        losses.append(float((y - x).detach().abs().mean()) * 127.5)
        if run.step % 100 == 0:
            run.note(mae=round(float(np.mean(losses)), 3), std=round(float(posterior.mean.detach().std()), 3))
            losses.clear()
        if run.step % 500 == 0:
            run.save()
    run.save()


if __name__ == "__main__":
    main()
