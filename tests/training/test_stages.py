"""Stages that change the trainer's settings: frozen is frozen, rates are told, a stop inside one changes nothing."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from fullcast.models.stable_diffusion.build import build_pocket_pipeline
from fullcast.models.stable_diffusion.folder import save_pipeline
from fullcast.training.config import Change
from fullcast.training.kept import checkpoints
from fullcast.training.loop import train
from fullcast.training.metrics import read_metrics
from tests.training.test_train import CONFIG, TINY, Captions, Pixels, Stream, asked_at, hashes

CHANGES = (
    Change(from_step=0, settings={"text_encoder_learning_rate": 0.0}),
    Change(from_step=5, settings={"learning_rate": 1e-4, "caption_dropout_rate": 0.5}),
)
STAGED = CONFIG.model_copy(update={"changes": CHANGES, "ema_decay": 0.0, "keep_states": 9, "sample_every": 0})


def text_encoder(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(next((folder / "text_encoder").glob("*.safetensors")))


def test_stages_are_followed_and_resumed_inside(tmp_path: Path) -> None:
    base = save_pipeline(build_pocket_pipeline(TINY), tmp_path / "base")
    train(base, Stream(), Pixels(), Captions(), STAGED, tmp_path / "whole")
    first, *_, last = checkpoints(tmp_path / "whole")
    before, frozen, after = text_encoder(base), text_encoder(first), text_encoder(last)
    assert first.name == "step-000005"
    assert all(torch.equal(before[name], frozen[name]) for name in before), "frozen in the first stage"
    assert any(not torch.equal(before[name], after[name]) for name in before), "and not in the second"
    rates = {m["step"]: m["learning_rate"] for m in read_metrics(tmp_path / "whole" / "metrics.jsonl") if "loss" in m}
    assert rates[4] == CONFIG.learning_rate and rates[6] == 1e-4
    train(base, Stream(), Pixels(), Captions(), STAGED, tmp_path / "cut", stop=asked_at(Stream(), 2))
    done = train(base, Stream(), Pixels(), Captions(), STAGED, tmp_path / "cut")
    assert hashes(done.checkpoint) == hashes(last)
