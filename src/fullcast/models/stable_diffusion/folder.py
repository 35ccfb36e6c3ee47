"""Reading and writing diffusers folders: atomic, any dtype, opened by transformers 4 and 5 alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast.models.stable_diffusion.metadata import read_metadata, told_clip_skip
from fullcast.models.stable_diffusion.tokenizer import TOKENIZING
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
SECOND_ENCODER = {"text_encoder_2": "model.safetensors"}
"""What SDXL has more."""
HALF = "fp16"
"""What the hub writes into the names of files of half precision ("model.fp16.safetensors")."""
KOHYA_FILE = "lora.safetensors"
"""A LoRA beside the model that it was trained into, or alone; as UIs open it."""
PEFT_FILE = "pytorch_lora_weights.safetensors"
"""The same under the name that diffusers looks for."""
SD, SDXL = "StableDiffusionPipeline", "StableDiffusionXLPipeline"
OFF: dict[str, dict[str, Any]] = {
    SD: {"safety_checker": None, "requires_safety_checker": False, "feature_extractor": None, "image_encoder": None},
    SDXL: {"add_watermarker": False, "feature_extractor": None, "image_encoder": None},
}
"""What is left closed: `write_pipeline` does not write it, and a folder that lists what it lacks cannot be opened."""


def load_pipeline(path: str | Path) -> Any:
    """A diffusers folder or a single file as a pipeline in float32 on the CPU: from disk alone, no pickle, no network.

    It is a `StableDiffusionPipeline` or, for SDXL, a `StableDiffusionXLPipeline`. Raises FullcastError when the path is
    neither.
    """
    import diffusers

    path = Path(path)
    if path.is_file():
        from fullcast.models.stable_diffusion.single_file import SUFFIXES, load_single_file

        if path.suffix.lower() not in SUFFIXES:
            raise FullcastError(
                f"{path} is no model; give a diffusers folder or a file that ends in {' or '.join(SUFFIXES)}"
            )
        return load_single_file(path)
    files = weight_paths(path, family := _class_of(path))
    variant = HALF if any(file.stem.endswith(f".{HALF}") for file in files.values()) else None
    with _quietly():
        pipeline = getattr(diffusers, family).from_pretrained(
            path, local_files_only=True, use_safetensors=True, variant=variant, **OFF[family]
        )
    pipeline.set_progress_bar_config(disable=True)
    for name in files:
        # diffusers gives float32 by default, transformers 5 the dtype of the file
        getattr(pipeline, name).float().eval()
    return pipeline


def _class_of(folder: Path) -> str:
    index = folder / "model_index.json"
    if not index.is_file():
        raise FullcastError(
            f"{folder} is not a model folder: it has no model_index.json; give a diffusers folder or a single file"
        )
    family = json.loads(index.read_text(encoding="utf-8")).get("_class_name")
    if family not in (SD, SDXL):
        raise FullcastError(f"{folder} holds a {family}; folders of {SD} and {SDXL} can be opened")
    return family


def weight_files(pipeline_class: str) -> dict[str, str]:
    """Component to the file of its weights."""
    return WEIGHT_FILES | SECOND_ENCODER if pipeline_class == SDXL else WEIGHT_FILES


def weight_paths(folder: Path, pipeline_class: str) -> dict[str, Path]:
    """Component to the file that holds its weights in `folder`: the plain ones, or, as diffusers takes its variant
    fp16, those of half precision where they are and plain ones for the rest.

    FullcastError when a component has neither.
    """
    plain = {name: folder / name / file for name, file in weight_files(pipeline_class).items()}
    if all(path.is_file() for path in plain.values()):
        return plain
    halves = {name: path.with_suffix(f".{HALF}{path.suffix}") for name, path in plain.items()}
    found = {name: halves[name] if halves[name].is_file() else path for name, path in plain.items()}
    if missing := next((name for name, path in found.items() if not path.is_file()), ""):
        raise FullcastError(
            f"{folder} has no weights of its {missing} that can be read: {missing}/{plain[missing].name} or "
            f"{halves[missing].name} is wanted, whole (no .bin, no parts); save it anew with diffusers, or give a "
            "single file"
        )
    return found


@dataclass(frozen=True)
class Held:
    """What is in a folder, read without building a network."""

    family: str
    """sd1 | sd2 | sdxl."""
    configs: dict[str, dict[str, Any]]
    weights: dict[str, dict[str, torch.Tensor]]
    """In the dtype of the files; text encoders with `text_model.`."""
    prediction_type: str
    zero_terminal_snr: bool


def read_components(folder: Path) -> Held:
    """Weights and configs of a diffusers folder. FullcastError when it is none."""
    from safetensors.torch import load_file

    files = weight_paths(folder, kind := _class_of(folder))
    held = read_facts(folder)
    weights = {name: load_file(file) for name, file in files.items()}
    weights["text_encoder"] = with_text_model_prefix(weights["text_encoder"])
    assert kind == SDXL or "text_encoder_2" not in weights
    held.weights.update(weights)
    return held


def read_facts(folder: Path) -> Held:
    """The same without the weights: family, configs, what it predicts."""
    files = weight_files(kind := _class_of(folder))
    configs = {name: _json(folder / name / "config.json") for name in files}
    scheduler = _json(folder / "scheduler" / "scheduler_config.json")
    # as the single files differ: SD 2 has linear layers about its transformers and OpenCLIP's text encoder
    v2 = configs["unet"].get("use_linear_projection", False)
    return Held(
        "sdxl" if kind == SDXL else "sd2" if v2 else "sd1",
        configs,
        {},
        scheduler.get("prediction_type", "epsilon"),
        bool(scheduler.get("rescale_betas_zero_snr", False)),
    )


def clip_skip_of(path: Path) -> int:
    """Layer of the text encoder that is heard of a folder or a single file, from the end, as itself says; else 1."""
    if path.is_file():
        return told_clip_skip(read_metadata(path))
    return int(_json(path / "text_encoder" / "config.json").get("clip_skip", 1))


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FullcastError(f"{path} is missing; the folder is no whole diffusers folder") from error


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
    for name in ("tokenizer", "tokenizer_2"):
        if getattr(pipeline, name, None) is not None:
            with TOKENIZING:
                _write_tokenizer(getattr(pipeline, name), folder / name)
    for name, file_name in weight_files(type(pipeline).__name__).items():
        module = getattr(pipeline, name)
        if name.startswith("text_encoder"):
            module.config.save_pretrained(folder / name)
        else:
            module.save_config(folder / name)
        tensors = {**plain_state_dict(module), **(weights or {}).get(name, {})}
        if name == "text_encoder":
            tensors = with_text_model_prefix(tensors)
        tensors = {key: _for_file(value, dtype) for key, value in tensors.items()}
        save_file(tensors, folder / name / file_name, metadata={"format": "pt"})
    _forget_where_it_came_from(folder)


def _forget_where_it_came_from(folder: Path) -> None:
    """diffusers writes the folder that a part was loaded from into its config: a path of this machine."""
    for path in (folder / "model_index.json", *folder.glob("*/*config.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def plain_state_dict(module: Any) -> dict[str, torch.Tensor]:
    """A network's own weights under their published names, without an adapter that PEFT has put on it."""
    return {k.replace(".base_layer.", "."): v for k, v in module.state_dict().items() if ".lora_" not in k}


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
    """sha256 over the weight files of a pipeline folder, in a fixed order, or of a single file: names a checkpoint in
    records."""
    folder = Path(folder)
    if folder.is_file():
        with folder.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for name, path in sorted(weight_paths(folder, _class_of(folder)).items()):
        digest.update(name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
