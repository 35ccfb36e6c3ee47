"""Where things are to be written: what cannot be is one sentence, before any work; nothing is left behind."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

from fullcast.generation.out import folder_to_write
from fullcast.store.errors import FullcastError


def test_a_folder_that_is_not_there_yet_is_tried_and_not_made(tmp_path: Path) -> None:
    assert folder_to_write(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_takes_no_files_is_named_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*words: object, **more: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refused)
    with pytest.raises(FullcastError, match=r"b cannot be written \(.*: Permission denied\); give a place"):
        folder_to_write(tmp_path / "b")
    with pytest.raises(FullcastError, match=r"^x\.png cannot be written"):
        folder_to_write(tmp_path / "b", Path("x.png"))
