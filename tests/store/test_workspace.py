"""A workspace can be moved anywhere and never stores where it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fullcast.store import workspace as module
from fullcast.store.errors import FullcastError
from fullcast.store.workspace import Workspace


def test_paths_survive_a_move_to_a_folder_with_a_space_and_japanese_letters(tmp_path: Path) -> None:
    first = Workspace.create(tmp_path / "show")
    (first.episodes_dir / "第1話.mp4").write_bytes(b"x")
    stored = first.relative(first.episodes_dir / "第1話.mp4")
    assert stored == "episodes/第1話.mp4"
    target = tmp_path / "山の ススメ"
    shutil.move(first.root, target)
    assert Workspace.open(target).absolute(stored).read_bytes() == b"x"
    assert str(tmp_path) not in "".join(p.read_text() for p in target.rglob("*.json"))


def test_paths_that_leave_the_workspace_are_refused(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "show")
    with pytest.raises(FullcastError, match="outside the workspace"):
        workspace.relative(tmp_path / "elsewhere.png")
    for stored in ("../up.png", "/etc/passwd", "a/../../b", "C:/x.png", "a\\b.png", ""):
        with pytest.raises(FullcastError, match="not a path inside"):
            workspace.absolute(stored)


def test_links_to_another_disk_stay_paths_of_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "1.mp4").write_bytes(b"x")
    workspace = Workspace.create(tmp_path / "show")
    (workspace.episodes_dir / "1.mp4").symlink_to(tmp_path / "disk" / "1.mp4")
    assert workspace.relative(workspace.episodes_dir / "1.mp4") == "episodes/1.mp4"


def test_opening_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(FullcastError, match="fullcast new"):
        Workspace.open(tmp_path)
    (tmp_path / "workspace.json").write_text("{")
    with pytest.raises(FullcastError, match="damaged"):
        Workspace.open(tmp_path)
    (tmp_path / "workspace.json").write_text('{"format_version": 99}')
    with pytest.raises(FullcastError, match="knows formats up to"):
        Workspace.open(tmp_path)


def test_creating_twice_keeps_what_is_there(tmp_path: Path) -> None:
    Workspace.create(tmp_path / "show", show="Yama no Susume")
    again = Workspace.create(tmp_path / "show", show="other")
    assert again.show == "Yama no Susume"
    (tmp_path / "file").write_text("x")
    with pytest.raises(FullcastError, match="is a file"):
        Workspace.create(tmp_path / "file")


def test_an_older_workspace_is_migrated_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Workspace.create(tmp_path / "show")
    seen: list[int] = []

    def migration(version: int):
        def migrate(workspace: Workspace, content: dict) -> dict:
            seen.append(version)
            return content | {f"step{version}": True}

        return migrate

    monkeypatch.setattr(module, "FORMAT_VERSION", 3)
    monkeypatch.setattr(module, "MIGRATIONS", {1: migration(1), 2: migration(2)})
    Workspace.open(tmp_path / "show")
    Workspace.open(tmp_path / "show")
    assert seen == [1, 2]
    content = json.loads((tmp_path / "show" / "workspace.json").read_text())
    assert content["format_version"] == 3 and content["step1"] and content["step2"]
