"""`training.deterministic`: what it asks of torch on a GPU, tested without one; on a CPU it asks nothing."""

import os

import pytest
import torch

from fullcast.training.deterministic import CUBLAS, before_cuda, repeatable
from fullcast.training.kept import checkpoints
from fullcast.training.loop import Beside, train
from tests.training.test_train import CONFIG, Captions, Pixels, Stream, base, hashes, whole  # noqa: F401


@pytest.fixture
def no_cublas(monkeypatch):
    monkeypatch.setenv(CUBLAS, "")
    monkeypatch.delenv(CUBLAS)  # what the test sets is undone with the line above


def flags() -> tuple[object, ...]:
    cudnn = torch.backends.cudnn
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    return torch.are_deterministic_algorithms_enabled(), warns, cudnn.deterministic, cudnn.benchmark


def test_everything_is_asked_for_inside_and_put_back_after_a_failure_too(no_cublas):
    torch.backends.cudnn.benchmark = True
    try:
        before = flags()
        with pytest.raises(KeyError), repeatable(True):
            assert flags() == (True, False, True, False)
            raise KeyError
        assert flags() == before == (False, False, False, True)
        with repeatable(False):
            assert flags() == before
    finally:
        torch.backends.cudnn.benchmark = False
    before_cuda()
    assert os.environ[CUBLAS] == ":4096:8"
    os.environ[CUBLAS] = ":16:8"
    before_cuda()
    assert os.environ[CUBLAS] == ":16:8", "as somebody set it"


def test_on_a_gpu_a_training_runs_inside_it(base, tmp_path, monkeypatch, no_cublas):  # noqa: F811
    from fullcast.training import loop

    class Opened(Exception):
        pass

    def opened(*given):
        raise Opened(*flags(), os.environ.get(CUBLAS))

    monkeypatch.setattr(loop.Run, "open", opened)
    monkeypatch.setattr(loop.Ranks, "device", lambda self, name: torch.device("cuda", 0))
    for deterministic, expected in ((True, (True, False, True, False)), (False, (False, False, False, False))):
        config = CONFIG.model_copy(update={"deterministic": deterministic})
        monkeypatch.delenv(CUBLAS, raising=False)
        with pytest.raises(Opened) as told:
            train(base, Stream(), Pixels(), Captions(), config, tmp_path)
        assert told.value.args == (*expected, ":4096:8" if deterministic else None)


def test_on_a_cpu_it_changes_nothing_and_a_run_may_begin_with_it(base, whole, tmp_path, no_cublas):  # noqa: F811
    seen = []
    config = CONFIG.model_copy(update={"deterministic": True, "probe_every": 0})
    given = (base, Stream(), Pixels(), Captions())
    train(*given, config, tmp_path, beside=Beside(preview=lambda *_: seen.append(flags())), max_seconds=None)
    assert hashes(checkpoints(tmp_path)[-1]) == hashes(checkpoints(whole)[-1])
    assert seen and set(seen) == {(False, False, False, False)}
    assert config.about_weights() == CONFIG.about_weights(), "runs from before it came are gone on with"
