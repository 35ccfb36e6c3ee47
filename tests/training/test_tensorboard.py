"""What TensorBoard is told, without the package."""

import sys
from types import ModuleType
from typing import ClassVar

import pytest

from fullcast.training.loop import train
from tests.training.test_train import CONFIG, Captions, Pixels, Stream, asked_at, base  # noqa: F401


class Writer:
    made: ClassVar[list["Writer"]] = []

    def __init__(self, folder: str, purge_step: int) -> None:
        self.purge_step, self.steps, self.closed = purge_step, set[int](), False
        Writer.made.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        assert isinstance(value, float)
        self.steps.add(step)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def package(monkeypatch):
    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(Writer, "made", [])


def test_steps_that_a_kill_undid_are_shown_no_more(base, tmp_path, package):  # noqa: F811
    config = CONFIG.model_copy(update={"tensorboard": True, "log_every": 1, "probe_every": 0, "sample_every": 0})
    stream = Stream(num_steps=4)
    train(base, stream, Pixels(), Captions(), config, tmp_path, stop=asked_at(stream, 1))
    train(base, stream, Pixels(), Captions(), config, tmp_path)
    first, second = Writer.made
    assert (first.purge_step, first.steps) == (1, {1, 2}) and (second.purge_step, second.steps) == (3, {3, 4})
    assert first.closed and second.closed
