"""Which network plays which part: from the recipe's ``[models]`` to opened doors. Each is opened once per verb."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.models.base import (
    Classifier,
    Embedder,
    PersonDetector,
    QualityScorer,
    Segmenter,
    ShotDetector,
    Tagger,
    TextDetector,
)
from fullcast.models.hub import from_hub, is_address
from fullcast.recipe import Recipe
from fullcast.store.errors import FullcastError
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.generation.painters import Painters
    from fullcast.ingest.measuring import Eyes
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

_YOLO_FILES = (("model.onnx",), ("threshold.json", "model_type.json"))
HUB_FILES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "detector": _YOLO_FILES,
    "judge_detector": _YOLO_FILES,
    "embedder": (("model_feat.onnx",), ("model_metrics.onnx", "metrics.json")),
    "judge_embedder": (("model_feat.onnx",), ("model_metrics.onnx", "metrics.json")),
    "tagger": (("model.onnx", "selected_tags.csv"), ()),
    "text_detector": (("model.onnx",), ()),
    "classifier": (("model.onnx", "meta.json"), ()),
    "aesthetic": (("model.onnx", "meta.json", "samples.npz"), ()),
}
"""What a role needs of a repository's folder, and what it takes if it is there."""

ANIMEFACE, NONE, BOX = "animeface", "none", "box"
"""Words that the recipe knows beside pocket, paths and addresses."""

LOOKS_WITH: Mapping[str, str] = {
    "detector": "model.onnx",
    "judge_detector": "model.onnx",
    "embedder": "model_feat.onnx",
    "judge_embedder": "model_feat.onnx",
    "tagger": "model.onnx",
    "text_detector": "model.onnx",
    "classifier": "model.onnx",
    "aesthetic": "model.onnx",
}
"""The file that a role opens where it is given as a folder."""

MAY_BE_NONE = frozenset({"text_detector", "classifier", "aesthetic"})

MAX_THREADS = 4
"""Small networks gain nothing from more threads on a CPU."""

SMALL_MODEL_BYTES = 500e6
"""A model below it is copied into several processes; SD 1.5 has 2 to 4 GB."""


