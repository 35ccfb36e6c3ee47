"""Work that is done ahead of its turn, in threads, and handed over in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(work: Callable[[Item], Result], items: Iterable[Item], count: int) -> Iterator[Result]:
    """work(item) of each item in order, up to `count` of them begun before they are asked for; 0: none.

    What `work` raises is raised where its result is taken. The results are the same for any count.
    """
    if count == 0:
        yield from map(work, items)
        return
    begun: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(count, thread_name_prefix="ahead") as pool:
        try:
            for item in items:
                begun.append(pool.submit(work, item))
                if len(begun) > count:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
