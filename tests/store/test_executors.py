"""Partitions made here or in processes that start with spawn: the same bytes, errors raised, nothing made twice."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from fullcast.store.atomic import TEMPORARY, replacing_dir
from fullcast.store.errors import FullcastError
from fullcast.store.executors import Task, num_workers, open_executor, process_pool, run_tasks
from fullcast.store.partitions import stored_key


def write_square(folder: Path, number: int) -> None:
    if number < 0:
        raise ValueError(f"{number} is negative")
    (folder / "square.txt").write_text(str(number**2))


def tasks(folder: Path, numbers: list[int]) -> list[Task]:
    return [Task(folder / str(n), f"key{n}", write_square, (n,)) for n in numbers]


def read(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_pool_of_processes_leaves_what_this_process_would(tmp_path: Path) -> None:
    for task in tasks(tmp_path / "here", [1, 2, 3]):
        assert task.run() and not task.run()
    ended: list[str] = []
    with process_pool(2) as pool:
        run_tasks(tasks(tmp_path / "pool", [1, 2, 3]), pool, lambda task: ended.append(task.key))
    assert sorted(ended) == ["key1", "key2", "key3"]
    assert read(tmp_path / "here") == read(tmp_path / "pool")


def test_ray_with_two_workers_leaves_what_this_process_would(tmp_path: Path) -> None:
    """Without Ray a sentence says how to get it; with it (its extra is not in `dev`) bytes are the same and errors are
    as they were raised. `make check-preparation-6` runs this in an environment that has Ray."""
    if find_spec("ray") is None:
        with pytest.raises(FullcastError, match=r"fullcast\[ray\]"), open_executor("ray", 2):
            pass
        return
    for task in tasks(tmp_path / "here", [1, 2, 3]):
        task.run()
    with open_executor("ray", 2) as cluster:
        run_tasks(tasks(tmp_path / "ray", [1, 2, 3]), cluster)
        with pytest.raises(ValueError, match="-1 is negative"):
            run_tasks(tasks(tmp_path / "bad", [2, -1]), cluster)
    assert read(tmp_path / "here") == read(tmp_path / "ray")


def test_what_a_task_raises_is_raised_and_others_stay(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="-1 is negative"):
        run_tasks(tasks(tmp_path, [2, -1]), pool)
    assert stored_key(tmp_path / "2") == "key2"
    assert not (tmp_path / "-1").exists()


def die(folder: Path) -> None:
    (folder / "begun.txt").write_text("half")
    os._exit(1)


def test_a_worker_that_dies_is_one_sentence_that_names_its_task(tmp_path: Path) -> None:
    """As the system ends a process that takes too much memory: it says nothing, and leaves what it had begun."""
    todo = [*tasks(tmp_path, [1]), Task(tmp_path / "episode [2]", "key", die), *tasks(tmp_path, [3])]
    with process_pool(1) as pool, pytest.raises(FullcastError, match=r"worked on the second died .* --set processes=1"):
        run_tasks(todo, pool, called=lambda task: {"key": "the second"}.get(task.key, "another"))
    assert stored_key(tmp_path / "1") == "key1"


def test_processes_are_no_more_than_tasks_and_at_least_one() -> None:
    assert num_workers(4, 2) == 2
    assert num_workers(0, 0) == num_workers(3, 0) == 1


def test_what_a_killed_process_left_is_cleared_and_what_lives_is_not(tmp_path: Path) -> None:
    dead = tmp_path / f"{TEMPORARY}{2**22 + 1}-result"  # above Linux's largest process id
    other = tmp_path / f"{TEMPORARY}1-result"
    dead.mkdir(), other.mkdir()
    with replacing_dir(tmp_path / "result") as folder:
        (folder / "x").write_text("x")
    assert not dead.exists() and other.exists()
