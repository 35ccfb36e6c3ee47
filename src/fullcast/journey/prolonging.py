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
from fullcast.store.locks import locked
from fullcast.training.kept import LOCK, latest_resumable, read_state, resumable

if TYPE_CHECKING:
    from pathlib import Path

    from fullcast.journey import Journey
    from fullcast.training.config import TrainingConfig


def go_on_from_shorter(journey: Journey, planned: Planned, run_dir: Path) -> str:
    """Makes the run with the most stages in common over again in `run_dir`, which has no state yet; what is said of it,
    also where it cannot be taken over; "" where no such run was trained here."""
    stages = journey.recipe.stages
    if not stages or not newest_checkpoints(journey.workspace):
        return ""
    for count in range(len(stages) - 1, 0, -1):
        shorter = journey.with_recipe(journey.recipe.model_copy(update={"stages": stages[:count]}))
        if told := _taken_over(journey, planned, run_dir, shorter):
            return told
    if len(stages) > 1:
        return ""
    plain = journey.with_recipe(journey.recipe.model_copy(update={"stages": ()}))
    newest = latest_resumable(run_dir_of(plain, make_plan(plain)))
    if newest is None or newest.parents[1] == run_dir:
        return ""
    return (
        f"{journey.workspace.relative(newest)} was trained without stages, and nothing of it is taken over; to prolong "
        'it, write it as the first stage above the one at the end: [[stages]] with name = "first"'
    )


def _taken_over(journey: Journey, planned: Planned, run_dir: Path, shorter: Journey) -> str:
    from fullcast.models.stable_diffusion.family import StableDiffusion
    from fullcast.training.checkpoint import NotTakenOver, adopt
    from fullcast.training.run import fingerprint_of

    former = make_plan(shorter)
    source = run_dir_of(shorter, former)
    if not resumable(source):
        return ""
    config, before = training_config(journey.recipe), training_config(shorter.recipe)
    path = journey.workspace.relative(source)
    refused = f"{path} was trained with the first stages of this plan, but {{}}: nothing of it is taken over"
    if reason := _not_the_same(before, config):
        return refused.format(reason)
    model = StableDiffusion.load(Doors(journey.workspace, journey.recipe).path("base"))
    theirs, own = fingerprint_of(former.stream, before, model), fingerprint_of(planned.stream, config, model)
    busy = "{} is being trained by another process; wait for it or end it"
    with (
        locked(journey.workspace.runs_dir / ".taking-over", "", timeout_s=-1),
        locked(source / LOCK, busy.format(path)),
    ):
        with locked(run_dir / LOCK, busy.format(journey.workspace.relative(run_dir))):
            pass  # nobody trains in it; not held, since the folder is replaced
        if (newest := latest_resumable(run_dir)) is not None:  # another process was faster
            return f"goes on at step {read_state(newest).step}"
        try:
            step = adopt(source, theirs, own, run_dir)
        except NotTakenOver as error:
            return refused.format(error)
    return f"goes on at step {step} from {path}, which was trained with the first stages of this plan"


def _not_the_same(before: TrainingConfig, config: TrainingConfig) -> str:
    """Why the longer training would not have been where the shorter one is; "" where it would."""
    if any(c.lr_schedule != "constant" for c in (config, *(config.at(change.from_step) for change in config.changes))):
        return "its rates fall over all steps (lr_schedule), and would have been others"
    for rate in ("learning_rate", "text_encoder_learning_rate"):
        if (before.highest(rate) > 0) != (config.highest(rate) > 0):
            return f"{rate} was 0 in all of them, and what only a later stage trains has no state"
    return ""
