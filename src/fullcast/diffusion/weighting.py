"""Which timesteps are drawn and how much each counts."""

from __future__ import annotations

import numpy as np
import torch


def min_snr_weights(snr: torch.Tensor, gamma: float, prediction_type: str) -> torch.Tensor:
    """Hang et al., "Efficient Diffusion Training via Min-SNR Weighting Strategy", 2023, arXiv:2303.09556: loss weights.

    min(SNR, gamma) in terms of x_0; a squared error in epsilon is SNR times that in x_0, one in v is SNR + 1 times
    (their section 3.4 and appendix). Dividing by SNR for v, as some trainers do, blows up where the SNR is near 0. At
    zero terminal SNR the last step gets the weight 0 for v: keep this off, or a gamma with a biased timestep draw.
    """
    if prediction_type == "epsilon":
        return (gamma / snr).clamp(max=1)  # 1 also where the SNR is 0
    clipped = snr.clamp(max=gamma)
    return clipped / (snr + 1) if prediction_type == "v_prediction" else clipped


def velocity_weights(snr: torch.Tensor, most: float) -> torch.Tensor:
    """min(SNR + 1, most): what makes a squared error in x_0 one in v, for networks that say x_0 itself.

    v = (alpha x_t - x_0) / sigma, and 1 / sigma^2 = SNR + 1. The loss in v with the answer in x_0 is that of Li and He,
    "Back to Basics: Let Denoising Generative Models Denoise", 2025: a small network need not carry the noise through.
    Without a limit the last steps, where there is nothing left to decide, would be all that counts.
    """
    return (snr + 1).clamp(max=most)


def biased_timesteps(uniform: np.ndarray, num_timesteps: int, high_from: int, share_high: float) -> np.ndarray:
    """Integer timesteps by inverse distribution from `uniform` in [0, 1): `share_high` of them in [high_from, T).

    Layout (who stands where) is decided at high noise; with 1000, 600 and 0.6 each high step is drawn 2.25 times as
    often as each low one. share_high = 1 - high_from / T is the uniform draw.
    """
    u = np.asarray(uniform, dtype=np.float64)
    low = 1 - share_high
    below = u * high_from / low if low > 0 else np.zeros_like(u)
    above = high_from + (u - low) * (num_timesteps - high_from) / share_high if share_high > 0 else below
    return np.clip(np.where(u < low, below, above), 0, num_timesteps - 1).astype(np.int64)
