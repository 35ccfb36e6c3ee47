"""The Stable Diffusion door: real parts, plain folders, the same words and numbers as diffusers and transformers."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from fullcast.models.stable_diffusion.build import build_pocket_pipeline, build_unet
from fullcast.models.stable_diffusion.config import PocketModelConfig
from fullcast.models.stable_diffusion.family import StableDiffusion, latents_of, to_images, to_tensor
from fullcast.models.stable_diffusion.folder import folder_sha256, load_pipeline, read_components, save_pipeline
from fullcast.models.stable_diffusion.normalise import latent_statistics, normalise_latents
from fullcast.models.stable_diffusion.tokenizer import FULL_VOCABULARY, clip_tokenizer, open_tokenizer, vocabulary
from fullcast.store.errors import FullcastError
from tests.models.tiny_families import tiny_pipeline

TINY = PocketModelConfig(
    width=48,
    height=32,
    latent_channels=4,
    vae_block_out_channels=(8, 8, 8),
    vae_norm_num_groups=4,
    unet_block_out_channels=(8, 16),
    attention_levels=(0, 1),
    unet_norm_num_groups=4,
    attention_head_width=4,
    text_hidden_size=16,
    text_num_layers=1,
    text_num_heads=2,
    vocabulary_size=800,
)


@pytest.fixture(scope="module")
def model() -> StableDiffusion:
    return StableDiffusion(build_pocket_pipeline(TINY))


def test_full_vocabulary_is_that_of_clip():
    ids, merges = vocabulary()
    assert len(ids) == FULL_VOCABULARY and len(merges) == 48_894
    # Ids as published with CLIP ViT-L/14: "a photo of a cat" -> 320 1125 539 320 2368.
    tokens = clip_tokenizer()("a photo of a cat").input_ids
    assert tokens == [49406, 320, 1125, 539, 320, 2368, 49407]


def test_a_prefix_of_the_vocabulary_keeps_the_ids_of_frequent_words():
    small, full = clip_tokenizer(8000), clip_tokenizer()
    assert small("a girl in the park").input_ids[1:-1] == full("a girl in the park").input_ids[1:-1]
    assert small.decode(small("hinata, schooluniform").input_ids[1:-1]).replace(" ", "") == "hinata,schooluniform"


def test_vocabulary_of_an_impossible_size_is_refused():
    with pytest.raises(FullcastError, match="514 to 49408"):
        vocabulary(100)


def test_number_of_heads_follows_from_their_width():
    unet = build_unet(TINY.model_copy(update={"unet_block_out_channels": (8, 16), "attention_head_width": 4}))
    assert unet.down_blocks[0].attentions[0].transformer_blocks[0].attn2.heads == 2
    assert unet.down_blocks[1].attentions[0].transformer_blocks[0].attn2.heads == 4


def test_same_seed_same_weights_and_no_global_draw():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (build_pocket_pipeline(TINY, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    weight = "conv_in.weight"
    assert torch.equal(first.unet.state_dict()[weight], again.unet.state_dict()[weight])
    assert not torch.equal(first.unet.state_dict()[weight], other.unet.state_dict()[weight])


def test_schedule_ends_in_pure_noise_and_agrees_with_diffusers(model):
    ours, theirs = model.alphas_cumprod(), model.pipeline.scheduler.alphas_cumprod
    assert ours[-1] == 0
    assert torch.allclose(ours, theirs.double(), atol=1e-6)


def test_encode_and_decode_agree_with_the_vae(model):
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), dtype=np.uint8)
    pixels = to_tensor(images)
    assert np.array_equal(to_images(pixels), images)
    latents = model.encode_images(pixels)
    assert tuple(latents.shape[1:]) == model.latent_shape(48, 32) == (4, 8, 12)
    vae = model.pipeline.vae
    with torch.no_grad():
        mean = vae.encode(pixels).latent_dist.mean * vae.config.scaling_factor
    assert torch.equal(latents, mean)
    noise = torch.ones_like(latents)
    moments = model.encode_moments(pixels)
    assert torch.allclose(latents_of(moments, noise) - mean, moments.chunk(2, 1)[1], atol=1e-6)
    assert model.decode(latents).shape == (2, 3, 32, 48)
    with pytest.raises(FullcastError, match="multiples of 4"):
        model.latent_shape(50, 32)


def test_prompts_are_cut_and_counted(model):
    assert model.encode_prompts(["", "a girl"]).shape == (2, 77, 16)
    assert model.num_tokens_cut("a girl") == 0
    assert model.num_tokens_cut("a " * 80) == 5


def test_a_saved_folder_is_plain_diffusers(model, tmp_path):
    from diffusers import StableDiffusionPipeline

    folder = save_pipeline(model.pipeline, tmp_path / "model", extra_files={"state/note.txt": b"x"})
    assert (folder / "state" / "note.txt").read_bytes() == b"x"
    theirs = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True, safety_checker=None)
    for name in ("unet", "vae", "text_encoder"):
        a, b = getattr(model.pipeline, name).state_dict(), getattr(theirs, name).state_dict()
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    assert theirs.tokenizer("a girl").input_ids == model.pipeline.tokenizer("a girl").input_ids
    with safe_open(folder / "text_encoder" / "model.safetensors", "pt") as file:
        assert all(key.startswith("text_model.") for key in file.keys())  # noqa: SIM118
    assert len(json.loads((folder / "tokenizer" / "vocab.json").read_text())) == 800
    assert (folder / "tokenizer" / "merges.txt").read_text().splitlines()[1] == "i n"


def test_half_precision_other_weights_and_the_hash(model, tmp_path):
    full = save_pipeline(model.pipeline, tmp_path / "full")
    again = save_pipeline(load_pipeline(full), tmp_path / "again")
    assert folder_sha256(full) == folder_sha256(again)
    ones = {"unet": {k: torch.ones_like(v) for k, v in model.pipeline.unet.state_dict().items()}}
    half = save_pipeline(model.pipeline, tmp_path / "half", torch.float16, ones)
    assert folder_sha256(half) != folder_sha256(full)
    with safe_open(half / "unet" / "diffusion_pytorch_model.safetensors", "pt") as file:
        tensor = file.get_tensor("conv_in.weight")
    assert tensor.dtype == torch.float16 and (tensor == 1).all()
    assert load_pipeline(half).unet.dtype == torch.float32
    assert not (model.pipeline.unet.conv_in.weight == 1).all()


def test_a_folder_of_half_precision_files_is_read_and_one_without_weights_is_said(model, tmp_path):
    plain = save_pipeline(model.pipeline, tmp_path / "plain", torch.float16)
    variant = save_pipeline(model.pipeline, tmp_path / "variant", torch.float16)
    for path in list(variant.glob("*/*.safetensors")):
        path.rename(path.with_suffix(".fp16.safetensors"))
    assert folder_sha256(variant) == folder_sha256(plain)
    a, b = load_pipeline(variant).unet.state_dict(), load_pipeline(plain).unet.state_dict()
    assert all(torch.equal(a[k], b[k]) for k in b)
    assert read_components(variant).weights["unet"].keys() == b.keys()
    next(variant.glob("unet/*.safetensors")).unlink()
    for read in (folder_sha256, load_pipeline, read_components):
        with pytest.raises(FullcastError, match=r"no weights of its unet .* diffusion_pytorch_model.fp16.safetensors"):
            read(variant)


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_folder_with_a_feature_extractor_can_be_written_and_opened_again(family, tmp_path):
    """The official SD 1.5 and 2.1 folders list one beside their safety checker."""
    folder = save_pipeline(tiny_pipeline(family), tmp_path / "official")
    index = json.loads((folder / "model_index.json").read_text())
    index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "feature_extractor").mkdir()
    settings = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 224}}
    (folder / "feature_extractor" / "preprocessor_config.json").write_text(json.dumps(settings))
    again = save_pipeline(load_pipeline(folder), tmp_path / "again")
    assert load_pipeline(again).feature_extractor is None and folder_sha256(again) == folder_sha256(folder)


def test_a_tokenizer_is_the_folder_s_own_or_clip_s_for_one_file(model, tmp_path):
    folder = save_pipeline(model.pipeline, tmp_path / "model")
    (tmp_path / "model.safetensors").touch()
    own, whole = open_tokenizer(folder), open_tokenizer(tmp_path / "model.safetensors")
    assert (len(own), len(whole)) == (800, FULL_VOCABULARY) and own.model_max_length == whole.model_max_length == 77
    with pytest.raises(FullcastError, match="no tokenizer that can be opened"):
        open_tokenizer(tmp_path)


@pytest.mark.parametrize("use", ["for_training", "for_drawing"])
def test_on_a_gpu_the_vae_takes_one_picture_after_another(use, monkeypatch):
    for device, sliced in (("cpu", False), ("cuda", True)):
        own = StableDiffusion.of(build_pocket_pipeline(TINY))
        monkeypatch.setattr(own.pipeline, "to", lambda device: None, raising=False)  # no GPU here
        getattr(own, use)(torch.device(device), *((True,) if use == "for_training" else ()))
        assert own.pipeline.vae.use_slicing is sliced


def test_normalised_latents_decode_to_the_same_picture():
    vae = build_pocket_pipeline(TINY, seed=3).vae
    pixels = to_tensor(np.random.default_rng(1).integers(0, 256, (6, 32, 48, 3), dtype=np.uint8))
    with torch.no_grad():
        before = vae.decode(vae.encode(pixels).latent_dist.mean).sample
        mean, std = latent_statistics(vae, pixels)
        normalise_latents(vae, mean, std)
        after = vae.decode(vae.encode(pixels).latent_dist.mean).sample
    assert torch.allclose(before, after, atol=1e-4)
    mean, std = latent_statistics(vae, pixels)
    assert torch.allclose(mean, torch.zeros(4), atol=1e-3) and torch.allclose(std, torch.ones(4), atol=1e-3)


def test_what_is_no_model_is_said_so(tmp_path):
    with pytest.raises(FullcastError, match="it has no model_index"):
        load_pipeline(tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(FullcastError, match="FluxPipeline"):
        load_pipeline(tmp_path)
