"""Two processes over gloo: the same samples, the same curve, the same ledger as one; from one to two and back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fullcast.ports import Batch, Visit
from fullcast.store.errors import FullcastError
from fullcast.training.kept import read_state
from fullcast.training.loop import train
from fullcast.training.metrics import read_metrics
from fullcast.training.ranks import Ranks
from tests.training.test_train import CONFIG, Captions, Pixels, Stream, asked_at, base  # noqa: F401

ROOT = Path(__file__).parents[2]


def test_ranks_share_a_batch_and_leave_nothing_out():
    batch = Batch(3, 48, 32, tuple(Visit(name, 0) for name in "abcdef"))
    shares = [Ranks(rank, 3).share(batch).visits for rank in range(3)]
    assert sorted(v.sample_id for share in shares for v in share) == list("abcdef")
    with pytest.raises(FullcastError, match="a batch of 6 cannot be shared by 4 processes"):
        Ranks(0, 4).share(batch)


def run_with_two(base_dir: Path, run_dir: Path, stop_at: int) -> None:
    """This file as torchrun's script."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__]
    done = subprocess.run([*words, str(base_dir), str(run_dir), str(stop_at)], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-2000:]


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


if __name__ == "__main__":
    calls = iter(range(1000))
    last = int(sys.argv[3])
    train(
        Path(sys.argv[1]), Stream(), Pixels(), Captions(), CONFIG, Path(sys.argv[2]), stop=lambda: next(calls) == last
    )
