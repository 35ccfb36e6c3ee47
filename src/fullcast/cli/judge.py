"""`fullcast judge` and `fullcast card`: how good it is, and what is told of it."""

from __future__ import annotations

from pathlib import Path

from fullcast.cli.verb import HERE, AsJson, Settings, Where, open_journey, tell


def judge(
    *targets: str,
    checkpoint: str = "",
    pictures: Path | None = None,
    scenes: Path | None = None,
    base: bool = True,
    known_right: bool = False,
    out: Path | None = None,
    workspace: Where = HERE,
    settings: Settings = (),
    json: AsJson = False,
) -> None:
    """Measure how often whole scenes of one to five characters come out right, with intervals.

    fullcast judge: the newest model. fullcast judge A B: B against A, on the same scenes and the same noise.

    Parameters
    ----------
    targets
        Checkpoints (base, latest, a folder) and folders of pictures, compared with the first; several checkpoints of
        one training give its curve.
    checkpoint
        Without targets: which model, as in generate.
    pictures
        Without targets: judge this folder of pictures from anywhere instead; their names begin with their scene's id.
    scenes
        The scene file; scenes for this cast are made by default.
    base
        Judge the model before training beside it.
    known_right
        The pictures are known to be right: measure the judge's own errors on them, and correct later figures by them.
    out
        Folder for judge.html, judge.json, judge.md and the tables; data/judging/page by default.
    """
    answer = open_journey(workspace, settings, json).judge(
        *targets,
        checkpoint=checkpoint,
        pictures=pictures,
        scenes=scenes,
        base=base,
        known_right=known_right,
        out=out,
    )
    tell(answer, json)


def card(*, workspace: Where = HERE, settings: Settings = (), json: AsJson = False) -> None:
    """Write the report page (report.html) and the model card as a person would publish it (card/README.md)."""
    tell(open_journey(workspace, settings, json).card(), json)
