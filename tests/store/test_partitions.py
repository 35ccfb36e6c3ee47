"""A result is made once per key, is whole or absent, and is made again when anything that it depends on changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from fullcast.store.partitions import cached, cached_dir, is_cached, partition_key


class Config(BaseModel):
    threshold: float = 0.5


def test_the_key_depends_on_each_part_and_on_nothing_else() -> None:
    key = partition_key(["a", "b"], Config(), ["yolo@1"], 1)
    assert key == partition_key(["a", "b"], Config(), ["yolo@1"], 1) and len(key) == 20
    others = [
        partition_key(["a"], Config(), ["yolo@1"], 1),
        partition_key(["b", "a"], Config(), ["yolo@1"], 1),
        partition_key(["a", "b"], Config(threshold=0.4), ["yolo@1"], 1),
        partition_key(["a", "b"], Config(), ["yolo@2"], 1),
        partition_key(["a", "b"], Config(), ["yolo@1"], 2),
        partition_key({"a": "b"}, Config(), ["yolo@1"], 1),
    ]
    assert len({key, *others}) == 7


def test_a_result_is_made_once_for_a_key(tmp_path: Path) -> None:
    calls: list[str] = []

    def make(text: str):
        def write(path: Path) -> None:
            calls.append(text)
            path.write_text(text)

        return write

    result = tmp_path / "sub" / "r.parquet"
    assert cached(result, "k1", make("one")) is True
    assert cached(result, "k1", make("two")) is False
    assert result.read_text() == "one"
    assert cached(result, "k2", make("three")) is True
    assert result.read_text() == "three" and calls == ["one", "three"]


def test_a_failure_leaves_the_old_result_or_none_and_no_rubbish(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.mkdir() if path.suffix == "" and not path.exists() else None
        (path / "half" if path.is_dir() else path).write_text("half")
        raise RuntimeError("killed")

    for function, result in ((cached, tmp_path / "r.parquet"), (cached_dir, tmp_path / "folder")):
        with pytest.raises(RuntimeError):
            function(result, "k", fail)
        assert not result.exists() and not is_cached(result, "k")
    assert list(tmp_path.iterdir()) == []
    cached(tmp_path / "r.parquet", "k", lambda p: p.write_text("good"))
    with pytest.raises(RuntimeError):
        cached(tmp_path / "r.parquet", "other", fail)
    assert (tmp_path / "r.parquet").read_text() == "good"


def test_a_kill_between_result_and_key_computes_again(tmp_path: Path) -> None:
    result = tmp_path / "r.parquet"
    cached(result, "old", lambda p: p.write_text("old"))
    (tmp_path / "r.parquet.key").unlink()
    assert not is_cached(result, "old")
    assert cached(result, "old", lambda p: p.write_text("new")) and result.read_text() == "new"


def test_folders_carry_their_key_inside(tmp_path: Path) -> None:
    result = tmp_path / "v1"
    assert cached_dir(result, "k", lambda d: (d / "1.png").write_text("x"))
    assert not cached_dir(result, "k", lambda d: (d / "1.png").write_text("y"))
    result.rename(tmp_path / "v2")
    assert is_cached(tmp_path / "v2", "k")
    assert cached_dir(tmp_path / "v2", "k3", lambda d: (d / "2.png").write_text("z"))
    assert sorted(p.name for p in (tmp_path / "v2").iterdir()) == ["2.png", "partition.key"]
