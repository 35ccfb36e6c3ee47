"""Stable Diffusion in one file, as UIs open it: read (.safetensors, .ckpt) and written (.safetensors), key for key.

Reading keeps every tensor's bits and type; writing an untouched model gives the tensors of the published file back.
What a published file has more (buffers that follow from the schedule, an average, OpenCLIP's unused last layer) is left
out when read and not written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fullcast.models.stable_diffusion.layout import FAMILIES, UNET, Configs, Entry, entries, shipped_configs
from fullcast.models.stable_diffusion.metadata import write_safetensors
from fullcast.store.errors import FullcastError

if TYPE_CHECKING:
    from fullcast.models.stable_diffusion.folder import Weights

SUFFIXES = (".safetensors", ".ckpt")
_SD2_MARK = f"{UNET}input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight"
_SDXL_MARK = "conditioner.embedders.1.model.transformer.resblocks.9.mlp.c_proj.bias"
_BARE_CLIP = re.compile(r"^(cond_stage_model\.transformer\.)(embeddings|encoder|final_layer_norm)\.")
BASE_512_STEP = 875_000
"""`global_step` of the one SD 2 checkpoint of Stability AI that predicts noise."""


@dataclass
class SingleFile:
    """What is in a file, under diffusers' names."""

    family: str
    """sd1 | sd2 | sdxl."""
    components: dict[str, dict[str, torch.Tensor]]
    """Component to its tensors; text encoders with `text_model.`."""
    prediction_type: str
    """epsilon | v_prediction."""
    zero_terminal_snr: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    """Names in the file that are no part of the model."""


def is_single_file(path: str | Path) -> bool:
    """Whether a path is a file with the ending of one."""
    path = Path(path)
    return path.suffix.lower() in SUFFIXES and path.is_file()


def read_single_file(path: str | Path, configs: Configs | None = None) -> SingleFile:
    """Raises FullcastError when the file is none of SD 1.x, 2.x, SDXL, when tensors lack or have another shape than
    `configs` (default: the published ones) want, or when it does not say what it predicts and its family does not.
    """
    path = Path(path)
    tensors, metadata, numbers = read_tensors(path)
    tensors = {_BARE_CLIP.sub(r"\1text_model.\2.", name): tensor for name, tensor in tensors.items()}
    family = family_of(tensors, path)
    configs = configs or shipped_configs(family)
    expected = entries(family, configs)
    if missing := [e.single for e in expected if e.single not in tensors]:
        raise FullcastError(
            f"{path} looks like {FAMILIES[family].title}, but {len(missing)} of its {len(expected)} tensors are "
            f"missing, {missing[0]} first; a whole checkpoint is wanted, no U-Net or LoRA alone"
        )
    components: dict[str, dict[str, torch.Tensor]] = {}
    for entry in expected:
        parts = entry.split(tensors[entry.single])
        components.setdefault(entry.component, {}).update(zip(entry.sources, parts, strict=True))
    prediction = _prediction_type(path, family, tensors, metadata, numbers)
    known = {e.single for e in expected}
    left_out = tuple(sorted(name for name in tensors if name not in known))
    return SingleFile(family, components, prediction, "ztsnr" in tensors, metadata, left_out)


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str], dict[str, int]]:
    """(tensors, metadata, whole numbers beside the tensors) of a .safetensors file, or of torch's own kind."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FullcastError(f"there is no file {path}")
    if path.suffix.lower() != ".safetensors":
        from fullcast.models.stable_diffusion.safe_pickle import read_torch_file, tensors_in

        tensors, numbers = tensors_in(read_torch_file(path))
        return tensors, {}, numbers
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}, {}  # noqa: SIM118
    except SafetensorError as error:
        raise FullcastError(f"{path} is no whole safetensors file: {str(error)[:120]}") from error


def family_of(tensors: Mapping[str, torch.Tensor], path: Path) -> str:
    """As diffusers tells them apart, in its order."""
    first = tensors.get(f"{UNET}input_blocks.0.0.weight")
    if first is None:
        raise FullcastError(f"{path} is no checkpoint of Stable Diffusion: it has no {UNET}input_blocks.0.0.weight")
    if first.ndim == 4 and first.shape[1] != 4:
        raise FullcastError(
            f"{path} takes {first.shape[1]} channels (an inpainting or depth model); give a model that takes 4"
        )
    if _SDXL_MARK in tensors:
        return "sdxl"
    if "conditioner.embedders.0.model.transformer.resblocks.9.mlp.c_proj.bias" in tensors:
        raise FullcastError(f"{path} is SDXL's refiner; give the base model")
    words = "cond_stage_model.model.positional_embedding"
    to_k = tensors.get(_SD2_MARK)
    return "sd2" if words in tensors or (to_k is not None and to_k.shape[-1] == 1024) else "sd1"


def _prediction_type(
    path: Path,
    family: str,
    tensors: Mapping[str, torch.Tensor],
    metadata: Mapping[str, str],
    numbers: Mapping[str, int],
) -> str:
    """From what says it: marks among the tensors, metadata, a .yaml beside the file; SD 2's names alone do not."""
    told = metadata.get("modelspec.prediction_type", "")
    yaml = path.with_suffix(".yaml")
    if yaml.is_file() and (found := re.search(r"parameterization:\s*[\"']?(v|eps)\b", yaml.read_text("utf-8"))):
        told = found.group(1)
    if "v_pred" in tensors or told.startswith("v"):
        return "v_prediction"
    if told.startswith("eps") or family != "sd2" or numbers.get("global_step") == BASE_512_STEP:
        return "epsilon"
    raise FullcastError(
        f"{path} is SD 2.x and does not say what it predicts; write 'parameterization: v' (the 768 models) or "
        f"'parameterization: eps' (the 512 base) into {yaml.name} beside it"
    )


