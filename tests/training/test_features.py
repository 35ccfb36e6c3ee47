"""Parts of a batch, bad batches, LoRA, bfloat16, priors, masks: each does what its setting says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fullcast.diffusion.schedule import add_noise, alphas_cumprod
from fullcast.models.stable_diffusion.build import build_pocket_pipeline
from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.models.stable_diffusion.folder import KOHYA_FILE, PEFT_FILE, load_pipeline, save_pipeline
from fullcast.ports import Batch, Visit
from fullcast.store.errors import FullcastError
from fullcast.training.checkpoint import optimizer_tensors, restore_optimizer
from fullcast.training.config import ALWAYS_TOLD, ONE_FOR_ALL, TrainingConfig
from fullcast.training.kept import checkpoints, kept
from fullcast.training.loop import Beside, train
from fullcast.training.metrics import read_metrics
from fullcast.training.optimizers import RoundingAdamW, clip, rounded_bf16, step_unless
from fullcast.training.ranks import Ranks
from fullcast.training.run import Run, _teacher
from fullcast.training.saver import Saver
from fullcast.training.step import Says, Teacher
from fullcast.training.watching import best_step, flat
from tests.models.tiny_families import tiny_pipeline
from tests.training.test_train import CONFIG, TINY, Captions, Pixels, Stream, asked_at, base, hashes  # noqa: F401

QUIET = CONFIG.model_copy(update={"probe_every": 0, "sample_every": 0, "checkpoint_every": 2, "log_every": 1})


def with_settings(**settings: object) -> TrainingConfig:
    return TrainingConfig.model_validate({**QUIET.model_dump(), **settings})


def live(run_dir: Path) -> dict[str, torch.Tensor]:
    return load_file(checkpoints(run_dir)[-1] / "state" / "live.safetensors")


def resumed_is_uninterrupted(base: Path, config: TrainingConfig, tmp_path: Path, steps: int = 4) -> Path:  # noqa: F811
    stream = Stream(num_steps=steps)
    whole = train(base, stream, Pixels(), Captions(), config, tmp_path / "whole")
    train(base, stream, Pixels(), Captions(), config, tmp_path / "cut", stop=asked_at(stream, steps // 2))
    last = train(base, stream, Pixels(), Captions(), config, tmp_path / "cut")
    assert hashes(last.checkpoint) == hashes(whole.checkpoint)
    return whole.checkpoint


def test_a_batch_in_parts_is_the_step_of_the_whole_batch(base, tmp_path):  # noqa: F811
    stream = Stream(num_steps=2)
    for parts in (1, 3):  # 4 pictures in parts of 1, 2 and 1
        config = with_settings(gradient_accumulation=parts)
        train(base, stream, Pixels(), Captions(), config, tmp_path / str(parts))
    one, three = live(tmp_path / "1"), live(tmp_path / "3")
    # Adam divides by the gradient's size, so single weights whose gradient is rounding move by rounding's sign.
    difference = torch.cat([(one[k] - three[k]).abs().flatten() for k in one])
    assert float(difference.mean()) < 1e-3 * CONFIG.learning_rate
    losses = [[m["loss"] for m in read_metrics(tmp_path / p / "metrics.jsonl") if "loss" in m] for p in "13"]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


class OneBad(Stream):
    def batch(self, step: int) -> Batch:
        batch = super().batch(step)
        weight = float("nan") if step == 2 else 1.0
        visits = tuple(Visit(v.sample_id, v.visit, weight) for v in batch.visits)
        return Batch(step, batch.width, batch.height, visits)


def test_a_bad_batch_changes_nothing_and_is_written_down(base, tmp_path):  # noqa: F811
    train(base, OneBad(num_steps=3), Pixels(), Captions(), QUIET, tmp_path / "bad")
    train(base, OneBad(num_steps=2), Pixels(), Captions(), QUIET, tmp_path / "before")
    bad, before = live(tmp_path / "bad"), live(tmp_path / "before")
    assert all(torch.equal(bad[k], before[k]) for k in bad)
    [line] = read_metrics(tmp_path / "bad" / "set-aside.jsonl")
    assert (
        line["batch"] == 2
        and len(line["visits"]) == 4
        and line["visits"][0]["sample"] in ("red", "blue", "green", "white")
    )
    told = {m["step"]: m for m in read_metrics(tmp_path / "bad" / "metrics.jsonl")}
    assert told[3]["set_aside"] == 1 and "loss" not in told[3] and "loss" in told[2]


def test_a_lora_is_resumed_to_the_bit_and_merged(base, tmp_path):  # noqa: F811
    config = with_settings(lora_rank=2, lora_alpha=3.0)
    checkpoint = resumed_is_uninterrupted(base, config, tmp_path)
    assert {KOHYA_FILE, PEFT_FILE, "unet", "model_index.json"} <= {p.name for p in checkpoint.iterdir()}
    before, after = load_pipeline(base), load_pipeline(checkpoint)
    a, b = before.unet.state_dict(), after.unet.state_dict()
    changed = {name for name in a if not torch.equal(a[name], b[name])}
    assert changed and all(".attentions." in name and name.endswith("weight") for name in changed)
    alone = with_settings(lora_rank=2, lora_merged=False, text_encoder_learning_rate=0.0)
    done = train(base, Stream(num_steps=1), Pixels(), Captions(), alone, tmp_path / "alone")
    assert not (done.checkpoint / "unet").exists() and (done.checkpoint / KOHYA_FILE).exists()


def test_bfloat16_weights_are_resumed_to_the_bit(base, tmp_path):  # noqa: F811
    resumed_is_uninterrupted(base, with_settings(weights_dtype="bf16"), tmp_path)
    assert {t.dtype for t in live(tmp_path / "whole").values()} == {torch.bfloat16}


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_a_checkpoint_of_bfloat16_weights_is_written_as_asked_for(base, tmp_path, lora_rank):  # noqa: F811
    config = with_settings(weights_dtype="bf16", lora_rank=lora_rank, ema_decay=0.0)
    done = train(base, Stream(num_steps=1), Pixels(), Captions(), config, tmp_path)
    assert {t.dtype for t in live(tmp_path).values()} == {torch.bfloat16}
    files = [*done.checkpoint.glob("*/*model.safetensors"), *done.checkpoint.glob("*.safetensors")]
    assert len(files) == 3 + (2 if lora_rank else 0)
    assert {t.dtype for file in files for t in load_file(file).values() if t.is_floating_point()} == {torch.float32}


def test_bfloat16_weights_are_probed_validated_drawn_and_judged(base, tmp_path):  # noqa: F811
    config = with_settings(weights_dtype="bf16", probe_every=2, sample_every=2, judge_every=2, validate_every=2)

    def look(pipeline, *about):
        model = StableDiffusion(pipeline)
        drawn = model.predict(
            torch.zeros(1, *model.latent_shape(48, 32)), torch.tensor([9]), model.encode_prompts([""])
        )
        assert drawn.isfinite().all() and len(model.sha256()) == 64
        return {"": 0.5}

    beside = Beside(preview=look, judge=look, held_out=[Stream().batch(0)])
    done = train(base, Stream(num_steps=2), Pixels(), Captions(), config, tmp_path, beside=beside)
    told = {name for line in read_metrics(done.checkpoint.parents[1] / "metrics.jsonl") for name in line}
    assert {"probe_right", "val_loss", "success"} <= told and not any(name.endswith("failed") for name in told)


def test_a_look_that_fails_is_told_after_the_save_and_the_training_goes_on(base, tmp_path):  # noqa: F811
    saved: list[int] = []

    def failing(pipeline, step, *about):
        saved.append(len(checkpoints(tmp_path)))
        raise FullcastError(f"no file at {step}")

    config = with_settings(judge_every=2, sample_every=2, background_saves=False)
    done = train(
        *(base, Stream(num_steps=4), Pixels(), Captions(), config, tmp_path),
        beside=Beside(preview=failing, judge=failing),
    )
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert done.finished and saved[0] == 1, "the checkpoint was there when the judge was asked"
    assert next(line["judge_failed"] for line in lines if "judge_failed" in line) == "FullcastError: no file at 2"
    assert sum("preview_failed" in line for line in lines) == 2


def test_an_optimizer_that_counts_in_python_numbers_is_brought_back():
    """As bitsandbytes' 8-bit AdamW does; it needs CUDA."""
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([parameter])
    optimizer.state[parameter] = {"step": 7, "state1": torch.arange(5, dtype=torch.uint8)}
    saved = optimizer_tensors(optimizer, {parameter: "denoiser.w"})
    assert all(isinstance(value, torch.Tensor) for value in saved.values())
    again = torch.optim.SGD([parameter])
    restore_optimizer(again, {"denoiser.w": parameter}, saved)
    assert again.state[parameter]["step"] == 7 and type(again.state[parameter]["step"]) is int
    assert (again.state[parameter]["state1"] == torch.arange(5)).all()


