"""Training on a tiny real pipeline: it learns, it stops and goes on bit for bit, its checkpoints are plain models."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from fullcast.models.stable_diffusion.build import build_pocket_pipeline
from fullcast.models.stable_diffusion.config import PocketModelConfig
from fullcast.models.stable_diffusion.family import StableDiffusion, to_tensor
from fullcast.models.stable_diffusion.folder import load_pipeline, save_pipeline
from fullcast.models.stable_diffusion.normalise import latent_statistics, normalise_latents
from fullcast.ports import Batch, Visit
from fullcast.store.errors import FullcastError
from fullcast.store.locks import locked
from fullcast.store.seeding import rng
from fullcast.training.config import TrainingConfig
from fullcast.training.kept import checkpoints, read_state
from fullcast.training.latents import LatentStore
from fullcast.training.loop import METRICS, Beside, train, wanted
from fullcast.training.metrics import read_metrics
from fullcast.training.probe import wrong_captions
from fullcast.training.stop import StoppedEncoding
from fullcast.training.validation import same_number

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
CONFIG = TrainingConfig(
    learning_rate=2e-3,
    text_encoder_learning_rate=2e-3,
    warmup_steps=2,
    checkpoint_every=5,
    log_every=2,
    probe_every=4,
    probe_samples=4,
    sample_every=6,
    keep_states=2,
    device="cpu",
)
COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220), "green": (30, 200, 30), "white": (250, 250, 250)}


@dataclass(frozen=True)
class Stream:
    """Two sizes in turn, samples drawn by step."""

    batch_size: int = 4
    num_steps: int = 12

    def batch(self, step: int) -> Batch:
        names = rng(0, "order", step).permutation(sorted(COLOURS))[: self.batch_size]
        width, height = ((48, 32), (32, 48))[step % 3 == 2]
        return Batch(step, width, height, tuple(Visit(str(n), step) for n in names))

    def fingerprint(self) -> str:
        return f"stream of {self.batch_size} x {self.num_steps}"


class Pixels:
    def __init__(self) -> None:
        self.read: list[str] = []

    def pixels(self, sample_id: str, width: int, height: int) -> np.ndarray:
        self.read.append(sample_id)
        return np.full((height, width, 3), COLOURS[sample_id], dtype=np.uint8)


class Captions:
    def caption(self, sample_id: str, visit: int) -> str:
        return f"{sample_id} wall" if visit % 2 else f"a {sample_id} wall"


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    pipeline = build_pocket_pipeline(TINY)
    colours = np.stack([np.full((32, 48, 3), c, dtype=np.uint8) for c in COLOURS.values()])
    with torch.no_grad():  # an untrained VAE's posterior is wider than its colours are apart: make it sharp
        pipeline.vae.quant_conv.bias[TINY.latent_channels :] -= 12
    normalise_latents(pipeline.vae, *latent_statistics(pipeline.vae, to_tensor(colours)))
    return save_pipeline(pipeline, tmp_path_factory.mktemp("base") / "model")


def asked_at(stream: Stream, step: int) -> Callable[[], bool]:
    """A stop that comes in this step, from 0, of a training from nothing: it is asked before every picture that is
    encoded, too."""
    calls = iter(range(-len(wanted(stream, 0)), 1000))
    return lambda: next(calls) == step


def hashes(checkpoint: Path) -> dict[str, str]:
    return {
        str(p.relative_to(checkpoint)): sha256(p.read_bytes()).hexdigest()
        for p in sorted(checkpoint.rglob("*.safetensors"))
    }


@pytest.fixture(scope="module")
def whole(base, tmp_path_factory) -> Path:
    run_dir = tmp_path_factory.mktemp("whole")
    assert train(base, Stream(), Pixels(), Captions(), CONFIG, run_dir).finished
    return run_dir


def test_stopped_and_resumed_equals_uninterrupted(base, whole, tmp_path):
    first = train(base, Stream(), Pixels(), Captions(), CONFIG, tmp_path, stop=asked_at(Stream(), 6))
    assert first.step == 7 and not first.finished
    second = train(base, Stream(), Pixels(), Captions(), CONFIG, tmp_path, stop=lambda: True)
    assert second.step == 8
    last = train(base, Stream(), Pixels(), Captions(), CONFIG, tmp_path)
    assert last.finished
    expected = checkpoints(whole)[-1]
    assert len(hashes(expected)) == 6
    assert hashes(last.checkpoint) == hashes(expected)
    assert read_state(last.checkpoint).ledger == read_state(expected).ledger
    assert sum(read_state(expected).ledger.values()) == 12 * 4


class Killed(BaseException):
    pass


def test_two_trainings_of_one_run_are_refused(base, tmp_path):
    with locked(tmp_path / ".lock", ""), pytest.raises(FullcastError, match="being trained by another process"):
        train(base, Stream(), Pixels(), Captions(), CONFIG, tmp_path)


def test_killed_between_checkpoints_repeats_exactly(base, whole, tmp_path):
    class Failing(Captions):
        calls = 0

        def caption(self, sample_id, visit):
            Failing.calls += 1
            if Failing.calls > 30:
                raise Killed
            return super().caption(sample_id, visit)

    with pytest.raises(Killed):
        train(base, Stream(), Pixels(), Failing(), CONFIG, tmp_path)
    assert [p.name for p in checkpoints(tmp_path)] == ["step-000005"]
    last = train(base, Stream(), Pixels(), Captions(), CONFIG, tmp_path)
    assert hashes(last.checkpoint) == hashes(checkpoints(whole)[-1])
    steps = [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl")]
    assert steps == sorted(steps)
    assert [s for s in steps if s == 6] == [6]


def test_killed_inside_a_save_leaves_the_former_checkpoint(base, whole, tmp_path, monkeypatch):
    from fullcast.training import checkpoint

    saves = iter(range(100))
    save_file = checkpoint.save_file

    def cut_off(tensors, path):
        if next(saves) == 4:  # the second of the three files of the second save
            Path(path).write_bytes(b"half")
            raise Killed
        save_file(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", cut_off)
    with pytest.raises(Killed):
        train(base, Stream(), Pixels(), Captions(), CONFIG, tmp_path)
    left = tmp_path / "checkpoints" / ".partial-999999-step-000010"
    left.mkdir()  # what kill -9 leaves: nobody was there to clean up
    monkeypatch.undo()
    assert [p.name for p in checkpoints(tmp_path)] == ["step-000005"]
    last = train(base, Stream(), Pixels(), Captions(), CONFIG, tmp_path)
    assert hashes(last.checkpoint) == hashes(checkpoints(whole)[-1]) and not left.exists()


def test_an_uninterrupted_bf16_run_differs_and_is_another_run(base, whole, tmp_path):
    config = CONFIG.model_copy(update={"mixed_precision": "bf16"})
    result = train(base, Stream(num_steps=2), Pixels(), Captions(), config, tmp_path)
    assert result.finished
    with pytest.raises(FullcastError, match="cannot be resumed"):
        train(base, Stream(num_steps=2), Pixels(), Captions(), CONFIG, tmp_path)
    longer = config.model_copy(update={"checkpoint_every": 1, "log_every": 1})
    assert train(base, Stream(num_steps=2), Pixels(), Captions(), longer, tmp_path).step == 2


def test_every_picture_is_encoded_once(base, tmp_path):
    pixels = Pixels()
    train(base, Stream(num_steps=3), pixels, Captions(), CONFIG, tmp_path)
    assert sorted(pixels.read) == sorted([*COLOURS, *COLOURS])  # both sizes
    again = Pixels()
    config = CONFIG.model_copy(update={"seed": 1})
    train(base, Stream(num_steps=3), again, Captions(), config, tmp_path / "b", latents_dir=tmp_path / "latents")
    assert again.read == []


def test_metrics_tell_loss_rate_and_probe(whole):
    lines = read_metrics(whole / "metrics.jsonl")
    assert {"step", "probe_right", "probe_empty", "probe_wrong"} <= lines[0].keys() and lines[0]["step"] == 0
    logged = [line for line in lines if "loss" in line]
    assert logged[-1]["step"] == 12 and logged[-1]["learning_rate"] == 2e-3
    assert logged[0]["seconds"] <= logged[-1]["seconds"]


@dataclass(frozen=True)
class SmallPictures(Stream):
    def batch(self, step: int) -> Batch:
        return Batch(step, 16, 16, super().batch(step).visits)


def test_it_learns_and_listens(base, tmp_path):
    rates = {"learning_rate": 5e-3, "text_encoder_learning_rate": 5e-3}
    config = CONFIG.model_copy(update={**rates, "probe_every": 100, "checkpoint_every": 1000, "sample_every": 0})
    train(base, SmallPictures(num_steps=100), Pixels(), Captions(), config, tmp_path)
    lines = [line for line in read_metrics(tmp_path / "metrics.jsonl") if "probe_right" in line]
    first, last = lines[0], lines[-1]
    assert first["probe_wrong"] == pytest.approx(first["probe_right"], rel=0.05)
    assert last["probe_right"] < 0.6 * first["probe_right"]
    assert last["probe_right"] * 1.2 < last["probe_empty"] < last["probe_wrong"] / 1.1


def test_what_was_trained_is_drawn_when_asked_for(base, tmp_path):
    """The whole way round: schedule, target, average, checkpoint, prompt, guidance, sampler."""
    from fullcast.generation.config import GenerationConfig
    from fullcast.generation.generate import open_model, recipe_for
    from fullcast.generation.sampler import denoise
    from fullcast.records import Cast, Scene

    rates = {"learning_rate": 5e-3, "text_encoder_learning_rate": 5e-3, "lr_schedule": "cosine", "ema_decay": 0.95}
    config = CONFIG.model_copy(update={**rates, "probe_every": 0, "checkpoint_every": 1000, "sample_every": 0})
    trained = train(base, SmallPictures(num_steps=200), Pixels(), Captions(), config, tmp_path)
    model = open_model(trained.checkpoint, "cpu")
    truth = {n: model.encode_images(to_tensor([Pixels().pixels(n, 16, 16)]))[0] for n in COLOURS}
    settings = GenerationConfig(num_inference_steps=10, guidance_scale=2)
    right = 0
    for name in COLOURS:
        scenes = [Scene("wall", f"a {name} wall", width=16, height=16)] * 3
        recipes = [recipe_for(model, s, seed, Cast("", ()), settings, "", "") for seed, s in enumerate(scenes)]
        for latents in denoise(model, recipes):
            right += min(truth, key=lambda n: float((latents - truth[n]).square().mean())) == name
    assert right >= 11  # of 12


def test_checkpoint_is_the_average_and_the_cast_lies_beside(base, tmp_path):
    cast = tmp_path / "cast.json"
    cast.write_text("{}")
    seen = []

    def preview(pipeline, step, out_dir):
        seen.append((step, pipeline.unet.conv_in.weight.detach().clone(), out_dir.name))

    config = CONFIG.model_copy(update={"sample_every": 4, "ema_decay": 0.9})
    result = train(
        base,
        Stream(num_steps=4),
        Pixels(),
        Captions(),
        config,
        tmp_path / "r",
        beside=Beside(preview=preview, files={"cast.json": cast}),
    )
    assert (result.checkpoint / "cast.json").read_text() == "{}"
    saved = load_pipeline(result.checkpoint)
    [(step, shown, name)] = seen
    assert step == 4 and name == "step-000004" and (saved.unet.conv_in.weight == shown).all()
    from safetensors.torch import load_file

    live = load_file(result.checkpoint / "state" / "live.safetensors")["denoiser.conv_in.weight"]
    assert not (live == shown).all()


def test_only_the_newest_can_be_resumed_and_all_are_models(whole):
    found = checkpoints(whole)
    assert [p.name for p in found] == ["step-000005", "step-000010", "step-000012"]
    assert [(p / "state").exists() for p in found] == [False, True, True]
    assert all(load_pipeline(p) for p in found)


def test_max_seconds_stops_after_a_whole_step_and_holds_while_pictures_are_encoded(base, tmp_path):
    with pytest.raises(StoppedEncoding, match="stopped while pictures were encoded"):
        train(base, Stream(), Pixels(), Captions(), CONFIG, tmp_path, max_seconds=0.0)
    model = StableDiffusion.load(base)
    LatentStore(tmp_path / "latents", model).fill(wanted(Stream(), 0), Pixels())
    result = train(base, Stream(), Pixels(), Captions(), CONFIG, tmp_path, max_seconds=0.0)
    assert result.step == 1 and not result.finished and result.checkpoint.name == "step-000001"


def test_what_was_not_measured_before_a_kill_is_measured_on_going_on(base, tmp_path):
    """Killed at the last step, after the save and before validation, judge and pictures."""
    config = CONFIG.model_copy(update={"judge_every": 2, "validate_every": 2, "sample_every": 2})
    drawn: list[int] = []
    beside = Beside(
        preview=lambda pipeline, step, folder: (drawn.append(step), folder.mkdir(parents=True)),
        judge=lambda pipeline, step: {"": 0.5},
        held_out=[Stream().batch(0)],
    )

    def run(out: Path, **settings) -> list[dict]:
        given = config.model_copy(update=settings)
        assert train(base, Stream(num_steps=4), Pixels(), Captions(), given, out, beside=beside).finished
        return [{k: v for k, v in m.items() if "_s" not in k and k != "seconds"} for m in read_metrics(out / METRICS)]

    whole = run(tmp_path / "whole")
    run(tmp_path / "cut", judge_every=0, probe_every=0, sample_every=0, validate_every=3)
    path = tmp_path / "cut" / METRICS
    path.write_text("".join(f"{json.dumps(m)}\n" for m in read_metrics(path) if "val_loss" not in m))
    drawn.clear()
    for _ in "twice":
        told = {name: value for line in run(tmp_path / "cut") if line["step"] == 4 for name, value in line.items()}
        assert drawn == [4] and told == {n: v for line in whole if line["step"] == 4 for n, v in line.items()}


def test_sample_pictures_that_a_kill_cut_off_are_finished_on_going_on(base, tmp_path):
    config = CONFIG.model_copy(update={"probe_every": 0, "sample_every": 2, "background_saves": False})
    drawn: list[str] = []

    def preview(pipeline, step, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("one", "two"):
            if not (folder / name).exists():
                (folder / name).write_text("")
                drawn.append(f"{step} {name}")
                if name == "one":
                    raise Killed

    given = (base, Stream(num_steps=2), Pixels(), Captions(), config, tmp_path)
    with pytest.raises(Killed):
        train(*given, beside=Beside(preview=preview))
    assert train(*given, beside=Beside(preview=preview)).finished and drawn == ["2 one", "2 two"]
    told = [line["samples"] for line in read_metrics(tmp_path / METRICS) if "samples" in line]
    assert told == ["samples/step-000002"]


class OnceEach(Stream):
    def batch(self, step: int) -> Batch:
        return Batch(step, 48, 32, (Visit(f"picture {step}", 0),))


def test_what_held_out_pictures_are_compared_with_is_wanted_too():
    stream, held = OnceEach(num_steps=120), [Batch(0, 48, 32, (Visit(name, 0),)) for name in ("aoi", "mio")]
    names = {name for name, _, _ in wanted(stream, 110, held)}
    assert {v.sample_id for b in same_number(stream, held) for v in b.visits} == {"picture 0", "picture 60"} <= names
    assert {"aoi", "mio", "picture 49", "picture 110"} <= names and "picture 61" not in names


def test_loss_that_is_no_number_is_said_and_not_saved(base, tmp_path):
    class Broken(Stream):
        def batch(self, step):
            batch = super().batch(step)
            visits = tuple(Visit(v.sample_id, v.visit, float("nan")) for v in batch.visits)
            return Batch(step, batch.width, batch.height, visits)

    with pytest.raises(FullcastError, match="no longer a number"):
        train(base, Broken(), Pixels(), Captions(), CONFIG, tmp_path)
    assert checkpoints(tmp_path) == []


def test_frozen_text_encoder_stays_as_it_was(base, tmp_path):
    config = CONFIG.model_copy(update={"text_encoder_learning_rate": 0.0})
    result = train(base, Stream(num_steps=2), Pixels(), Captions(), config, tmp_path)
    before, after = load_pipeline(base), load_pipeline(result.checkpoint)
    name = "embeddings.position_embedding.weight"
    key = next(k for k in before.text_encoder.state_dict() if k.endswith(name))
    assert (before.text_encoder.state_dict()[key] == after.text_encoder.state_dict()[key]).all()
    assert not (before.unet.conv_in.weight == after.unet.conv_in.weight).all()


def test_wrong_captions_are_always_other_words():
    assert wrong_captions(["a", "a", "b"]) == ["b", "b", "a"]


def test_settings_are_checked_and_rates_are_pure():
    with pytest.raises(ValueError, match="extra"):
        TrainingConfig.model_validate({"learning_rat": 1.0})
    config = TrainingConfig(warmup_steps=10, lr_schedule="cosine")
    assert config.rate_at(0, 100) == pytest.approx(0.1)
    assert config.rate_at(99, 100) == pytest.approx(0.1, abs=0.01)
    to_nothing = config.model_copy(update={"lr_end": 0.0})
    assert to_nothing.rate_at(50, 100) == pytest.approx(0.5) and to_nothing.rate_at(100, 100) == pytest.approx(
        0, abs=1e-9
    )
    assert "lr_end" in to_nothing.about_weights() and "lr_end" not in config.about_weights()
    assert json.dumps(config.about_weights())
    assert "device" not in config.about_weights()


def test_config_imports_without_torch():
    import subprocess
    import sys

    modules = "fullcast.training.config, fullcast.models.stable_diffusion.config"
    code = f"import sys, {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
