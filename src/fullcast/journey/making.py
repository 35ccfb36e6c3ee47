"""Generate, inpaint, grid: what a person asks for, in the words of the command line, to pictures."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fullcast.journey.answers import Answer
from fullcast.journey.doors import Doors
from fullcast.journey.runs import latest_checkpoint
from fullcast.recognition.scenes import read_scenes
from fullcast.records import Box, Cast, Picture, Scene
from fullcast.store.errors import FullcastError
from fullcast.store.tables import to_plain
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    import numpy as np

    from fullcast.generation.config import GenerationConfig
    from fullcast.journey import Journey
    from fullcast.journey.choosing import Chosen
    from fullcast.models.stable_diffusion.family import StableDiffusion

BASE = "base"
"""What `--checkpoint` calls the model before training."""

LATEST = "latest"
"""What it calls the newest model of the workspace, which is also meant where none is named."""


@dataclass(frozen=True)
class Checkpoint:
    """A model (a folder, or a base in one file), the cast that it knows, and its name in records: a path in the
    workspace where it lies in it."""

    folder: Path
    cast: Cast
    name: str


def find_checkpoint(journey: Journey, given: str, *, lora_alone: bool = False) -> Checkpoint:
    """'' or ``latest`` is the newest of the workspace, ``base`` the model before training, else a folder in it or as
    given.

    lora_alone: one that holds its LoRA and no model (training.lora_merged = false) will do. FullcastError for what is
    none of these.
    """
    from fullcast.recognition.castfile import read_cast

    workspace = journey.workspace
    if given == BASE:
        folder = Doors(workspace, journey.recipe).path("base")
    elif given and given != LATEST:
        inside = workspace.root / given
        folder = inside if inside.is_dir() else Path(given).expanduser()
    else:
        folder = latest_checkpoint(workspace)
    _check_what_it_holds(folder, given, lora_alone)
    own = folder / "cast.json"
    cast = read_cast(own if own.is_file() else workspace.show_dir / "cast.json")
    return Checkpoint(folder, cast, BASE if given == BASE else _name(workspace, folder))


def _check_what_it_holds(folder: Path, given: str, lora_alone: bool) -> None:
    from fullcast.models.stable_diffusion.folder import KOHYA_FILE

    if (folder / "model_index.json").is_file() or (given == BASE and folder.is_file()):
        return
    if not (folder / KOHYA_FILE).is_file():
        raise FullcastError(f"--checkpoint {given}: {folder} is no model folder; give a checkpoint's folder or base")
    if not lora_alone:
        raise FullcastError(
            f"{folder} holds its LoRA alone (training.lora_merged = false), and this wants a whole model: write one "
            f"with fullcast export checkpoint FOLDER --checkpoint {given or folder}, and give it: --checkpoint FOLDER"
        )


def open_model(journey: Journey, folder: Path) -> StableDiffusion:
    """The model of a folder, on the device that draws, with the words of `generation.textual_inversions`."""
    from fullcast.models.stable_diffusion.family import StableDiffusion

    doors = Doors(journey.workspace, journey.recipe)
    doors.use_threads()
    model = StableDiffusion.load(folder)
    for path in doors.textual_inversions:
        from fullcast.models.stable_diffusion.textual_inversion import add_word, read_textual_inversion

        add_word(model.pipeline, read_textual_inversion(path))
    model.for_drawing(doors.drawing_device, doors.drawing_dtype)
    return model


def generation_config(journey: Journey, **given: Any) -> GenerationConfig:
    """The room's settings with what a verb was given on top; None: not given."""
    return journey.recipe.generation.changed(**{name: value for name, value in given.items() if value is not None})


