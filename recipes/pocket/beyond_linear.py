"""What a base knows beyond a linear filter: error by timestep with the right, no and a wrong caption, a Wiener filter beside.

The Wiener filter is the best linear denoiser: per spatial frequency it knows how channels vary together over many pictures,
and nothing of captions. A network that equals it has learnt no heads and no people yet, however its loss falls; one that
falls below it at timesteps 500 to 800 has.

    python -m recipes.pocket.beyond_linear CHECKPOINT
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from fullcast.models.stable_diffusion.family import StableDiffusion, to_tensor
from recipes.pocket.base import Captions, picture_of

WIDTH, HEIGHT = 144, 64
NUM_PICTURES, NUM_FITTED = 64, 600
TIMESTEPS = (100, 300, 500, 600, 700, 800, 850, 900, 950, 999)


def sample_ids(first: int, count: int) -> list[str]:
    """Names of pictures as the base's stream spells them; the stream uses those below 100,000 only."""
    return [f"{first + i}-0-{WIDTH}x{HEIGHT}" for i in range(count)]


@torch.inference_mode()
def latents(model: StableDiffusion, ids: list[str]) -> torch.Tensor:
    """(N, C, h, w)."""
    pictures = [picture_of(sample_id, WIDTH, HEIGHT).rgb for sample_id in ids]
    return torch.cat([model.encode_images(to_tensor([rgb])) for rgb in pictures])


class Wiener:
    """x_0 from a x_0 + s e: per frequency a S (a^2 S + s^2 I)^-1, S the covariance of channels over pictures."""

    def __init__(self, x: torch.Tensor) -> None:
        self.mean = x.mean(0)
        waves = torch.fft.fft2(x - self.mean, norm="ortho").permute(0, 2, 3, 1)
        self.covariance = torch.einsum("nhwc,nhwd->hwcd", waves, waves.conj()) / len(x)

    def __call__(self, noisy: torch.Tensor, a: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        eye = torch.eye(noisy.shape[1], dtype=torch.complex64)
        filters = a * self.covariance @ torch.linalg.inv(a * a * self.covariance + s * s * eye)
        waves = torch.fft.fft2(noisy - a * self.mean, norm="ortho").permute(0, 2, 3, 1)
        clean = torch.einsum("hwcd,nhwd->nhwc", filters, waves).permute(0, 3, 1, 2)
        return torch.fft.ifft2(clean, norm="ortho").real + self.mean


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    torch.set_num_threads(1)
    model = StableDiffusion.load(parser.parse_args().checkpoint)
    wiener = Wiener(latents(model, sample_ids(0, NUM_FITTED)))
    ids = sample_ids(1_000_000, NUM_PICTURES)
    x, right = latents(model, ids), [Captions().caption(sample_id, 0) for sample_id in ids]
    told = {"right": right, "no": [""] * len(ids), "wrong": [*right[1:], right[0]]}
    embeds = {name: model.encode_tokens(model.token_ids(captions)) for name, captions in told.items()}
    print("squared error of v\n   t", *(f"{name:>7}" for name in (*told, "linear")))
    for t in TIMESTEPS:
        power = model.alphas_cumprod()[t].float()
        a, s = power.sqrt(), (1 - power).sqrt()
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(t))
        noisy, target = a * x + s * noise, a * noise - s * x
        found = {n: model.predict(noisy, torch.full((len(x),), t), e) for n, e in embeds.items()}
        clean = wiener(noisy, a, s)
        found["linear"] = a * (noisy - a * clean) / s - s * clean
        print(f"{t:4}", *(f"{float((v - target).square().mean()):7.3f}" for v in found.values()))


if __name__ == "__main__":
    main()