@dataclass(frozen=True)
class Doors:
    """The networks of a recipe, opened when first asked for."""

    workspace: Workspace
    recipe: Recipe

    def path(self, role: str) -> Path:
        """Where the model of a role is: pocket's own, a path in the workspace, or a path as given.

        Raises FullcastError when there is nothing.
        """
        return self._find(role, getattr(self.recipe.models, role))

    def _files(self, role: str) -> set[str]:
        """What a role looks through, each by its file, or by its word for a package."""
        words = [word.strip() for word in getattr(self.recipe.models, role).split("+")]
        return {word if word == ANIMEFACE else str(self._find(role, word)) for word in words}

    def own_files(self, role: str) -> dict[str, tuple[Path, ...]]:
        """Each network that a role looks through, as the recipe names it, to the files that it is opened from: the
        graph first, then what lies beside it. None for those that come with Fullcast or as a package."""
        needed, optional = HUB_FILES[role]
        given = getattr(self.recipe.models, role)
        found: dict[str, tuple[Path, ...]] = {}
        for word in [word.strip() for word in given.split("+")] if role.endswith("detector") else [given]:
            if word in (POCKET, ANIMEFACE):
                found[word] = ()
                continue
            graph = _graph(self._find(role, word), LOOKS_WITH[role])
            beside = [graph.with_name(name) for name in (*needed, *optional) if name != graph.name]
            found[word] = (graph, *(path for path in beside if path.is_file()))
        return found

    def _find(self, role: str, given: str) -> Path:
        if is_address(given):
            if role not in HUB_FILES:
                raise FullcastError(f"models.{role} is {given!r}; it takes pocket or a local folder, no address")
            files, optional = HUB_FILES[role]
            return from_hub(given, files, optional, download=self.recipe.models.download)
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

    def find_looking(self) -> str:
        """Looks for everything that `prepare` looks with, before it begins; where the networks run: cpu or cuda.

        Raises FullcastError for the first that is not there.
        """
        from fullcast.models.onnx_network import runs_on

        models = self.recipe.models
        for role, name in LOOKS_WITH.items():
            given = getattr(models, role)
            for word in [word.strip() for word in given.split("+")] if role.endswith("detector") else [given]:
                if word == ANIMEFACE:
                    _find_animeface()
                elif word != NONE or role not in MAY_BE_NONE:
                    self._find_graph(role, word, name)
        if self.recipe.people.masks:
            _ = self.segmenter
        return runs_on(self._device)

    def _find_graph(self, role: str, given: str, name: str) -> None:
        path = _graph(self._find(role, given), name)
        if not given or not path.is_file():
            raise FullcastError(f"models.{role} is {getattr(self.recipe.models, role)!r}, and there is no {path}")

    @property
    def threads(self) -> int:
        return self.recipe.threads or max(1, min(MAX_THREADS, (os.cpu_count() or 2) - 1))

    def painters(self, folder: Path) -> Painters:
        """As many processes as the cores allow; one for a large model, where torch does not draw on the CPU, and for a
        model that was taught words, since each process opens the folder itself."""
        from fullcast.generation.painters import Painters

        files = [folder] if folder.is_file() else folder.rglob("*.safetensors")
        small = sum(path.stat().st_size for path in files) < SMALL_MODEL_BYTES
        if not small or self.drawing_device != "cpu" or self.textual_inversions:
            return Painters(folder, 1, self.threads)
        return Painters(folder, max(1, (os.cpu_count() or 1) // self.threads), self.threads, self.drawing_dtype)

    @property
    def textual_inversions(self) -> tuple[Path, ...]:
        """Files of words that the model is taught before it draws. FullcastError for one that is not there."""
        given = self.recipe.generation.textual_inversions
        inside = [(self.workspace.root / name, Path(name).expanduser()) for name in given]
        paths = [own if own.is_file() else other for own, other in inside]
        if missing := next((path for path in paths if not path.is_file()), None):
            raise FullcastError(
                f"generation.textual_inversions: there is no file {missing}; put it there, or leave it out"
            )
        return tuple(paths)

    def use_threads(self) -> None:
        """Tells torch how many threads it may use on a CPU; for the whole process, so only verbs call it."""
        import torch

        torch.set_num_threads(self.threads)

    @property
    def drawing_device(self) -> str:
        """Where pictures are drawn: `generation.device`, or where all else runs. FullcastError if it is not there."""
        from fullcast.models.torch_device import torch_device

        given = self.recipe.generation.device
        return self.torch_device if given == "auto" else str(torch_device(given))

    @property
    def drawing_dtype(self) -> str:
        """In which the model draws there: `generation.dtype`."""
        from fullcast.models.torch_device import drawing_dtype

        return drawing_dtype(self.recipe.generation.dtype, self.drawing_device)

    @property
    def torch_device(self) -> str:
        """cpu, cuda or mps. FullcastError if it is not there."""
        import torch

        from fullcast.models.torch_device import torch_device

        if self.recipe.device != "auto":
            return str(torch_device(self.recipe.device))
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

        return WdTagger(
            _graph(self.path("tagger"), "model.onnx"),
            threshold=self.recipe.captions.tag_threshold,
            character_threshold=None,
            threads=self.threads,
            device=self._device,
        )

    def look(self, cast: Cast) -> CastLook:
        """The judge's eyes: its own detector and embedder over a cast that its embedder has seen. As for `scorer`, the
        detector gives all that `judging.min_confidence` lets count: made figures are fainter than drawn ones."""
        from fullcast.recognition.look import CastLook

        return CastLook(self._judging_eyes, self.judge_embedder, cast)

    def scorer(self, cast: Cast) -> CastLook:
        """Who picks the best of several pictures and says what is to be repaired: the networks that labelled, over a
        cast that the labelling embedder has seen. Never the judge's."""
        from fullcast.recognition.look import CastLook

        return CastLook(self._scoring_eyes, self.embedder, cast)

    @cached_property
    def _judging_eyes(self) -> PersonDetector:
        return self._detector("judge_detector", self.recipe.judging.min_confidence)

    @cached_property
    def _scoring_eyes(self) -> PersonDetector:
        return self._detector("detector", self.recipe.judging.min_confidence)

    @property
    def judge_is_apart(self) -> str:
        """For report and card: how far labelling, picking (best-of-k, repair) and judging are kept apart."""
        same = [
            name
            for name, one, other in (
                ("detector", self._files("detector"), self._files("judge_detector")),
                ("embedder", self._files("embedder"), self._files("judge_embedder")),
            )
            if one & other
        ]
        picked = "Best-of-k and repair look with the networks that labelled, never with the judge's."
        if not same:
            return f"The networks that judge are not those that labelled. {picked}"
        return f"The {' and the '.join(same)} that judges is the one that labelled: its errors are in both. {picked}"

    @cached_property
    def text_detector(self) -> TextDetector | None:
        """None: the recipe names none."""
        if self.recipe.models.text_detector == NONE:
            return None
        from fullcast.models.text import PaddleTextDetector

        return PaddleTextDetector(self.path("text_detector"), threads=self.threads, device=self._device)

    @cached_property
    def classifier(self) -> Classifier | None:
        """None: the recipe names none."""
        if self.recipe.models.classifier == NONE:
            return None
        from fullcast.models.classify import AnimeClassifier

        return AnimeClassifier(self.path("classifier"), threads=self.threads, device=self._device)

    @cached_property
    def aesthetic(self) -> QualityScorer | None:
        """None: the recipe names none."""
        if self.recipe.models.aesthetic == NONE:
            return None
        from fullcast.models.classify import AestheticScorer

        return AestheticScorer(self.path("aesthetic"), threads=self.threads, device=self._device)

    @property
    def eyes(self) -> Eyes:
        """What the filters look with."""
        from fullcast.ingest.measuring import Eyes

        return Eyes(self.text_detector, self.classifier, self.aesthetic)

    @property
    def shot_detector(self) -> ShotDetector:
        """The recipe's; a spawned worker may be handed it."""
        from fullcast.models.shots import Cuts, TransNetCuts

        wanted = self.recipe.models.shots
        if wanted == "transnetv2" or (wanted == "auto" and TransNetCuts.installed()):
            return TransNetCuts()
        return Cuts()

    @cached_property
    def segmenter(self) -> Segmenter:
        from fullcast.models.segment import BoxSegmenter, GraphCutSegmenter

        known: Mapping[str, Callable[[], Segmenter]] = {POCKET: GraphCutSegmenter, BOX: BoxSegmenter}
        given = self.recipe.models.segmenter
        if given not in known:
            raise FullcastError(f"models.segmenter is {given!r}; accepted are pocket and box")
        return known[given]()

    def _detector(self, role: str, confidence: float | None = None) -> PersonDetector:
        """`confidence`: from which it gives a box; None: as it labels."""
        from fullcast.recognition.detect import JointDetector

        given = [word.strip() for word in getattr(self.recipe.models, role).split("+")]
        detectors = [self._one_detector(role, word, confidence) for word in given]
        return detectors[0] if len(detectors) == 1 else JointDetector(detectors)

    def _one_detector(self, role: str, given: str, confidence: float | None) -> PersonDetector:
        from fullcast.models.yolo import YoloDetector

        if given == ANIMEFACE:
            from fullcast.models.animeface import AnimeFaceDetector

            return AnimeFaceDetector()
        path, people = _graph(self._find(role, given), "model.onnx"), self.recipe.people
        # What a person sets for labelling must not move the judge; what nobody set is left to the network's card.
        own_iou = people.iou if people.iou != type(people).model_fields["iou"].default else None
        labels, iou = (people.confidence, own_iou) if role == "detector" else (None, None)
        confidence = labels if confidence is None else confidence
        return YoloDetector(path, confidence, iou, threads=self.threads, device=self._device)

    def _embedder(self, role: str) -> Embedder:
        from fullcast.models.ccip import CcipEmbedder

        return CcipEmbedder(_graph(self.path(role), "model_feat.onnx"), threads=self.threads, device=self._device)

    @property
    def _device(self) -> str:
        return self.recipe.device if self.recipe.device in ("auto", "cpu", "cuda") else "cpu"


def _find_animeface() -> None:
    import importlib.util

    if importlib.util.find_spec("animeface") is None:
        raise FullcastError("the package animeface is not installed; pip install 'fullcast[animeface]'")


def _graph(path: Path, name: str) -> Path:
    """The ONNX file of a model that is given as a file or as its folder."""
    return path / name if path.is_dir() else path
