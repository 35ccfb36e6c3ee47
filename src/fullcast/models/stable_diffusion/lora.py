"""LoRA files in kohya's layout and in PEFT's: read, written, one turned into the other without touching a number.

    W' = W + (alpha / rank) * up @ down        (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021)

kohya's names are module paths with "_" for ".", which cannot be turned back without a table; `names` makes it from the
same rules as the single file's. SD 1.x and 2.x use diffusers' paths for the U-Net, SDXL the single file's.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from fullcast.models.stable_diffusion.layout import (
    FAMILIES,
    TEXT_LAYER,
    Configs,
    shipped_configs,
    text_layers,
    unet_modules,
)
from fullcast.models.stable_diffusion.metadata import write_safetensors
from fullcast.models.stable_diffusion.single_file import read_tensors
from fullcast.store.errors import FullcastError

Layout = Literal["kohya", "peft"]
ADAPTER_METADATA = "lora_adapter_metadata"
"""Where diffusers keeps the adapters' settings: the only place for alpha in a PEFT file."""

_DOWN = (".lora_down.weight", ".lora_A.weight", ".lora.down.weight", ".lora_linear_layer.down.weight")
_UP = (".lora_up.weight", ".lora_B.weight", ".lora.up.weight", ".lora_linear_layer.up.weight")
_OTHER_KINDS = (".dora_scale", ".lora_magnitude_vector", ".hada_w1_a", ".lokr_w1", ".lokr_w1_a", ".lora_mid.weight")
_WORD_WIDTHS = {768: "sd1", 1024: "sd2", 2048: "sdxl"}


@dataclass(frozen=True)
class LoraLayer:
    """What is added to one layer."""

    down: torch.Tensor
    """(r, in) or (r, in, kh, kw)."""
    up: torch.Tensor
    """(out, r) or (out, r, 1, 1)."""
    alpha: float
    """The layer's weight gets alpha / r times up @ down."""

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    def change(self) -> torch.Tensor:
        """What the layer's weight gets, alpha / r * up @ down: (out, in) or (out, in * kh * kw), float32."""
        return self.alpha / self.rank * (self.up.float().flatten(1) @ self.down.float().flatten(1))


@dataclass
class Lora:
    """All layers of an adapter, by component and diffusers module path (text encoders with `text_model.`)."""

    family: str
    layers: dict[str, dict[str, LoraLayer]]

    def __iter__(self) -> Iterator[tuple[str, str, LoraLayer]]:
        """(component, module, layer)."""
        for component, layers in self.layers.items():
            for module, layer in layers.items():
                yield component, module, layer

    def to(self, dtype: torch.dtype) -> Lora:
        """The same with the numbers in another type."""
        layers: dict[str, dict[str, LoraLayer]] = {component: {} for component in self.layers}
        for component, module, layer in self:
            layers[component][module] = LoraLayer(layer.down.to(dtype), layer.up.to(dtype), layer.alpha)
        return Lora(self.family, layers)


def names(family: str, configs: Configs | None = None) -> dict[tuple[str, str], str]:
    """(component, module) to kohya's name, for every layer that an adapter may sit on."""
    configs = configs or shipped_configs(family)
    table: dict[tuple[str, str], str] = {}
    for module in unet_modules(configs["unet"]):
        path = module.single if family == "sdxl" else module.ours
        table["unet", module.ours] = "lora_unet_" + path.replace(".", "_")
    for component in FAMILIES[family].text:
        prefix = "lora_te_" if family != "sdxl" else "lora_te2_" if component == "text_encoder_2" else "lora_te1_"
        for layer in text_layers(configs[component]):
            for name in TEXT_LAYER:
                table[component, f"{layer}.{name}"] = prefix + f"{layer}.{name}".replace(".", "_")
    return table


# Reading


