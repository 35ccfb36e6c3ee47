"""What a training is given beside its stream: masks and priors, shots held out, a judge, prompts, a live line."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fullcast.journey.doors import Doors
from fullcast.ports import Batch, CaptionSource, Visit
from fullcast.records import UNKNOWN, Box, Cast, Image, Placement, Sample, Scene
from fullcast.store.errors import FullcastError
from fullcast.store.seeding import key, rng

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.journey.planning import Planned
    from fullcast.journey.preparing import Prepared
    from fullcast.training.kept import TrainState
    from fullcast.training.loop import Beside

PRIOR = "regularization"


def beside_training(journey: Journey, planned: Planned, run_dir: Path, files: Mapping[str, Path]) -> Beside:
    """All of it, as the recipe asks."""
    from fullcast.journey.exporting_models import about
    from fullcast.training.loop import Beside

    prepared, training = planned.prepared, journey.recipe.training
    return Beside(
        preview=sample_pictures(journey, prepared),
        judge=CharacterJudge.of(journey, prepared, run_dir / "judged") if training.judge_every else None,
        hints=SampleHints.of((*planned.samples, *planned.held_out)),
        held_out=batches_of(planned.held_out, journey.recipe.mixture.batch_size, planned),
        same=same_pixels(planned.samples),
        files={name: path for name, path in files.items() if path.exists()},
        about=about(journey, prepared.cast),
        tell=LiveLine.of(journey, planned),
    )


def same_pixels(samples: Iterable[Sample]) -> dict[str, str]:
    """Of samples that show the same part of the same file (in stages that differ in captions) all but the first: id to
    the first one's."""
    first: dict[tuple[str, Box], str] = {}
    found = ((sample.id, first.setdefault((sample.path, sample.crop), sample.id)) for sample in samples)
    return {sample_id: other for sample_id, other in found if sample_id != other}


# Masks and priors


