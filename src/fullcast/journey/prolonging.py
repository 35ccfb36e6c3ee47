"""A plan that begins with the stages of a training that is there: it goes on from that training's newest state.

A stage added at the end changes nothing of the steps before it, so the state that was reached is, bit for bit, the one
that the longer plan would have reached there. Where that does not hold (a schedule over all steps, a part that only a
later stage trains), nothing is taken over, and that is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fullcast.journey.doors import Doors
from fullcast.journey.planning import Planned, make_plan, run_dir_of, training_config
from fullcast.journey.runs import newest_checkpoints

if TYPE_CHECKING:
    from pathlib import Path

    from fullcast.journey import Journey
    from fullcast.training.config import TrainingConfig


def go_on_from_shorter(journey: Journey, planned: Planned, run_dir: Path) -> str:
    """Takes the newest state of the run with the most stages in common into `run_dir`, which has none yet; what is said
    of it, also where it cannot be taken over; "" where no such run was trained here."""
    if not newest_checkpoints(journey.workspace):
        return ""
    for count in range(len(journey.recipe.stages) - 1, 0, -1):
        shorter = journey.with_recipe(journey.recipe.model_copy(update={"stages": journey.recipe.stages[:count]}))
        if told := _taken_over(journey, planned, run_dir, shorter):
            return told
    return ""


def _taken_over(journey: Journey, planned: Planned, run_dir: Path, shorter: Journey) -> str:
    from fullcast.models.stable_diffusion.family import StableDiffusion
    from fullcast.training.checkpoint import adopt
    from fullcast.training.kept import latest_resumable
    from fullcast.training.run import fingerprint_of

    former = make_plan(shorter)
    newest = latest_resumable(run_dir_of(shorter, former))
    if newest is None:
        return ""
    config, before = training_config(journey.recipe), training_config(shorter.recipe)
    path = journey.workspace.relative(newest)
    if reason := _not_the_same(before, config):
        return f"{path} was trained with the first stages of this plan, but {reason}: nothing of it is taken over"
    model = StableDiffusion.load(Doors(journey.workspace, journey.recipe).path("base"))
    step = adopt(
        newest, fingerprint_of(former.stream, before, model), fingerprint_of(planned.stream, config, model), run_dir
    )
    return f"goes on at step {step} from {path}, which was trained with the first stages of this plan"


def _not_the_same(before: TrainingConfig, config: TrainingConfig) -> str:
    """Why the longer training would not have been where the shorter one is; "" where it would."""
    if any(c.lr_schedule != "constant" for c in (config, *(config.at(change.from_step) for change in config.changes))):
        return "its rates fall over all steps (lr_schedule), and would have been others"
    for rate in ("learning_rate", "text_encoder_learning_rate"):
        if (before.highest(rate) > 0) != (config.highest(rate) > 0):
            return f"{rate} was 0 in all of them, and what only a later stage trains has no state"
    return ""