def generate(
    journey: Journey,
    prompt: str,
    cast: str,
    scenes: Path | None,
    count: int,
    seed: int | None,
    checkpoint: str,
    out: Path | None,
    best_of: int = 1,
    repairs: int = 0,
) -> Answer:
    """Pictures of a prompt or of a scene file; what is there already is not drawn again, and what is there of other
    words, settings or models is not replaced. `seed` None: each scene's own, else the settings'.

    best_of: so many are drawn for each that is asked for, and the one with the fewest faults is given; repairs: wrong
    figures of a picture that are drawn anew at most.
    """
    from fullcast.generation.generate import generate as draw
    from fullcast.generation.out import folder_to_write
    from fullcast.journey.choosing import CANDIDATES, choose

    if scenes is not None and (prompt or cast):
        raise FullcastError("a prompt or --cast was given beside --scenes, which holds both; give one or the other")
    if count < 1 or best_of < 1 or repairs < 0:
        raise FullcastError(
            f"--count {count} --best-of {best_of} --repairs {repairs}: ask for at least one picture, the best of at "
            "least one, and no fewer than 0 repairs"
        )
    chosen = find_checkpoint(journey, checkpoint)
    asked = [scene_of(prompt, cast, chosen.cast)] if scenes is None else read_scenes(scenes, chosen.cast)
    if seed is not None:
        asked = [replace(scene, seed=-1) for scene in asked]
    choosing = best_of > 1 or repairs > 0
    folder = folder_to_write(out or journey.workspace.pictures_dir / "generated")
    config, model = generation_config(journey, seed=seed), open_model(journey, chosen.folder)
    pictures = draw(
        model,
        asked,
        chosen.cast,
        config,
        folder / CANDIDATES if choosing else folder,
        num_pictures=count * best_of,
        checkpoint=chosen.name,
        progress=journey.progress,
        painters=Doors(journey.workspace, journey.recipe).painters(chosen.folder),
        keep_others=True,
    )
    if choosing:
        return _chosen(
            choose(journey, model, chosen, pictures, folder / CANDIDATES, folder, config, best_of, repairs), folder
        )
    return _drawn(pictures, folder)


def scene_of(prompt: str, cast: str, known: Cast) -> Scene:
    """A prompt and names as the command line has them; the scene's id comes from its words, so no two fall together."""
    from fullcast.generation.prompt import scene_from_prompt

    if not prompt and not cast:
        raise FullcastError('nothing was asked for; give a prompt, as in: generate "2 people, park" --cast aoi,mio')
    digest = hashlib.sha256(f"{prompt}\x1f{cast}".encode()).hexdigest()[:6]
    words = re.sub(r"[^a-z0-9]+", "-", f"{cast} {prompt}".lower()).strip("-")[:40].strip("-")
    return scene_from_prompt(prompt, split_names(cast), known, scene_id=f"{words or 'scene'}-{digest}")


def split_names(cast: str) -> list[str]:
    return [name.strip() for name in cast.split(",") if name.strip()]


def inpaint(
    journey: Journey,
    picture: Path,
    box: str,
    mask: Path | None,
    prompt: str,
    cast: str,
    strength: float,
    seed: int | None,
    checkpoint: str,
    out: Path | None,
) -> Answer:
    """A part of a picture drawn anew; beside the picture as ``NAME-inpainted-ID.png`` unless `out` says where."""
    from fullcast.generation.inpaint import check_strength
    from fullcast.generation.inpaint import inpaint as draw
    from fullcast.generation.out import file_to_write

    where = _mask(picture, box, mask)
    if not prompt and not cast:
        raise FullcastError('say what should be there: --prompt "red scarf", or names with --cast aoi')
    check_strength(strength)
    out = None if out is None else file_to_write(out, kept=[picture, mask] if mask else [picture])
    chosen, config = find_checkpoint(journey, checkpoint), generation_config(journey, seed=seed)
    wanted = scene_of(prompt, cast, chosen.cast)
    drawn = draw(
        open_model(journey, chosen.folder),
        picture,
        where,
        wanted,
        chosen.cast,
        config,
        out,
        seed=config.seed,
        strength=strength,
        checkpoint=chosen.name,
    )
    target = out or picture.with_name(drawn.path)
    return Answer(f"{target}", {"path": str(target), "picture": to_plain(drawn)})


def _mask(picture: Path, box: str, mask: Path | None) -> np.ndarray:
    """(H, W) bool of what is to be drawn anew. FullcastError for both or neither, and for what does not fit."""
    from fullcast.generation.inpaint import box_mask, checked_mask, mask_from_picture
    from fullcast.store.pictures import read_picture

    if (mask is None) == (not box):
        raise FullcastError("say what to draw anew: --box x0,y0,x1,y1 in pixels, or --mask PICTURE, white there")
    image = read_picture(picture)
    if mask is not None:
        return checked_mask(mask_from_picture(mask), image, picture)
    return box_mask(parse_box(box), image.shape[1], image.shape[0])


