"""From the tensors of a single file to a diffusers pipeline, with the configs and the vocabulary that ship."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from fullcast.models.stable_diffusion.layout import FAMILIES, Config, Configs
from fullcast.models.stable_diffusion.metadata import told_clip_skip
from fullcast.models.stable_diffusion.single_file import SingleFile
from fullcast.models.stable_diffusion.tokenizer import clip_tokenizer
from fullcast.store.errors import FullcastError


def build(given: SingleFile, configs: Configs) -> Any:
    """`StableDiffusionPipeline` or `StableDiffusionXLPipeline`, float32, CPU, evaluating."""
    import diffusers

    parts: dict[str, Any] = {name: _network(name, configs[name], tensors) for name, tensors in given.components.items()}
    for name in ("tokenizer", "tokenizer_2"):
        if name in configs:
            parts[name] = tokenizer_of(configs[name])
    parts["scheduler"] = scheduler_of(configs["scheduler"], given.prediction_type, given.zero_terminal_snr)
    if given.family == "sdxl":
        pipeline: Any = diffusers.StableDiffusionXLPipeline(**parts, add_watermarker=False)
    else:
        pipeline = diffusers.StableDiffusionPipeline(
            **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
        if (layer := told_clip_skip(given.metadata)) > 1:
            pipeline.text_encoder.config.clip_skip = layer  # as a folder has it, see `StableDiffusion.clip_skip`
    assert type(pipeline).__name__ == FAMILIES[given.family].pipeline
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def empty_network(name: str, config: Config) -> torch.nn.Module:
    """A component without weights: parameters on "meta", buffers real."""
    import diffusers
    import transformers
    from accelerate import init_empty_weights

    with init_empty_weights(include_buffers=False):
        if name in ("unet", "vae"):
            return getattr(diffusers, config["_class_name"]).from_config(dict(config))
        settings = {key: value for key, value in config.items() if not key.startswith("_")}
        return getattr(transformers, config["_class_name"])(transformers.CLIPTextConfig(**settings))


def _network(name: str, config: Config, tensors: Mapping[str, torch.Tensor]) -> torch.nn.Module:
    network = empty_network(name, config)
    wanted = network.state_dict()
    if any(key.startswith("text_model.") for key in tensors) and not any(k.startswith("text_model.") for k in wanted):
        tensors = {key.removeprefix("text_model."): value for key, value in tensors.items()}
    for key, tensor in tensors.items():
        if key in wanted and wanted[key].shape != tensor.shape:
            raise FullcastError(
                f"{name}.{key} has the shape {list(tensor.shape)} in the file and {list(wanted[key].shape)} in the "
                "published model; give a diffusers folder, which brings its own config"
            )
    network.load_state_dict({key: tensor.float() for key, tensor in tensors.items()}, assign=True)
    return network.eval()


def tokenizer_of(config: Config) -> Any:
    """CLIP's, with the padding of the model: SDXL's second one and SD 2's pad with "!"."""
    tokenizer = clip_tokenizer(config["vocab_size"], config["model_max_length"])
    tokenizer.pad_token = config["pad_token"]
    return tokenizer


def scheduler_of(config: Config, prediction_type: str, zero_terminal_snr: bool) -> Any:
    """The family's own; DDIM with trailing steps where the schedule ends in pure noise."""
    import diffusers

    name = "DDIMScheduler" if zero_terminal_snr else config["_class_name"]
    settings = {key: value for key, value in config.items() if not key.startswith("_")}
    settings["prediction_type"] = prediction_type
    kind = getattr(diffusers, name)
    if zero_terminal_snr:
        settings |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "clip_sample": False}
        settings = {
            k: v for k, v in settings.items() if k not in ("interpolation_type", "use_karras_sigmas", "skip_prk_steps")
        }
    return kind.from_config(settings)
