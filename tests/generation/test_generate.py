"""Pictures from a tiny real pipeline: equal to diffusers', equal when made again, identical outside the mask."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from fullcast.generation.again import regenerate
from fullcast.generation.config import GenerationConfig
from fullcast.generation.generate import generate
from fullcast.generation.inpaint import box_mask, erode, inpaint, latent_mask, mask_from_picture, pad, paste
from fullcast.generation.metadata import read_recipe
from fullcast.generation.painters import Painters
from fullcast.generation.preview import ScenePreview
from fullcast.models.stable_diffusion.build import build_pocket_pipeline
from fullcast.models.stable_diffusion.config import PocketModelConfig
from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.models.stable_diffusion.region_attention import bias_tables, levels_that_hear, region_attention
from fullcast.records import Cast, Character, Placement, Scene
from fullcast.store.errors import FullcastError
from fullcast.store.pictures import read_picture, read_png_text, write_png
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
CAST = Cast("show", (Character("aoi", "aoi"), Character("mio", "mio")))
CONFIG = GenerationConfig(num_inference_steps=3, batch_size=3)
PARK = Scene("park", "park", (Placement("aoi"), Placement("mio")))
PLACED = Scene("placed", "park", (Placement("aoi", cell=(0, 1)), Placement("mio", cell=(4, 1), negative_prompt="hat")))


@pytest.fixture(autouse=True)
def same_draws():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def model() -> StableDiffusion:
    pipeline = build_pocket_pipeline(TINY, seed=1)
    with torch.no_grad():  # an untrained network hardly looks at the words: make it look
        for name, parameter in pipeline.unet.named_parameters():
            if "attn2" in name or "conv_out" in name:
                parameter.mul_(4)
    return StableDiffusion(pipeline)


def test_same_pictures_as_the_diffusers_pipeline(model, tmp_path):
    scene = Scene("plain", "a girl in the park", negative_prompt="night")
    config = CONFIG.model_copy(update={"batch_size": 1})
    [picture] = generate(model, [scene], CAST, config, tmp_path)
    theirs = model.pipeline(
        "a girl in the park",
        negative_prompt="night",
        width=48,
        height=32,
        num_inference_steps=3,
        guidance_scale=config.guidance_scale,
        guidance_rescale=config.guidance_rescale,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
    ).images[0]
    ours = read_picture(tmp_path / picture.path).astype(int)
    assert np.abs(ours - np.rint(theirs * 255)).max() <= 1
    assert ours.std() > 1


@pytest.mark.parametrize("scheduler", ["euler", "dpm++2m"])
def test_every_scheduler_draws(model, tmp_path, scheduler):
    config = CONFIG.model_copy(update={"scheduler": scheduler, "num_inference_steps": 5})
    [picture] = generate(model, [PARK], CAST, config, tmp_path)
    assert picture.scheduler == scheduler and read_picture(tmp_path / picture.path).std() > 1


def test_several_processes_give_the_same_bytes(model, tmp_path, monkeypatch):
    model.write(tmp_path / "model")
    monkeypatch.setattr("fullcast.generation.generate.FEWEST", 4)
    torch.set_num_threads(1)
    alone = generate(model, [PARK], CAST, CONFIG, tmp_path / "a", num_pictures=4)
    painters = Painters(tmp_path / "model", 2)
    together = generate(model, [PARK], CAST, CONFIG, tmp_path / "b", num_pictures=4, painters=painters)
    assert alone == together
    for picture in alone:
        assert (tmp_path / "a" / picture.path).read_bytes() == (tmp_path / "b" / picture.path).read_bytes()


def test_a_picture_depends_on_its_own_seed_alone(model, tmp_path):
    together = generate(model, [PARK], CAST, CONFIG, tmp_path / "a", num_pictures=3)
    alone = generate(model, [PARK], CAST, CONFIG, tmp_path / "b", seeds=[2])
    a, b = read_picture(tmp_path / "a" / together[2].path), read_picture(tmp_path / "b" / alone[0].path)
    assert together[2].path == alone[0].path == "park-2.png"
    assert np.abs(a.astype(int) - b).max() <= 1
    assert np.abs(a.astype(int) - read_picture(tmp_path / "a" / together[1].path)).max() > 5


@pytest.mark.parametrize("scene", [PARK, PLACED], ids=["prompt", "places"])
def test_made_again_to_the_byte(model, tmp_path, scene):
    pictures = generate(model, [scene], CAST, CONFIG, tmp_path, num_pictures=4, checkpoint="runs/a/step-10")
    for picture in (pictures[1], pictures[3]):
        again = regenerate(model, tmp_path / picture.path, tmp_path / "again" / picture.path)
        assert again.read_bytes() == (tmp_path / picture.path).read_bytes()
    other = StableDiffusion(build_pocket_pipeline(TINY, seed=2))
    with pytest.raises(FullcastError, match="was made by runs/a/step-10"):
        regenerate(other, tmp_path / pictures[0].path, tmp_path / "no.png")


def test_what_is_there_is_not_made_again(model, tmp_path):
    class Counting:
        count = 0

        def start(self, title, total):
            Counting.count += total

        def advance(self, count=1, note=""):
            pass

        def done(self):
            pass

    first = generate(model, [PARK], CAST, CONFIG, tmp_path, num_pictures=2, progress=Counting())
    assert generate(model, [PARK], CAST, CONFIG, tmp_path, num_pictures=2, progress=Counting()) == first
    assert Counting.count == 2
    generate(model, [replace(PARK, prompt="sea")], CAST, CONFIG, tmp_path, num_pictures=3, progress=Counting())
    assert Counting.count == 5
    with pytest.raises(FullcastError, match="same scene id and seed"):
        generate(model, [PARK, PARK], CAST, CONFIG, tmp_path)


def test_what_another_recipe_drew_is_kept_where_that_is_asked_for(model, tmp_path):
    [first] = generate(model, [PARK], CAST, CONFIG, tmp_path, keep_others=True)
    before = (tmp_path / "park-0.png").read_bytes()
    other = CONFIG.model_copy(update={"guidance_scale": 2.0})
    for _ in range(2):
        [second] = generate(model, [PARK], CAST, other, tmp_path, keep_others=True)
        assert (first.path, second.path) == ("park-0.png", f"park-0-{second.id[:6]}.png")
    assert (tmp_path / "park-0.png").read_bytes() == before
    assert read_recipe(tmp_path / second.path)[0].guidance_scale == 2.0
    assert generate(model, [PARK], CAST, CONFIG, tmp_path, keep_others=True) == [first]
    assert len(list(tmp_path.iterdir())) == 2


def test_negatives_of_people_without_a_region_count_for_the_picture(model):
    from fullcast.generation.generate import recipe_for

    people = (Placement("aoi", cell=(0, 1), negative_prompt="hat"), Placement("mio", negative_prompt="scarf"))
    scene = Scene("s", "park", people, negative_prompt="night")
    config = CONFIG.model_copy(update={"negative_prompt": "text"})
    recipe = recipe_for(model, scene, 0, CAST, config, "", "")
    assert recipe.negative_prompt == "night, text, scarf" and recipe.regions[0]["negative_prompt"] == "hat"
    plain = recipe_for(model, scene, 0, CAST, config.model_copy(update={"region_steps": 0.0}), "", "")
    assert plain.negative_prompt == "night, text, hat, scarf" and plain.regions == ()


def test_png_tells_how_it_was_made(model, tmp_path):
    [picture] = generate(model, [PLACED], CAST, CONFIG, tmp_path, checkpoint="/home/me/secret/model")
    text = read_png_text(tmp_path / picture.path)
    assert text["parameters"].splitlines()[0] == picture.prompt
    assert "Steps: 3, Sampler: DDIM, CFG scale: 4, Seed: 0, Size: 48x32" in text["parameters"]
    from fullcast.formats.a1111 import read_parameters, read_record

    assert read_record(tmp_path / picture.path) == replace(picture, path="")
    assert read_parameters(tmp_path / picture.path).size == (48, 32)
    assert "secret" not in str(text) and json.loads(text["fullcast"])["checkpoint"] == "model"
    recipe, slot = read_recipe(tmp_path / picture.path)
    assert recipe.scene == PLACED == picture.scene and (slot.batch_size, slot.index) == (1, 0)
    assert len(recipe.regions) == 2
    write_png(tmp_path / "bare.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(FullcastError, match="does not say how it was made"):
        read_recipe(tmp_path / "bare.png")


def test_wrong_size_is_said(model, tmp_path):
    with pytest.raises(FullcastError, match="multiples of 4"):
        generate(model, [replace(PARK, width=50, height=32)], CAST, CONFIG, tmp_path)


# Regions


def test_no_bias_is_plain_attention_bit_for_bit(model):
    unet, embeds = model.pipeline.unet, model.encode_prompts(["aoi", "mio"])
    x, t = torch.randn(2, 4, 8, 12), torch.tensor([900, 900])
    with torch.no_grad():
        plain = model.predict(x, t, embeds)
        with region_attention(unet, bias_tables(torch.zeros(0, 8, 12, dtype=torch.bool), 77, 0.3, [True, True])):
            assert torch.equal(model.predict(x, t, embeds), plain)
        assert torch.equal(model.predict(x, t, embeds), plain)


def test_levels_without_words_have_no_table_and_tables_are_looked_at_on_the_cpu(monkeypatch):
    """SDXL's finest level would have the largest one; on a GPU a look at each would wait for all that is under way."""
    assert levels_that_hear(tiny_pipeline("sdxl").unet) == [False, True, True]
    assert levels_that_hear(tiny_pipeline("sd1").unet) == [True] * 4, "the middle hears at the coarsest"
    xl = StableDiffusion.of(tiny_pipeline("sdxl"))
    sent: dict[int, torch.Tensor] = {}
    to = lambda table, device: sent.setdefault(table.shape[2], table)  # noqa: E731
    monkeypatch.setattr("fullcast.models.stable_diffusion.region_attention.sent", to)
    with xl.regions([torch.ones(1, 8, 12, dtype=torch.bool), torch.zeros(1, 8, 12, dtype=torch.bool)], 0.3):
        assert sorted(sent) == [2 * 3, 4 * 6]


