"""The latent store: equal to the VAE, and whole again after a kill at any byte."""

import os

import numpy as np
import pytest

from fullcast.models.stable_diffusion.build import build_pocket_pipeline
from fullcast.models.stable_diffusion.config import PocketModelConfig
from fullcast.models.stable_diffusion.family import StableDiffusion, to_tensor
from fullcast.training.latents import LatentStore
from fullcast.training.stop import StoppedEncoding

TINY = PocketModelConfig(
    latent_channels=4,
    vae_block_out_channels=(8, 8, 8),
    vae_norm_num_groups=4,
    unet_block_out_channels=(8,),
    attention_levels=(0,),
    unet_norm_num_groups=4,
    text_hidden_size=8,
    text_num_layers=1,
    text_num_heads=1,
    vocabulary_size=600,
)
WANTED = [(name, 16, 8) for name in ("a", "b", "c", "d")]


class Pixels:
    def pixels(self, sample_id: str, width: int, height: int) -> np.ndarray:
        return np.random.default_rng(ord(sample_id)).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model() -> StableDiffusion:
    return StableDiffusion(build_pocket_pipeline(TINY))


def test_rows_are_the_posterior_in_half_precision(model, tmp_path):
    store = LatentStore(tmp_path, model)
    assert store.fill(WANTED, Pixels()) == 4 and store.fill(WANTED, Pixels()) == 0
    expected = model.encode_moments(to_tensor([Pixels().pixels("c", 16, 8)])).half().float()
    assert (store.moments(["a", "c"], 16, 8)[1] == expected[0]).all()
    with pytest.raises(KeyError):
        store.moments(["z"], 16, 8)


@pytest.mark.parametrize("cut", ["line", "row", "both", "zeros"])
def test_a_kill_costs_at_most_the_rows_without_a_line(model, tmp_path, cut):
    whole = LatentStore(tmp_path / "whole", model)
    whole.fill(WANTED, Pixels())
    store = LatentStore(tmp_path / "cut", model)
    store.fill(WANTED, Pixels())
    data, index = store._paths(16, 8)
    if cut in ("line", "both"):
        index.write_bytes(index.read_bytes()[:-1])  # the last line has no end
    if cut == "zeros":  # a power cut: the file is as long as it was, its last line never came to the disk
        index.write_bytes(index.read_bytes()[:-2] + b"\0\n")
    if cut in ("row", "both"):
        data.write_bytes(data.read_bytes()[:-5])
    again = LatentStore(tmp_path / "cut", model)
    assert again.fill(WANTED, Pixels()) == 1
    assert (again.moments(list("abcd"), 16, 8) == whole.moments(list("abcd"), 16, 8)).all()
    assert data.stat().st_size == whole._paths(16, 8)[0].stat().st_size


def test_a_row_is_on_the_disk_before_its_line_is_written(model, tmp_path, monkeypatch):
    store, waited = LatentStore(tmp_path, model), []
    data, index = store._paths(16, 8)

    def waiting(number):
        lines = index.read_text().splitlines() if index.exists() else []
        rows = data.stat().st_size // store._row_bytes(16, 8)
        waited.append((os.path.samestat(os.fstat(number), data.stat()), rows, lines))

    monkeypatch.setattr(os, "fsync", waiting)
    monkeypatch.setattr("fullcast.training.latents.NAMED_EVERY_S", -1.0)
    store.fill(WANTED[:2], Pixels())
    assert waited == [(True, 1, []), (False, 1, ["a"]), (True, 2, ["a"]), (False, 2, ["a", "b"])]
    waited.clear()
    monkeypatch.setattr("fullcast.training.latents.NAMED_EVERY_S", 1000.0)
    store.fill(WANTED, Pixels())
    assert waited == [(True, 4, ["a", "b"]), (False, 4, ["a", "b", "c", "d"])], "and not at every picture"


def test_a_reader_leaves_a_row_that_another_process_is_about_to_name(model, tmp_path):
    LatentStore(tmp_path, model).fill(WANTED[:2], Pixels())
    data, index = LatentStore(tmp_path, model)._paths(16, 8)
    row = data.read_bytes()[-LatentStore(tmp_path, model)._row_bytes(16, 8) :]
    with data.open("ab") as file:
        file.write(row)
    before = LatentStore(tmp_path, model).moments(["b"], 16, 8)
    with index.open("a") as file:
        file.write("c\n")
    assert (LatentStore(tmp_path, model).moments(["b", "c"], 16, 8) == before).all()


def test_a_stop_on_the_way_keeps_what_is_encoded(model, tmp_path):
    answers = iter([False, False, True])
    store = LatentStore(tmp_path, model)
    with pytest.raises(StoppedEncoding, match="2 of 4 are done and kept; run it again"):
        store.fill(WANTED, Pixels(), stop=lambda: next(answers))
    with pytest.raises(StoppedEncoding) as later:
        LatentStore(tmp_path, model).fill(WANTED, Pixels(), stop=lambda: True)
    assert (later.value.encoded, later.value.of) == (2, 4), "of all that is wanted, not of what this call misses"
    assert LatentStore(tmp_path, model).fill(WANTED, Pixels()) == 2


def test_samples_of_the_same_pixels_share_a_row_and_old_rows_count(model, tmp_path):
    """Stages that differ in captions alone rename their samples; stores of older versions have a row for each name."""
    store = LatentStore(tmp_path, model, {"A": "a", "B": "b"})
    wanted = [(name, 16, 8) for name in ("a", "A", "B")]
    assert store.fill(wanted, Pixels()) == 2 and store.fill(wanted, Pixels()) == 0
    both, alone = store.moments(["a", "A"], 16, 8), LatentStore(tmp_path, model).moments(["a", "b"], 16, 8)
    assert (both == alone[:1]).all() and (store.moments(["B"], 16, 8) == alone[1:]).all()
    assert LatentStore(tmp_path, model).fill(wanted[2:], Pixels()) == 1, "an older version knows nothing of it"
    old = LatentStore(tmp_path, model, {"B": "b"})
    expected = model.encode_moments(to_tensor([Pixels().pixels("B", 16, 8)])).half().float()
    assert old.fill(wanted[2:], Pixels()) == 0 and (old.moments(["B"], 16, 8) == expected).all()


def test_rows_of_another_writer_are_found_and_not_written_again(model, tmp_path):
    """Both looked before either wrote: the second waits its turn and looks again."""
    one, other = LatentStore(tmp_path, model), LatentStore(tmp_path, model)
    assert one._index(16, 8) == other._index(16, 8) == {}
    assert one.fill(WANTED[:3], Pixels()) == 3 and other.fill(WANTED, Pixels()) == 1
    alone = LatentStore(tmp_path / "alone", model)
    alone.fill(WANTED, Pixels())
    assert (other.moments(list("abcd"), 16, 8) == alone.moments(list("abcd"), 16, 8)).all()


def test_another_vae_has_latents_of_its_own(model, tmp_path):
    LatentStore(tmp_path, model).fill(WANTED[:1], Pixels())
    other = StableDiffusion(build_pocket_pipeline(TINY, seed=9))
    assert LatentStore(tmp_path, other).fill(WANTED[:1], Pixels()) == 1