@dataclass(frozen=True)
class SampleHints:
    """`ports.Hints` from the samples: people's boxes are the mask, regularization pictures are priors."""

    samples: Mapping[str, Sample]

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> SampleHints:
        return cls({sample.id: sample for sample in samples})

    def mask(self, sample_id: str, width: int, height: int) -> np.ndarray | None:
        """1 inside the boxes of the sample's people, 0 outside; None where nobody is."""
        sample = self.samples[sample_id]
        if not sample.people:
            return None
        mask = np.zeros((height, width), dtype=np.float32)
        for person in sample.people:
            x0, y0, x1, y1 = person.xyxy
            left, right = (round(x / sample.width * width) for x in (x0, x1))
            top, bottom = (round(y / sample.height * height) for y in (y0, y1))
            mask[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = 1
        return mask

    def is_prior(self, sample_id: str) -> bool:
        return self.samples[sample_id].source == PRIOR


# Shots held out


def hold_out(prepared: Prepared, share: float, seed: int) -> tuple[Prepared, tuple[Image, ...]]:
    """The show without a share of its shots, and the pictures of those; a picture without a shot is one of its own, and
    a crop goes with its original.

    Which shots: by (seed, shot), so that another episode changes nothing for the shots that were there.
    """
    if not share:
        return prepared, ()
    held = tuple(
        image
        for image in prepared.images
        if image.source != PRIOR and rng(seed, "held out", image.shot_id or image.parent or image.id).random() < share
    )
    out = {image.id for image in held}
    return replace(prepared, images=tuple(image for image in prepared.images if image.id not in out)), held


def batches_of(samples: Sequence[Sample], batch_size: int, planned: Planned) -> tuple[Batch, ...]:
    """Every sample of the held-out shots by size, at most `batch_size` each; first captions."""
    from fullcast.mixture.samples import bucket_indices

    if not samples:
        return ()
    buckets, places = bucket_indices(samples, planned.mixture.config)
    by_size: dict[tuple[int, int], list[Visit]] = defaultdict(list)
    for sample, place in zip(samples, places.tolist(), strict=True):
        by_size[buckets[place].width, buckets[place].height].append(Visit(sample.id, 0))
    return tuple(
        Batch(0, width, height, tuple(visits[i : i + batch_size]))
        for (width, height), visits in sorted(by_size.items())
        for i in range(0, len(visits), batch_size)
    )


@dataclass(frozen=True)
class WithHeldOut:
    """`ports.CaptionSource` that knows the samples that are held out too."""

    trained: CaptionSource
    held_out: CaptionSource
    ids: frozenset[str]

    def caption(self, sample_id: str, visit: int) -> str:
        return self._of(sample_id).caption(sample_id, visit)

    def regions(self, sample_id: str, visit: int) -> Sequence[tuple[Box, str]]:
        return self._of(sample_id).regions(sample_id, visit)

    def _of(self, sample_id: str) -> CaptionSource:
        return self.held_out if sample_id in self.ids else self.trained


# The judge


@dataclass(frozen=True)
class CharacterJudge:
    """`ports.StepJudge`: each character alone, and whole scenes if `judging.scenes_while_training` asks for some; the
    same scenes and seeds every time, seen by the judge's networks. Rows stay in ``out_dir/step-N/verdicts.parquet``.

    Scenes and noise are not those on which `fullcast judge` judges afterwards: the checkpoint that was kept because it
    is best on some would look better on the same ones than it is."""

    journey: Journey
    cast: Cast
    """As the judge's embedder knows it."""
    settings: tuple[str, ...]
    """The show's places; characters alone stand in the first one."""
    out_dir: Path

    @classmethod
    def of(cls, journey: Journey, prepared: Prepared, out_dir: Path) -> CharacterJudge:
        """FullcastError where the judge could not look: told now, and not at each judgement."""
        from fullcast.journey.asking import check_judge

        return cls(journey, check_judge(journey), prepared.settings or ("",), out_dir)

    def __call__(self, pipeline: Any, step: int) -> dict[str, float]:
        """By character the share of its pictures in which exactly it is found; under "" that of all pictures."""
        from fullcast.generation.generate import generate
        from fullcast.judging.benchmark import seed_of
        from fullcast.judging.judge import Entry, judge
        from fullcast.models.stable_diffusion.family import StableDiffusion

        recipe, name = self.journey.recipe, f"step-{step:06d}"
        folder, alone = self.out_dir / name, self._alone()
        scenes = [*alone, *self._several()]
        seeds = [*range(len(alone)), *(seed_of(scene, self._seed) for scene in scenes[len(alone) :])]
        model = StableDiffusion.of(pipeline)
        drawn = generate(
            *(model, [scene.without_places() for scene in scenes], self.cast, recipe.generation, folder),
            seeds=seeds,
            checkpoint=name,
            checkpoint_sha256=name,
        )
        entries = [Entry(p.id, folder / p.path, scene, p.seed) for p, scene in zip(drawn, scenes, strict=True)]
        look = Doors(self.journey.workspace, recipe).look(self.cast)
        judged = judge(entries, look, self.cast, recipe.judging, series=name, checkpoint=name, step=step)
        judged.write(folder / "verdicts.parquet")
        right = {v.scene_id: v.success for v in judged.verdicts}
        count = recipe.training.judge_pictures
        told: dict[str, float] = {"": round(sum(right.values()) / max(1, len(right)), 4)}
        for n, character in enumerate(self.cast.names):
            own = [right.get(scene.id, False) for scene in alone[n * count : (n + 1) * count]]
            told[character] = round(sum(own) / count, 4)
        return told

    def _alone(self) -> list[Scene]:
        return [
            Scene(f"{name}-{n}".replace("/", "-"), self.settings[0], (Placement(name),))
            for name in self.cast.names
            for n in range(self.journey.recipe.training.judge_pictures)
        ]

    def _several(self) -> list[Scene]:
        from fullcast.judging.benchmark import make_scenes

        config = self.journey.recipe.judging
        most = min(config.max_people, len(self.cast.names))
        if not config.scenes_while_training or most < 2:
            return []
        made = make_scenes(self.cast, config.scenes_while_training, self._seed, self.settings, most)
        return [scene for scene in made if scene.num_people > 1]

    @property
    def _seed(self) -> int:
        return key(self.journey.recipe.judging.seed, "while training")


# Sample pictures


def sample_pictures(journey: Journey, prepared: Prepared) -> Any:
    """`ports.Preview`: what `training.sample_prompts` asks for, else three scenes of one, two and three characters."""
    from fullcast.generation.preview import ScenePreview

    cast, given = prepared.cast, journey.recipe.training.sample_prompts
    if given:
        prompts = PromptFile(journey.workspace.root / given, cast, journey)
        prompts.scenes()  # what is wrong with it is said before the first step
        return prompts
    words = next(iter(prepared.settings), "")
    groups = [cast.names[: n + 1] for n in range(min(3, len(cast.names)))]
    scenes = [
        Scene(f"{len(group)}-people", words, tuple(Placement(name) for name in group)) for group in groups if group
    ]
    return ScenePreview(tuple(scenes), cast, journey.recipe.generation) if scenes else None


@dataclass(frozen=True)
class PromptFile:
    """`ports.Preview` over a file that is read anew each time: it may be changed while the training runs."""

    path: Path
    cast: Cast
    journey: Journey

    def __call__(self, pipeline: Any, step: int, out_dir: Path) -> None:
        from fullcast.generation.preview import ScenePreview

        ScenePreview(tuple(self.scenes()), self.cast, self.journey.recipe.generation)(pipeline, step, out_dir)

    def scenes(self) -> list[Scene]:
        """[[scene]] tables of a TOML file, or one prompt a line; lines that begin with # are left out."""
        from fullcast.recognition.scenes import read_scenes

        if not self.path.is_file():
            raise FullcastError(f"training.sample_prompts: there is no file {self.path}")
        if self.path.suffix == ".toml":
            return read_scenes(self.path, self.cast)
        lines = [line.strip() for line in self.path.read_text(encoding="utf-8").splitlines()]
        prompts = [line for line in lines if line and not line.startswith("#")]
        return [Scene(f"prompt-{n:02d}", prompt) for n, prompt in enumerate(prompts, 1)]


# The live line


@dataclass(frozen=True)
class LiveLine:
    """Cost so far, and how far the shares delivered to the characters are from the plan's."""

    shown: Mapping[str, frozenset[str]]
    """Sample to the characters in it."""
    planned: Mapping[str, float]
    """Character to its share of all visits in the plan."""
    dollars_per_hour: float

    @classmethod
    def of(cls, journey: Journey, planned: Planned) -> LiveLine:
        shown = {
            sample.id: frozenset(p.character for p in sample.people if p.character not in ("", UNKNOWN))
            for sample in planned.samples
        }
        visits: Counter[str] = Counter()
        for stage in planned.stages:
            stream = stage.mixture.stream
            visits.update(dict(zip(stream.sample_ids, stream.counts().tolist(), strict=True)))
        return cls(shown, _shares(shown, visits), journey.recipe.training.dollars_per_hour)

    def __call__(self, state: TrainState) -> str:
        """ "$0.42, delivered aoi 31 % (plan 30 %)": the character furthest from its plan."""
        told = [f"${state.wall_seconds / 3600 * self.dollars_per_hour:.2f}"] if self.dollars_per_hour else []
        delivered = _shares(self.shown, state.ledger)
        if delivered:
            name = max(self.planned, key=lambda n: (abs(delivered.get(n, 0) - self.planned[n]), n))
            told.append(f"delivered {name} {delivered.get(name, 0):.1%} (plan {self.planned[name]:.1%})")
        return ", ".join(told)


def _shares(shown: Mapping[str, frozenset[str]], visits: Mapping[str, int]) -> dict[str, float]:
    """Share of visits that show each character."""
    total, by_name = sum(visits.values()), Counter[str]()
    for sample_id, count in visits.items():
        for name in shown.get(sample_id, ()):
            by_name[name] += count
    return {name: count / total for name, count in by_name.items()} if total else {}
