"""Pickles are read as data: tensors come out bit for bit, and nothing in a file is ever called."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.models.stable_diffusion.safe_pickle import Unused, read_torch_file
from fullcast.models.stable_diffusion.textual_inversion import TextualInversion, add_word, read_textual_inversion
from fullcast.store.errors import FullcastError
from tests.models.tiny_families import tiny_pipeline


def test_tensors_of_every_type_views_and_shared_storages(tmp_path):
    base = torch.arange(24.0).reshape(4, 6)
    held = OrderedDict(
        view=base.T[1:3], whole=base, parameter=torch.nn.Parameter(torch.ones(2)), empty=torch.empty(0), none=None
    )
    for dtype in (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.uint8, torch.bool):
        held[str(dtype)] = torch.tensor([0, 1, 1], dtype=dtype)
    torch.save({"state_dict": held, "epoch": 3, "hyper": [1, "x", (2.5, True)]}, tmp_path / "a.ckpt")
    read = read_torch_file(tmp_path / "a.ckpt")
    assert read["epoch"] == 3 and read["hyper"] == [1, "x", (2.5, True)] and read["state_dict"]["none"] is None
    for name, tensor in held.items():
        if tensor is not None:
            again = read["state_dict"][name]
            assert again.dtype == tensor.dtype and torch.equal(again, tensor.detach()), name


class Evil:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


def forged(path: Path, program: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
    return path


@pytest.mark.parametrize("call", [os.system, eval, exec, open, getattr, __import__])
def test_a_pickle_that_does_anything_else_is_refused_and_does_nothing(call, tmp_path):
    mark = tmp_path / "mark"
    torch.save({"state_dict": {"x": torch.ones(1)}, "more": Evil(call, f"touch {mark}")}, tmp_path / "evil.ckpt")
    with pytest.raises(FullcastError, match=r"is refused: its pickle asks for .* get it as \.safetensors"):
        read_torch_file(tmp_path / "evil.ckpt")
    assert not mark.exists()


def test_names_that_are_known_cannot_be_turned_into_others(tmp_path):
    # builds the state of a function: GLOBAL torch._utils _rebuild_tensor_v2, {"_answer": 1}, BUILD
    program = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x07\x00\x00\x00_answerK\x01sb."
    with pytest.raises(FullcastError, match="cannot be read"):
        read_torch_file(forged(tmp_path / "a.ckpt", program))
    # numpy's scalar is known and answered by nothing, whatever it is given
    program = b"\x80\x02cnumpy.core.multiarray\nscalar\nK\x01\x85R."
    assert isinstance(read_torch_file(forged(tmp_path / "b.ckpt", program)), Unused)
    # a dotted name must not reach through a known one
    program = b"\x80\x04\x8c\x0ccollections\x8c\x19OrderedDict.__init_subclass\x93."
    with pytest.raises(FullcastError):
        read_torch_file(forged(tmp_path / "c.ckpt", program))


def test_damaged_and_foreign_files_are_said_in_a_sentence(tmp_path):
    (tmp_path / "a.ckpt").write_bytes(pickle.dumps({"x": 1}))
    with pytest.raises(FullcastError, match="zip archive"):
        read_torch_file(tmp_path / "a.ckpt")
    torch.save({"x": torch.ones(1000)}, tmp_path / "b.ckpt")
    with zipfile.ZipFile(tmp_path / "b.ckpt") as old, zipfile.ZipFile(tmp_path / "c.ckpt", "w") as new:
        for info in old.infolist():
            content = old.read(info)
            new.writestr(info.filename, content[:100] if "/data/" in info.filename else content)
    with pytest.raises(FullcastError, match="100 bytes"):
        read_torch_file(tmp_path / "c.ckpt")
    # a view beyond its storage
    torch.save({"x": torch.ones(4)}, tmp_path / "d.ckpt")
    with zipfile.ZipFile(tmp_path / "d.ckpt") as old, zipfile.ZipFile(tmp_path / "e.ckpt", "w") as new:
        for info in old.infolist():
            content = old.read(info)
            new.writestr(
                info.filename, content.replace(b"K\x04\x85", b"K\x7f\x85") if "data.pkl" in info.filename else content
            )
    with pytest.raises(FullcastError, match="cannot be read"):
        read_torch_file(tmp_path / "e.ckpt")
    with pytest.raises(FullcastError, match=r"0 files called data\.pkl"):
        with zipfile.ZipFile(tmp_path / "f.ckpt", "w") as archive:
            archive.writestr("readme", "x")
        read_torch_file(tmp_path / "f.ckpt")


def test_textual_inversions_of_every_layout(tmp_path):
    vectors = torch.randn(2, 16)
    torch.save({"string_to_token": {"*": 265}, "string_to_param": {"*": vectors}, "name": "aoi"}, tmp_path / "a.pt")
    torch.save({"<aoi>": vectors[0]}, tmp_path / "b.bin")
    save_file({"emb_params": vectors.half()}, tmp_path / "aoi-c.safetensors")
    save_file({"clip_l": vectors, "clip_g": torch.randn(2, 24)}, tmp_path / "d.safetensors")
    a, b, c, d = (read_textual_inversion(tmp_path / n) for n in ("a.pt", "b.bin", "aoi-c.safetensors", "d.safetensors"))
    assert (a.word, b.word, c.word, d.word) == ("aoi", "<aoi>", "aoi-c", "d")
    assert torch.equal(a.vectors["text_encoder"], vectors) and b.vectors["text_encoder"].shape == (1, 16)
    assert c.vectors["text_encoder"].dtype == torch.float32 and d.vectors["text_encoder_2"].shape == (2, 24)
    torch.save({"a": vectors, "b": vectors}, tmp_path / "e.pt")
    with pytest.raises(FullcastError, match="no textual inversion"):
        read_textual_inversion(tmp_path / "e.pt")
    pipeline = tiny_pipeline("sd1")
    add_word(pipeline, b)
    (id_,) = pipeline.tokenizer.convert_tokens_to_ids(["<aoi>"])
    assert torch.equal(pipeline.text_encoder.get_input_embeddings().weight[id_], vectors[0])
    with pytest.raises(FullcastError, match="has a word '<aoi>' already"):
        add_word(pipeline, b)
    with pytest.raises(FullcastError, match="another family"):
        add_word(pipeline, d)


def test_all_vectors_of_a_word_are_heard():
    """As diffusers spells it out; the end of a text that is cut stays its end."""
    pipeline = tiny_pipeline("sd1")
    model = StableDiffusion.of(pipeline)
    plain = model.token_ids(["a park"])
    add_word(pipeline, TextualInversion("zorble", {"text_encoder": torch.randn(3, 16)}))
    said = pipeline.maybe_convert_prompt("a zorble park", pipeline.tokenizer)
    wanted = pipeline.tokenizer(said, padding="max_length", return_tensors="pt").input_ids
    assert torch.equal(model.token_ids(["a zorble park", "a park"]), torch.cat([wanted, plain]))
    assert len(set(model.token_ids(["zorble"])[0].tolist())) == 3 + 2
    long = "a zorble " * 40
    ids = model.token_ids([long])[0].tolist()
    assert len(ids) == 77 and ids[-1] == pipeline.tokenizer.eos_token_id and ids[-2] != ids[-1]
    assert model.num_tokens_cut(long) == 40 * 4 + 2 - 77


@torch.no_grad()
def test_the_end_of_a_text_stays_its_end_beside_a_new_word():
    """SDXL's pooled vector comes from there."""
    pipeline = tiny_pipeline("sdxl")
    model, encoder = StableDiffusion.of(pipeline), pipeline.text_encoder_2
    before = model.encode_prompts(["a park"]).pooled
    vectors = {"text_encoder": torch.randn(2, 16), "text_encoder_2": torch.randn(2, 24)}
    add_word(pipeline, TextualInversion("zorble", vectors))
    assert torch.equal(model.encode_prompts(["a park"]).pooled, before)
    ids = model.token_ids(["a zorble park"])[:, 1]
    [end] = (ids[0] == pipeline.tokenizer_2.eos_token_id).nonzero()[0].tolist()
    at_end = encoder.text_projection(encoder(ids).last_hidden_state[:, end])
    assert torch.allclose(model.encode_prompts(["a zorble park"]).pooled, at_end, atol=1e-6)
