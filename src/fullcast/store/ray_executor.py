"""Ray behind `concurrent.futures.Executor`: map stages on a cluster, the same tasks and the same bytes.

A task leaves its result on disk, so every machine of the cluster must see the workspace at the same path and have
Fullcast installed; nothing but the task's arguments and its true or false travels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

from fullcast.store.errors import FullcastError


class RayExecutor(Executor):
    """Submits to the cluster that this process is connected to; see `ray_cluster`."""

    def __init__(self) -> None:
        import ray

        # One core a task, as in the pool of processes; a worker lives on and keeps its imports.
        self._remote = ray.remote(num_cpus=1, max_retries=0)(_guarded)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As `Executor.submit`; what `fn` raises is raised by the future as it is, not wrapped in Ray's own error."""
        answer: Future[Any] = Future()
        answer.set_running_or_notify_cancel()
        self._remote.remote(fn, args, kwargs).future().add_done_callback(lambda done: _pass_on(done, answer))
        return answer


def _guarded(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bool, Any]:
    """(True, result) or (False, what it raised)."""
    try:
        return True, fn(*args, **kwargs)
    except Exception as error:
        return False, error


def _pass_on(done: Future[Any], answer: Future[Any]) -> None:
    try:
        good, value = done.result()
    except Exception as error:  # the worker died, or the cluster went away
        answer.set_exception(FullcastError(f"Ray lost a task: {' '.join(str(error).split())[:300]}"))
        return
    if good:
        answer.set_result(value)
    else:
        answer.set_exception(value)


@contextmanager
def ray_cluster(workers: int, address: str = "") -> Iterator[RayExecutor]:
    """Connected to the cluster at `address` ("auto", "ray://host:10001"), or to a local one with `workers` cores that
    ends with this. A connection that was open before is used and left open.

    Raises FullcastError when Ray is not installed or cannot be reached.
    """
    try:
        import ray
    except ModuleNotFoundError:
        raise FullcastError("executor is ray, which needs Ray; run: pip install 'fullcast[ray]'") from None
    ours = not ray.is_initialized()
    if ours:
        local = {} if address else {"num_cpus": workers, "include_dashboard": False}
        try:
            ray.init(address or "local", log_to_driver=False, configure_logging=False, **local)
        except Exception as error:
            raise FullcastError(f"no Ray cluster at {address or 'this machine'}: {error}") from error
    try:
        yield RayExecutor()
    finally:
        if ours:
            ray.shutdown()
