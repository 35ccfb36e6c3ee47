"""CLIP's tokenizer, made offline from the merges in `clip_bpe/`: whole for SD 1.x, a prefix of it for small models."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast.store.errors import FullcastError

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

BOS, EOS = "<|startoftext|>", "<|endoftext|>"
NUM_BYTES = 512
"""256 byte letters, alone and at the end of a word."""
FULL_VOCABULARY = 49_408
TOKENIZING = threading.RLock()
"""Held while a tokenizer is used or written: a checkpoint may be written while the next batch is got ready."""
_MERGES = Path(__file__).parent / "clip_bpe" / "merges.txt.gz"


def byte_letters() -> list[str]:
    """The 256 printable letters that stand for the bytes, in the order of CLIP's vocabulary.

    As GPT-2's byte-level BPE (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, released
    code): printable bytes stand for themselves, the others for the code points from 256 on.
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]


def vocabulary(size: int = FULL_VOCABULARY) -> tuple[dict[str, int], list[str]]:
    """(token -> id, merges as "a b") of the first `size` - 2 entries of CLIP's and the two special tokens."""
    if not NUM_BYTES + 2 <= size <= FULL_VOCABULARY:
        raise FullcastError(f"a vocabulary of {size} tokens was asked for; give {NUM_BYTES + 2} to {FULL_VOCABULARY}")
    lines = gzip.decompress(_MERGES.read_bytes()).decode().splitlines()[1:]
    merges = lines[: size - NUM_BYTES - 2]
    letters = byte_letters()
    tokens = [*letters, *(letter + "</w>" for letter in letters), *("".join(m.split()) for m in merges), BOS, EOS]
    return {token: i for i, token in enumerate(tokens)}, merges


def write_tokenizer(folder: Path, size: int = FULL_VOCABULARY, max_length: int = 77) -> None:
    """Writes vocab.json, merges.txt and the two config files: a folder that transformers 4 and 5 both open."""
    ids, merges = vocabulary(size)
    folder.mkdir(parents=True, exist_ok=True)
    special = {"bos_token": BOS, "eos_token": EOS, "pad_token": EOS, "unk_token": EOS}
    config = {**special, "tokenizer_class": "CLIPTokenizer", "model_max_length": max_length, "do_lower_case": True}
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2), encoding="utf-8")


def clip_tokenizer(size: int = FULL_VOCABULARY, max_length: int = 77) -> CLIPTokenizer:
    """CLIPTokenizer over the first `size` entries; `max_length` counts the two special tokens."""
    import tempfile

    from transformers import CLIPTokenizer

    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(Path(folder), size, max_length)
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def added_words(tokenizer: Any) -> dict[int, list[int]]:
    """What stands for a word that was added with several vectors, by the id of its name: the ids of "name", "name_1",
    "name_2" ..., as diffusers calls them. {} for most tokenizers, at 1 us."""
    if len(tokenizer) == tokenizer.vocab_size:
        return {}
    ids = tokenizer.get_added_vocab()
    found = {number: list(_in_turn(name, ids)) for name, number in ids.items()}
    return {number: all_of_it for number, all_of_it in found.items() if len(all_of_it) > 1}


def _in_turn(name: str, ids: Mapping[str, int]) -> Iterator[int]:
    yield ids[name]
    number = 1
    while (later := f"{name}_{number}") in ids:
        yield ids[later]
        number += 1


def in_full(said: Sequence[int], words: Mapping[int, Sequence[int]]) -> list[int]:
    """Ids of a text with every word of `added_words` spelt out."""
    return [number for first in said for number in words.get(first, (first,))]


def open_tokenizer(model: Path) -> CLIPTokenizer:
    """Of a diffusers folder its own; of a single file CLIP's, which every published one has. No network is opened.

    FullcastError when the folder has none.
    """
    from transformers import CLIPTokenizer

    if model.is_file():
        return clip_tokenizer()
    try:
        return CLIPTokenizer.from_pretrained(model / "tokenizer", local_files_only=True)
    except (OSError, ValueError) as error:
        raise FullcastError(
            f"{model} has no tokenizer that can be opened ({str(error).splitlines()[0][:120]}); give a whole diffusers "
            "folder, or a single file"
        ) from error
