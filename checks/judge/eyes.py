"""The judge of a cast that is drawn on the spot, and one that compares colour histograms in its place."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from checks.framework import Context
from checks.judge.drawings import World, world_of
from fullcast.audit.baselines import histogram
from fullcast.journey.doors import WEIGHTS_DIR
from fullcast.judging.cache import Sights, question_key
from fullcast.judging.config import JudgingConfig
from fullcast.judging.judge import Entry, judge
from fullcast.judging.rows import Row
from fullcast.models.base import Detection, PersonDetector
from fullcast.models.ccip import CcipEmbedder
from fullcast.models.yolo import YoloDetector
from fullcast.pocket.cast import make_cast
from fullcast.pocket.stills import write_references
from fullcast.recognition.castfile import read_cast, write_cast
from fullcast.recognition.look import CastLook
from fullcast.recognition.references import build_cast
from fullcast.records import Cast, Scene


class Remembering:
    """A detector that looks at no picture twice: both judges see through it."""

    def __init__(self, detector: PersonDetector) -> None:
        self.detector, self.name = detector, detector.name
        self._seen: dict[str, list[Detection]] = {}

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        keys = [hashlib.sha256(image.tobytes() + str(image.shape).encode()).hexdigest() for image in images]
        fresh = {key: image for key, image in zip(keys, images, strict=True) if key not in self._seen}
        if fresh:
            self._seen.update(zip(fresh, self.detector.detect(list(fresh.values())), strict=True))
        return [self._seen[key] for key in keys]


@dataclass
class Histograms:
    """`models.base.Embedder`: 8x8x8 colours of the crop, the simplest judge that could work."""

    name: str = "histogram:8x8x8@0"
    dim: int = 512
    threshold: float = 0.75
    pair_threshold: float = 0.75
    crop_scale: float = 1.0

    def embed(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([histogram(crop) for crop in crops]).astype(np.float32)


@dataclass(frozen=True)
class Judge:
    """One judge of one cast."""

    cast: Cast
    look: CastLook
    kept: Path | None = None
    looked: list[int] = field(default_factory=list)

    def rows(self, pictures: Sequence[tuple[Scene, Path]]) -> list[Row]:
        sights = Sights(self.kept, question_key(self.look.name, self.cast))
        entries = [Entry(path.name, path, scene) for scene, path in pictures]
        judged = judge(entries, self.look, self.cast, sights=sights)
        self.looked.append(judged.num_looked)
        return list(judged.rows)


def networks() -> tuple[Remembering, CcipEmbedder]:
    """The pocket judge's: its detector is the one that labels, its embedder is its own."""
    embedder = CcipEmbedder(WEIGHTS_DIR / "pocket-judge-embedder.onnx", threads=1, device="cpu")
    return Remembering(_detector(JudgingConfig().min_confidence)), embedder


def _detector(confidence: float | None) -> YoloDetector:
    return YoloDetector(WEIGHTS_DIR / "pocket-detector.onnx", confidence, None, threads=1, device="cpu")


def judges_of(context: Context, seed: int, style: str, per_count: int) -> tuple[Path, World, Judge, Judge]:
    """(folder, world, our judge, the histogram judge) of the show of a seed; drawn references are kept."""
    folder = context.work_dir / "judge" / f"{style}-{seed}"
    show = make_cast(seed, style)
    if not (folder / "references" / show.members[-1].name).exists():
        context.say(f"drawing the references of seed {seed} in {style}")
        write_references(show, seed, folder / "references")
    detector, embedder = networks()
    drawn = Remembering(_detector(None))
    cast = _cast(folder / "cast.json", folder / "references", drawn, embedder)
    colors = Histograms()
    plain = _cast(folder / "cast-histograms.json", folder / "references", drawn, colors)
    world = world_of(seed, show, cast, per_count)
    return (
        folder,
        world,
        Judge(cast, CastLook(detector, embedder, cast), folder / "seen"),
        Judge(plain, CastLook(detector, colors, plain)),
    )


def _cast(path: Path, references: Path, detector: Remembering, embedder: CcipEmbedder | Histograms) -> Cast:
    """As `prepare` builds the judge's; built again when the network changed."""
    if path.exists():
        known = read_cast(path)
        if known.embedder == embedder.name:
            return known
    cast = build_cast(references, embedder, detector, "", strict=True, drawn=True).cast
    write_cast(path, cast)
    return cast