def read_lora(path: str | Path, family: str = "", configs: Configs | None = None) -> Lora:
    """A file in any of the layouts. `family` is found by the width of the words unless given.

    Raises FullcastError when the file is no LoRA, one of another kind (LoHa, LoKr, DoRA), or sits on layers that the
    family does not have.
    """
    path = Path(path)
    tensors, metadata, _ = read_tensors(path)
    if other := next((name for name in tensors if name.endswith(_OTHER_KINDS)), None):
        raise FullcastError(f"{path} holds {other}: only plain LoRA can be read (no LoHa, LoKr, DoRA, CP)")
    family = family or _family_of(path, tensors)
    known = _known_names(family, configs)
    settings = json.loads(metadata.get(ADAPTER_METADATA, "{}"))
    layers: dict[str, dict[str, LoraLayer]] = {}
    strange = []
    for name, (down, up) in _pairs(path, tensors).items():
        where = known.get(name)
        if where is None:
            strange.append(name)
            continue
        component, module = where
        alpha = _alpha(tensors.get(f"{name}.alpha"), down.shape[0], component, module, settings)
        layers.setdefault(component, {})[module] = LoraLayer(down, up, alpha)
    if strange or not layers:
        what = f"{len(strange)} layers, {strange[0]} first, are not" if strange else "no layer of it is"
        raise FullcastError(f"{path}: {what} of {FAMILIES[family].title}; give the family that it was trained on")
    return Lora(family, layers)