def test_silent_regions_leave_the_global_words_alone(model):
    embeds = model.encode_prompts(["aoi", "mio", "sea"]).reshape(1, 3 * 77, -1)
    x, t = torch.randn(1, 4, 8, 12), torch.tensor([900])
    with torch.no_grad():
        plain = model.predict(x, t, embeds[:, :77])
        with model.regions([torch.zeros(2, 8, 12, dtype=torch.bool)], 0.3):
            silent = model.predict(x, t, embeds)
        with model.regions([torch.ones(2, 8, 12, dtype=torch.bool)], 0.3):
            heard = model.predict(x, t, embeds)
    assert (silent - plain).abs().max() < 1e-4 * plain.abs().max()
    assert (heard - plain).abs().max() > 1e-3


def test_words_act_in_their_own_region_first(model):
    """Cross-attention of the finest level: changing c_1 changes the outputs of region 1 and of no other place."""
    attn = model.pipeline.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn2
    from fullcast.models.stable_diffusion.region_attention import RegionAttention

    masks = torch.zeros(1, 8, 12, dtype=torch.bool)
    masks[0, :, :6] = True
    processor = RegionAttention({q: b[None, None] for q, b in bias_tables(masks, 77, 0.3, [True, True]).items()})
    hidden, words = torch.randn(1, 96, 8), torch.randn(1, 2 * 77, 16)
    other = words.clone()
    other[:, 77:] = torch.randn(1, 77, 16)
    with torch.no_grad():
        changed = (processor(attn, hidden, words) - processor(attn, hidden, other)).abs().amax(-1).view(8, 12)
    assert (changed[:, :6] > 0).all() and (changed[:, 6:] == 0).all()


