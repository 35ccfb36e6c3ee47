"""A workspace: the one folder that holds a show, what was made of it, and what was learnt. Only this file knows where.

::

    fullcast.toml       the recipe: what a person edits
    workspace.json      format version; what makes the folder a workspace
    episodes/           videos                                    given
    references/         aoi/*.png, aoi/hairdown/*.png             given
    fanart/             pictures with tags files                  given
    regularization/     pictures of other people                  given
    opt-out.txt         artists, addresses, pictures not to use   given
    data/frames/        kept frames and their tables, one folder per video
    data/measures/      what pictures are like (colour, detail, text), one table per partition
    data/people/        people, one table per partition
    data/crops/         crops as pictures of their own, one folder per partition
    data/tags/          words, one table per partition
    data/show/          tables over the whole show: images, duplicates, people, samples, cast.json
    data/plan/          the mixture and the order of training
    data/runs/          trainings and their checkpoints
    data/pictures/      what was generated
    data/judging/       verdicts
    review.jsonl        what people decided; append-only
    review.html         what to look at
    gold/               pictures that a person labelled, to measure by
    report.html         the report
    card/               the model card, README.md, as it would be published

Only POSIX paths relative to the workspace are stored, so that it can be moved, also to a folder with a space or
Japanese letters in its path.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fullcast.store.atomic import write_json
from fullcast.store.errors import FullcastError

FORMAT_VERSION = 1

Migration = Callable[["Workspace", dict[str, Any]], dict[str, Any]]
MIGRATIONS: dict[int, Migration] = {}
"""From version n to n + 1, by n: each changes the folder and returns the new content of workspace.json."""

_MARKER = "workspace.json"


@dataclass(frozen=True, slots=True)
class Workspace:
    """Paths of a workspace; `create` and `open` are the two ways to one."""

    root: Path
    """Absolute."""

    @classmethod
    def create(cls, path: Path, *, show: str = "") -> Workspace:
        """Make the folders for what a person gives. An existing workspace is opened; other files are left alone."""
        root = Path(os.path.abspath(path))
        if root.exists() and not root.is_dir():
            raise FullcastError(f"{path} is a file; a workspace is a folder: give the path of a new or empty folder")
        workspace = cls(root)
        if workspace._marker.exists():
            return cls.open(path)
        try:
            for folder in workspace.given_dirs:
                folder.mkdir(parents=True, exist_ok=True)
            write_json(workspace._marker, {"format_version": FORMAT_VERSION, "show": show or root.name})
        except OSError as error:
            raise FullcastError(
                f"no workspace can be made at {path} ({error.strerror or error}); give a folder that you may write to"
            ) from None
        return workspace

    @classmethod
    def is_at(cls, path: Path) -> bool:
        """Whether a workspace, of any version and state, is there."""
        return cls(Path(os.path.abspath(path)))._marker.is_file()

    @classmethod
    def open(cls, path: Path) -> Workspace:
        """The workspace at `path`, brought to the present format if it is older."""
        workspace = cls(Path(os.path.abspath(path)))
        content = workspace._read_marker(path)
        version = content["format_version"]
        while version < FORMAT_VERSION:
            content = MIGRATIONS[version](workspace, content)
            version += 1
            write_json(workspace._marker, content | {"format_version": version})
        return workspace

    def _read_marker(self, given: Path) -> dict[str, Any]:
        try:
            content = json.loads(self._marker.read_text(encoding="utf-8"))
            version = int(content["format_version"])
        except (FileNotFoundError, NotADirectoryError):
            raise FullcastError(
                f"{given if given.name else 'this folder'} is not a Fullcast workspace (it has no {_MARKER}); "
                f"give one with -w, or make one with: fullcast new {given}"
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise FullcastError(f"{self._marker} is damaged ({error}); restore it or make a new workspace") from None
        if version > FORMAT_VERSION:
            raise FullcastError(
                f"{given} has workspace format {version}; this Fullcast knows formats up to {FORMAT_VERSION}: update it"
            )
        return content | {"format_version": version}

    @property
    def show(self) -> str:
        """The show's name, as given when the workspace was made."""
        return str(json.loads(self._marker.read_text(encoding="utf-8")).get("show", self.root.name))

    # --- what a person gives
    @property
    def recipe_path(self) -> Path:
        return self.root / "fullcast.toml"

    @property
    def episodes_dir(self) -> Path:
        return self.root / "episodes"

    @property
    def references_dir(self) -> Path:
        return self.root / "references"

    @property
    def fanart_dir(self) -> Path:
        return self.root / "fanart"

    @property
    def regularization_dir(self) -> Path:
        return self.root / "regularization"

    @property
    def given_dirs(self) -> tuple[Path, ...]:
        return self.episodes_dir, self.references_dir, self.fanart_dir, self.regularization_dir

    # --- what Fullcast makes of it
    @property
    def data_dir(self) -> Path:
        return self.root / "data"

    @property
    def frames_dir(self) -> Path:
        return self.data_dir / "frames"

    @property
    def measures_dir(self) -> Path:
        return self.data_dir / "measures"

    @property
    def people_dir(self) -> Path:
        return self.data_dir / "people"

    @property
    def crops_dir(self) -> Path:
        return self.data_dir / "crops"

    @property
    def masks_dir(self) -> Path:
        return self.data_dir / "masks"

    @property
    def composites_dir(self) -> Path:
        return self.data_dir / "composites"

    @property
    def tags_dir(self) -> Path:
        return self.data_dir / "tags"

    @property
    def show_dir(self) -> Path:
        """Tables of whole-show stages (images, duplicates, people, samples) and cast.json."""
        return self.data_dir / "show"

    @property
    def plan_dir(self) -> Path:
        return self.data_dir / "plan"

    @property
    def runs_dir(self) -> Path:
        return self.data_dir / "runs"

    @property
    def pictures_dir(self) -> Path:
        return self.data_dir / "pictures"

    @property
    def judging_dir(self) -> Path:
        return self.data_dir / "judging"

    # --- what people decide: given, not made, and so at the top
    @property
    def opt_out_path(self) -> Path:
        """Whose pictures must not be used; see ingest/filters.py for what may stand in it."""
        return self.root / "opt-out.txt"

    @property
    def review_log(self) -> Path:
        return self.root / "review.jsonl"

    @property
    def review_page(self) -> Path:
        return self.root / "review.html"

    @property
    def gold_dir(self) -> Path:
        return self.root / "gold"

    # --- what people look at
    @property
    def report_path(self) -> Path:
        return self.root / "report.html"

    @property
    def card_dir(self) -> Path:
        return self.root / "card"

    @property
    def card_path(self) -> Path:
        return self.card_dir / "README.md"

    @property
    def _marker(self) -> Path:
        return self.root / _MARKER

    # --- paths as they are stored
    def relative(self, path: Path) -> str:
        """`path` as it may be stored: POSIX, relative to the workspace.

        Links are not followed (an episode may be a link to another disk). Raises for paths outside the workspace.
        """
        absolute = Path(os.path.abspath(path))
        for candidate, root in ((absolute, self.root), (absolute.resolve(), self.root.resolve())):
            if candidate.is_relative_to(root):
                return candidate.relative_to(root).as_posix()
        raise FullcastError(f"{path} is outside the workspace {self.root}; move or link it into the workspace first")

    def absolute(self, stored: str) -> Path:
        """Where a stored path is now. Raises for what leaves the workspace."""
        path = PurePosixPath(stored)
        leaves = not stored or path.is_absolute() or ".." in path.parts or "\\" in stored or ":" in path.parts[0]
        if leaves:
            raise FullcastError(
                f"{stored!r} is not a path inside the workspace: give a relative one with forward slashes"
            )
        return self.root.joinpath(*path.parts)
