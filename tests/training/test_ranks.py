"""Two processes over gloo: the same samples, the same curve, the same ledger as one; from one to two and back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fullcast.models.stable_diffusion.build import build_pocket_pipeline
from fullcast.models.stable_diffusion.folder import load_pipeline, save_pipeline
from fullcast.ports import Batch, Visit
from fullcast.store.errors import FullcastError
from fullcast.training.config import TrainingConfig
from fullcast.training.kept import checkpoints, read_state
from fullcast.training.loop import Beside, train
from fullcast.training.metrics import read_metrics
from fullcast.training.ranks import Ranks
from fullcast.training.run import Run
from tests.training.test_train import CONFIG, TINY, Captions, Pixels, Stream, asked_at, base  # noqa: F401

ROOT = Path(__file__).parents[2]
QUIET = {"probe_every": 0, "sample_every": 0, "log_every": 1, "checkpoint_every": 2}


def test_ranks_share_a_batch_and_leave_nothing_out():
    batch = Batch(3, 48, 32, tuple(Visit(name, 0) for name in "abcdef"))
    shares = [Ranks(rank, 3).share(batch).visits for rank in range(3)]
    assert sorted(v.sample_id for share in shares for v in share) == list("abcdef")
    with pytest.raises(FullcastError, match="a batch of 6 cannot be shared by 4 processes"):
        Ranks(0, 4).share(batch)
    with pytest.raises(FullcastError, match="a batch of 4 cannot be shared by 3 processes"):  # before anything is read
        Run.open(Path("nowhere"), Stream(), CONFIG, Path("nowhere"), Ranks(0, 3))


def test_fewer_gpus_than_processes_are_said(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(FullcastError, match="2 processes train, and torch finds 1 GPU"):
        Ranks(1, 2).device("auto")
    assert Ranks(1, 2).device("cpu").type == "cpu" and Ranks().device("cuda:0").index == 0


def test_devices_that_are_not_there_are_said(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    for name, said in (("cuda", "finds none here"), ("cuda:3", "finds none here"), ("gpu", "not known to torch")):
        with pytest.raises(FullcastError, match=said):
            Ranks().device(name)


@pytest.mark.parametrize("name", ["mps", "mps:0"])
def test_nothing_is_trained_on_mps(name):
    with pytest.raises(FullcastError, match=r"no float64.* set training\.device to auto, cpu or cuda"):
        Ranks().device(name)


def run_with_two(base_dir: Path, run_dir: Path, stop_at: int) -> None:
    """This file as torchrun's script."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    environment["PYTHONFAULTHANDLER"] = "1"  # one process in some dozen runs ended with SIGSEGV: where, it says then
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__]
    done = subprocess.run([*words, str(base_dir), str(run_dir), str(stop_at)], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-20_000:]


def curve(run_dir: Path) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in read_metrics(run_dir / "metrics.jsonl") if "loss" in line}


def test_two_processes_train_as_one_and_take_over_from_it(base, tmp_path):  # noqa: F811
    alone = train(base, Stream(), Pixels(), Captions(), CONFIG, tmp_path / "alone")
    train(base, Stream(), Pixels(), Captions(), CONFIG, tmp_path / "both", stop=asked_at(Stream(), 3))
    run_with_two(base, tmp_path / "both", stop_at=5)
    together = train(base, Stream(), Pixels(), Captions(), CONFIG, tmp_path / "both")
    assert together.finished and read_state(together.checkpoint).ledger == read_state(alone.checkpoint).ledger
    expected, found = curve(tmp_path / "alone"), curve(tmp_path / "both")
    assert set(expected) <= set(found)
    assert all(abs(found[step] - loss) < 1e-4 for step, loss in expected.items() if step not in (5, 10))


SHARDED = {
    "whole": {},
    "frozen words": {"text_encoder_learning_rate": 0.0, "prior_preservation": True},
    "an unheard layer": {"clip_skip": 2},
    "bf16": {"weights_dtype": "bf16", "mixed_precision": "bf16"},
}
"""What is trained, and what of it is frozen or in half precision, under FSDP2."""


class Priors:
    """One of the colours is held to what the base says of it."""

    def mask(self, sample_id, width, height):
        return None

    def is_prior(self, sample_id):
        return sample_id == "red"


def train_sharded(base_dir: Path, run_dir: Path, one_step: bool = False) -> None:
    stream = Stream(num_steps=3)
    for name, settings in SHARDED.items():
        config = TrainingConfig.model_validate({**CONFIG.model_dump(), **QUIET, "parallel": "fsdp2", **settings})
        stop = asked_at(stream, 0) if one_step else (lambda: False)
        beside = Beside(hints=Priors())
        train(base_dir, stream, Pixels(), Captions(), config, run_dir / name, stop=stop, beside=beside)


def test_sharded_weights_are_brought_back_and_saved_whole_whatever_is_frozen(tmp_path):
    tiny = TINY.model_copy(update={"text_num_layers": 2})
    model = save_pipeline(build_pocket_pipeline(tiny), tmp_path / "model")
    train_sharded(model, tmp_path / "alone")
    train_sharded(model, tmp_path / "both", one_step=True)
    run_with_two(model, tmp_path / "both", stop_at=-1)
    for name in SHARDED:
        alone, both = (load_pipeline(checkpoints(tmp_path / folder / name)[-1]) for folder in ("alone", "both"))
        expected, found = curve(tmp_path / "alone" / name), curve(tmp_path / "both" / name)
        loss, weight = (1e-2, 1e-3) if name == "bf16" else (1e-4, 1e-6)  # each process rounds by draws of its own
        assert expected.keys() == found.keys() and max(abs(expected[s] - found[s]) for s in found) < loss, name
        for part in ("unet", "text_encoder"):
            a, b = (getattr(pipeline, part).state_dict() for pipeline in (alone, both))
            assert float(torch.cat([(a[key] - b[key]).abs().flatten() for key in a]).mean()) < weight, (name, part)


if __name__ == "__main__" and sys.argv[3] == "-1":
    train_sharded(Path(sys.argv[1]), Path(sys.argv[2]))
elif __name__ == "__main__":
    calls = iter(range(1000))
    last = int(sys.argv[3])
    train(
        Path(sys.argv[1]), Stream(), Pixels(), Captions(), CONFIG, Path(sys.argv[2]), stop=lambda: next(calls) == last
    )
