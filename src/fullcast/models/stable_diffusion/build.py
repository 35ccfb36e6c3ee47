"""A new, untrained Stable Diffusion of any size: real diffusers parts, initialised from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fullcast.models.stable_diffusion.config import PocketModelConfig
from fullcast.models.stable_diffusion.tokenizer import clip_tokenizer
from fullcast.store.seeding import key

if TYPE_CHECKING:
    from diffusers import DDIMScheduler, StableDiffusionPipeline
    from transformers import CLIPTextModel


def build_vae(config: PocketModelConfig) -> Any:
    from diffusers import AutoencoderKL

    levels = len(config.vae_block_out_channels)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=config.latent_channels,
        block_out_channels=config.vae_block_out_channels,
        layers_per_block=config.vae_layers_per_block,
        norm_num_groups=config.vae_norm_num_groups,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        sample_size=max(config.width, config.height),
        scaling_factor=config.scaling_factor,
    )


def build_unet(config: PocketModelConfig) -> Any:
    from diffusers import UNet2DConditionModel

    channels = config.unet_block_out_channels
    with_words = [level in config.attention_levels for level in range(len(channels))]
    return UNet2DConditionModel(
        sample_size=(config.height // config.vae_factor, config.width // config.vae_factor),
        in_channels=config.latent_channels,
        out_channels=config.latent_channels,
        block_out_channels=channels,
        layers_per_block=config.unet_layers_per_block,
        down_block_types=tuple("CrossAttnDownBlock2D" if words else "DownBlock2D" for words in with_words),
        up_block_types=tuple("CrossAttnUpBlock2D" if words else "UpBlock2D" for words in reversed(with_words)),
        cross_attention_dim=config.text_hidden_size,
        # diffusers keeps an old misnomer here: this argument is the NUMBER of heads, not their width.
        attention_head_dim=tuple(max(1, width // config.attention_head_width) for width in channels),
        norm_num_groups=config.unet_norm_num_groups,
        resnet_time_scale_shift="scale_shift" if config.time_scale_shift else "default",
    )


def build_text_encoder(config: PocketModelConfig) -> CLIPTextModel:
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=config.vocabulary_size,
            hidden_size=config.text_hidden_size,
            intermediate_size=4 * config.text_hidden_size,
            projection_dim=config.text_hidden_size,
            num_hidden_layers=config.text_num_layers,
            num_attention_heads=config.text_num_heads,
            max_position_embeddings=config.max_tokens,
            # The two special tokens stand at the end of the vocabulary, as in CLIP.
            bos_token_id=config.vocabulary_size - 2,
            eos_token_id=config.vocabulary_size - 1,
            pad_token_id=config.vocabulary_size - 1,
        )
    )


def build_scheduler(config: PocketModelConfig) -> DDIMScheduler:
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=config.beta_start,
        beta_end=config.beta_end,
        beta_schedule="scaled_linear",
        prediction_type=config.prediction_type,
        rescale_betas_zero_snr=True,
        # Sampling must begin at t = 999, the only step of pure noise; "leading" would never visit it.
        timestep_spacing="trailing",
        # DDPM configs keep True: clips latents to [-1, 1] and makes a good model look as if it had learnt nothing.
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,  # without effect under trailing; diffusers warns at anything else
    )


def build_pocket_pipeline(config: PocketModelConfig | None = None, seed: int = 0) -> StableDiffusionPipeline:
    """A whole `StableDiffusionPipeline` with fresh weights, in float32 on the CPU. Same seed, same weights."""
    import torch
    from diffusers import StableDiffusionPipeline

    config = config or PocketModelConfig()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key(seed, "weights"))
        vae, unet, text_encoder = build_vae(config), build_unet(config), build_text_encoder(config)
    pipeline: Any = StableDiffusionPipeline(
        vae=vae.eval(),
        unet=unet.eval(),
        text_encoder=text_encoder.eval(),
        tokenizer=clip_tokenizer(config.vocabulary_size, config.max_tokens),
        scheduler=build_scheduler(config),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