def test_places_change_the_picture_and_can_be_switched_off(model, tmp_path):
    [placed] = generate(model, [PLACED], CAST, CONFIG, tmp_path / "a")
    config = CONFIG.model_copy(update={"region_steps": 0.0})
    [plain] = generate(model, [PLACED], CAST, config, tmp_path / "b")
    assert placed.prompt == plain.prompt
    a, b = read_picture(tmp_path / "a" / placed.path), read_picture(tmp_path / "b" / plain.path)
    assert np.abs(a.astype(int) - b).max() > 0


# Inpainting


def test_outside_the_mask_every_pixel_stays(model, tmp_path):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (35, 50, 3), dtype=np.uint8)  # sides that the factor does not divide
    write_png(tmp_path / "in.png", image)
    mask = box_mask((10, 5, 31, 22), 50, 35)
    scene = Scene("fix", "park", (Placement("mio"),))
    picture = inpaint(model, tmp_path / "in.png", mask, scene, CAST, CONFIG, tmp_path / "out.png", seed=3)
    result = read_picture(tmp_path / "out.png")
    assert np.array_equal(result[~mask], image[~mask])
    assert (result[mask] != image[mask]).mean() > 0.5
    assert len(picture.parent) == 20 and (picture.width, picture.height) == (50, 35)
    again = regenerate(model, tmp_path / "out.png", tmp_path / "again.png", parent=tmp_path / "in.png")
    assert again.read_bytes() == (tmp_path / "out.png").read_bytes()
    with pytest.raises(FullcastError, match="give that picture as its parent"):
        regenerate(model, tmp_path / "out.png", tmp_path / "again.png")