def test_an_optimizer_that_cannot_be_told_on_the_device_takes_no_bad_step():
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9, weight_decay=0.1)
    for bad, grad in ((False, 1.0), (True, float("nan")), (True, 1.0)):
        parameter.grad = torch.full((3,), grad)
        step_unless(optimizer, torch.tensor(bad))
        assert torch.allclose(parameter, torch.tensor(0.89)), "one step, and no decay or momentum after it"


def test_each_stage_scales_gradients_down_to_its_own_norm(base, tmp_path):  # noqa: F811
    config = with_settings(changes=[{"from_step": 1, "settings": {"max_grad_norm": 0.5}}])
    asked: list[float] = []

    def noting(optimizer, parameters, max_norm):
        asked.append(max_norm)
        return clip(optimizer, parameters, max_norm)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("fullcast.training.run.clip", noting)
        train(base, Stream(num_steps=2), Pixels(), Captions(), config, tmp_path)
    assert asked == [1.0, 0.5]


def test_the_copy_that_priors_are_held_to_has_the_dtype_of_the_weights(base):  # noqa: F811
    for dtype, wanted in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        model = StableDiffusion.load(base)
        says = _teacher(model, with_settings(prior_preservation=True, weights_dtype=dtype))
        frozen = next(c.cell_contents for c in says.__closure__ if isinstance(c.cell_contents, StableDiffusion))
        assert {frozen.dtype, next(frozen.pipeline.text_encoder.parameters()).dtype} == {wanted}
        assert model.dtype == torch.float32