def _pairs(path: Path, tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Layer's name as the file has it -> (down, up)."""
    halves: list[dict[str, torch.Tensor]] = [{}, {}]
    for name, tensor in tensors.items():
        for half, endings in zip(halves, (_DOWN, _UP), strict=True):
            for ending in endings:
                if name.endswith(ending):
                    half[name.removesuffix(ending)] = tensor
    down, up = halves
    if down.keys() != up.keys() or not down:
        alone = sorted(down.keys() ^ up.keys())
        raise FullcastError(
            f"{path} is no whole LoRA: " + (f"{alone[0]} has one half" if alone else "it has no layers")
        )
    return {name: (down[name], up[name]) for name in down}


def _known_names(family: str, configs: Configs | None) -> dict[str, tuple[str, str]]:
    """Every spelling in the wild -> (component, module)."""
    known: dict[str, tuple[str, str]] = {}
    for (component, module), kohya in names(family, configs).items():
        where = component, module
        spelt = {kohya, f"{component}.{module}"}
        if component == "unet":  # diffusers writes its own names for SDXL too
            spelt.add("lora_unet_" + module.replace(".", "_"))
        else:  # transformers 5.6 has no text_model; diffusers writes lora_te1_ for SD 1.x and 2.x too
            spelt.add(f"{component}.{module.removeprefix('text_model.')}")
            spelt.add(kohya.replace("lora_te_", "lora_te1_"))
        known |= dict.fromkeys(spelt, where)
    return known


def _alpha(tensor: torch.Tensor | None, rank: int, component: str, module: str, settings: Mapping[str, Any]) -> float:
    """The file's own; else the adapter's settings; else the rank. kohya takes 0 for "not given"."""
    if tensor is not None:
        return float(tensor) or float(rank)
    pattern = settings.get(f"{component}.alpha_pattern") or {}
    bare = module.removeprefix("text_model.")
    for key in (module, bare):
        if key in pattern:
            return float(pattern[key])
    return float(settings.get(f"{component}.lora_alpha") or rank)


def _family_of(path: Path, tensors: Mapping[str, torch.Tensor]) -> str:
    for name, tensor in tensors.items():
        hears = name.endswith(_DOWN) and ("attn2_to_k" in name or "attn2.to_k" in name)
        if hears and tensor.shape[1] in _WORD_WIDTHS:
            return _WORD_WIDTHS[tensor.shape[1]]
    if any(name.startswith(("lora_te2_", "text_encoder_2.", "lora_unet_input_blocks")) for name in tensors):
        return "sdxl"
    raise FullcastError(f"{path} does not say which family it is for; say sd1, sd2 or sdxl")


# Writing


def write_lora(
    lora: Lora,
    path: str | Path,
    layout: Layout = "kohya",
    metadata: Mapping[str, str] | None = None,
    configs: Configs | None = None,
) -> Path:
    """One .safetensors file, atomic. kohya's is what UIs read; PEFT's is diffusers' own. `configs`: of the networks
    that it sits on, where they are not the published ones."""
    told = dict(metadata or {})
    if layout == "peft":
        told[ADAPTER_METADATA] = json.dumps(_settings(lora), indent=2, sort_keys=True)
        return write_safetensors(as_peft(lora), Path(path), told)
    return write_safetensors(as_kohya(lora, configs), Path(path), told)


def as_kohya(lora: Lora, configs: Configs | None = None) -> dict[str, torch.Tensor]:
    """Three tensors a layer: lora_down, lora_up, alpha."""
    table = names(lora.family, configs)
    tensors: dict[str, torch.Tensor] = {}
    for component, module, layer in lora:
        name = table[component, module]
        tensors[f"{name}.lora_down.weight"] = layer.down
        tensors[f"{name}.lora_up.weight"] = layer.up
        tensors[f"{name}.alpha"] = torch.tensor(layer.alpha, dtype=layer.down.dtype)
    return tensors


def as_peft(lora: Lora) -> dict[str, torch.Tensor]:
    """Two tensors a layer, under "unet." or "text_encoder."; alpha is in the settings beside them."""
    tensors: dict[str, torch.Tensor] = {}
    for component, module, layer in lora:
        tensors[f"{component}.{module}.lora_A.weight"] = layer.down
        tensors[f"{component}.{module}.lora_B.weight"] = layer.up
    return tensors


def _settings(lora: Lora) -> dict[str, Any]:
    """PEFT's LoraConfig of each component. Text encoders without `text_model.`: PEFT compares the ends of paths, and
    so it fits encoders with that level and without."""
    settings: dict[str, Any] = {}
    for component, layers in lora.layers.items():
        bare = {module.removeprefix("text_model."): layer for module, layer in layers.items()}
        rank = Counter(layer.rank for layer in bare.values()).most_common(1)[0][0]
        alpha = Counter(layer.alpha for layer in bare.values()).most_common(1)[0][0]
        own = {
            "r": rank,
            "lora_alpha": alpha,
            "target_modules": sorted(bare),
            "rank_pattern": {m: layer.rank for m, layer in bare.items() if layer.rank != rank},
            "alpha_pattern": {m: layer.alpha for m, layer in bare.items() if layer.alpha != alpha},
        }
        settings |= {f"{component}.{key}": value for key, value in own.items()}
    return settings


# On a live model


def lora_of(pipeline: Any, family: str, adapter: str = "default") -> Lora:
    """The adapter that PEFT has put into a pipeline's networks, as it stands now (on the CPU, detached)."""
    from peft.tuners.lora import LoraLayer as PeftLayer

    layers: dict[str, dict[str, LoraLayer]] = {}
    for component in ("unet", *FAMILIES[family].text):
        for path, module in getattr(pipeline, component).named_modules():
            if not isinstance(module, PeftLayer) or adapter not in module.lora_A:
                continue
            if component != "unet" and not path.startswith("text_model."):
                path = f"text_model.{path}"
            down, up = (
                part[adapter].weight.detach().cpu().clone()  # type: ignore[operator, union-attr]
                for part in (module.lora_A, module.lora_B)
            )
            layers.setdefault(component, {})[path] = LoraLayer(down, up, module.scaling[adapter] * down.shape[0])
    if not layers:
        raise FullcastError(f"the model has no adapter called {adapter!r}")
    return Lora(family, layers)


def put_on(pipeline: Any, lora: Lora, adapter: str = "default") -> None:
    """Puts a LoRA on a pipeline as PEFT layers, ready to draw with or to be trained on. Needs peft."""
    pipeline.load_lora_weights(as_kohya(lora), adapter_name=adapter)
