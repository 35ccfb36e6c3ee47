"""What a weight file says of itself: modelspec.* always, of a LoRA the two ss_* keys by which UIs know its family, all
other ss_* only when asked for, and never a path of this machine.

`modelspec` is Stability AI's "Stable Diffusion Model Metadata Standard Specification" 1.0.1; `ss_*` are the keys of
kohya's trainer, which UIs and model sites read.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast.store.atomic import replacing
from fullcast.store.errors import FullcastError

if TYPE_CHECKING:
    import torch

VERSION = "1.0.1"
HASH = "modelspec.hash_sha256"
_NO_HASH = "0x" + "0" * 64
_PATH = re.compile(r"(^|[\s\"'=:,(\[])(/(?!/)|~/|\\\\|[A-Za-z]:[\\/])\S")
"""An absolute path of any system, anywhere in a text; addresses (https://) are none."""

ARCHITECTURES = {
    ("sd1", "epsilon"): "stable-diffusion-v1",
    ("sd1", "v_prediction"): "stable-diffusion-v1",
    ("sd2", "epsilon"): "stable-diffusion-v2-512",
    ("sd2", "v_prediction"): "stable-diffusion-v2-768-v",
    ("sdxl", "epsilon"): "stable-diffusion-xl-v1-base",
    ("sdxl", "v_prediction"): "stable-diffusion-xl-v1-base",
}
_BASE_VERSIONS = {"sd1": "sd_v1", "sdxl": "sdxl_base_v1-0"}
STABILITY = "https://github.com/Stability-AI/generative-models"


def modelspec(
    family: str,
    title: str,
    resolution: tuple[int, int],
    *,
    prediction_type: str = "epsilon",
    clip_skip: int = 1,
    lora: bool = False,
    **more: str,
) -> dict[str, str]:
    """`family`: sd1 | sd2 | sdxl; `resolution` in pixels; `clip_skip`: layer of the text encoder that is heard, from
    the end; `more`: licence, author, date, description, trigger_phrase, tags, usage_hint. Empty values are left out.
    Of a LoRA the keys of `_of_base` too."""
    known = ARCHITECTURES.get((family, prediction_type)) or (ARCHITECTURES[family, "epsilon"] if lora else None)
    if known is None:
        raise FullcastError(
            f"the U-Net says the picture itself (prediction type {prediction_type}), and what reads single files "
            "knows epsilon and v_prediction only; write a folder instead: fullcast export checkpoint"
        )
    architecture = known + ("/lora" if lora else "")
    given = {"license" if key == "licence" else key: value for key, value in more.items()}
    spec = {
        "sai_model_spec": VERSION,
        "architecture": architecture,
        # kohya's convention: names of the original repository, or diffusers' names
        "implementation": "diffusers" if lora and family != "sdxl" else STABILITY,
        "title": title,
        "resolution": "x".join(map(str, resolution)),
        "prediction_type": "v" if prediction_type == "v_prediction" else prediction_type,
        "encoder_layer": str(clip_skip) if clip_skip > 1 else "",
        "hash_sha256": _NO_HASH,
        **given,
    }
    told = {f"modelspec.{key}": value for key, value in spec.items() if value}
    return without_paths(told | (_of_base(family, prediction_type) if lora else {}))


def _of_base(family: str, prediction_type: str) -> dict[str, str]:
    """What kohya says of the base. AUTOMATIC1111 tells the family of a LoRA by these two alone, and hides it beside a
    model of another one."""
    version = f"sd_v2{'_v' * (prediction_type == 'v_prediction')}" if family == "sd2" else _BASE_VERSIONS[family]
    return {"ss_base_model_version": version, "ss_v2": str(family == "sd2")}


def told_family(metadata: Mapping[str, str]) -> str:
    """sd1 | sd2 | sdxl, as the modelspec of a file names it; "" where it does not."""
    told = metadata.get("modelspec.architecture", "").removesuffix("/lora")
    return next((family for (family, _), architecture in ARCHITECTURES.items() if architecture == told), "")


def told_prediction(metadata: Mapping[str, str]) -> str:
    """epsilon | v_prediction | sample, as the modelspec of a file names it; epsilon where it does not."""
    told = metadata.get("modelspec.prediction_type", "epsilon")
    return "v_prediction" if told == "v" else told


def told_clip_skip(metadata: Mapping[str, str]) -> int:
    """Layer of the text encoder that a file says is heard, from the end, 1 to 12; 1 where it does not say so, and for
    SDXL, whose layer is always the same."""
    told = metadata.get("modelspec.encoder_layer", "")
    heard = int(told) if told.isdecimal() and told_family(metadata) in ("sd1", "sd2") else 1
    return heard if 1 <= heard <= 12 else 1


def training_metadata(family: str, facts: Mapping[str, Any], prediction_type: str = "epsilon") -> dict[str, str]:
    """ss_* keys from `facts` by their names without the prefix ("seed", "steps", "learning_rate", "network_dim"...).

    Opt-in: who wants no one to know how a model was trained does not call this.
    """
    told = {f"ss_{key}": _as_text(value) for key, value in facts.items()}
    return without_paths(_of_base(family, prediction_type) | told)


def without_paths(metadata: Mapping[str, str]) -> dict[str, str]:
    """The same. FullcastError when a value names a place on this machine: a published file must not."""
    for key, value in metadata.items():
        if _PATH.search(value):
            raise FullcastError(f"{key} = {value[:80]!r} names a folder of this machine; give a name without its path")
    return dict(metadata)


def _as_text(value: Any) -> str:
    """safetensors keeps text only; kohya writes True and None as Python does, and lists as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | tuple) else str(value)


def write_safetensors(
    tensors: Mapping[str, torch.Tensor], path: Path, metadata: Mapping[str, str] | None = None
) -> Path:
    """Writes a file atomically. If the metadata has the modelspec's hash, it is that of all bytes after the header."""
    from safetensors.torch import save_file

    if path.suffix != ".safetensors":
        raise FullcastError(f"{path}: the file's name must end in .safetensors")
    told = {"format": "pt", **without_paths(metadata or {})}
    with replacing(path) as temporary:
        save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, temporary, metadata=told)
        _sort_header(temporary)
        if HASH in told:
            _fill_in_hash(temporary)
    return path


def _sort_header(path: Path) -> None:
    """safetensors writes the metadata in another order each time; sorted, the same content gives the same bytes."""
    with path.open("r+b") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(length))
        header = {"__metadata__": dict(sorted(header.pop("__metadata__", {}).items())), **dict(sorted(header.items()))}
        data = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        if len(data) <= length:
            file.seek(8)
            file.write(data.ljust(length))


def _fill_in_hash(path: Path) -> None:
    """In place: the header keeps its length, so a file of 7 GB is not written twice."""
    with path.open("r+b") as file:
        header = file.read(struct.unpack("<Q", file.read(8))[0])
        digest = hashlib.file_digest(file, "sha256")  # from where the header ended
        at = header.index(_NO_HASH.encode())
        file.seek(8 + at)
        file.write(f"0x{digest.hexdigest()}".encode())


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a .safetensors file, without its tensors; {} when it is none."""
    try:
        with path.open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            if length > 100 << 20:
                return {}
            return dict(json.loads(file.read(length)).get("__metadata__", {}))
    except (OSError, ValueError, struct.error):
        return {}
