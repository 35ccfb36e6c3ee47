"""After a power cut: what a save left lies on the disk, and where it does not, the checkpoint before it is taken."""

import json
import os
from pathlib import Path

import pytest

from fullcast.store.errors import FullcastError
from fullcast.training.kept import checkpoints, latest_resumable, read_state
from fullcast.training.loop import METRICS, train
from fullcast.training.metrics import read_metrics
from tests.training.test_train import (  # noqa: F401
    CONFIG,
    Captions,
    Pixels,
    Stream,
    asked_at,
    base,
    hashes,
    whole,
)

QUIET = CONFIG.model_copy(update={"probe_every": 0, "sample_every": 0, "background_saves": False})


def halved(checkpoint: Path) -> None:
    path = checkpoint / "state" / "live.safetensors"
    os.truncate(path, path.stat().st_size // 2)


def zeroed(checkpoint: Path) -> None:
    path = checkpoint / "state" / "state.json"
    path.write_bytes(bytes(path.stat().st_size))


def emptied(checkpoint: Path) -> None:
    os.truncate(checkpoint / "state" / "optimizer.safetensors", 0)


def test_a_checkpoint_is_on_the_disk_before_the_state_before_it_goes(base, tmp_path, monkeypatch):  # noqa: F811
    waited: dict[int, list[str]] = {}
    fsync = os.fsync

    def waiting(number: int) -> None:
        fsync(number)
        waited[os.fstat(number).st_ino] = [path.name for path in checkpoints(tmp_path) if (path / "state").is_dir()]

    monkeypatch.setattr(os, "fsync", waiting)
    config = QUIET.model_copy(update={"checkpoint_every": 1, "keep_states": 1})
    last = train(base, Stream(num_steps=2), Pixels(), Captions(), config, tmp_path).checkpoint
    assert all(path.stat().st_ino in waited for path in last.rglob("*"))
    named = waited[(tmp_path / "checkpoints").stat().st_ino]
    assert named == ["step-000001", "step-000002"], "when the second name lay on the disk, the first state was there"
    assert not (tmp_path / "checkpoints" / "step-000001" / "state").exists()


@pytest.mark.parametrize("damage", [halved, zeroed, emptied])
def test_a_newest_state_that_cannot_be_read_is_told_and_the_one_before_taken(base, whole, tmp_path, damage):  # noqa: F811
    train(base, Stream(), Pixels(), Captions(), QUIET, tmp_path, stop=asked_at(Stream(), 10))
    assert [path.name for path in checkpoints(tmp_path)][1:] == ["step-000010", "step-000011"]
    damage(checkpoints(tmp_path)[-1])
    first = QUIET.model_copy(update={"keep_states": 1})
    last = train(base, Stream(), Pixels(), Captions(), first, tmp_path)
    assert last.finished and hashes(last.checkpoint) == hashes(checkpoints(whole)[-1])
    assert read_state(last.checkpoint).ledger == read_state(checkpoints(whole)[-1]).ledger
    [told] = [line for line in read_metrics(tmp_path / METRICS) if "state_unreadable" in line]
    assert told["step"] == 10 and told["state_unreadable"].endswith("going on from step 10")
    assert (tmp_path / "checkpoints" / "step-000011-unreadable" / "unet").is_dir()


def test_a_state_put_aside_is_no_newest_to_anybody(base, tmp_path):  # noqa: F811
    """A stop between it and the checkpoint before it: the new state is the one that stays."""
    config = QUIET.model_copy(update={"keep_states": 2})
    train(base, Stream(), Pixels(), Captions(), config, tmp_path, stop=asked_at(Stream(), 7))
    halved(checkpoints(tmp_path)[-1])
    last = train(
        *(base, Stream(), Pixels(), Captions(), config.model_copy(update={"keep_states": 1}), tmp_path),
        stop=lambda: True,
    )
    assert last.step == 6 and latest_resumable(tmp_path) == last.checkpoint


def test_where_no_state_can_be_read_it_is_said_and_nothing_is_touched(base, tmp_path):  # noqa: F811
    train(base, Stream(num_steps=2), Pixels(), Captions(), QUIET, tmp_path)
    [only] = checkpoints(tmp_path)
    zeroed(only)
    assert latest_resumable(tmp_path) is None
    with pytest.raises(FullcastError, match=r"there is no older state to go on from: put it back from a copy, or move"):
        train(base, Stream(num_steps=2), Pixels(), Captions(), QUIET, tmp_path)
    assert checkpoints(tmp_path) == [only]


def test_a_run_of_other_settings_is_refused_and_not_passed_over(base, tmp_path):  # noqa: F811
    train(base, Stream(num_steps=2), Pixels(), Captions(), QUIET, tmp_path)
    other = QUIET.model_copy(update={"seed": 9})
    with pytest.raises(FullcastError, match="cannot be resumed exactly"):
        train(base, Stream(num_steps=2), Pixels(), Captions(), other, tmp_path)
    assert json.loads((checkpoints(tmp_path)[-1] / "state" / "state.json").read_text())["step"] == 2