@pytest.mark.parametrize("scheduler", ["ddim", "euler", "dpm++2m"])
def test_latents_outside_are_the_pictures_own_with_every_scheduler(model, scheduler):
    from fullcast.generation.generate import recipe_for
    from fullcast.generation.sampler import Kept, sample

    config = CONFIG.model_copy(update={"scheduler": scheduler, "num_inference_steps": 5})
    recipe = recipe_for(model, PARK, 0, CAST, config, "", "")
    latents = torch.randn(1, *model.latent_shape(48, 32))
    for strength in (1.0, 0.5):
        nothing = sample(model, [recipe], Kept(latents, torch.zeros(1, 1, 8, 12), strength))
        expected = (model.decode(latents) + 1) * 127.5
        assert np.abs(nothing[0] - expected[0].permute(1, 2, 0).numpy()).max() <= 1


def test_masks_are_checked(model, tmp_path):
    write_png(tmp_path / "in.png", np.zeros((32, 48, 3), np.uint8))
    scene, out = Scene("fix", "park"), tmp_path / "out.png"
    for mask, says in ((np.ones((8, 8), bool), "8x8"), (np.zeros((32, 48), bool), "mask is empty")):
        with pytest.raises(FullcastError, match=says):
            inpaint(model, tmp_path / "in.png", mask, scene, CAST, CONFIG, out)
    with pytest.raises(FullcastError, match="strength is 0"):
        inpaint(model, tmp_path / "in.png", np.ones((32, 48), bool), scene, CAST, CONFIG, out, strength=0)
    with pytest.raises(FullcastError, match="outside the picture"):
        box_mask((60, 0, 70, 5), 48, 32)
    write_png(
        tmp_path / "mask.png", np.where(box_mask((0, 0, 8, 8), 48, 32)[..., None], 255, 0).repeat(3, 2).astype("uint8")
    )
    assert mask_from_picture(tmp_path / "mask.png").sum() == 64
    clear = Image.new("RGBA", (48, 32), (0, 0, 0, 0))  # as painting programs give a layer: white on nothing
    clear.paste((255, 255, 255, 255), (0, 0, 8, 8))
    clear.save(tmp_path / "clear.png")
    assert np.array_equal(mask_from_picture(tmp_path / "clear.png"), box_mask((0, 0, 8, 8), 48, 32))


def test_a_scene_with_a_seed_is_drawn_from_it_and_its_pictures_keep_their_ids(model, tmp_path):
    seeded, once = replace(PARK, id="seeded", seed=40), {"num_pictures": 2}
    drawn = generate(model, [PARK, seeded], CAST, CONFIG.changed(seed=7), tmp_path, **once)
    assert [p.path for p in drawn] == ["park-7.png", "park-8.png", "seeded-40.png", "seeded-41.png"]
    other = generate(model, [replace(seeded, seed=-1)], CAST, CONFIG.changed(seed=40), tmp_path, **once)
    assert other == drawn[2:], "the same words from the same noise are the same picture, whoever said the seed"
    assert "seed" not in read_recipe(tmp_path / "park-7.png")[0].to_json()["scene"]


