"""The demo: a pocket show drawn on this machine, and the whole journey over it. Run again, it goes on or is done."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast.journey import Journey
from fullcast.journey.answers import Answer, timed
from fullcast.ports import Progress, Say, silent
from fullcast.recipe import commented_toml, find_preset, read_recipe
from fullcast.store.atomic import write_json, write_text
from fullcast.store.errors import FullcastError
from fullcast.store.partitions import partition_key
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.pocket.show import ShowSettings
    from fullcast.recipe import Recipe

SHOW_VERSION = 1
"""Raised when the same seed draws another show."""

STEPS_IN_FLOAT32 = 210
"""Of the demo's training where bfloat16 is not faster: a quarter of an hour holds no more on two such cores."""

_DRAWN = "pocket-show.json"
_UNFINISHED = "unfinished"
"""In the mark while the show is drawn."""


def demo(
    folder: Path,
    seed: int = 1,
    preset: str = "demo",
    *,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress = silent,
    say: Say = lambda line: None,
) -> Answer:
    """Every verb of the journey in turn; `preset`: the recipe, "demo" or "smallest" (which draws a smaller show).

    Raises FullcastError for a folder that holds anything but this very show, drawn or begun.
    """
    began = time.monotonic()
    settings = _settings(preset)
    wanted = {"seed": seed, "key": partition_key([str(seed)], asdict(settings) | {"num_workers": 0}, (), SHOW_VERSION)}
    _refuse_what_is_not_ours(Workspace(Path(os.path.abspath(folder))), wanted)
    workspace = _workspace(folder, seed, preset)
    with timed(workspace, "pocket show"):
        _draw_show(workspace, wanted, settings, progress, say)
    journey = Journey.open(folder, overrides, progress=progress, say=say)
    stages: tuple[tuple[str, Callable[[], Answer]], ...] = (
        ("prepare", journey.prepare),
        ("plan", journey.plan),
        ("train", journey.train),
        ("generate", lambda: _pictures(journey)),
        ("judge", journey.judge),
        ("card", journey.card),
    )
    answers = {}
    for number, (name, run) in enumerate(stages, 1):
        since = time.monotonic()
        say(f"[{number}/{len(stages)}] {name}")
        answers[name] = run()
        if name != "card":
            say(_short(answers[name].text))
        say(f"      {time.monotonic() - since:.0f} s")
    say(f"{time.monotonic() - began:.0f} s in all")
    data = {name: answer.data for name, answer in answers.items()}
    return Answer(str(workspace.report_path), {"report": str(workspace.report_path), "stages": data})


def _workspace(folder: Path, seed: int, preset: str) -> Workspace:
    """The demo's workspace; its fullcast.toml is the preset, so that later verbs there go on with the same recipe."""
    workspace = Workspace.create(folder, show=f"Pocket show {seed}")
    if not workspace.recipe_path.exists():
        recipe = _that_fits(read_recipe(find_preset(preset)).model_copy(update={"show": workspace.show}))
        title = f"The recipe of `fullcast demo` ({preset}). Take the # from before a line to change it."
        write_text(workspace.recipe_path, commented_toml(recipe, title))
    return workspace


def _that_fits(recipe: Recipe) -> Recipe:
    """The recipe with as many steps as this machine can take in the demo's time."""
    import torch

    from fullcast.models.torch_device import fast_bf16

    if recipe.mixture.num_steps is None or torch.cuda.is_available() or fast_bf16(torch.device("cpu")):
        return recipe
    fewer = min(recipe.mixture.num_steps, STEPS_IN_FLOAT32)
    return recipe.model_copy(update={"mixture": recipe.mixture.model_copy(update={"num_steps": fewer})})


def make_pocket_show(
    out: Path, seed: int, *, style: str = "", smallest: bool = False, progress: Progress = silent
) -> Answer:
    """Draws a show into a folder; one with something in it is refused. style: of pocket/looks.py; "" is the default."""
    from fullcast.generation.out import folder_to_write
    from fullcast.pocket.show import make_show

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FullcastError(f"{out} is not empty; give a new folder for the show")
    folder_to_write(out)
    settings = _settings("smallest" if smallest else "demo")
    show = make_show(out, seed, replace(settings, style=style or settings.style), progress)
    data = {"root": str(out), "episodes": [str(path) for path in show.episodes]}
    return Answer(f"{len(show.episodes)} episodes, fan art, references and the truth: {out}", data)


def _settings(preset: str) -> ShowSettings:
    from fullcast.pocket.show import ShowSettings

    if preset == "smallest":
        return ShowSettings(num_episodes=1, seconds=24.0, num_fanart=6, num_regularization=8, num_workers=1)
    return ShowSettings()


def _refuse_what_is_not_ours(workspace: Workspace, wanted: Mapping[str, Any]) -> None:
    """FullcastError for a folder with the show of another seed or size, whole or begun, and for one with files but no
    show: the show's files have names that a person's may have too, and would replace them."""
    drawn = _read(workspace.data_dir / _DRAWN)
    if drawn is None:
        held = next((p for p in _where_files_lie(workspace) if p.is_file() and not p.name.startswith(".")), None)
        if held is not None:
            told = workspace.relative(held)
            raise FullcastError(f"{workspace.root} holds {told} and no show of a demo; give a new folder for the demo")
    elif {name: drawn.get(name) for name in wanted} != wanted:
        show = "begun show" if drawn.get(_UNFINISHED) else "show"
        raise FullcastError(
            f"{workspace.root} holds the {show} of seed {drawn['seed']}, or another size of it; give another folder"
        )


def _where_files_lie(workspace: Workspace) -> Iterator[Path]:
    """All that a show would be drawn over, and what was made of other files."""
    yield from workspace.root.glob("*.parquet")
    for folder in (*workspace.given_dirs, workspace.data_dir):
        yield from folder.rglob("*")


def _draw_show(
    workspace: Workspace, wanted: Mapping[str, Any], settings: ShowSettings, progress: Progress, say: Say
) -> None:
    """Once per seed and size; the mark is there before the first picture, so that a show that was begun is known."""
    mark = workspace.data_dir / _DRAWN
    if _read(mark) == wanted:
        return
    write_json(mark, {**wanted, _UNFINISHED: True})
    from fullcast.pocket.show import make_show

    say("[0/6] drawing the pocket show")
    make_show(workspace.root, int(wanted["seed"]), settings, progress)
    write_json(mark, wanted)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _pictures(journey: Journey) -> Answer:
    """What a person would try first: two characters by name, then everybody as a grid."""
    from fullcast.journey.making import find_checkpoint

    names = find_checkpoint(journey, "").cast.names
    place = "park"
    first = journey.generate(place, cast=",".join(names[:2]), count=2)
    grid = journey.grid("character=all", "seed=1,2", prompt=place)
    return Answer(f"{first.text}\n{grid.text}", {"generate": first.data, "grid": grid.data})


def _short(text: str, most: int = 14) -> str:
    """The first lines of a verb's answer, indented."""
    lines = text.splitlines()
    more = [f"... {len(lines) - most} more lines"] if len(lines) > most else []
    return "\n".join("      " + line for line in [*lines[:most], *more])
