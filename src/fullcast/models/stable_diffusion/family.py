"""What training and generation ask of an image model; everything Stable Diffusion about it stays in here.

Legend: B batch, C latent channels, h w latent size, L text positions (77), D width of the prompt embeddings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from fullcast.diffusion.schedule import alphas_cumprod
from fullcast.models.stable_diffusion.tokenizer import TOKENIZING, added_words, in_full
from fullcast.models.torch_device import sent
from fullcast.store.errors import FullcastError


@dataclass
class StableDiffusion:
    """One pipeline and the few operations that the loop and the sampler need."""

    pipeline: Any
    """A diffusers `StableDiffusionPipeline`."""
    _known_sha256: str = field(default="", init=False, repr=False)
    """Of the weights before `for_drawing` rounded them."""

    @classmethod
    def load(cls, path: str | Path) -> StableDiffusion:
        """From a diffusers folder or a single file (.safetensors, .ckpt) of SD 1.x, 2.x or SDXL."""
        from fullcast.models.stable_diffusion.folder import load_pipeline

        return cls.of(load_pipeline(path))

    @staticmethod
    def of(pipeline: Any) -> StableDiffusion:
        """The family's own operations on a pipeline."""
        from fullcast.models.stable_diffusion.folder import SDXL
        from fullcast.models.stable_diffusion.sdxl import StableDiffusionXL

        return (StableDiffusionXL if type(pipeline).__name__ == SDXL else StableDiffusion)(pipeline)

    text_components: ClassVar[tuple[str, ...]] = ("text_encoder",)
    """Names of the text encoders, for `module` and `parameters`."""

    @property
    def family(self) -> str:
        """sd1 | sd2 | sdxl, as files and metadata tell them apart."""
        return "sd2" if self.pipeline.unet.config.get("use_linear_projection", False) else "sd1"

    @property
    def device(self) -> torch.device:
        # diffusers' own answer walks through all modules each time: a millisecond for a small U-Net.
        return next(self.pipeline.unet.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """In which the denoiser computes."""
        return next(self.pipeline.unet.parameters()).dtype

    @property
    def size_multiple(self) -> int:
        """Widths and heights in pixels must be multiples of this."""
        return self.pipeline.vae_scale_factor

    @property
    def default_size(self) -> tuple[int, int]:
        """(width, height) in pixels that the model was made for."""
        size = self.pipeline.unet.config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        return width * self.size_multiple, height * self.size_multiple

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """(C, h, w) of a picture of width x height pixels. FullcastError when they do not divide."""
        factor = self.size_multiple
        if width % factor or height % factor or width < factor or height < factor:
            raise FullcastError(
                f"a picture of {width}x{height} was asked for; both sides must be multiples of {factor}"
            )
        return self.pipeline.vae.config.latent_channels, height // factor, width // factor

    @property
    def prediction_type(self) -> str:
        """epsilon | v_prediction: what `predict` returns."""
        return self.pipeline.scheduler.config.prediction_type

    def alphas_cumprod(self) -> torch.Tensor:
        """(T,) float64: signal power at each training timestep, zero terminal SNR applied if the model says so."""
        config = self.pipeline.scheduler.config
        return alphas_cumprod(
            config.num_train_timesteps,
            config.beta_start,
            config.beta_end,
            config.beta_schedule,
            bool(config.get("rescale_betas_zero_snr", False)),
        )

    def use_schedule(self, prediction_type: str, zero_terminal_snr: bool) -> None:
        """Another target, or a last step of pure noise, from now on and in every folder that is written.

        `prediction_type` "base" and `zero_terminal_snr` False leave what the model came with. FullcastError when it
        would predict the noise in a picture of nothing but noise.
        """
        from diffusers import DDIMScheduler

        config = self.pipeline.scheduler.config
        changes: dict[str, Any] = {} if prediction_type == "base" else {"prediction_type": prediction_type}
        if zero_terminal_snr and not config.get("rescale_betas_zero_snr", False):
            # Sampling must begin at the last step, the only one of pure noise: trailing, without clipping latents.
            changes |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "clip_sample": False}
        kind = DDIMScheduler if "rescale_betas_zero_snr" in changes else type(self.pipeline.scheduler)
        if changes:
            self.pipeline.scheduler = kind.from_config(config, **changes)
        if self.prediction_type == "epsilon" and not self.alphas_cumprod()[-1]:
            raise FullcastError(
                "a model that predicts noise (epsilon) says nothing of a picture at a last step of pure noise (zero "
                'terminal SNR): set training.prediction_type = "v_prediction", or leave out zero_terminal_snr'
            )

    # Pixels and latents

    @torch.no_grad()
    def encode_moments(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) in [-1, 1], RGB -> (B, 2C, h, w): scaled mean and standard deviation of the VAE's posterior."""
        posterior = self.pipeline.vae.encode(pixels).latent_dist
        return torch.cat([posterior.mean, posterior.std], 1) * self.pipeline.vae.config.scaling_factor

    def encode_images(self, pixels: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        """(B, 3, H, W) in [-1, 1] -> scaled latents (B, C, h, w); the posterior's mean unless noise is given."""
        return latents_of(self.encode_moments(pixels), noise)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Scaled latents (B, C, h, w) -> pixels (B, 3, H, W), clamped to [-1, 1]."""
        vae = self.pipeline.vae
        return vae.decode(latents.to(vae.dtype) / vae.config.scaling_factor).sample.clamp(-1, 1)

    # Words

    def token_ids(self, prompts: Sequence[str]) -> torch.Tensor:
        """(B, L) int64, padded and cut to the text encoder's positions."""
        return token_ids(self.pipeline.tokenizer, prompts)

    def num_tokens_cut(self, prompt: str) -> int:
        """Tokens of `prompt` that do not reach the text encoder."""
        tokenizer = self.pipeline.tokenizer
        said = in_full(tokenizer(prompt, truncation=False).input_ids, added_words(tokenizer))
        return max(0, len(said) - tokenizer.model_max_length)

    def encode_tokens(self, token_ids: torch.Tensor) -> torch.Tensor:
        """(B, L) int64 -> prompt_embeds (B, L, D); with gradient if the caller has it on."""
        encoder = self.pipeline.text_encoder
        if self.clip_skip == 1:
            return encoder(token_ids.to(self.device))[0]
        hidden = encoder(token_ids.to(self.device), output_hidden_states=True).hidden_states[-self.clip_skip]
        return getattr(encoder, "text_model", encoder).final_layer_norm(hidden)

    @property
    def clip_skip(self) -> int:
        """Layer of the text encoder that is heard, from the end: 1 the last, 2 the last but one (through the final
        norm, as UIs do). It stands in the text encoder's config, so folders carry it."""
        return int(getattr(self.pipeline.text_encoder.config, "clip_skip", 1))

    def use_clip_skip(self, layer: int | None) -> None:
        """None leaves what the model came with. FullcastError when the text encoder has no such layer."""
        if layer is None:
            return
        layers = self.pipeline.text_encoder.config.num_hidden_layers
        if not 1 <= layer <= layers:
            raise FullcastError(f"clip_skip {layer} was asked for; this text encoder has {layers} layers")
        if layer != 1 or self.clip_skip != 1:
            self.pipeline.text_encoder.config.clip_skip = layer

    def encode_prompts(self, prompts: Sequence[str]) -> torch.Tensor:
        """prompt_embeds (B, L, D); "" is the unconditional prompt."""
        return self.encode_tokens(self.token_ids(prompts))

    def encode_captions(self, token_ids: torch.Tensor) -> torch.Tensor:
        """As `encode_tokens`, but the empty text is what the family takes for no words: for captions that are trained,
        some of them dropped, and for negative prompts, so that drawing pushes away from what was trained."""
        return self.encode_tokens(token_ids)

    def encode_negatives(self, prompts: Sequence[str]) -> torch.Tensor:
        """Of negative prompts, what `encode_captions` gives."""
        return self.encode_captions(self.token_ids(prompts))

    def join(self, said: Sequence[torch.Tensor]) -> torch.Tensor:
        """Captions that were encoded one by one, wherever they lie, as one batch on the model's device."""
        return sent(torch.cat(list(said)), self.device)

    def side_by_side(self, words: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        """Words (U, L, D) and which of them each row hears (B, K) -> (B, K * L, D), as `regions` wants them."""
        return words[which].flatten(1, 2)

    # The network

    def for_training(self, device: torch.device, text_encoder: bool, gradient_checkpointing: bool = False) -> None:
        """Moves all parts to the device in float32; gradients for the denoiser and, if asked, the text encoder. On a
        GPU the VAE takes one picture after another, as for drawing."""
        self._move(device)
        unet = self.pipeline.unet
        # 1.0 to 1.2 times as fast on the CPU, 1.1 to 1.3 on tensor cores; values are the same up to rounding.
        unet.to(memory_format=torch.channels_last)
        if device.type == "cpu":
            from fullcast.models.stable_diffusion.region_attention import RegionAttention

            unet.set_attn_processor(RegionAttention({}))
        self.pipeline.vae.requires_grad_(False)
        unet.requires_grad_(True).train()
        for name in self.text_components:
            getattr(self.pipeline, name).requires_grad_(text_encoder).train(text_encoder)
        for module in self.unheard():
            module.requires_grad_(False)
        if gradient_checkpointing:
            unet.enable_gradient_checkpointing()

    def for_drawing(self, device: torch.device | str, dtype: str = "float32") -> None:
        """Moves all parts to the device; denoiser and text encoders to `dtype` (float32 | bfloat16 | float16), half the
        memory for the latter. The VAE stays in float32: SDXL's overflows in float16. On a GPU it decodes one picture
        after another, which changes no value."""
        if dtype != "float32":
            self._known_sha256 = self.sha256()
            for name in ("denoiser", *self.text_components):
                self.module(name).to(getattr(torch, dtype))
        self._move(device)

    def _move(self, device: torch.device | str) -> None:
        self.pipeline.to(device)
        if torch.device(device).type == "cuda":
            self.pipeline.vae.enable_slicing()

    def unheard(self) -> list[torch.nn.Module]:
        """Parts of the text encoders whose output nothing listens to: they have no gradient."""
        return list(_layers(self.pipeline.text_encoder)[1 - self.clip_skip :]) if self.clip_skip > 1 else []

    def predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, prompt_embeds: torch.Tensor) -> torch.Tensor:
        """Noisy latents (B, C, h, w), integer timesteps (B,) or (), prompt_embeds (B, L, D) -> (B, C, h, w)."""
        return self.pipeline.unet(noisy, timesteps, encoder_hidden_states=prompt_embeds, return_dict=False)[0]

    @contextmanager
    def regions(self, masks: Sequence[torch.Tensor], beta: float) -> Iterator[None]:
        """Inside the block `predict` takes prompt_embeds (B, (N+1) * L, D) = [global; c_1; ...; c_N] along the tokens.

        `masks`: for each of the B rows (N, h, w) bool over the latents, where c_1 to c_N are heard; an empty mask
        silences one. `beta` in (0, 1] is the weight of the global words inside a region.
        """
        from fullcast.models.stable_diffusion.region_attention import bias_tables, levels_that_hear, region_attention

        num_tokens = self.pipeline.tokenizer.model_max_length
        levels = levels_that_hear(self.pipeline.unet)
        rows = [bias_tables(mask, num_tokens, beta, levels) for mask in masks]
        tables = {q: torch.stack([row[q] for row in rows])[:, None] for q in rows[0]}
        with region_attention(self.pipeline.unet, tables):
            yield

    def scheduler(self, name: str) -> Any:
        """A fresh diffusers scheduler (ddim | euler | dpm++2m) on this model's noise schedule."""
        from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler

        known = {"ddim": DDIMScheduler, "euler": EulerDiscreteScheduler, "dpm++2m": DPMSolverMultistepScheduler}
        if name not in known:
            raise FullcastError(f"there is no scheduler {name!r}; known are {', '.join(known)}")
        # A config that comes from a DDPM keeps clip_sample = True and would clip the latents to [-1, 1].
        return known[name].from_config(self.pipeline.scheduler.config, clip_sample=False)

    def parameters(self, component: str) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """(name, parameter) of "denoiser" or a text encoder that can be trained, in a fixed order."""
        return ((name, p) for name, p in self.module(component).named_parameters() if p.requires_grad)

    def module(self, component: str) -> torch.nn.Module:
        """The live module called "denoiser", "text_encoder", "text_encoder_2" or "vae"."""
        return self.pipeline.unet if component == "denoiser" else getattr(self.pipeline, component)

    # Names and files

    def sha256(self) -> str:
        """Hash over all weights as they are now, or were before `for_drawing` rounded them; the same for a model and
        its saved copy in float32."""
        if self._known_sha256:
            return self._known_sha256
        digest = hashlib.sha256()
        for component in ("denoiser", *self.text_components, "vae"):
            _sha256(self.module(component), digest)
        return digest.hexdigest()

    def vae_sha256(self) -> str:
        """Hash over the VAE and its scaling: names a set of latents."""
        digest = hashlib.sha256(str(self.pipeline.vae.config.scaling_factor).encode())
        _sha256(self.pipeline.vae, digest)
        return digest.hexdigest()

    def write(
        self,
        folder: Path,
        dtype: torch.dtype | None = None,
        weights: Mapping[str, Mapping[str, torch.Tensor]] | None = None,
    ) -> None:
        """Writes a diffusers folder into `folder`, which the caller makes atomic; `weights` replace live ones."""
        from fullcast.models.stable_diffusion.folder import write_pipeline

        own = {"denoiser": "unet"}
        write_pipeline(self.pipeline, folder, dtype, {own.get(k, k): v for k, v in (weights or {}).items()})


def _sha256(module: torch.nn.Module, digest: hashlib._Hash) -> None:
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())