def test_another_seed_or_mask_of_an_inpainting_has_another_name(model, tmp_path):
    write_png(tmp_path / "in.png", np.full((32, 48, 3), 90, np.uint8))
    mask, other = box_mask((0, 0, 24, 32), 48, 32), box_mask((24, 0, 48, 32), 48, 32)
    config = CONFIG.model_copy(update={"num_inference_steps": 1})

    def paint(where, seed):
        return inpaint(model, tmp_path / "in.png", where, Scene("fix", "park"), CAST, config, seed=seed)

    made = [paint(mask, 1), paint(mask, 2), paint(other, 1)]
    assert len({p.path for p in made}) == 3 and paint(mask, 1).path == made[0].path
    assert all(p.path == f"in-inpainted-{p.id[:6]}.png" and (tmp_path / p.path).is_file() for p in made)
    with pytest.raises(FullcastError, match="would replace"):
        inpaint(model, tmp_path / "in.png", mask, Scene("fix", "park"), CAST, config, tmp_path / "in.png")


def test_fading_stays_inside_the_mask():
    image, painted = np.zeros((9, 9, 3), np.uint8), np.full((9, 9, 3), 200, np.uint8)
    mask = box_mask((2, 0, 9, 9), 9, 9)
    result = paste(image, painted, mask, 1)
    assert (result[:, :2] == 0).all() and (result[:, 2] == 100).all() and (result[:, 3:] == 200).all()
    assert erode(np.ones((3, 3), bool)).all()
    assert pad(image, 4).shape == (12, 12, 3)
    single = np.zeros((8, 8), bool)
    single[7, 0] = True
    assert latent_mask(single, (2, 2))[0, 0].tolist() == [[0, 0], [1, 0]]


# Previews and dtypes


def test_preview_draws_with_live_modules(model, tmp_path):
    import pickle

    preview = pickle.loads(pickle.dumps(ScenePreview((PARK,), CAST, CONFIG)))
    before = {k: v.clone() for k, v in model.pipeline.unet.state_dict().items()}
    preview(model.pipeline, 7, tmp_path)
    assert read_recipe(tmp_path / "park-0.png")[0].checkpoint == "step-000007"
    assert all(torch.equal(v, before[k]) for k, v in model.pipeline.unet.state_dict().items())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_the_bits_draw_nearly_the_same_and_say_so(model, tmp_path, dtype):
    rounded = StableDiffusion(build_pocket_pipeline(TINY, seed=1))
    rounded.pipeline.unet.load_state_dict(model.pipeline.unet.state_dict())
    rounded.for_drawing("cpu", dtype)
    assert rounded.sha256() == model.sha256() and rounded.pipeline.vae.dtype == torch.float32
    [exact] = generate(model, [PLACED], CAST, CONFIG, tmp_path / "exact")
    [near] = generate(rounded, [PLACED], CAST, CONFIG, tmp_path / "near")
    images = [read_picture(tmp_path / p / "placed-0.png").astype(float) for p in ("exact", "near")]
    assert 0 < np.abs(images[0] - images[1]).mean() < 6  # the tiny network is made to react violently
    recipe, _ = read_recipe(tmp_path / "near" / "placed-0.png")
    assert recipe.dtype == dtype and near.id != exact.id
    assert "dtype" not in read_recipe(tmp_path / "exact" / "placed-0.png")[0].to_json()
    with pytest.raises(FullcastError, match=rf"was drawn in {dtype}, this model computes in float32"):
        regenerate(model, tmp_path / "near" / "placed-0.png", tmp_path / "again.png")
    again = regenerate(rounded, tmp_path / "near" / "placed-0.png", tmp_path / "again.png")
    assert again.read_bytes() == (tmp_path / "near" / "placed-0.png").read_bytes()
