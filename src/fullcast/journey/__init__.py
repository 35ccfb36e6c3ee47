"""The whole way of a show, from episodes to a card: joins the rooms, which do not know each other.

`Journey` is one workspace with its recipe; its methods are the verbs of the command line. Each verb resumes where it
stopped and returns an `Answer`: a few lines for people and the same as data.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fullcast.journey.answers import Answer
from fullcast.ports import Progress, Say, silent
from fullcast.recipe import Recipe, commented_toml, find_preset, make_recipe, read_recipe, settings, value_text
from fullcast.store.atomic import write_text
from fullcast.store.errors import FullcastError
from fullcast.store.workspace import Workspace

__all__ = ["Answer", "Journey", "list_settings", "new_workspace"]


@dataclass(frozen=True)
class Journey:
    """A workspace, its recipe, and where to say how far it is. Rooms are imported when their verb is called."""

    workspace: Workspace
    recipe: Recipe
    progress: Progress = silent
    say: Say = lambda line: None

    @classmethod
    def open(
        cls,
        folder: Path | str,
        overrides: Mapping[str, Any] | None = None,
        *,
        progress: Progress = silent,
        say: Say = lambda line: None,
    ) -> Journey:
        """The workspace in `folder` with its fullcast.toml, `overrides` ({"training.learning-rate": "1e-5"}) on top."""
        workspace = Workspace.open(Path(folder))
        recipe = read_recipe(workspace.recipe_path, overrides)
        recipe = recipe.model_copy(update={"show": recipe.show or workspace.show})
        return cls(workspace, recipe, progress, say)

    def with_recipe(self, recipe: Recipe) -> Journey:
        return replace(self, recipe=recipe)

    def prepare(self) -> Answer:
        """Episodes, fan art, references -> people, names, words: the samples."""
        from fullcast.journey.preparing import prepare

        return prepare(self)

    def plan(self) -> Answer:
        """Samples -> what will be seen how often."""
        from fullcast.journey.planning import plan

        return plan(self)

    def train(self, minutes: float | None = None) -> Answer:
        """The plan -> a checkpoint; goes on where it stopped."""
        from fullcast.journey.planning import train

        return train(self, minutes)

    def generate(
        self,
        prompt: str = "",
        *,
        cast: str = "",
        scenes: Path | None = None,
        count: int = 1,
        seed: int | None = None,
        checkpoint: str = "",
        out: Path | None = None,
        best_of: int = 1,
        repairs: int = 0,
    ) -> Answer:
        """Scenes -> pictures; `cast` is "aoi,hinata/hairdown@1:2" as on the command line."""
        from fullcast.journey.making import generate

        return generate(self, prompt, cast, scenes, count, seed, checkpoint, out, best_of, repairs)

    def inpaint(
        self,
        picture: Path,
        *,
        box: str = "",
        mask: Path | None = None,
        prompt: str = "",
        cast: str = "",
        strength: float = 0.75,
        seed: int | None = None,
        checkpoint: str = "",
        out: Path | None = None,
    ) -> Answer:
        """A picture with a part drawn anew; pixels outside the mask stay bit-identical."""
        from fullcast.journey.making import inpaint

        return inpaint(self, picture, box, mask, prompt, cast, strength, seed, checkpoint, out)

    def grid(
        self,
        x: str,
        y: str,
        *,
        prompt: str = "park",
        cast: str = "",
        seed: int | None = None,
        checkpoint: str = "",
        out: Path | None = None,
    ) -> Answer:
        """A labelled grid; `x` and `y` are axes with their values: "character=aoi,hinata" or "seed=1,2,3"."""
        from fullcast.journey.making import grid

        return grid(self, x, y, prompt, cast, seed, checkpoint, out)

    def judge(
        self,
        *targets: str,
        checkpoint: str = "",
        pictures: Path | None = None,
        scenes: Path | None = None,
        base: bool = True,
        known_right: bool = False,
        out: Path | None = None,
    ) -> Answer:
        """How often whole scenes come out right, by number of people; `targets` are compared with the first of them."""
        from fullcast.generation.out import folder_to_write
        from fullcast.journey.proving import Order, judge

        if out is not None:
            folder_to_write(out)
        return judge(self, Order(targets, checkpoint, pictures, scenes, base, known_right, out))

    def card(self) -> Answer:
        """report.html and card/README.md."""
        from fullcast.journey.proving import card

        return card(self)

    def export(
        self,
        what: str,
        out: Path,
        *,
        checkpoint: str = "",
        max_repeats: float | None = None,
        stage: str = "",
        half: bool = False,
        training_metadata: bool = False,
    ) -> Answer:
        """The dataset, a checkpoint or a LoRA, for other tools."""
        from fullcast.generation.out import folder_to_write
        from fullcast.journey.exporting import export
        from fullcast.journey.exporting_models import MODELS, export_model

        folder_to_write(out.parent, out)
        if what in MODELS:
            return export_model(self, what, out, checkpoint, half, training_metadata)
        return export(self, what, out, checkpoint, max_repeats, stage)

    def pack(self, out: Path, *, results: bool = False, with_base: bool = False) -> Answer:
        """The training in one file for another machine, or what it made there."""
        from fullcast.generation.out import folder_to_write
        from fullcast.journey.packing import pack

        if results and with_base:
            raise FullcastError("--with-base was given beside --results, which holds no base; give one or the other")
        folder_to_write(out.parent, out)
        return pack(self, out, results, with_base)

    def import_dataset(
        self, what: str, folder: Path, *, name: str = "", source: str = "fanart", skip_pickles: bool = False
    ) -> Answer:
        """A dataset of another tool as records."""
        from fullcast.journey.importing import import_dataset

        return import_dataset(self, what, folder, name=name, source=source, skip_pickles=skip_pickles)


def new_workspace(folder: Path | str, show: str = "", recipe: str = "") -> Answer:
    """A workspace with a commented fullcast.toml, or with a recipe that comes with Fullcast, given by its name; an
    existing one is left as it is, and FullcastError where another show or recipe was asked of it."""
    preset = find_preset(recipe).read_text(encoding="utf-8") if recipe else ""
    existing = Workspace.is_at(Path(folder))
    if existing and (show or recipe):
        raise FullcastError(
            f"{folder} exists; its fullcast.toml was left as it is: change show and recipe there, or give a new folder"
        )
    workspace = Workspace.create(Path(folder), show=show)
    kept = existing and workspace.recipe_path.exists()
    if not workspace.recipe_path.exists():
        title = "Every setting with its default. Take the # from before a line to change it."
        write_text(workspace.recipe_path, preset or commented_toml(Recipe(show=show), title))
    elif recipe:
        raise FullcastError(
            f"{workspace.recipe_path} was there and was left as it is; move it away to begin with {recipe}"
        )
    state = "exists; its fullcast.toml was left as it is" if kept else "is ready"
    data = {"workspace": str(workspace.root), "recipe": str(workspace.recipe_path)}
    if preset and make_recipe(tomllib.loads(preset)).inventory:
        told = f"{workspace.root} is ready. Its recipe says what pictures to plan with."
        return Answer(f"{told}\nThen: fullcast plan -w {folder}", data)
    lines = [
        f"{workspace.root} {state}. Put in it:",
        "  references/NAME/       3 to 10 pictures of each character; other looks in references/NAME/LOOK/",
        "  episodes/              videos",
        "  fanart/                pictures of the cast, with tags files beside them if there are any",
        "  regularization/        pictures of other people, so that the model keeps what it knows",
        f"Then: fullcast prepare -w {folder}",
    ]
    return Answer("\n".join(lines), data)


def list_settings(section: str = "") -> Answer:
    """Name, default and meaning of the settings whose name begins with `section`; FullcastError where none does."""
    wanted, known = section.replace("-", "_"), list(settings())
    found = [row for row in known if row[0].startswith(wanted)]
    if not found:
        sections = sorted({name.rpartition(".")[0] for name, _, _ in known} - {""})
        near = difflib.get_close_matches(wanted, [*sections, *(name for name, _, _ in known)], n=3)
        hint = f"near it are: {', '.join(near)}" if near else f"sections are: {', '.join(sections)}"
        raise FullcastError(f"no setting begins with {section!r}; {hint}")
    rows = [{"name": name, "default": default, "meaning": meaning} for name, default, meaning in found]
    text = "\n".join(f"{name} = {value_text(default)}\n    {meaning}" for name, default, meaning in found)
    return Answer(text, {"settings": rows})
