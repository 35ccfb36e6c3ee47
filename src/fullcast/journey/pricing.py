"""What a plan costs and what its stages are trained with: joins mixture, training's settings and the base model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast.journey.beside_training import PRIOR
from fullcast.recipe import Recipe
from fullcast.records import Drop, Image

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.mixture.cost import StageWork
    from fullcast.mixture.stages import StagePlan
    from fullcast.models.stable_diffusion.work import Work


def priced(journey: Journey, stages: Sequence[StagePlan]) -> dict[str, Any]:
    """Fields of the report: ``prices`` and ``disk``; {} for a base whose work is not known."""
    from fullcast.mixture.cost import disk, prices

    recipe, work = journey.recipe, work_of_base(journey)
    if work is None:
        return {}
    work = as_trained(work, recipe)
    of_stages = zip(stages, recipe.of_stages(), strict=True)
    asked = [_work_of(stage, of, last=stage is stages[-1]) for stage, (_, of) in of_stages]
    training = recipe.training
    kept = training.keep_checkpoints
    needed = disk(asked, work, training.checkpoint_dtype == "float16", kept, training.keep_states)
    return {"prices": prices(asked, work, recipe.cost, needed.total_gb), "disk": needed}


def work_of_base(journey: Journey) -> Work | None:
    """The arithmetic of the recipe's base; None where nobody knows it, or `cost.family` asks for nothing."""
    from fullcast.models.stable_diffusion.work import Work, is_sd1

    family, base = journey.recipe.cost.family, journey.recipe.models.base
    inside = journey.workspace.root / base
    known = base != "pocket" and is_sd1(inside if inside.exists() else Path(base).expanduser())
    return Work() if family == "sd1" or (family == "auto" and known) else None


def as_trained(work: Work, recipe: Recipe) -> Work:
    """The same with what the whole training keeps of each weight, and its teacher."""
    training = recipe.training
    half, eight_bit = training.weights_dtype == "bf16", training.optimizer == "adamw8bit"
    return replace(
        work,
        weight_bytes=2 if half else 4,
        moment_bytes=4 if half else 2 if eight_bit else 8,
        teacher=any(of.training.prior_preservation for _, of in recipe.of_stages()),
    )


def at_once(recipe: Recipe) -> int:
    """Pictures that go through the network together on one card, at most."""
    training = recipe.training
    return -(-recipe.mixture.batch_size // (training.processes * training.gradient_accumulation))


def _work_of(stage: StagePlan, recipe: Recipe, last: bool) -> StageWork:
    """last: the training ends with it, and always with a checkpoint and a round of sample pictures."""
    from fullcast.mixture.cost import StageWork, sizes_of

    training = recipe.training
    end = stage.start + stage.num_steps

    def times(every: int) -> int:
        return end // every - stage.start // every + (last and end % every > 0) if every else 0

    return StageWork(
        *(sizes_of(stage), at_once(recipe), training.gradient_checkpointing),
        text_encoder=training.text_encoder_learning_rate > 0,
        ema=training.ema_decay > 0,
        checkpoints=times(training.checkpoint_every),
        sample_rounds=times(training.sample_every),
        lora=training.lora_rank > 0,
        merged=training.lora_merged,
        taught=_priors(stage) if training.prior_preservation else 0.0,
    )


def _priors(stage: StagePlan) -> float:
    """Share of a stage's visits that show regularization pictures."""
    visits = stage.mixture.stream.counts()
    of_priors = [sample.source == PRIOR for sample in stage.mixture.samples]
    return float(visits[of_priors].sum() / visits.sum())


def trained_with(recipe: Recipe, stage: str, first: Recipe) -> dict[str, Any]:
    """What a person would ask of a stage: size, rates, what is frozen, dropout, grammar, and in what else its captions
    differ from those of the ``first`` stage."""
    training, mixture = recipe.training, recipe.mixture
    words = {k: v for k, v in recipe.captions if v != getattr(first.captions, k) and k not in ("grammars", "stages")}
    grammars = recipe.captions.shares(stage)
    frozen = training.text_encoder_learning_rate == 0
    return {
        "steps": mixture.num_steps,
        "area": f"{mixture.area_px} px ({round(mixture.area_px**0.5)} square)",
        "learning rate": f"{training.learning_rate:g}",
        "text encoder": "frozen" if frozen else f"{training.text_encoder_learning_rate:g}",
        "schedule": f"{training.lr_schedule}, warm-up {training.warmup_steps}",
        "caption dropout": f"{training.caption_dropout_rate:.0%}",
        "grammar": ", ".join(f"{name} {share / sum(grammars.values()):.0%}" for name, share in grammars.items()),
        "weigh_by": mixture.weigh_by,
        **{f"captions.{name}": str(value) for name, value in words.items()},
    }


def empty_captions(recipe: Recipe) -> float:
    """Visits with the empty caption that dropout is expected to give, over all stages."""
    return sum(
        of.training.caption_dropout_rate * of.mixture.num_steps * of.mixture.batch_size for _, of in recipe.of_stages()
    )


def left_out(images: Sequence[Image], drops: Sequence[Drop]) -> dict[str, int]:
    """Pictures and other things that no stage sees, by reason."""
    counts = Counter(f"{drop.reason} ({drop.stage})" for drop in drops)
    listed = {drop.item for drop in drops}
    counts.update(f"{image.dropped} (pictures)" for image in images if image.dropped and image.id not in listed)
    return dict(counts.most_common())
