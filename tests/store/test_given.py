"""Nothing that lies below a folder goes unsaid."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fullcast.store.given import files_below


def test_files_and_what_keeps_others_from_being_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, elsewhere = tmp_path / "given", tmp_path / "elsewhere"
    (root / "b").mkdir(parents=True)
    (elsewhere / "season").mkdir(parents=True)
    for path in (root / "b" / "1.mkv", root / "2.mkv", elsewhere / "3.mkv", elsewhere / "season" / "4.mkv"):
        path.write_text("x")
    (root / "3.mkv").symlink_to(elsewhere / "3.mkv")
    (root / "away.mkv").symlink_to(tmp_path / "unplugged" / "5.mkv")
    (root / "season").symlink_to(elsewhere / "season")
    os.mkfifo(root / "pipe.mkv")
    files, lost = files_below(root)
    assert files == [root / "2.mkv", root / "3.mkv", root / "b" / "1.mkv"]
    assert {Path(e.path).name: e.reason for e in lost} == {
        "away.mkv": "missing",
        "season": "linked-folder",
        "pipe.mkv": "no-file",
    }
    scandir = os.scandir

    def closed(path):
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    files, lost = files_below(root)
    assert [e.reason for e in lost if Path(e.path) == root / "b"] == [
        "unreadable"
    ] and root / "b" / "1.mkv" not in files


def test_a_folder_that_is_not_there_holds_nothing_and_a_link_to_none_is_missing(tmp_path: Path) -> None:
    assert files_below(tmp_path / "none") == ([], [])
    (tmp_path / "episodes").symlink_to(tmp_path / "none")
    assert [error.reason for error in files_below(tmp_path / "episodes")[1]] == ["missing"]


def test_a_name_that_is_no_utf8_is_counted_by_one_that_can_be_written_down(tmp_path: Path) -> None:
    latin = os.fsdecode(b"caf\xe9")
    (tmp_path / latin).mkdir()
    (tmp_path / latin / "inside.png").write_text("x")
    (tmp_path / f"{latin}.png").write_text("x")
    (tmp_path / "away.png").symlink_to(f"{latin}-away.png")
    (tmp_path / "caf\u00e9.png").write_text("x")
    files, lost = files_below(tmp_path)
    assert files == [tmp_path / "caf\u00e9.png"]
    assert {Path(e.path).name: e.reason for e in lost} == {
        "away.png": "missing",
        r"caf\xe9": "bad-name",
        r"caf\xe9.png": "bad-name",
    }
    assert all(f"{e.path}{e.detail}".encode() for e in lost)
