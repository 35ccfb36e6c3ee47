"""Map stages over many partitions: in this process, in a pool of processes that start with ``spawn``, or on Ray.

Any `concurrent.futures.Executor` will do. A task's function is module-level and its arguments are picklable; a task
leaves its whole result on disk, so that every executor gives the same bytes.
"""

from __future__ import annotations

import glob
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Literal

from fullcast.store.atomic import TEMPORARY
from fullcast.store.errors import FullcastError
from fullcast.store.partitions import cached_dir, is_cached


@dataclass(frozen=True, slots=True)
class Task:
    """One partition to be made: its folder, its key, and who makes it."""

    result_dir: Path
    key: str
    make: Callable[..., None]
    """Called with a temporary folder and then `arguments`; module-level, for it may run in another process."""
    arguments: tuple[Any, ...] = ()

    @property
    def is_ready(self) -> bool:
        return is_cached(self.result_dir, self.key)

    @property
    def was_cut_short(self) -> bool:
        """It is not ready, and somebody began it: what was written so far lies beside it."""
        begun = self.result_dir.parent.glob(f"{TEMPORARY}*-{glob.escape(self.result_dir.name)}")
        return not self.is_ready and any(begun)

    def run(self) -> bool:
        """True: made now; False: it was there."""
        return cached_dir(self.result_dir, self.key, partial(_call, self.make, self.arguments))


def _call(make: Callable[..., None], arguments: tuple[Any, ...], folder: Path) -> None:
    make(folder, *arguments)


def run_tasks(
    tasks: Sequence[Task],
    executor: Executor,
    each: Callable[[Task], None] = lambda task: None,
    called: Callable[[Task], str] = lambda task: task.result_dir.name,
) -> None:
    """All of them; `each` is called as they end, in whatever order. What a task raises is raised, others cancelled.

    Raises FullcastError where a worker's process ends by itself; `called`: what a task is for people.
    """
    futures: dict[Future[bool], Task] = {}
    try:
        for task in tasks:
            futures[executor.submit(task.run)] = task
        for future in as_completed(futures):
            future.result()
            each(futures[future])
    except BrokenExecutor:
        raise FullcastError(_died([called(task) for task in tasks if task.was_cut_short])) from None
    except BaseException:
        for future in futures:
            future.cancel()
        raise


def _died(names: Sequence[str]) -> str:
    """names: of the tasks that were in work: whose process it was, only the processes knew."""
    what = f"one of {', '.join(names)}" if len(names) > 1 else names[0] if names else "its first task"
    return (
        f"a process that worked on {what} died (killed for want of memory, or crashed in a library); what was ready "
        "before is kept: run it again with --set processes=1, which takes the least memory and works on one at a time"
    )


def num_workers(wanted: int, num_tasks: int) -> int:
    """Processes for so many tasks: `wanted`, or with 0 one for each core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(wanted or cores, num_tasks))


@contextmanager
def process_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool whose processes start with ``spawn`` and end when the process that started them does."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        yield pool


@contextmanager
def open_executor(kind: Literal["processes", "ray"], workers: int, ray_address: str = "") -> Iterator[Executor]:
    """The executor of that kind with so many workers; `ray_address`: of a cluster, empty: one of this machine's."""
    if kind == "ray":
        from fullcast.store.ray_executor import ray_cluster

        with ray_cluster(workers, ray_address) as cluster:
            yield cluster
    else:
        with process_pool(workers) as pool:
            yield pool


def _end_with_parent() -> None:
    """A killed parent cannot tell its workers: without this they would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
