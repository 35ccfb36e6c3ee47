"""How map stages run: here, in a pool of processes, or on Ray, as the recipe says. The bytes are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fullcast.store.executors import Task, num_workers, open_executor, run_tasks

if TYPE_CHECKING:
    from fullcast.journey import Journey


def make_all(
    journey: Journey, tasks: Sequence[Task], what: str, titles: Sequence[str] = (), *, device: bool = False
) -> list[bool]:
    """Makes the tasks that are not ready; for each whether it was made now.

    device: a network does the work. It is opened once, here, and uses the cores itself, unless the recipe names an
    executor. A task's function takes a progress bar as its last argument; in another process nobody draws it.
    """
    recipe = journey.recipe
    fresh = [not task.is_ready for task in tasks]
    missing = [index for index, is_fresh in enumerate(fresh) if is_fresh]
    workers = num_workers(recipe.processes, len(missing))
    here = recipe.executor == "here" or (recipe.executor == "auto" and (device or workers == 1))
    if here or not missing:
        for index in missing:
            task = tasks[index]
            replace(task, arguments=(*task.arguments, journey.progress)).run()
        return fresh
    names = {tasks[i].result_dir: titles[i] if titles else tasks[i].result_dir.name for i in missing}
    journey.progress.start(f"{what}, {workers} at once", len(missing))
    with open_executor("ray" if recipe.executor == "ray" else "processes", workers, recipe.ray_address) as executor:
        run_tasks(
            [tasks[i] for i in missing],
            executor,
            lambda task: journey.progress.advance(note=names[task.result_dir]),
            lambda task: names[task.result_dir],
        )
    journey.progress.done()
    return fresh
