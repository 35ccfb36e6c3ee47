"""What training says of the pictures of a plan: each stage's captions by its own settings, in one source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fullcast.journey.beside_training import WithHeldOut
from fullcast.ports import CaptionSource
from fullcast.recipe import Recipe
from fullcast.records import Box, Sample

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.journey.planning import Planned


@dataclass(frozen=True)
class StagedCaptions:
    """`ports.CaptionSource` that asks the source of the sample's own stage."""

    sources: tuple[CaptionSource, ...]
    of_sample: Mapping[str, int]

    def caption(self, sample_id: str, visit: int) -> str:
        return self.sources[self.of_sample[sample_id]].caption(sample_id, visit)

    def regions(self, sample_id: str, visit: int) -> Sequence[tuple[Box, str]]:
        return self.sources[self.of_sample[sample_id]].regions(sample_id, visit)


def staged_captions(journey: Journey, planned: Planned) -> CaptionSource:
    """The captions of all stages, each with its own settings and grammar."""
    from fullcast.journey.wording import caption_source

    sources: list[CaptionSource] = []
    of_sample: dict[str, int] = {}
    for number, (own, samples) in enumerate(captioned(journey, planned)):
        sources.append(caption_source(own, planned.prepared.cast, samples))
        of_sample |= {sample.id: number for sample in samples if sample.id not in of_sample}
    trained = sources[0] if len(sources) == 1 else StagedCaptions(tuple(sources), of_sample)
    if not planned.held_out:
        return trained
    apart = caption_source(journey, planned.prepared.cast, planned.held_out)
    return WithHeldOut(trained, apart, frozenset(sample.id for sample in planned.held_out))


def captioned(journey: Journey, planned: Planned) -> list[tuple[Journey, Sequence[Sample]]]:
    """Each stage's samples, and the journey with the settings that its captions are drawn by."""
    of_stages = zip(planned.stages, journey.recipe.of_stages(), strict=True)
    return [(journey.with_recipe(spoken(recipe, name)), stage.mixture.samples) for stage, (name, recipe) in of_stages]


def spoken(recipe: Recipe, stage: str) -> Recipe:
    """A stage's recipe with the grammars that its captions are drawn with: `captions.stages` may give it others."""
    captions = recipe.captions.model_copy(update={"grammars": recipe.captions.shares(stage)})
    return recipe.model_copy(update={"captions": captions})


def caption_changes(journey: Journey, planned: Planned) -> tuple[str, dict[str, float]]:
    """What later stages write otherwise: the same pictures and the same draws, the stage's settings. In words, and the
    share of captions by stage."""
    from fullcast.journey.wording import SURVEYED, caption_source

    of_stages, samples = journey.recipe.of_stages(), planned.mixture.samples
    if len(of_stages) < 2:
        return "", {}
    chosen = samples[:: max(1, -(-len(samples) // SURVEYED))]
    first: list[str] = []
    text, shares = "", {}
    journey.progress.start("captions of stages", len(of_stages))
    for name, recipe in of_stages:
        source = caption_source(journey.with_recipe(spoken(recipe, name)), planned.prepared.cast, chosen)
        captions = [source.caption(sample.id, 0) for sample in chosen]
        journey.progress.advance(1, name)
        if not first:
            first = captions
            continue
        changed = sum(a != b for a, b in zip(first, captions, strict=True))
        shares[name] = changed / len(chosen)
        text += f"captions of stage {name}: {changed} of {len(chosen)} are other words for the same picture\n"
    journey.progress.done()
    return text, shares


def what_is_told(journey: Journey, planned: Planned) -> Iterator[str]:
    """Of each stage, what is said of its samples and who stands where in them: captions, regions and masks."""
    from fullcast.journey.wording import caption_source

    for own, samples in captioned(journey, planned):
        yield caption_source(own, planned.prepared.cast, samples).fingerprint()
        people = "\n".join(f"{s.id} {p.id} {p.xyxy} {p.head_xyxy}" for s in samples for p in s.people)
        yield hashlib.sha256(people.encode()).hexdigest()
