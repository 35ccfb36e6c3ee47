"""SD 1.x, 2.x and SDXL with all their levels, layers and transformers, and few channels: real networks in 30 ms."""

from __future__ import annotations

import copy
import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import torch

from fullcast.models.stable_diffusion.layout import FAMILIES, shipped_configs
from fullcast.models.stable_diffusion.single_file import SingleFile
from fullcast.models.stable_diffusion.single_pipeline import build, empty_network

KEYS = Path(__file__).parent / "checkpoint_keys"
WORDS = {"sd1": 16, "sd2": 24, "sdxl": 40}
"""Width of the cross-attention; SDXL's two encoders give 16 and 24."""


@cache
def published(family: str) -> dict[str, Any]:
    return json.loads(gzip.decompress((KEYS / f"{family}.json.gz").read_bytes()))


def tiny_configs(family: str) -> dict[str, dict[str, Any]]:
    configs = copy.deepcopy(shipped_configs(family))
    unet = configs["unet"]
    unet["block_out_channels"] = [8, 16, 32, 32][: len(unet["block_out_channels"])]
    unet |= {"norm_num_groups": 4, "cross_attention_dim": WORDS[family], "sample_size": 8}
    unet["attention_head_dim"] = 2 if family == "sd1" else [2, 4, 8, 8][: len(unet["block_out_channels"])]
    configs["vae"] |= {"block_out_channels": [8, 16, 32, 32], "norm_num_groups": 4}
    for name, width in (("text_encoder", 24 if family == "sd2" else 16), ("text_encoder_2", 24)):
        if name in configs:
            configs[name] |= {"hidden_size": width, "intermediate_size": 2 * width, "num_attention_heads": 4}
            configs[name] |= {"projection_dim": width}
    if family == "sdxl":
        unet |= {"addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 24 + 6 * 8}
    return configs


def shapes(family: str, configs: dict[str, dict[str, Any]]) -> dict[str, dict[str, torch.Size]]:
    """Component to the names and shapes that diffusers and transformers themselves give it."""
    found = {}
    for name in ("unet", "vae", *FAMILIES[family].text):
        rows = {key: tensor.shape for key, tensor in empty_network(name, configs[name]).state_dict().items()}
        if name == "text_encoder" and not any(key.startswith("text_model.") for key in rows):
            rows = {f"text_model.{key}": shape for key, shape in rows.items()}
        found[name] = rows
    return found


def random_weights(
    family: str, configs: dict[str, dict[str, Any]], seed: int = 0
) -> dict[str, dict[str, torch.Tensor]]:
    draw = torch.Generator().manual_seed(seed)
    return {
        name: {key: 0.1 * torch.randn(shape, generator=draw) for key, shape in rows.items()}
        for name, rows in shapes(family, configs).items()
    }


def tiny_pipeline(family: str, seed: int = 0, **given: Any) -> Any:
    """`given`: fields of SingleFile, prediction_type for one."""
    configs = tiny_configs(family)
    held = SingleFile(family, random_weights(family, configs, seed), **{"prediction_type": "epsilon", **given})
    return build(held, configs)
