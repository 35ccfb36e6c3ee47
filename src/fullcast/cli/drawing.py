"""`fullcast generate`, `inpaint` and `grid`: pictures."""

from __future__ import annotations

from pathlib import Path

from fullcast.cli.verb import HERE, AsJson, Settings, Where, open_journey, tell


def generate(
    prompt: str = "",
    /,
    *,
    cast: str = "",
    scenes: Path | None = None,
    count: int = 1,
    best_of: int = 1,
    repairs: int = 0,
    seed: int | None = None,
    checkpoint: str = "",
    out: Path | None = None,
    workspace: Where = HERE,
    settings: Settings = (),
    json: AsJson = False,
) -> None:
    """Draw pictures: fullcast generate "3 people, park" --cast aoi,hinata,mio

    Parameters
    ----------
    prompt
        Words for the whole picture; who is in it says --cast.
    cast
        Names of the cast from left to right, with commas; a form after a slash, a cell (0 to 4 from left and top)
        after an at sign: "aoi/hairdown@1:2,hinata@3:2".
    scenes
        A TOML file of [[scene]] tables, or a JSONL file, instead of a prompt and --cast.
    count
        Pictures per scene.
    best_of
        Draw so many for each picture and give the one with the fewest faults, as the networks see it that named the
        people in the episodes; all of them lie in candidates/.
    repairs
        Wrong people of a picture that are drawn anew at most, where as many are there as were asked for; what is not
        better is not kept.
    seed
        Of each scene's first picture; the same seed gives the same picture. By default the scene's own, where the file
        says one, else generation.seed.
    checkpoint
        Folder of a checkpoint, "base" for the model before training, or "latest" of the workspace, the default.
    out
        Folder for the pictures; one of the workspace by default. What is there of another recipe stays.
    """
    answer = open_journey(workspace, settings, json).generate(
        prompt,
        cast=cast,
        scenes=scenes,
        count=count,
        best_of=best_of,
        repairs=repairs,
        seed=seed,
        checkpoint=checkpoint,
        out=out,
    )
    tell(answer, json)


def inpaint(
    picture: Path,
    /,
    *,
    box: str = "",
    mask: Path | None = None,
    prompt: str = "",
    cast: str = "",
    strength: float = 0.75,
    seed: int | None = None,
    checkpoint: str = "",
    out: Path | None = None,
    workspace: Where = HERE,
    settings: Settings = (),
    json: AsJson = False,
) -> None:
    """Draw a part of a picture anew; every pixel outside the mask stays as it is, bit for bit.

    Parameters
    ----------
    picture
        A picture, of Fullcast's or of any origin.
    box
        What to draw anew: x0,y0,x1,y1 in pixels.
    mask
        Or a picture of the same size that is white there; black and clear parts stay.
    prompt
        Words for the part; with --cast the names come first.
    cast
        Who should be there, as in generate.
    strength
        More than 0, at most 1: near 0 keeps the part, 1 forgets it.
    seed
        Another seed draws another answer; generation.seed by default.
    checkpoint
        As in generate.
    out
        PNG to write; beside the picture by default, as NAME-inpainted-ID.png.
    """
    answer = open_journey(workspace, settings, json).inpaint(
        picture,
        box=box,
        mask=mask,
        prompt=prompt,
        cast=cast,
        strength=strength,
        seed=seed,
        checkpoint=checkpoint,
        out=out,
    )
    tell(answer, json)


def grid(
    x: str,
    y: str,
    /,
    *,
    prompt: str = "park",
    cast: str = "",
    seed: int | None = None,
    checkpoint: str = "",
    out: Path | None = None,
    workspace: Where = HERE,
    settings: Settings = (),
    json: AsJson = False,
) -> None:
    """Draw a labelled grid: fullcast grid character=aoi,hinata,mio seed=1,2,3

    Parameters
    ----------
    x
        Columns: an axis and its values, one of character, seed, checkpoint, prompt (parted by |), cfg
        (guidance_scale), steps (num_inference_steps).
    y
        Rows, in the same way. "character=all" takes everybody.
    prompt
        For the whole picture, where no axis says it.
    cast
        Who is in the pictures, where no axis says it.
    seed
        The seed, where no axis says it; generation.seed by default.
    checkpoint
        As in generate.
    out
        PNG to write, the single pictures in a folder of the same name; in the workspace by default.
    """
    answer = open_journey(workspace, settings, json).grid(
        x, y, prompt=prompt, cast=cast, seed=seed, checkpoint=checkpoint, out=out
    )
    tell(answer, json)
