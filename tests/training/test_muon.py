"""Muon: orthogonal steps of AdamW's size, rare directions as far as common ones, passed over and resumed like AdamW."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError

from fullcast.models.torch_device import fast_bf16
from fullcast.training.config import TrainingConfig
from fullcast.training.muon import MuonAdamW, _by_iteration, _by_polynomial, is_matrix, orthogonal
from fullcast.training.optimizers import step_unless
from tests.training.test_features import live, resumed_is_uninterrupted, with_settings
from tests.training.test_train import base  # noqa: F401


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (16, 16)])
def test_singular_values_become_alike_and_vectors_stay(shape):
    u, _, vh = torch.linalg.svd(drawn(*shape), full_matrices=False)
    matrix = u @ torch.diag(torch.logspace(0, -1.5, min(shape))) @ vh
    found = u.T @ orthogonal(matrix[None])[0] @ vh.T
    values = found.diagonal()
    assert float(values.min()) > 0.6 and float(values.max()) < 1.3
    rounded = 0.03 if fast_bf16(matrix.device) else 1e-4
    assert float((found - torch.diag(values)).abs().max()) < rounded


def test_a_stack_is_as_its_matrices_one_by_one():
    stack = torch.stack([drawn(12, 40, seed=s) for s in range(3)])
    together = orthogonal(stack)
    assert all(torch.allclose(together[i], orthogonal(stack[i : i + 1])[0], atol=0.02) for i in range(3))


def test_wide_matrices_come_out_as_by_the_plain_iteration():
    x = drawn(3, 24, 216)
    x = x / x.norm(dim=(1, 2), keepdim=True)
    assert torch.allclose(_by_polynomial(x), _by_iteration(x), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(160, 1440), (1440, 160), (160, 160)])
def test_nothing_grows_where_a_gradient_has_few_directions(monkeypatch, dtype, shape):
    monkeypatch.setattr("fullcast.training.muon.fast_bf16", lambda device: dtype is torch.bfloat16)
    gradient = drawn(shape[0], 3) @ drawn(3, shape[1], seed=1)
    assert float(torch.linalg.matrix_norm(orthogonal(gradient[None])[0], 2)) < 1.4


def test_a_step_is_as_large_as_adamws():
    for shape in ((32, 8, 3, 3), (48, 200)):
        weight = torch.nn.Parameter(drawn(*shape))
        before = weight.detach().clone()
        optimizer = MuonAdamW([{"params": [weight], "lr": 1e-2, "muon": True}], fused=True, weight_decay=0.0)
        weight.grad = drawn(*shape, seed=1)
        optimizer.step()
        assert math.sqrt(float((weight.detach() - before).square().mean())) == pytest.approx(0.2 * 1e-2, rel=0.2)


def test_what_is_rarely_shown_is_learnt_sooner_than_by_adamw():
    """A linear map whose 16 directions are shown with weights 1 to 1/1000, none along an axis: error of the rare half
    after 60 steps, each optimizer at the better of two rates."""
    target, turn = torch.linalg.qr(drawn(16, 16))[0], torch.linalg.qr(drawn(16, 16, seed=1))[0]
    shown = turn @ torch.diag(torch.logspace(0, -3, 16)) @ turn.T
    left: dict[bool, float] = {False: math.inf, True: math.inf}
    for muon, rate in ((False, 0.02), (False, 0.004), (True, 0.02), (True, 0.1)):
        weight = torch.nn.Parameter(torch.zeros(16, 16))
        optimizer = MuonAdamW([{"params": [weight], "lr": rate, "muon": muon}], fused=True, weight_decay=0.0)
        for _ in range(60):
            weight.grad = (weight.detach() - target) @ shown
            optimizer.step()
        rare = ((weight.detach() - target) @ turn)[:, 8:].square().sum() / 8
        left[muon] = min(left[muon], float(rare))
    assert left[True] < 0.3 * left[False]


def test_others_move_as_by_adamw_and_bad_steps_change_nothing():
    ours, theirs = torch.nn.Parameter(drawn(20)), torch.nn.Parameter(drawn(20))
    matrix = torch.nn.Parameter(drawn(16, 16))
    groups = [{"params": [ours], "lr": 1e-2}, {"params": [matrix], "lr": 1e-2, "muon": True}]
    optimizer = MuonAdamW(groups, fused=True, weight_decay=0.01)
    plain = torch.optim.AdamW([theirs], lr=1e-2, weight_decay=0.01, fused=True)
    for step in range(3):
        ours.grad, theirs.grad = drawn(20, seed=step), drawn(20, seed=step)
        matrix.grad = drawn(16, 16, seed=step)
        optimizer.step()
        plain.step()
    assert torch.equal(ours, theirs)
    kept = [t.clone() for t in (ours, matrix, optimizer.state[matrix]["momentum"])]
    for parameter in (ours, matrix):
        parameter.grad = torch.full_like(parameter, math.nan)
    step_unless(optimizer, torch.tensor(True))
    assert all(
        torch.equal(a, b) for a, b in zip(kept, (ours, matrix, optimizer.state[matrix]["momentum"]), strict=True)
    )


def test_which_weights_are_matrices():
    assert is_matrix("denoiser.conv.weight", torch.zeros(8, 4, 3, 3))
    assert not is_matrix("text_encoder.embeddings.token_embedding.weight", torch.zeros(800, 16))
    assert not is_matrix("denoiser.conv_out.weight", torch.zeros(4, 8, 3, 3))
    assert not is_matrix("denoiser.norm.weight", torch.zeros(64))


def test_a_training_with_it_goes_on_where_it_stopped(base, tmp_path):  # noqa: F811
    resumed_is_uninterrupted(base, with_settings(optimizer="muon"), tmp_path)
    weights = live(tmp_path / "whole")
    assert all(bool(torch.isfinite(t).all()) for t in weights.values())


@pytest.mark.parametrize("settings", [{"weights_dtype": "bf16"}, {"parallel": "fsdp2"}])
def test_it_is_refused_where_matrices_are_not_whole(settings):
    with pytest.raises(ValidationError, match="needs whole matrices"):
        TrainingConfig(optimizer="muon", **settings)
