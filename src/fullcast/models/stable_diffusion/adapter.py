"""A LoRA that is trained: put on a model by PEFT, read back as layers, written in both layouts and merged.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, arXiv:2106.09685. It sits where kohya's standard
network does: every linear layer and 1x1 convolution of the transformers, and the linear layers of the text encoders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.models.stable_diffusion.folder import KOHYA_FILE, PEFT_FILE
from fullcast.models.stable_diffusion.lora import Configs, Lora, LoraLayer, write_lora
from fullcast.models.stable_diffusion.metadata import modelspec
from fullcast.store.errors import FullcastError
from fullcast.store.seeding import key

UNET_LAYERS = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"]
TEXT_LAYERS = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]

Averaged = Mapping[str, Mapping[str, torch.Tensor]]
"""Component ("denoiser", "text_encoder" ...) to its trained parameters by name."""


def add_adapter(model: StableDiffusion, rank: int, alpha: float, text_encoder: bool, seed: int) -> None:
    """Freezes the model and puts a LoRA on it that changes nothing yet (up is 0, down drawn from the seed)."""
    from peft import LoraConfig, inject_adapter_in_model

    components = ("denoiser", *(model.text_components if text_encoder else ()))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key(seed, "lora"))
        for component in components:
            network: Any = model.module(component)
            layers = UNET_LAYERS if component == "denoiser" else TEXT_LAYERS
            # PEFT's annotation wants a whole alpha; it only ever divides it by the rank.
            config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=layers)  # type: ignore[arg-type]
            inject_adapter_in_model(config, network)
            for name, parameter in network.named_parameters():
                parameter.requires_grad_(".lora_" in name)
    for module in model.unheard():
        module.requires_grad_(False)


@contextmanager
def without_adapter(model: StableDiffusion) -> Iterator[None]:
    """Inside the block the networks are those of the base."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = [m for c in ("denoiser", *model.text_components) for m in model.module(c).modules()]
    adapted = [m for m in layers if isinstance(m, BaseTunerLayer)]
    for layer in adapted:
        layer._disable_adapters = True  # the property's setter would switch gradients off, and on again, each time
    try:
        yield
    finally:
        for layer in adapted:
            layer._disable_adapters = False


def lora_from(weights: Averaged, family: str, alpha: float) -> Lora:
    """PEFT's parameters by name ("...to_q.lora_A.default.weight") as layers, on the CPU."""
    layers: dict[str, dict[str, LoraLayer]] = {}
    for component, tensors in weights.items():
        ours = "unet" if component == "denoiser" else component
        for name, down in tensors.items():
            if ".lora_A." not in name:
                continue
            path = name.split(".lora_A.")[0]
            module = path if ours == "unet" or path.startswith("text_model.") else f"text_model.{path}"
            up = tensors[name.replace(".lora_A.", ".lora_B.")]
            layers.setdefault(ours, {})[module] = LoraLayer(_plain(down), _plain(up), alpha)
    return Lora(family, layers)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().contiguous()


def merged(model: StableDiffusion, weights: Averaged, alpha: float) -> dict[str, dict[str, torch.Tensor]]:
    """Component (as in `StableDiffusion.write`) to the adapted layers' weights: W + alpha / r * up @ down, float32."""
    result: dict[str, dict[str, torch.Tensor]] = {}
    for component, tensors in weights.items():
        own = model.module(component).state_dict()
        for name, down in tensors.items():
            if ".lora_A." not in name:
                continue
            path = name.split(".lora_A.")[0]
            up = tensors[name.replace(".lora_A.", ".lora_B.")]
            weight = own[f"{path}.base_layer.weight"].float().cpu()
            change = LoraLayer(_plain(down), _plain(up), alpha).change().view_as(weight)
            result.setdefault(component, {})[f"{path}.weight"] = weight + change
    return result


@torch.no_grad()
def merge(model: StableDiffusion, lora: Lora) -> None:
    """Adds a LoRA to a model's weights for good. FullcastError when the model lacks one of its layers."""
    for component, layers in lora.layers.items():
        own = dict(model.module("denoiser" if component == "unet" else component).named_parameters())
        for path, layer in layers.items():
            weight = own.get(f"{path}.weight", own.get(f"{path.removeprefix('text_model.')}.weight"))
            change = layer.change()
            if weight is None or weight.numel() != change.numel():
                raise FullcastError(f"the LoRA sits on {component}.{path}, which the model has not, or in another size")
            weight.add_(change.view_as(weight).to(weight))


def write_adapter(
    model: StableDiffusion,
    folder: Path,
    weights: Averaged,
    alpha: float,
    dtype: torch.dtype | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """The LoRA in kohya's layout (for UIs) and PEFT's (for diffusers) into a folder that the caller makes atomic.

    `about`: what `modelspec` takes beside family and prediction (title, resolution, licence, trigger_phrase ...).
    """
    lora = lora_from(weights, model.family, alpha)
    lora = lora if dtype is None else lora.to(dtype)
    known = {"title": "LoRA", "resolution": model.default_size, **(about or {})}
    heard: dict[str, Any] = {"prediction_type": model.prediction_type, "clip_skip": model.clip_skip}
    told = modelspec(model.family, lora=True, **heard, **known)
    write_lora(lora, folder / KOHYA_FILE, "kohya", told, configs_of(model))
    write_lora(lora, folder / PEFT_FILE, "peft", told)


def configs_of(model: StableDiffusion) -> Configs:
    """Of the networks as they are, pocket's too."""
    text = {name: model.module(name).config.to_dict() for name in model.text_components}  # type: ignore[union-attr, operator]
    return {"unet": dict(model.pipeline.unet.config), **text}
