"""What lies on a disk after a kill, and what is waited for so that it lies there after a power cut."""

import os
from pathlib import Path

import pytest

from fullcast.store.atomic import TEMPORARY, replacing, replacing_dir


class Disk:
    """Writes down what is waited for (by inode, which a new name does not change) and what is renamed, in their order,
    and with each wait the names beside the target."""

    def __init__(self, beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[str, int | str]] = []
        self.names: list[list[str]] = []
        replace = os.replace

        def waiting(number: int) -> None:
            self.events.append(("waited", os.fstat(number).st_ino))
            self.names.append(sorted(path.name for path in beside.iterdir()))

        def renaming(source: Path, target: Path) -> None:
            self.events.append(("renamed", Path(target).name))
            replace(source, target)

        monkeypatch.setattr(os, "fsync", waiting)
        monkeypatch.setattr(os, "replace", renaming)

    def before(self, name: str) -> set[int | str]:
        return {of for what, of in self.events[: self.events.index(("renamed", name))] if what == "waited"}


def test_a_lasting_folder_is_on_the_disk_before_its_name_and_its_name_before_the_old_one_goes(tmp_path, monkeypatch):
    (tmp_path / "result").mkdir()
    disk = Disk(tmp_path, monkeypatch)
    with replacing_dir(tmp_path / "result", lasting=True) as folder:
        (folder / "inside").mkdir()
        for name in ("a", "inside/b"):
            (folder / name).write_text(name)
    made = [path.stat().st_ino for path in (tmp_path / "result", *(tmp_path / "result").rglob("*"))]
    assert len(made) == 4 and disk.before("result") == set(made)
    assert disk.events[-1] == ("waited", tmp_path.stat().st_ino)
    assert disk.names[-1] == [f"{TEMPORARY}{os.getpid()}-old-result", "result"], "the old one is still there"
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_a_lasting_file_is_on_the_disk_before_its_name(tmp_path, monkeypatch):
    disk = Disk(tmp_path, monkeypatch)
    with replacing(tmp_path / "file", lasting=True) as path:
        path.write_text("x")
    assert disk.before("file") == {(tmp_path / "file").stat().st_ino}
    assert disk.events[-1] == ("waited", tmp_path.stat().st_ino)
    disk.events.clear()
    with replacing(tmp_path / "file") as path:
        path.write_text("y")
    assert disk.events == [("renamed", "file")], "nothing is waited for where nobody asked for it"


def test_a_disk_that_knows_no_waiting_is_no_failure_and_a_broken_one_is(tmp_path, monkeypatch):
    import errno

    def write(number: int) -> None:
        def failing(_: int) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", failing)
        with replacing(tmp_path / "file", lasting=True) as path:
            path.write_text(str(number))

    write(errno.EINVAL)
    with pytest.raises(OSError, match="Input/output error"):
        write(errno.EIO)
    assert (tmp_path / "file").read_text() == str(errno.EINVAL)