def parse_box(text: str) -> Box:
    """ "10,20,60,90" as xyxy in pixels."""
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError:
        x0 = y0 = x1 = y1 = math.nan
    if not all(math.isfinite(value) for value in (x0, y0, x1, y1)):
        raise FullcastError(f"--box {text}: give x0,y0,x1,y1 in pixels, as in 10,20,60,90")
    return x0, y0, x1, y1


def grid(
    journey: Journey, x: str, y: str, prompt: str, cast: str, seed: int | None, checkpoint: str, out: Path | None
) -> Answer:
    """A labelled grid as one PNG, its pictures in the folder beside it."""
    from fullcast.generation.grid import Axis
    from fullcast.generation.grid import grid as draw
    from fullcast.generation.out import file_to_write

    chosen = find_checkpoint(journey, checkpoint)
    x, y = (_newest_named(journey, axis) for axis in (x, y))
    axes = [Axis.parse(_whole_cast(axis, chosen.cast)) for axis in (x, y)]
    folders = {chosen.name: chosen.folder}
    for axis in (axis for axis in axes if axis.kind == "checkpoint"):
        folders |= {value: find_checkpoint(journey, value).folder for value in axis.values}
    scene, config = replace(scene_of(prompt, cast, chosen.cast), id="grid"), generation_config(journey, seed=seed)
    told = config.model_dump_json(exclude=None if config.textual_inversions else {"textual_inversions"})
    asked = "\x1f".join((x, y, prompt, cast, told, chosen.name))  # grids of before keep their names
    name = f"{axes[0].kind}-{axes[1].kind}-{hashlib.sha256(asked.encode()).hexdigest()[:8]}.png"
    target = file_to_write(out or journey.workspace.pictures_dir / "grids" / name, folder_beside=True)
    pictures = draw(
        lambda name: open_model(journey, folders[name]),
        scene,
        chosen.cast,
        config,
        axes[0],
        axes[1],
        target,
        checkpoint=chosen.name,
        progress=journey.progress,
    )
    return Answer(str(target), {"path": str(target), "pictures": [to_plain(picture) for picture in pictures]})


def _newest_named(journey: Journey, axis: str) -> str:
    """``checkpoint=base,latest`` with the newest by its name: tomorrow ``latest`` is another."""
    kind, _, told = axis.partition("=")
    values = [value.strip() for value in told.split(",")]
    if kind.strip() != "checkpoint" or LATEST not in values:
        return axis
    newest = find_checkpoint(journey, LATEST).name
    return f"checkpoint={','.join(newest if value == LATEST else value for value in values)}"


def _whole_cast(axis: str, cast: Cast) -> str:
    """``character=all`` spelt out, forms included."""
    kind, _, value = axis.partition("=")
    if value.strip() != "all" or kind.strip() != "character":
        return axis
    everybody = [f"{c.name}/{form.name}" if form.name else c.name for c in cast.characters for form in c.forms]
    return f"character={','.join(everybody)}"


def _name(workspace: Workspace, folder: Path) -> str:
    try:
        return workspace.relative(folder)
    except FullcastError:
        return folder.name  # no absolute path is stored


def _chosen(chosen: Sequence[Chosen], folder: Path) -> Answer:
    """Each picture with what is wrong with it, as far as the networks that labelled can tell."""
    from fullcast.judging.verdict import FAILURES

    lines, rows = [], []
    for one in chosen:
        path = str(folder / one.picture.path)
        faults = "; ".join(FAILURES[fault] for fault in one.failures) or "as asked"  # type: ignore[index]
        told = [f"best of {one.num_candidates}"] * (one.num_candidates > 1)
        told += [f"{one.num_mended} drawn anew"] * (one.num_mended > 0)
        lines.append(f"{path}: {faults}" + (f" ({', '.join(told)})" if told else ""))
        facts = {"failures": list(one.failures), "best_of": one.num_candidates, "num_mended": one.num_mended}
        rows.append(to_plain(one.picture) | {"path": path} | facts)
    right = sum(not one.failures for one in chosen)
    lines.append(f"{right} of {len(chosen)} as asked, say the networks that labelled; fullcast judge asks others")
    return Answer("\n".join(lines), {"pictures": rows})


def _drawn(pictures: list[Picture], folder: Path) -> Answer:
    paths = [str(folder / picture.path) for picture in pictures]
    rows = [to_plain(picture) | {"path": path} for picture, path in zip(pictures, paths, strict=True)]
    return Answer("\n".join(paths), {"pictures": rows})
