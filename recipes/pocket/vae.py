"""The pocket VAE: a real AutoencoderKL, factor 4, whose encoder is `chain`'s and final, and whose decoder is trained here.

Loss: mean absolute error of pixels and of their differences to right and lower neighbours (edges: lines are what a
cartoon is made of, and plain L1 blurs them), heads counted four times. A little noise on the latents, because those
that the image model draws are never quite right.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from diffusers import AutoencoderKL

from fullcast.models.stable_diffusion.family import to_images, to_tensor
from fullcast.models.stable_diffusion.normalise import isometric_latents
from fullcast.store.seeding import rng as keyed
from recipes.pocket.bank import Bank
from recipes.pocket.chain import LATENT_CHANNELS, Chain, plant
from recipes.pocket.pictures import random_picture, rows_by_style
from recipes.pocket.state import SHIPPED_BASE, Slice, ema_update, state_dir, weights_of

CHANNELS = (16, 32, 64)
NORM_GROUPS = 4
SIZES = ((144, 64), (112, 80), (96, 96), (80, 112))
BATCH = 8
WHITENING = 0.0
"""While the decoder is trained: errors of latents are errors of pixels. The base gets all directions alike (`whitened`)."""
LATENT_NOISE = 0.05
HEAD_WEIGHT = 4.0
TOTAL_STEPS = 1600
LEARNING_RATE = 1.5e-3


def build() -> AutoencoderKL:
    """Untrained, its residual branches at zero: only the straight way through is open."""
    model = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=["DownEncoderBlock2D"] * len(CHANNELS),
        up_block_types=["UpDecoderBlock2D"] * len(CHANNELS),
        block_out_channels=CHANNELS,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=NORM_GROUPS,
        sample_size=144,
        scaling_factor=1.0,
    )
    with torch.no_grad():
        for name, module in model.named_modules():
            if name.endswith(("conv2", "to_out.0")):
                module.weight.zero_()
                module.bias.zero_()
    return model


def planted() -> AutoencoderKL:
    """The linear chain inside the network, latents scaled for the image model; the same bytes every time."""
    torch.manual_seed(0)
    model, chain = build(), Chain()
    chain.load_state_dict(weights_of("chain", "model"))
    pixels = scale_pictures()
    plant(chain, model, pixels)
    isometric_latents(model, pixels, whitening=WHITENING)
    return model


def whitened() -> AutoencoderKL:
    """The VAE as the base learns in it: this machine's, where its state is there, else the one that ships; all directions
    of its latents alike, what it decodes unchanged.

    With v-prediction the best linear guess is then nothing at all, at every timestep. Where weak directions keep a
    variance of 0.03 (WHITENING 0), it is their noise, copied through normalised layers that cannot copy: after 3,000
    pictures such a U-Net was 1.7 times worse than a linear filter, and noise stood in all it drew (docs/experiments.md).
    """
    if (state_dir("vae") / "state.safetensors").exists():
        model = build()
        model.load_state_dict(weights_of("vae"))
    else:
        model = AutoencoderKL.from_pretrained(SHIPPED_BASE / "vae", dtype=torch.float32)
    isometric_latents(model, scale_pictures(), whitening=1.0)
    return model


def scale_pictures() -> torch.Tensor:
    """(128, 3, H, W) in [-1, 1]: what the latents' scale is measured on."""
    pictures = Pictures(Bank.load())
    return to_tensor([pictures.one(keyed(11, "scale", i), *SIZES[0]).rgb for i in range(128)])


class ThroughVae:
    """A picture as the VAE that ships gives it back: what judge and detector must bear in all that is drawn."""

    def __init__(self) -> None:
        self.vae = AutoencoderKL.from_pretrained(SHIPPED_BASE / "vae", dtype=torch.float32).eval()

    @torch.inference_mode()
    def __call__(self, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(H, W, 3) uint8, sides multiples of 4; latents up to a fifth of their spread off."""
        z = self.vae.encode(to_tensor([rgb])).latent_dist.mean
        noise = torch.from_numpy(rng.normal(0, rng.uniform(0, 0.2), tuple(z.shape)).astype(np.float32))
        return to_images(self.vae.decode(z + noise * z.std((0, 2, 3), keepdim=True)).sample)[0]


class Pictures:
    """Batches of whole pictures of one size, with a weight for each pixel."""

    def __init__(self, bank: Bank) -> None:
        self.bank, self.rows = bank, rows_by_style(bank)

    def one(self, rng: np.random.Generator, width: int, height: int):
        return random_picture(self.bank, rng, width, height, small=0.15, rows=self.rows)

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(BATCH, 3, H, W) in [-1, 1] and weights (BATCH, 1, H, W)."""
        rng = keyed(11, "vae", step)
        width, height = SIZES[int(rng.integers(len(SIZES)))]
        pictures = [self.one(rng, width, height) for _ in range(BATCH)]
        weights = torch.ones(BATCH, 1, height, width)
        for weight, picture in zip(weights, pictures, strict=True):
            for person in picture.people:
                x0, y0, x1, y1 = (round(v) for v in person.head)
                weight[:, y0:y1, x0:x1] = HEAD_WEIGHT
        return to_tensor([p.rgb for p in pictures]), weights / weights.mean()


def reconstruction_loss(y: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    d = (y - x).abs() * weight
    right = (y[..., 1:] - y[..., :-1] - x[..., 1:] + x[..., :-1]).abs() * weight[..., 1:]
    lower = (y[..., 1:, :] - y[..., :-1, :] - x[..., 1:, :] + x[..., :-1, :]).abs() * weight[..., 1:, :]
    return d.mean() + 0.5 * (right.mean() + lower.mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--steps", type=int, default=TOTAL_STEPS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, ema = planted(), planted()
    learning = [*model.decoder.parameters()]  # post_quant_conv belongs to the latents' scale and stays
    optimizer = torch.optim.AdamW(learning, lr=LEARNING_RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    run = Slice("vae", {"model": model, "ema": ema}, optimizer, args.seconds)
    pictures, errors = Pictures(Bank.load()), []
    while run.step < args.steps and not run.over():
        warm, progress = min(1.0, (run.step + 1) / 200), run.step / args.steps
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * warm * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * progress)))
        x, weight = pictures.batch(run.step)
        with torch.no_grad():
            z = model.encode(x).latent_dist.mean
            z = z + LATENT_NOISE * torch.randn(z.shape, generator=torch.Generator().manual_seed(run.step))
        y = model.decode(z).sample
        reconstruction_loss(y, x, weight).backward()
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.step += 1
        ema_update(ema, model, min(0.995, run.step / (run.step + 10)))
        errors.append(float((y - x).detach().abs().mean()) * 127.5)
        if run.step % 50 == 0:
            run.note(mae=round(float(np.mean(errors)), 3))
            errors.clear()
        if run.step % 200 == 0:
            run.save()
    run.save()


if __name__ == "__main__":
    main()
