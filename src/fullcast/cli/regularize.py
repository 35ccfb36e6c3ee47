"""`fullcast regularize`: pictures that keep what the base knows, drawn by the base."""

from __future__ import annotations

from pathlib import Path

from fullcast.cli.verb import HERE, AsJson, Settings, Where, open_journey, tell


def regularize(
    *,
    count: int = 200,
    captions: Path | None = None,
    seed: int = 0,
    checkpoint: str = "",
    workspace: Where = HERE,
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
    from fullcast.journey.regularizing import regularize as run

    journey = open_journey(workspace, settings, json)
    tell(run(journey, count, captions, seed, checkpoint), json)