# To a pipeline


def load_single_file(path: str | Path, configs: Configs | None = None) -> Any:
    """The file as a diffusers pipeline in float32 on the CPU, without the hub. `configs` as in `read_single_file`."""
    from fullcast.models.stable_diffusion import single_pipeline

    given = read_single_file(path, configs)
    return single_pipeline.build(given, configs or shipped_configs(given.family))


# From a pipeline or a folder


def to_single(family: str, configs: Configs, components: Weights) -> Iterator[tuple[str, torch.Tensor]]:
    """(name in the single file, tensor), one after the other. `components` as in SingleFile."""
    for entry in entries(family, configs):
        yield entry.single, entry.join(_sources(entry, components))


def _sources(entry: Entry, components: Weights) -> list[torch.Tensor]:
    tensors = components[entry.component]
    try:
        return [tensors[name] for name in entry.sources]
    except KeyError as error:
        raise FullcastError(
            f"the model's {entry.component} has no tensor {error.args[0]}; its folder is damaged"
        ) from None


def marks(family: str, prediction_type: str, zero_terminal_snr: bool) -> dict[str, torch.Tensor]:
    """The empty tensors by which programs know v-prediction and zero terminal SNR. SD 2's published files have none."""
    empty: dict[str, torch.Tensor] = {}
    if prediction_type == "v_prediction" and family != "sd2":
        empty["v_pred"] = torch.empty(0, dtype=torch.int64)
    if zero_terminal_snr:
        empty["ztsnr"] = torch.empty(0, dtype=torch.int64)
    return empty


def folder_to_single(
    folder: str | Path, path: str | Path, dtype: torch.dtype | None = None, metadata: Mapping[str, str] | None = None
) -> Path:
    """A diffusers folder as one .safetensors file, atomic; no network is built. `dtype` None keeps what is there.

    Raises FullcastError when the folder holds a model of a shape that no single file has.
    """
    from fullcast.models.stable_diffusion.folder import read_components
    from fullcast.models.stable_diffusion.layout import require_known_shape

    held = read_components(Path(folder))
    require_known_shape(held.configs)
    tensors = dict(to_single(held.family, held.configs, held.weights))
    if dtype is not None:
        tensors = {name: t.to(dtype) if t.is_floating_point() else t for name, t in tensors.items()}
    tensors |= marks(held.family, held.prediction_type, held.zero_terminal_snr)
    return write_safetensors(tensors, Path(path), metadata)
