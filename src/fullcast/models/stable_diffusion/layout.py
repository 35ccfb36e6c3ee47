"""How the tensors of Stable Diffusion are called in a single file, and in a diffusers folder: rules, not tables.

The names depend on the shape of the networks (levels, layers, where words are heard, depth of the transformers) and not
on their widths, so the rules are written once for SD 1.x, 2.x and SDXL. `tests/models/test_single_file.py` holds them
against the published lists of keys. Four things are not a plain copy:

    conv       the VAE's attention: [out, in] <-> [out, in, 1, 1]
    concat     OpenCLIP's q, k and v in one tensor
    transpose  SDXL's text projection
    copy       all else
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast.store.errors import FullcastError

if TYPE_CHECKING:
    import torch

Config = Mapping[str, Any]
Configs = Mapping[str, Config]
"""Component name ("unet", "vae", "text_encoder" ...) to its config."""

UNET, VAE = "model.diffusion_model.", "first_stage_model."
_CONFIGS = Path(__file__).parent / "configs"
_ATTENTION = ("to_q", "to_k", "to_v")


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of single file."""

    name: str
    """sd1 | sd2 | sdxl."""
    config_file: str
    title: str
    """As a person says it."""
    text: Mapping[str, tuple[str, str]]
    """Text encoder to (prefix in the single file, "clip" | "openclip")."""
    pipeline: str
    """diffusers' class."""


FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family(
            "sd1",
            "sd15.json",
            "SD 1.x",
            {"text_encoder": ("cond_stage_model.transformer.", "clip")},
            "StableDiffusionPipeline",
        ),
        Family(
            "sd2",
            "sd21.json",
            "SD 2.x",
            {"text_encoder": ("cond_stage_model.model.", "openclip")},
            "StableDiffusionPipeline",
        ),
        Family(
            "sdxl",
            "sdxl.json",
            "SDXL",
            {
                "text_encoder": ("conditioner.embedders.0.transformer.", "clip"),
                "text_encoder_2": ("conditioner.embedders.1.model.", "openclip"),
            },
            "StableDiffusionXLPipeline",
        ),
    )
}