def token_ids(tokenizer: Any, prompts: Sequence[str]) -> torch.Tensor:
    """(B, L) int64, padded and cut to the tokenizer's length. One thread at a time: it is set up anew by each call."""
    length = tokenizer.model_max_length
    with TOKENIZING:
        words = added_words(tokenizer)
        said = tokenizer(list(prompts), max_length=length, truncation=not words, return_attention_mask=False).input_ids
    if words:  # a word of several vectors takes several places, and the end stays the last one
        told = [in_full(ids, words) for ids in said]
        said = [ids if len(ids) <= length else [*ids[: length - 1], ids[-1]] for ids in told]
    # Padded here: with the tokenizer's own padding and tensors 8 short captions took 0.48 ms, not 0.20.
    return torch.tensor([ids + [tokenizer.pad_token_id] * (length - len(ids)) for ids in said], dtype=torch.int64)


def _layers(encoder: torch.nn.Module) -> torch.nn.ModuleList:
    """Of CLIP's text encoder; transformers 5.6 and later have no `text_model` level in it."""
    return getattr(encoder, "text_model", encoder).encoder.layers  # type: ignore[return-value, union-attr]


def latents_of(moments: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
    """Moments (B, 2C, h, w) as `encode_moments` gives them -> latents (B, C, h, w): mean + std * noise."""
    mean, std = moments.chunk(2, 1)
    return mean if noise is None else mean + std * noise


def to_tensor(images: Sequence[np.ndarray] | np.ndarray) -> torch.Tensor:
    """(B, H, W, 3) uint8 RGB -> (B, 3, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(np.stack(list(images))).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_images(pixels: torch.Tensor) -> np.ndarray:
    """(B, 3, H, W) in [-1, 1] -> (B, H, W, 3) uint8 RGB, rounded to the nearest."""
    return ((pixels.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
