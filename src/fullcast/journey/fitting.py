"""Settings that are the pocket model's and were left at it for another base, or another show: said in the plan;
training with sizes and rates that nobody chose is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fullcast.journey.doors import POCKET, Doors
from fullcast.store.errors import FullcastError

if TYPE_CHECKING:
    from fullcast.journey import Journey

LARGE_PX = 256
"""Bases made for pictures of this side and more are nobody's pocket model."""


def unchosen(journey: Journey) -> list[str]:
    """A sentence for each setting that only fits the pocket model, that the recipe does not name, and that decides what
    comes out of another base; [] for a small base."""
    recipe, side = journey.recipe, _side_of_large(journey)
    if side is None:
        return []
    found, chosen = [], recipe.mixture.model_fields_set
    trained = round(recipe.mixture.area_px**0.5)
    if "area_px" not in chosen and not _in_every_stage(journey, "mixture", "area_px"):
        found.append(
            f"the base was made for pictures of about {side}x{side} and would be trained at {trained}x{trained}, which "
            f"is the pocket model's: set mixture.area_px = {side * side} and mixture.bucket_step_px = 64"
        )
    rate = "learning_rate" in recipe.training.model_fields_set or _in_every_stage(journey, "training", "learning_rate")
    if not rate and not recipe.training.lora_rank:
        found.append(
            f"all of the base would be trained at the rate {recipe.training.learning_rate:g}, which is the pocket "
            "model's and ruins a large one: set training.learning_rate (1e-6 to 5e-6 for SD 1.5), or a LoRA's "
            "training.lora_rank"
        )
    return found


def _side_of_large(journey: Journey) -> int | None:
    """Pixels that the base was made for, where it is neither the pocket model nor trained from it."""
    from fullcast.models.stable_diffusion.work import side_px

    if journey.recipe.models.base == POCKET:
        return None
    side = side_px(Doors(journey.workspace, journey.recipe).path("base"))
    return side if side is not None and side >= LARGE_PX else None


def _in_every_stage(journey: Journey, room: str, name: str) -> bool:
    stages = journey.recipe.stages
    return bool(stages) and all(name in getattr(stage, room) for stage in stages)


def check_chosen(journey: Journey) -> None:
    """Raises FullcastError with what `unchosen` finds."""
    if found := unchosen(journey):
        raise FullcastError("; ".join(found) + " (`fullcast new NAME --recipe sd15` begins with fitting ones)")


def pocket_eyes(journey: Journey) -> list[str]:
    """Networks of the pocket show that look at another show: they know nobody who is drawn otherwise. A show with
    a large base is taken to be one."""
    models = journey.recipe.models
    if _side_of_large(journey) is None:
        return []
    roles = ("detector", "embedder", "tagger", "judge_detector", "judge_embedder")
    left = [role for role in roles if getattr(models, role) == POCKET]
    if not left:
        return []
    return [
        f"{', '.join(f'models.{role}' for role in left)}: pocket networks know the drawings of the pocket show alone; "
        "for a show of your own see docs/your-show.md"
    ]
