"""LoRA in kohya's layout and in PEFT's: the enumerated names, both ways without a changed bit, the same picture."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import load_file, save_file

from fullcast.models.stable_diffusion.folder import load_pipeline, save_pipeline
from fullcast.models.stable_diffusion.layout import FAMILIES
from fullcast.models.stable_diffusion.lora import Lora, LoraLayer, lora_of, names, read_lora, write_lora
from fullcast.models.stable_diffusion.metadata import modelspec, read_metadata
from fullcast.store.errors import FullcastError
from tests.models.tiny_families import tiny_configs, tiny_pipeline

TRANSFORMERS = {"sd1": (264, 72), "sd2": (330, 138), "sdxl": (986, 264)}
"""Layers of kohya's standard network: all, and those of text encoders."""


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_as_many_layers_as_kohya_has_all_with_names_of_their_own(family):
    table = names(family)
    assert len(set(table.values())) == len(table)
    text = [name for name in table.values() if name.startswith("lora_te")]
    ends = ("_proj_in", "_proj_out", "_to_q", "_to_k", "_to_v", "_to_out_0", "_ff_net_0_proj", "_ff_net_2")
    unet = [name for name in table.values() if name.startswith("lora_unet") and name.endswith(ends)]
    assert (len(text) + len(unet), len(text)) == TRANSFORMERS[family]


def test_names_that_kohya_writes():
    sd1, sdxl = names("sd1"), names("sdxl")
    assert sd1["unet", "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"] == (
        "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    )
    assert sdxl["unet", "down_blocks.1.attentions.0.transformer_blocks.1.ff.net.0.proj"] == (
        "lora_unet_input_blocks_4_1_transformer_blocks_1_ff_net_0_proj"
    )
    q = "text_model.encoder.layers.0.self_attn.q_proj"
    assert sd1["text_encoder", q] == "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
    assert sdxl["text_encoder_2", q] == "lora_te2_text_model_encoder_layers_0_self_attn_q_proj"


def some_lora(family: str) -> Lora:
    """Every layer that PEFT is asked for, ranks and alphas that differ."""
    draw = torch.Generator().manual_seed(1)
    layers: dict[str, dict[str, LoraLayer]] = {}
    for n, (component, module) in enumerate(names(family, tiny_configs(family))):
        if module.endswith(("to_q", "to_k", "q_proj", "fc1")):
            rank = 2 if n % 5 else 3
            down, up = torch.randn(rank, 8, generator=draw), torch.randn(8, rank, generator=draw)
            layers.setdefault(component, {})[module] = LoraLayer(down, up, 1.5 if n % 3 else 2.0)
    return Lora(family, layers)


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_both_layouts_there_and_back(family, tmp_path):
    lora = some_lora(family)
    for layout in ("kohya", "peft", "kohya"):
        path = write_lora(lora, tmp_path / f"{layout}.safetensors", layout)
        lora = read_lora(path, family)
    before = some_lora(family)
    assert lora.layers.keys() == before.layers.keys() == {"unet", *FAMILIES[family].text}
    for component, module, layer in before:
        again = lora.layers[component][module]
        assert torch.equal(again.down, layer.down) and torch.equal(again.up, layer.up) and again.alpha == layer.alpha


WORDS = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
"""kohya's choice. diffusers 0.42 reads a text encoder in kohya's layout only if `out_proj` is among the layers."""


def test_plain_diffusers_draws_the_same_from_either_layout(tmp_path):
    """The adapter sits on U-Net and text encoder, alpha is not the rank."""
    folder = save_pipeline(tiny_pipeline("sd1"), tmp_path / "base")
    live = load_pipeline(folder)
    torch.manual_seed(0)
    live.unet.add_adapter(
        LoraConfig(r=2, lora_alpha=5, target_modules=["to_k", "to_v", "proj_in"], init_lora_weights=False)
    )
    inject_adapter_in_model(
        LoraConfig(r=2, lora_alpha=5, target_modules=WORDS, init_lora_weights=False), live.text_encoder
    )
    lora = lora_of(live, "sd1")
    wanted, plain = _predicted(live), _predicted(load_pipeline(folder))
    assert (wanted - plain).abs().max() > 1e-2
    for layout in ("kohya", "peft"):
        path = write_lora(lora, tmp_path / f"{layout}.safetensors", layout)
        theirs = load_pipeline(folder)
        theirs.load_lora_weights(tmp_path, weight_name=path.name)
        assert (_predicted(theirs) - wanted).abs().max() < 1e-5, layout


@torch.no_grad()
def _predicted(pipeline) -> torch.Tensor:
    ids = pipeline.tokenizer(["two people"], padding="max_length", return_tensors="pt").input_ids
    noisy = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    return pipeline.unet(noisy, 500, encoder_hidden_states=pipeline.text_encoder(ids)[0])[0]


def automatic1111(path) -> str:
    """As `detect_version` of its built-in LoRA extension tells the family of a file; others' are hidden."""
    told = read_metadata(path)
    if told.get("ss_base_model_version", "").startswith("sdxl_"):
        return "sdxl"
    return "sd2" if told.get("ss_v2") == "True" else "sd1"


@pytest.mark.parametrize("family", TRANSFORMERS)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_uis_know_the_family_of_a_lora_that_tells_nothing_of_its_training(family, prediction, tmp_path):
    told = modelspec(family, "aoi", (512, 512), prediction_type=prediction, lora=True)
    assert {key for key in told if not key.startswith("modelspec.")} == {"ss_base_model_version", "ss_v2"}
    assert automatic1111(write_lora(some_lora(family), tmp_path / "x.safetensors", metadata=told)) == family
    assert not [key for key in modelspec(family, "aoi", (512, 512)) if key.startswith("ss_")], "a model has tensors"


def test_other_spellings_and_a_missing_alpha(tmp_path):
    name = "lora_te1_text_model_encoder_layers_0_mlp_fc1"  # as diffusers writes SD 1.x
    down, up = torch.ones(4, 16), torch.ones(32, 4)
    save_file({f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}, tmp_path / "a.safetensors")
    lora = read_lora(tmp_path / "a.safetensors", "sd1")
    assert lora.layers["text_encoder"]["text_model.encoder.layers.0.mlp.fc1"].alpha == 4
    path = "down_blocks.1.attentions.0.proj_in"
    xl = "lora_unet_" + path.replace(".", "_")  # diffusers' own names, where kohya has the single file's
    save_file({f"{xl}.lora_down.weight": down, f"{xl}.lora_up.weight": up}, tmp_path / "b.safetensors")
    lora = read_lora(tmp_path / "b.safetensors", "sdxl")
    again = load_file(write_lora(lora, tmp_path / "c.safetensors"))
    assert "lora_unet_input_blocks_4_1_proj_in.lora_down.weight" in again and path in lora.layers["unet"]


def test_what_is_no_plain_lora_is_refused(tmp_path):
    def told(tensors, match, family="sd1"):
        save_file(tensors, tmp_path / "x.safetensors")
        with pytest.raises(FullcastError, match=match):
            read_lora(tmp_path / "x.safetensors", family)

    name, down, up = "lora_unet_mid_block_attentions_0_proj_in", torch.ones(4, 8), torch.ones(8, 4)
    both = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
    told({f"{name}.hada_w1_a": down}, "only plain LoRA")
    told({f"{name}.lora_down.weight": down}, "one half")
    told({"x": down}, "no layers")
    told(
        both | {"lora_unet_x.lora_down.weight": down.clone(), "lora_unet_x.lora_up.weight": up.clone()},
        "1 layers, lora_unet_x first",
    )
    told(both, "does not say which family", family="")
