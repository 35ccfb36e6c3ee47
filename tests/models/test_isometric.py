"""The linear map that is folded into a VAE changes its latents and not its pictures."""

import torch

from fullcast.models.stable_diffusion.build import build_vae
from fullcast.models.stable_diffusion.config import PocketModelConfig
from fullcast.models.stable_diffusion.normalise import isometric_latents, pixel_metric


def test_pictures_stay_and_latents_measure_pixels() -> None:
    torch.manual_seed(0)
    config = PocketModelConfig(latent_channels=4, vae_block_out_channels=(16, 16, 16), vae_norm_num_groups=4)
    vae = build_vae(config).eval()
    pixels = torch.rand(16, 3, 32, 48) * 2 - 1
    with torch.no_grad():
        before = vae.decode(vae.encode(pixels).latent_dist.mean).sample
        metric_before = pixel_metric(vae, vae.encode(pixels).latent_dist.mean)
        isometric_latents(vae, pixels, floor=1e-4)
        latents = vae.encode(pixels).latent_dist.mean
        after = vae.decode(latents).sample
        metric = pixel_metric(vae, latents)
    torch.testing.assert_close(before, after, atol=1e-3, rtol=1e-3)
    assert abs(float(latents.var((0, 2, 3)).mean()) - 1) < 0.05
    assert latents.mean((0, 2, 3)).abs().max() < 0.05

    def spread(m: torch.Tensor) -> float:
        values = torch.linalg.eigvalsh(m)
        return float(values[-1] / values[0])

    assert spread(metric) < 0.2 * spread(metric_before)  # an equal step in any direction shows about equally
