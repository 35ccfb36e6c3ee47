"""Textual-inversion files, read: the few vectors that stand for a new word. Every layout that people publish.

    A1111 .pt            {"string_to_param": {"*": (n, d)}, "name": ...}
    diffusers .bin, .safetensors   {"<word>": (d,) or (n, d)}
    .safetensors         {"emb_params": (n, d)}
    SDXL .safetensors    {"clip_l": (n, 768), "clip_g": (n, 1280)}

Pickles are read as checkpoints are: without executing them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fullcast.models.stable_diffusion.safe_pickle import read_torch_file
from fullcast.models.stable_diffusion.single_file import read_tensors
from fullcast.store.errors import FullcastError

_SDXL = {"clip_l": "text_encoder", "clip_g": "text_encoder_2"}


@dataclass(frozen=True)
class TextualInversion:
    """A word and what each text encoder hears at it."""

    word: str
    vectors: Mapping[str, torch.Tensor]
    """Text encoder to (n, d) float32; the word takes n tokens."""


def read_textual_inversion(path: str | Path) -> TextualInversion:
    """FullcastError when the file holds anything else. The word is the file's own, else the file's name."""
    path = Path(path)
    content: Any = read_tensors(path)[0] if path.suffix == ".safetensors" else read_torch_file(path)
    if not isinstance(content, Mapping):
        raise _not_one(path)
    if isinstance(content.get("string_to_param"), Mapping):
        tensors = [t for t in content["string_to_param"].values() if isinstance(t, torch.Tensor)]
        name = content.get("name")
        return _made(path, name if isinstance(name, str) and name else path.stem, {"text_encoder": tensors})
    tensors_by_name = {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}
    if "clip_g" in tensors_by_name:
        return _made(path, path.stem, {_SDXL[k]: [t] for k, t in tensors_by_name.items() if k in _SDXL})
    if len(tensors_by_name) != 1:
        raise _not_one(path)
    ((name, tensor),) = tensors_by_name.items()
    return _made(path, path.stem if name == "emb_params" else name, {"text_encoder": [tensor]})


def _made(path: Path, word: str, found: Mapping[str, list[torch.Tensor]]) -> TextualInversion:
    vectors: dict[str, torch.Tensor] = {}
    for encoder, tensors in found.items():
        if len(tensors) != 1 or tensors[0].ndim not in (1, 2) or not tensors[0].is_floating_point():
            raise _not_one(path)
        vectors[encoder] = tensors[0].detach().float().reshape(-1, tensors[0].shape[-1])
    return TextualInversion(word, vectors)


def _not_one(path: Path) -> FullcastError:
    return FullcastError(f"{path} is no textual inversion: one word's vectors are wanted, (n, d) for each text encoder")


def add_word(pipeline: Any, given: TextualInversion) -> None:
    """Teaches the pipeline's tokenizer and text encoder the word. FullcastError when the widths differ, or when the
    tokenizer has that word already."""
    for encoder, vectors in given.vectors.items():
        network = getattr(pipeline, encoder, None)
        width = None if network is None else network.config.hidden_size
        if width != vectors.shape[1]:
            raise FullcastError(
                f"the word {given.word!r} has vectors of {vectors.shape[1]} numbers for {encoder}; this model's has "
                f"{width}: it was made for another family"
            )
    for encoder, vectors in given.vectors.items():
        second = encoder == "text_encoder_2"
        tokenizer = pipeline.tokenizer_2 if second else pipeline.tokenizer
        if given.word in tokenizer.get_vocab():
            raise FullcastError(f"the model has a word {given.word!r} already; save its vectors under another one")
        network = getattr(pipeline, encoder)
        pipeline.load_textual_inversion(
            {given.word: vectors}, token=given.word, text_encoder=network, tokenizer=tokenizer
        )
        # Published configs say 2, at which transformers takes the greatest id for the text's end: now that is the word.
        for part in (network, *network.modules()):
            if hasattr(part, "eos_token_id"):
                part.eos_token_id = tokenizer.eos_token_id
        network.config.eos_token_id = tokenizer.eos_token_id