def test_rounding_is_right_in_the_mean_and_small_changes_are_not_lost():
    exact = torch.full((20_000,), 1.0 + 1 / 1024)  # an eighth of bfloat16's step of 1/128
    bits = torch.randint(0, 1 << 16, exact.shape, dtype=torch.int32, generator=torch.Generator().manual_seed(0))
    rounded = rounded_bf16(exact, bits).float()
    assert set(rounded.tolist()) == {1.0, 1.0 + 1 / 128}
    assert float(rounded.mean()) == pytest.approx(1 + 1 / 1024, abs=1e-4)
    weights = torch.nn.Parameter(torch.ones(5000, dtype=torch.bfloat16))
    optimizer = RoundingAdamW([weights], lr=1e-4, weight_decay=0.0)
    for step in range(20):  # each step moves by 1e-4, 1/39 of the step below 1
        optimizer.at_step = step
        weights.grad = torch.ones_like(weights)
        optimizer.step()
    assert float(weights.detach().float().mean()) == pytest.approx(1 - 20e-4, abs=2e-4)
    kept_weights = weights.detach().clone()
    optimizer.found_inf = torch.tensor(1.0)
    weights.grad = torch.full_like(weights, float("nan"))
    optimizer.step()
    assert torch.equal(weights, kept_weights)


