"""How much arithmetic Stable Diffusion 1.x needs: for plans, before there is a card to measure on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

SQUARE = 512 * 512
TERA = 1e12


@dataclass(frozen=True, slots=True)
class Work:
    """Operations per picture as a + b (pixels / 512^2): b for what grows with the area, c with its square (attention).

    The figures are an exact layer sum for SD 1.5 (one multiply-add counts as two), at 512, 576, 640, 704 and 768 px
    square; the two terms meet each of them within 1 %.
    """

    unet_area: float = 0.68 * TERA
    unet_attention: float = 0.12 * TERA
    vae_area: float = 1.088 * TERA
    vae_attention: float = 0.032 * TERA
    text_forward: float = 0.0133 * TERA
    """77 tokens through CLIP-L."""
    unet_parameters: float = 859.5e6
    text_parameters: float = 123.1e6
    vae_parameters: float = 83.7e6
    latent_bytes_per_px: float = 0.25
    """Mean and standard deviation, 4 channels each, float16, one for 64 pixels."""
    weight_bytes: float = 4
    """Of a number of what is trained, and of its gradient: 2 in bfloat16."""
    moment_bytes: float = 8
    """Of Adam's two moments of it together: 4 in bfloat16, 2 in 8 bits."""
    teacher: bool = False
    """A frozen copy of the denoiser and the text encoder says what regularization pictures are held to."""

    def unet(self, pixels: float) -> float:
        """Operations of one forward pass."""
        area = pixels / SQUARE
        return self.unet_area * area + self.unet_attention * area**2

    def vae(self, pixels: float) -> float:
        """Operations to encode one picture."""
        area = pixels / SQUARE
        return self.vae_area * area + self.vae_attention * area**2

    def train(
        self, pixels: float, *, checkpointing: bool, text_encoder: bool, lora: bool = False, taught: float = 0.0
    ) -> float:
        """Operations of one visit: forward, backward (as much again for what goes into each layer, and once more for
        its weights, which a LoRA leaves alone), and the forward again with checkpointing. `taught`: share of the
        visits, in [0, 1], of which the teacher is asked too: one more forward."""
        passes = 2 if lora else 3
        denoiser, words = passes + checkpointing + taught, (passes if text_encoder else 1) + taught
        return denoiser * self.unet(pixels) + words * self.text_forward

    def memory_gb(
        self, pixels: float, batch: int, *, checkpointing: bool, text_encoder: bool, ema: bool, lora: bool = False
    ) -> float:
        """10^9 bytes on the card: weights, gradients, Adam and average (float32), and activations of as many pictures
        as go through at once. A LoRA's own are some 10^7 bytes and are not counted; it is its own teacher.

        0.9 GB a picture at 512^2 with checkpointing is what EveryDream1's readme amounts to (19.5 GB at batch 1, 24 GB
        at batch 6); four times that without is a guess.
        """
        both = self.unet_parameters + self.text_parameters
        adapted = self.unet_parameters + (self.text_parameters if text_encoder else 0)
        weights = 4 * (self.vae_parameters + both - adapted) + self.weight_bytes * adapted
        beside = self.weight_bytes + self.moment_bytes + (4 if ema else 0)
        moved = 0.0 if lora else beside * adapted + (self.weight_bytes * both if self.teacher else 0)
        activations = (0.9e9 if checkpointing else 3.6e9) * batch * pixels / SQUARE
        return (weights + moved + activations) / 1e9

    def model_gb(self, bytes_per_parameter: int = 4) -> float:
        """A checkpoint without the state of the training."""
        return bytes_per_parameter * (self.unet_parameters + self.text_parameters + self.vae_parameters) / 1e9

    def state_gb(self, *, text_encoder: bool) -> float:
        """Live weights, average (float32) and Adam's two moments of what is trained."""
        each = self.weight_bytes + 4 + self.moment_bytes
        return each * (self.unet_parameters + (self.text_parameters if text_encoder else 0)) / 1e9


def is_sd1(base: Path) -> bool:
    """By the U-Net's settings, or the names of a single file's weights; while neither is here, by its own name."""
    settings = base / "unet" / "config.json"
    if settings.is_file():
        config = json.loads(settings.read_text(encoding="utf-8"))
        return config.get("cross_attention_dim") == 768 and config.get("block_out_channels") == [320, 640, 1280, 1280]
    if (side := side_px(base)) is not None:
        return side == 512
    name = base.name.lower().replace("_", "-")
    return any(mark in name for mark in ("stable-diffusion-v1", "sd-v1", "sd15", "sd-1.5"))


def side_px(base: Path) -> int | None:
    """Side of the square pictures that a base was made for, by its settings, or by the names of a single file's
    weights; None where neither tells."""
    unet, vae = base / "unet" / "config.json", base / "vae" / "config.json"
    if unet.is_file() and vae.is_file():
        try:
            size = json.loads(unet.read_text(encoding="utf-8")).get("sample_size")
            levels = json.loads(vae.read_text(encoding="utf-8")).get("block_out_channels", ())
        except ValueError:  # whoever opens the base says so
            return None
        size = max(size) if isinstance(size, list) else size
        return size * 2 ** (len(levels) - 1) if size and levels else None
    if base.suffix != ".safetensors" or not base.is_file():
        return None
    from safetensors import safe_open

    try:
        with safe_open(base, "pt") as file:
            names = set(file.keys())
    except Exception:  # safetensors' own error has no public base; whoever opens the base says so
        return None
    if any(name.startswith("conditioner.embedders.1.") for name in names):
        return 1024
    if any(name.startswith("cond_stage_model.model.") for name in names):
        return 768
    return 512 if any(name.startswith("cond_stage_model.transformer.") for name in names) else None