@cache
def shipped_configs(family: str) -> dict[str, dict[str, Any]]:
    """The configs of all components of "sd1" (1.5), "sd2" (2.1) or "sdxl", as their makers published them."""
    return json.loads((_CONFIGS / FAMILIES[family].config_file).read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of a single file and where it comes from."""

    single: str
    component: str
    sources: tuple[str, ...]
    """Keys of the component, with `text_model.` in text encoders; three where q, k and v are one tensor."""
    op: str = "copy"
    """copy | conv | concat | transpose."""

    def join(self, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        """From the component's tensors to the single file's."""
        import torch

        if self.op == "concat":
            return torch.cat(list(tensors))
        first = tensors[0]
        if self.op == "conv":
            return first[:, :, None, None] if first.ndim == 2 else first
        return first.T.contiguous() if self.op == "transpose" else first

    def split(self, tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The other way; the VAE's attention may have two or four dimensions in a file."""
        if self.op == "concat":
            return tensor.chunk(3)
        if self.op == "conv":
            return (tensor[:, :, 0, 0] if tensor.ndim == 4 else tensor,)
        return (tensor.T.contiguous() if self.op == "transpose" else tensor,)


@dataclass(frozen=True, slots=True)
class Module:
    """One layer under both names, without the prefix of its component."""

    ours: str
    single: str
    leaves: tuple[str, ...] = ("weight", "bias")
    op: str = "copy"
    """Of the weight."""


def entries(family: str, configs: Configs) -> list[Entry]:
    """Every tensor of a single file of these components."""
    kind = FAMILIES[family]
    parts = [("unet", UNET, unet_modules(configs["unet"])), ("vae", VAE, vae_modules(configs["vae"]))]
    found = [
        Entry(f"{prefix}{m.single}.{leaf}", component, (f"{m.ours}.{leaf}",), m.op if leaf == "weight" else "copy")
        for component, prefix, modules in parts
        for m in modules
        for leaf in m.leaves
    ]
    for component, (prefix, style) in kind.text.items():
        words = _clip(configs[component]) if style == "clip" else _openclip(configs[component], component)
        found += [Entry(prefix + e.single, component, e.sources, e.op) for e in words]
    return found


def require_known_shape(configs: Configs) -> None:
    """FullcastError when no program that reads single files would know what to do with these networks."""
    unet, vae = configs["unet"], configs["vae"]
    levels, layers = len(unet["block_out_channels"]), unet.get("layers_per_block", 2)
    told = (levels, layers, vae["latent_channels"], len(vae["block_out_channels"]))
    if told not in ((4, 2, 4, 4), (3, 2, 4, 4)) or (levels == 3) != ("text_encoder_2" in configs):
        raise FullcastError(
            f"a single file can hold SD 1.x, 2.x and SDXL; this model has {levels} levels of {layers} layers in the "
            f"U-Net, {told[3]} levels and {told[2]} channels in the VAE, and no program that reads single files would "
            "open it; use: fullcast export checkpoint FOLDER"
        )


# The U-Net


def unet_modules(config: Config) -> Iterator[Module]:
    """In the order in which data flows: "down_blocks.0.resnets.0.conv1" is "input_blocks.1.0.in_layers.2"."""
    widths: list[int] = list(config["block_out_channels"])
    layers: int = config.get("layers_per_block", 2)
    depths = config.get("transformer_layers_per_block", 1)
    depths = [depths] * len(widths) if isinstance(depths, int) else list(depths)
    hears = ["CrossAttn" in kind for kind in config["down_block_types"]]

    yield Module("time_embedding.linear_1", "time_embed.0")
    yield Module("time_embedding.linear_2", "time_embed.2")
    if config.get("addition_embed_type"):
        yield Module("add_embedding.linear_1", "label_emb.0.0")
        yield Module("add_embedding.linear_2", "label_emb.0.2")
    yield Module("conv_in", "input_blocks.0.0")
    for level, width in enumerate(widths):
        here = f"down_blocks.{level}"
        for layer in range(layers):
            block = f"input_blocks.{1 + level * (layers + 1) + layer}"
            narrower = widths[max(0, level - 1)] if layer == 0 else width
            yield from _resnet(f"{here}.resnets.{layer}", f"{block}.0", narrower != width)
            if hears[level]:
                yield from _transformer(f"{here}.attentions.{layer}", f"{block}.1", depths[level])
        if level < len(widths) - 1:
            yield Module(f"{here}.downsamplers.0.conv", f"input_blocks.{(level + 1) * (layers + 1)}.0.op")
    yield from _resnet("mid_block.resnets.0", "middle_block.0", False)
    yield from _transformer("mid_block.attentions.0", "middle_block.1", depths[-1])
    yield from _resnet("mid_block.resnets.1", "middle_block.2", False)
    yield from _going_up(widths, layers, depths[::-1], hears[::-1])
    yield Module("conv_norm_out", "out.0")
    yield Module("conv_out", "out.2")


def _going_up(widths: Sequence[int], layers: int, depths: Sequence[int], hears: Sequence[bool]) -> Iterator[Module]:
    """Each layer takes what came from below beside what the same level kept on the way down."""
    up = list(reversed(widths))
    for level, width in enumerate(up):
        here, kept = f"up_blocks.{level}", up[min(level + 1, len(up) - 1)]
        for layer in range(layers + 1):
            block = f"output_blocks.{level * (layers + 1) + layer}"
            below = up[max(0, level - 1)] if layer == 0 else width
            beside = kept if layer == layers else width
            yield from _resnet(f"{here}.resnets.{layer}", f"{block}.0", below + beside != width)
            if hears[level]:
                yield from _transformer(f"{here}.attentions.{layer}", f"{block}.1", depths[level])
        if level < len(up) - 1:
            last = f"output_blocks.{level * (layers + 1) + layers}"
            yield Module(f"{here}.upsamplers.0.conv", f"{last}.{2 if hears[level] else 1}.conv")


def _resnet(ours: str, single: str, shortcut: bool) -> Iterator[Module]:
    yield Module(f"{ours}.norm1", f"{single}.in_layers.0")
    yield Module(f"{ours}.conv1", f"{single}.in_layers.2")
    yield Module(f"{ours}.time_emb_proj", f"{single}.emb_layers.1")
    yield Module(f"{ours}.norm2", f"{single}.out_layers.0")
    yield Module(f"{ours}.conv2", f"{single}.out_layers.3")
    if shortcut:
        yield Module(f"{ours}.conv_shortcut", f"{single}.skip_connection")


def _transformer(ours: str, single: str, depth: int) -> Iterator[Module]:
    """The same names on both sides but for the place."""

    def same(name: str, *leaves: str) -> Module:
        return Module(f"{ours}.{name}", f"{single}.{name}", leaves or ("weight", "bias"))

    yield same("norm")
    yield same("proj_in")
    for block in (f"transformer_blocks.{k}" for k in range(depth)):
        for attention in ("attn1", "attn2"):
            yield from (same(f"{block}.{attention}.{name}", "weight") for name in _ATTENTION)
            yield same(f"{block}.{attention}.to_out.0")
        yield from (same(f"{block}.{name}") for name in ("ff.net.0.proj", "ff.net.2", "norm1", "norm2", "norm3"))
    yield same("proj_out")


# The VAE


def vae_modules(config: Config) -> Iterator[Module]:
    """The decoder's levels are counted from the other end: `up_blocks.0` is `up.3`."""
    widths: list[int] = list(config["block_out_channels"])
    layers: int = config.get("layers_per_block", 1)
    levels = len(widths)
    for part in ("encoder", "decoder"):
        yield Module(f"{part}.conv_in", f"{part}.conv_in")
    for level, width in enumerate(widths):
        for layer in range(layers):
            narrower = widths[max(0, level - 1)] if layer == 0 else width
            ours, single = f"encoder.down_blocks.{level}.resnets.{layer}", f"encoder.down.{level}.block.{layer}"
            yield from _vae_resnet(ours, single, narrower != width)
        if level < levels - 1:
            name = "downsamplers.0.conv"
            yield Module(f"encoder.down_blocks.{level}.{name}", f"encoder.down.{level}.downsample.conv")
    up = widths[::-1]
    for level, width in enumerate(up):
        for layer in range(layers + 1):
            below = up[max(0, level - 1)] if layer == 0 else width
            ours = f"decoder.up_blocks.{level}.resnets.{layer}"
            yield from _vae_resnet(ours, f"decoder.up.{levels - 1 - level}.block.{layer}", below != width)
        if level < levels - 1:
            name = f"decoder.up.{levels - 1 - level}.upsample.conv"
            yield Module(f"decoder.up_blocks.{level}.upsamplers.0.conv", name)
    for part in ("encoder", "decoder"):
        yield from _vae_resnet(f"{part}.mid_block.resnets.0", f"{part}.mid.block_1", False)
        ours, single = f"{part}.mid_block.attentions.0", f"{part}.mid.attn_1"
        yield Module(f"{ours}.group_norm", f"{single}.norm")
        for theirs, name in (("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out")):
            yield Module(f"{ours}.{theirs}", f"{single}.{name}", op="conv")
        yield from _vae_resnet(f"{part}.mid_block.resnets.1", f"{part}.mid.block_2", False)
        yield Module(f"{part}.conv_norm_out", f"{part}.norm_out")
        yield Module(f"{part}.conv_out", f"{part}.conv_out")
    yield Module("quant_conv", "quant_conv")
    yield Module("post_quant_conv", "post_quant_conv")


def _vae_resnet(ours: str, single: str, shortcut: bool) -> Iterator[Module]:
    yield from (Module(f"{ours}.{name}", f"{single}.{name}") for name in ("norm1", "conv1", "norm2", "conv2"))
    if shortcut:
        yield Module(f"{ours}.conv_shortcut", f"{single}.nin_shortcut")


# The text encoders

TEXT_LAYER = (*(f"self_attn.{name}_proj" for name in "qkv"), "self_attn.out_proj", "mlp.fc1", "mlp.fc2")
"""Linear layers of one layer of CLIP's text encoder."""


def text_layers(config: Config) -> Iterator[str]:
    """Prefixes of its layers, "text_model.encoder.layers.0" first."""
    return (f"text_model.encoder.layers.{n}" for n in range(config["num_hidden_layers"]))


def _clip(config: Config) -> Iterator[Entry]:
    """As transformers spells them, in both forms."""
    names = [f"text_model.embeddings.{kind}_embedding.weight" for kind in ("token", "position")]
    modules = ["text_model.final_layer_norm"]
    for layer in text_layers(config):
        modules += [f"{layer}.{name}" for name in (*TEXT_LAYER, "layer_norm1", "layer_norm2")]
    names += [f"{module}.{leaf}" for module in modules for leaf in ("weight", "bias")]
    return (Entry(name, "", (name,)) for name in names)


def _openclip(config: Config, component: str) -> Iterator[Entry]:
    """As the OpenCLIP package spells them, with q, k and v in one tensor."""

    def copy(single: str, ours: str) -> Iterator[Entry]:
        return (Entry(f"{single}.{leaf}", "", (f"{ours}.{leaf}",)) for leaf in ("weight", "bias"))

    yield Entry("token_embedding.weight", "", ("text_model.embeddings.token_embedding.weight",))
    yield Entry("positional_embedding", "", ("text_model.embeddings.position_embedding.weight",))
    yield from copy("ln_final", "text_model.final_layer_norm")
    for n, layer in enumerate(text_layers(config)):
        block = f"transformer.resblocks.{n}"
        for leaf in ("weight", "bias"):
            sources = tuple(f"{layer}.{name}.{leaf}" for name in TEXT_LAYER[:3])
            yield Entry(f"{block}.attn.in_proj_{leaf}", "", sources, "concat")
        for single, ours in (
            ("attn.out_proj", "self_attn.out_proj"),
            ("ln_1", "layer_norm1"),
            ("ln_2", "layer_norm2"),
            ("mlp.c_fc", "mlp.fc1"),
            ("mlp.c_proj", "mlp.fc2"),
        ):
            yield from copy(f"{block}.{single}", f"{layer}.{ours}")
    if component == "text_encoder_2":
        yield Entry("text_projection", "", ("text_projection.weight",), "transpose")