class Hinted:
    """Everything is a prior; people stand on the left."""

    def mask(self, sample_id, width, height):
        mask = np.zeros((height, width), dtype=np.float32)
        mask[:, : width // 2] = 1
        return mask if sample_id != "red" else None

    def is_prior(self, sample_id):
        return True


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_priors_pull_to_the_base_itself(base, tmp_path, lora_rank):  # noqa: F811
    config = with_settings(prior_preservation=True, lora_rank=lora_rank)
    train(base, Stream(num_steps=2), Pixels(), Captions(), config, tmp_path, beside=Beside(hints=Hinted()))
    first = next(m for m in read_metrics(tmp_path / "metrics.jsonl") if "loss" in m)
    assert first["loss"] < 1e-8 and first["grad_norm"] < 1e-3, "the base is where it should be"


def powers(*zero_terminal_snr: bool) -> list[torch.Tensor]:
    return [alphas_cumprod(1000, 0.00085, 0.012, "scaled_linear", zero) for zero in zero_terminal_snr]


def knowing(power: torch.Tensor, kind: str, spread: float = 2.0) -> Says:
    """The exact answer of a base for pictures that are N(0, spread^2) in every pixel."""

    def says(noisy: torch.Tensor, t: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        alpha, sigma = ((p[t].sqrt()[:, None, None, None]) for p in (power, 1 - power))
        seen = alpha * spread**2 / (alpha**2 * spread**2 + sigma**2) * noisy
        return {"epsilon": (noisy - alpha * seen) / sigma, "v_prediction": (alpha * noisy - seen) / sigma}[kind]

    return says


@pytest.mark.parametrize(("base_says", "wanted"), [("epsilon", "v_prediction"), ("v_prediction", "epsilon")])
def test_a_prior_of_another_kind_is_what_the_base_sees_in_the_run_s_own_terms(base_says, wanted):
    [power] = powers(False)
    x, e = torch.randn(2, 4, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    t, ids = torch.tensor([0, 300, 900, 999]), torch.zeros(4, 1)
    teacher = Teacher.of(knowing(power, base_says), base_says, power, power)
    exact = knowing(power, wanted)(add_noise(x, e, t, power), t, ids)
    assert torch.allclose(teacher.target(wanted, x, e, t, power, ids), exact, atol=1e-9)
    same = teacher.target(base_says, x, e, t, power, ids)
    assert torch.equal(same, knowing(power, base_says)(add_noise(x, e, t, power), t, ids))


def test_a_prior_under_zero_terminal_snr_is_what_a_base_of_that_schedule_would_say():
    """The base is asked at the timestep of its own that is as noisy, and the answer holds for the run's timestep."""
    plain, rescaled = powers(False, True)
    teacher = Teacher.of(knowing(plain, "epsilon"), "epsilon", plain, rescaled)
    x, e = torch.randn(2, 4, 1, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    t, ids = torch.tensor([0, 300, 800, 999]), torch.zeros(4, 1)
    said = teacher.target("v_prediction", 2 * x, e, t, rescaled, ids)
    exact = knowing(rescaled, "v_prediction")(add_noise(2 * x, e, t, rescaled), t, ids)
    worst = (said - exact).square().mean((1, 2, 3)).sqrt()
    assert (worst[:3] < 0.01).all() and worst[3] < 0.3  # at 999 nothing of its own is as noisy: alpha is 0.068, not 0
    with pytest.raises(FullcastError, match="its answer to pure noise is no picture"):
        Teacher.of(knowing(rescaled, "epsilon"), "epsilon", rescaled, rescaled)


def test_noise_is_not_predicted_from_noise_alone(tmp_path):
    folder = save_pipeline(tiny_pipeline("sd1"), tmp_path / "epsilon")
    config = with_settings(zero_terminal_snr=True)
    with pytest.raises(FullcastError, match=r'set training\.prediction_type = "v_prediction"'):
        train(folder, Stream(1), Pixels(), Captions(), config, tmp_path / "run")
    with pytest.raises(ValueError, match="contradict each other"):
        with_settings(zero_terminal_snr=True, prediction_type="epsilon")


def test_what_would_do_nothing_is_refused():
    with pytest.raises(ValueError, match="judge_every is 0"):
        with_settings(keep_best=True)
    with pytest.raises(ValueError, match="a LoRA has few"):
        with_settings(parallel="fsdp2", lora_rank=2)
    with pytest.raises(ValueError, match="leave out one of them"):
        with_settings(optimizer="adamw8bit", weights_dtype="bf16")
    alone = with_settings(parallel="fsdp2", judge_every=2, probe_every=1)
    with pytest.raises(ValueError, match="set judge_every and probe_every to 0"):
        with_settings(parallel="fsdp2", processes=2, judge_every=2, probe_every=1)
    assert with_settings(parallel="fsdp2", processes=2).unmeasured() == ""
    with pytest.raises(FullcastError, match="set judge_every and probe_every to 0"):
        Run.open(Path("nowhere"), Stream(), alone, Path("nowhere"), Ranks(0, 2))


def test_masks_reach_the_loss_and_other_losses_run(base, tmp_path):  # noqa: F811
    losses = {}
    beside = Beside(hints=Hinted())
    for name, settings in {
        "plain": {},
        "masked": {"masked_loss": True, "mask_outside": 0.0},
        "huber": {"loss": "huber", "noise_offset": 0.1, "min_snr_gamma": 5.0},
    }.items():
        config = with_settings(**settings)
        train(base, Stream(num_steps=1), Pixels(), Captions(), config, tmp_path / name, beside=beside)
        losses[name] = read_metrics(tmp_path / name / "metrics.jsonl")[0]["loss"]
    assert len(set(losses.values())) == 3 and all(np.isfinite(list(losses.values())))


def test_a_denoiser_that_says_the_picture_is_trained_goes_on_and_draws_in_plain_diffusers(tmp_path):
    folder = save_pipeline(build_pocket_pipeline(TINY.model_copy(update={"prediction_type": "sample"})), tmp_path / "b")
    whole = train(folder, Stream(4), Pixels(), Captions(), with_settings(), tmp_path / "whole")
    parts = with_settings(checkpoint_every=2)
    train(folder, Stream(4), Pixels(), Captions(), parts, tmp_path / "parts", stop=asked_at(Stream(4), 1))
    again = train(folder, Stream(4), Pixels(), Captions(), parts, tmp_path / "parts")
    assert hashes(again.checkpoint) == hashes(whole.checkpoint)
    pipeline = load_pipeline(whole.checkpoint)
    assert pipeline.scheduler.config.prediction_type == "sample"
    drawn = pipeline("a", width=48, height=32, num_inference_steps=2, output_type="np").images
    assert np.isfinite(drawn).all()


def test_the_fingerprint_of_the_first_settings_stays_what_it_was():
    """Runs begun before the later settings came are gone on with: golden, from the first version's code."""
    import hashlib
    import json

    told = json.dumps(TrainingConfig().about_weights(), sort_keys=True)
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == "b7aa9475072ccceca"[:16]
    assert set(TrainingConfig().about_weights()) == ALWAYS_TOLD
    assert {"lora_rank", "clip_skip", "optimizer", "checkpoint_every"} <= ONE_FOR_ALL


def test_the_layer_that_is_heard_names_the_run_whoever_says_it():
    unset, last, but_one = (TrainingConfig(clip_skip=layer) for layer in (None, 1, 2))
    assert unset.about_weights() == last.about_weights() == last.about_weights(base_clip_skip=2)
    assert unset.about_weights(base_clip_skip=2) == but_one.about_weights() != unset.about_weights()


def test_checkpoints_are_kept_by_rule_and_the_best_is_the_later_of_equals():
    assert kept([5, 10, 15, 20], 2, 5) == {5, 15, 20} and kept([5, 10], None, None) == {5, 10}
    lines = [
        {"step": 5, "success": {"": 0.5, "aoi": 1.0}},
        {"step": 9, "loss": 1.0},
        {"step": 10, "success": {"": 0.5}},
    ]
    assert best_step(lines) == 10 and best_step(lines[1:2]) is None
    assert flat(lines[0]) == [("step", 5.0), ("success/all", 0.5), ("success/aoi", 1.0)]


def test_the_judge_is_asked_and_its_best_checkpoint_stays(base, tmp_path):  # noqa: F811
    success = {2: 0.2, 4: 0.9, 6: 0.4, 8: 0.1}
    config = with_settings(judge_every=2, keep_best=True, keep_checkpoints=1, keep_states=1)
    seen: list[tuple[str, int]] = []

    class Watching:
        def logged(self, step, values):
            seen.append(("logged", step))

        def saved(self, step, checkpoint):
            assert (checkpoint / "model_index.json").exists()
            seen.append(("saved", step))

        def ended(self, step):
            seen.append(("ended", step))

    beside = Beside(judge=lambda pipeline, step: {"": success[step], "aoi": 1.0}, watchers=(Watching(),))
    train(base, Stream(num_steps=8), Pixels(), Captions(), config, tmp_path, beside=beside)
    assert [p.name for p in checkpoints(tmp_path)] == ["step-000004", "step-000008"]
    assert seen[-1] == ("ended", 8) and ("saved", 4) in seen and ("logged", 1) in seen


def test_a_save_that_fails_is_told_and_the_last_one_must_not(tmp_path):
    saver = Saver(background=True)

    def failing() -> Path:
        raise OSError(28, "No space left on device")

    saver.save(failing)
    saver.wait()
    assert saver.failures() == ["[Errno 28] No space left on device"] and saver.failures() == []
    saver.save(failing)
    with pytest.raises(FullcastError, match="make room and run it again"):
        saver.close()
