"""Which network plays which part: from the recipe's ``[models]`` to opened doors. Each is opened once per verb."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.models.base import Embedder, PersonDetector, Tagger
from fullcast.recipe import Recipe
from fullcast.store.errors import FullcastError
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.recognition.look import CastLook
    from fullcast.records import Cast

POCKET = "pocket"

WEIGHTS_DIR = Path(__file__).parents[1] / "pocket" / "weights"
POCKET_FILES: Mapping[str, str] = {
    "detector": "pocket-detector.onnx",
    "judge_detector": "pocket-judge-detector.onnx",
    "embedder": "pocket-embedder.onnx",
    "judge_embedder": "pocket-judge-embedder.onnx",
    "tagger": "pocket-tagger/model.onnx",
    "base": "pocket-base",
}
"""Where the models that ship with Fullcast lie below `WEIGHTS_DIR`."""

MAX_THREADS = 4
"""Small networks gain nothing from more threads on a CPU."""


@dataclass(frozen=True)
class Doors:
    """The networks of a recipe, opened when first asked for."""

    workspace: Workspace
    recipe: Recipe

    def path(self, role: str) -> Path:
        """Where the model of a role is: pocket's own, a path in the workspace, or a path as given.

        Raises FullcastError when there is nothing.
        """
        given = getattr(self.recipe.models, role)
        if given == POCKET:
            path = WEIGHTS_DIR / POCKET_FILES[role]
            if role == "judge_detector" and not path.exists():  # one detector ships; the report says so
                path = WEIGHTS_DIR / POCKET_FILES["detector"]
            missing = f"the pocket {role.replace('_', ' ')} is not in this installation; install Fullcast again"
        else:
            inside = self.workspace.root / given
            path = inside if inside.exists() else Path(given).expanduser()
            missing = f"models.{role} is {given!r}, and there is no such file or folder; give pocket or a path"
        if not path.exists():
            raise FullcastError(f"{missing} (looked for {path})")
        return path

    @property
    def threads(self) -> int:
        return self.recipe.threads or max(1, min(MAX_THREADS, (os.cpu_count() or 2) - 1))

    def use_threads(self) -> None:
        """Tells torch how many threads it may use on a CPU; for the whole process, so only verbs call it."""
        import torch

        torch.set_num_threads(self.threads)

    @property
    def torch_device(self) -> str:
        """cpu, cuda or mps."""
        import torch

        if self.recipe.device != "auto":
            return self.recipe.device
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"

    @cached_property
    def detector(self) -> PersonDetector:
        return self._detector("detector")

    @cached_property
    def judge_detector(self) -> PersonDetector:
        return self._detector("judge_detector")

    @cached_property
    def embedder(self) -> Embedder:
        return self._embedder("embedder")

    @cached_property
    def judge_embedder(self) -> Embedder:
        return self._embedder("judge_embedder")

    @cached_property
    def tagger(self) -> Tagger:
        from fullcast.models.wd_tagger import WdTagger

        path = _graph(self.path("tagger"), "model.onnx")
        return WdTagger(path, threads=self.threads, device=self._device)

    def look(self, cast: Cast) -> CastLook:
        """The judge's eyes: its own detector and embedder over a cast that its embedder has seen."""
        from fullcast.recognition.look import CastLook

        return CastLook(self.judge_detector, self.judge_embedder, cast)

    @property
    def judge_is_apart(self) -> str:
        """One sentence for report and card: how far labelling and judging are kept apart."""
        same = [
            name
            for name, one, other in (
                ("detector", self.path("detector"), self.path("judge_detector")),
                ("embedder", self.path("embedder"), self.path("judge_embedder")),
            )
            if one == other
        ]
        if not same:
            return "The networks that judge are not those that labelled."
        return f"The {' and the '.join(same)} that judges is the one that labelled: its errors are in both."

    def _detector(self, role: str) -> PersonDetector:
        from fullcast.models.yolo import YoloDetector

        path, people = _graph(self.path(role), "model.onnx"), self.recipe.people
        # what a person sets for labelling must not move the judge
        confidence, iou = (people.confidence, people.iou) if role == "detector" else (None, 0.5)
        return YoloDetector(path, confidence, iou, threads=self.threads, device=self._device)

    def _embedder(self, role: str) -> Embedder:
        from fullcast.models.ccip import CcipEmbedder

        return CcipEmbedder(_graph(self.path(role), "model_feat.onnx"), threads=self.threads, device=self._device)

    @property
    def _device(self) -> str:
        return self.recipe.device if self.recipe.device in ("auto", "cpu", "cuda") else "cpu"


def _graph(path: Path, name: str) -> Path:
    """The ONNX file of a model that is given as a file or as its folder."""
    return path / name if path.is_dir() else path
