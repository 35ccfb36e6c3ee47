"""Shape of a small Stable Diffusion, as values; imports without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class PocketModelConfig(BaseModel):
    """A small, complete Stable Diffusion that trains on one core. The figures are in docs/training.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=144, description="Usual picture width in pixels; other sizes work.")
    height: int = Field(default=64, description="Usual picture height in pixels.")

    latent_channels: int = Field(
        default=12, description="Channels of the VAE's latents; 12 at factor 4 keep faces of 20 px apart."
    )
    vae_block_out_channels: tuple[int, ...] = Field(
        default=(16, 32, 64),
        description="Channels per VAE level; the factor is 2 to the power of the levels but one.",
    )
    vae_layers_per_block: int = Field(default=1, description="ResNet blocks per VAE level.")
    vae_norm_num_groups: int = Field(
        default=4, description="Groups of the VAE's group norm; divides every channel count."
    )
    scaling_factor: float = Field(
        default=1.0,
        description="Multiplies latents so that they have unit variance; measured after the VAE is trained.",
    )

    unet_block_out_channels: tuple[int, ...] = Field(default=(64, 128, 160), description="Channels per U-Net level.")
    unet_layers_per_block: int = Field(default=1, description="ResNet (and attention) blocks per U-Net level.")
    attention_levels: tuple[int, ...] = Field(
        default=(1, 2),
        description="U-Net levels that listen to the words, 0 the finest. Without 0 a step takes a fifth less time.",
    )
    attention_head_width: int = Field(default=32, description="Channels of one attention head, not their number.")
    time_scale_shift: bool = Field(
        default=False,
        description="The timestep scales features as well as moving them (diffusers' resnet_time_scale_shift).",
    )
    unet_norm_num_groups: int = Field(default=16, description="Groups of the U-Net's group norm.")

    text_hidden_size: int = Field(default=128, description="Width of the text encoder, and of the cross-attention.")
    text_num_layers: int = Field(default=2, description="Layers of the text encoder.")
    text_num_heads: int = Field(default=4, description="Attention heads of the text encoder.")
    vocabulary_size: int = Field(
        default=8000, description="First entries of CLIP's byte-pair vocabulary, 514 to 49,408."
    )
    max_tokens: int = Field(
        default=77, description="Text positions, the two special tokens included; 77 in every SD 1.x."
    )

    prediction_type: Literal["v_prediction", "sample"] = Field(
        default="v_prediction", description="What the U-Net says: v, or the picture itself."
    )
    beta_start: float = Field(default=0.00085, description="First beta of the scaled linear schedule, as in SD 1.x.")
    beta_end: float = Field(default=0.012, description="Last beta before the rescaling to zero terminal SNR.")

    @property
    def vae_factor(self) -> int:
        """Pixels per latent along one side."""
        return 2 ** (len(self.vae_block_out_channels) - 1)
