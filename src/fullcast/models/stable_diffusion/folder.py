"""Reading and writing diffusers folders: atomic, any dtype, opened by transformers 4 and 5 alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast.store.atomic import replacing_dir
from fullcast.store.errors import FullcastError

if TYPE_CHECKING:
    import torch

Weights = Mapping[str, "Mapping[str, torch.Tensor]"]
"""Component name ("unet", "text_encoder", "vae") to state dict."""

WEIGHT_FILES = {
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
}


def load_pipeline(folder: str | Path) -> Any:
    """A folder as a `StableDiffusionPipeline` in float32 on the CPU: from disk alone, no pickle, no network.

    Raises FullcastError when the folder is not a Stable Diffusion pipeline.
    """
    from diffusers import StableDiffusionPipeline

    folder = Path(folder)
    index = folder / "model_index.json"
    if not index.is_file():
        raise FullcastError(f"{folder} is not a model folder: it has no model_index.json; give a diffusers folder")
    family = json.loads(index.read_text()).get("_class_name")
    if family != "StableDiffusionPipeline":
        raise FullcastError(f"{folder} holds a {family}; only StableDiffusionPipeline folders can be opened so far")
    with _quietly():
        pipeline = StableDiffusionPipeline.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, safety_checker=None, requires_safety_checker=False
        )
    pipeline.text_encoder.float()  # diffusers gives float32 by default, transformers 5 the dtype of the file
    pipeline.set_progress_bar_config(disable=True)
    for name in WEIGHT_FILES:
        getattr(pipeline, name).eval()
    return pipeline


@contextmanager
def _quietly() -> Iterator[None]:
    """No progress bars of the libraries inside the block: ours is the only one."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    shown = [log for log in (of_diffusers, of_transformers) if log.is_progress_bar_enabled()]
    for log in shown:
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log in shown:
            log.enable_progress_bar()


def save_pipeline(
    pipeline: Any,
    folder: str | Path,
    dtype: torch.dtype | None = None,
    weights: Weights | None = None,
    extra_files: Mapping[str, bytes] | None = None,
) -> Path:
    """Writes a plain diffusers folder; a kill at any moment leaves the old folder or the new one.

    `dtype` None keeps float32. `weights` replaces components' tensors on the way (an EMA) and leaves the live modules
    alone. `extra_files` maps relative paths to contents, written into the same folder before it gets its name.
    """
    folder = Path(folder)
    with replacing_dir(folder) as temporary:
        write_pipeline(pipeline, temporary, dtype, weights)
        for name, content in (extra_files or {}).items():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return folder


def write_pipeline(
    pipeline: Any, folder: Path, dtype: torch.dtype | None = None, weights: Weights | None = None
) -> None:
    """The same into a folder that exists and that the caller makes atomic."""
    from safetensors.torch import save_file

    pipeline.save_config(folder)
    pipeline.scheduler.save_pretrained(folder / "scheduler")
    _write_tokenizer(pipeline.tokenizer, folder / "tokenizer")
    for name, file_name in WEIGHT_FILES.items():
        module = getattr(pipeline, name)
        if name == "text_encoder":
            module.config.save_pretrained(folder / name)
        else:
            module.save_config(folder / name)
        tensors = {**module.state_dict(), **(weights or {}).get(name, {})}
        if name == "text_encoder":
            tensors = with_text_model_prefix(tensors)
        tensors = {key: _for_file(value, dtype) for key, value in tensors.items()}
        save_file(tensors, folder / name / file_name, metadata={"format": "pt"})


def with_text_model_prefix(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """CLIPTextModel's keys as published repositories spell them.

    transformers 5.6 and later drop the `text_model.` level on saving and read both; transformers 4 reads only this.
    """
    prefix = "text_model."
    return {k if k.startswith(prefix) else prefix + k: v for k, v in tensors.items()}


def _for_file(tensor: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    tensor = tensor.detach().cpu()
    if dtype is not None and tensor.is_floating_point():
        tensor = tensor.to(dtype)
    return tensor.contiguous()  # also undoes channels_last, which a file cannot say


def _write_tokenizer(tokenizer: Any, folder: Path) -> None:
    """vocab.json and merges.txt beside what transformers writes: 5.x saves tokenizer.json alone, 4.x wants the pair."""
    tokenizer.save_pretrained(folder)
    state = json.loads(tokenizer.backend_tokenizer.to_str())["model"] if hasattr(tokenizer, "backend_tokenizer") else {}
    if state and not (folder / "vocab.json").exists():
        (folder / "vocab.json").write_text(json.dumps(state["vocab"], ensure_ascii=False), encoding="utf-8")
    if state and not (folder / "merges.txt").exists():
        merges = "\n".join(m if isinstance(m, str) else " ".join(m) for m in state["merges"])
        (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", encoding="utf-8")


def folder_sha256(folder: str | Path) -> str:
    """sha256 over the weight files of a pipeline folder, in a fixed order: names a checkpoint in records."""
    digest = hashlib.sha256()
    for name, file_name in sorted(WEIGHT_FILES.items()):
        digest.update(name.encode())
        with (Path(folder) / name / file_name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
