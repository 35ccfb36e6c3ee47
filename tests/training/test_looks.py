"""Probe and held-out loss: computed as a step is, in pieces that fit where a step fits; a failure costs themselves."""

from types import SimpleNamespace

import pytest
import torch

from fullcast.models.stable_diffusion.family import StableDiffusion
from fullcast.training.config import TrainingConfig
from fullcast.training.loop import METRICS, Beside, train
from fullcast.training.metrics import read_metrics
from fullcast.training.ranks import Ranks
from fullcast.training.run import Run
from tests.training.test_train import CONFIG, Captions, Pixels, Stream, base  # noqa: F401

LOOKING = {"probe_every": 1, "validate_every": 1, "sample_every": 0, "log_every": 1, "checkpoint_every": 100}
BESIDE = Beside(held_out=[Stream().batch(0)])


def with_settings(**settings: object) -> TrainingConfig:
    return TrainingConfig.model_validate({**CONFIG.model_dump(), **LOOKING, **settings})


def figures(run_dir) -> dict[str, float]:
    lines = read_metrics(run_dir / METRICS)
    return {k: v for line in lines if line["step"] == 0 for k, v in line.items() if k[:5] in ("probe", "val_l")}


def test_they_go_through_the_network_as_a_step_does_and_measure_the_same(base, tmp_path, monkeypatch):  # noqa: F811
    seen: list[tuple[int, bool]] = []
    predict = StableDiffusion.predict

    def noting(self, noisy, *given):
        if not torch.is_grad_enabled():
            seen.append((len(noisy), torch.is_autocast_enabled("cpu")))
        return predict(self, noisy, *given)

    monkeypatch.setattr(StableDiffusion, "predict", noting)
    for name, settings in (
        ("whole", {}),
        ("parts", {"gradient_accumulation": 3}),
        ("bf16", {"mixed_precision": "bf16"}),
    ):
        train(
            base, Stream(num_steps=1), Pixels(), Captions(), with_settings(**settings), tmp_path / name, beside=BESIDE
        )
        expected = {"whole": {(4, False)}, "parts": {(2, False)}, "bf16": {(4, True)}}[name]
        assert set(seen) == expected, name
        seen.clear()
    whole, parts, bf16 = (figures(tmp_path / name) for name in ("whole", "parts", "bf16"))
    assert len(whole) == 5 and whole == pytest.approx(parts, abs=2e-6)
    assert whole == pytest.approx(bf16, rel=0.05) and whole != bf16


def test_pieces_are_the_largest_part_of_a_process_s_share():
    def at_once(batch_size: int, processes: int, parts: int) -> int:
        run = SimpleNamespace(ranks=Ranks(0, processes), config=with_settings(gradient_accumulation=parts))
        return Run.at_once(run, batch_size)

    assert [at_once(*given) for given in ((16, 1, 1), (16, 2, 1), (16, 2, 3), (4, 1, 9))] == [16, 8, 3, 1]


def test_memory_that_does_not_suffice_for_them_is_told_once_and_the_training_goes_on(base, tmp_path, monkeypatch):  # noqa: F811
    predict = StableDiffusion.predict

    def failing(self, *given):
        if not torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory")
        return predict(self, *given)

    monkeypatch.setattr(StableDiffusion, "predict", failing)
    config = with_settings(probe_every=2, validate_every=2, ema_decay=0.9)
    for _ in "twice":
        assert train(base, Stream(num_steps=2), Pixels(), Captions(), config, tmp_path, beside=BESIDE).finished
        told = [(m["step"], k, v) for m in read_metrics(tmp_path / METRICS) for k, v in m.items() if "failed" in k]
        reason = "OutOfMemoryError: CUDA out of memory"
        assert told == [(step, f"{name}_failed", reason) for step in (0, 2) for name in ("probe", "validation")]
