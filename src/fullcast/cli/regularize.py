"""`fullcast regularize`: pictures that keep what the base knows, drawn by the base."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fullcast.cli.words import pairs

Where = Annotated[Path, Parameter(name=["--workspace", "-w"], help="The workspace; the present folder by default.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as JSON, for machines.")]
Settings = Annotated[
    tuple[str, ...],
    Parameter(name="--set", negative="", help="A setting of fullcast.toml: --set generation.guidance-scale=5."),
]
_HERE = Path()


def regularize(
    *,
    count: int = 200,
    captions: Path | None = None,
    seed: int = 0,
    checkpoint: str = "",
    workspace: Where = _HERE,
    settings: Settings = (),
    json: AsJson = False,
) -> None:
    """Draw regularization pictures with the base model, with their captions beside them, in regularization/made.

    Run it after prepare, and prepare again to take them in. A picture in which somebody of the cast is recognised is
    left out and listed.

    Parameters
    ----------
    count
        How many; run again with more, and only those are drawn.
    captions
        A text file with a caption on each line; the show's own captions without names by default.
    seed
        Another seed draws other captions and other pictures.
    checkpoint
        As in generate; the model before training by default.
    """
    from fullcast.cli import _print
    from fullcast.cli.bars import Bars
    from fullcast.journey import Journey
    from fullcast.journey.regularizing import regularize as run

    journey = Journey.open(workspace, pairs(settings), progress=Bars())
    _print(run(journey, count, captions, seed, checkpoint), json)
