"""The command line: one short function per verb. Only this module prints and exits.

Any setting of fullcast.toml can be given with a verb, as ``--training.learning-rate 1e-5``; ``fullcast settings``
lists them all. A wrong input is answered by one sentence on stderr and exit code 2.
"""

from __future__ import annotations

import json as json_format
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from fullcast import __version__
from fullcast.cli.bars import Bars
from fullcast.cli.bench import bench
from fullcast.cli.cast import cast as cast_app
from fullcast.cli.judge import card, judge
from fullcast.cli.regularize import regularize
from fullcast.cli.review import review
from fullcast.cli.words import missing_extra, pairs, spell_settings
from fullcast.store.errors import FullcastError

if TYPE_CHECKING:
    from fullcast.journey import Answer, Journey

BAD_INPUT = 2
"""Exit code for what the user gave and can change; a fault of Fullcast's own shows a traceback and exits with 1."""

app = App(
    name="fullcast",
    version=__version__,
    help="Turns a show into an image model that knows its whole cast, and proves it with numbers.\n\n"
    "The way: new -> (put files in) -> prepare -> plan -> train -> generate -> judge -> card. "
    "`fullcast demo` walks it on a small drawn show.",
    help_epilogue="Any setting of fullcast.toml can be given with a verb: --training.learning-rate 1e-5. "
    "`fullcast settings` lists them.",
)
pocket = App(
    name="pocket", sort_key=12, help="The pocket show: an animated show with known truth, drawn on this machine."
)
audits = App(
    name="audit",
    sort_key=2,
    help="Say how right the labels are, with intervals: against a table of true people (fullcast audit TABLE), or by a "
    "sample that you label (fullcast audit sample, then fullcast audit gold).",
)
app.command(audits)
app.command(pocket)
app.command(review)
app.command(cast_app)
app.command(regularize, sort_key=2)
app.command(bench)
app.command(judge, sort_key=8)
app.command(card, sort_key=9)

Where = Annotated[Path, Parameter(name=["--workspace", "-w"], help="The workspace; the present folder by default.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as JSON, for machines.")]

Settings = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set",
        negative="",
        help="A setting of fullcast.toml: --set training.learning-rate=1e-5, or --training.learning-rate 1e-5.",
    ),
]

_HERE = Path()


@app.command(sort_key=0)
def new(folder: Path, /, *, show: str = "", recipe: str = "", json: AsJson = False) -> None:
    """Make a workspace: folders for what you give, and a commented fullcast.toml.

    Parameters
    ----------
    folder
        Where; made if it does not exist.
    show
        The show's name, in report and card. The folder's name by default.
    recipe
        A recipe that comes with Fullcast, to begin with: demo, smallest, yama-no-susume.
    """
    from fullcast.journey import new_workspace

    _print(new_workspace(folder, show, recipe), json)


@app.command(sort_key=1)
def prepare(*, workspace: Where = _HERE, settings: Settings = (), json: AsJson = False) -> None:
    """Turn episodes, fan art and reference pictures into people with names, tags and captions.

    Run it again after adding files: only what is new is computed. What is dropped is counted with its reason.
    """
    _print(_journey(workspace, settings, json).prepare(), json)


@audits.default
def audit(truth: Path, /, *, workspace: Where = _HERE, settings: Settings = (), json: AsJson = False) -> None:
    """Say how right the labels are, against a table of true people: recall, names, counts, with intervals.

    Parameters
    ----------
    truth
        The truth.parquet that the pocket show writes, or a table of the same columns labelled by hand.
    """
    from fullcast.audit import audit as run

    _print(run(_journey(workspace, settings, json), truth), json)


@audits.command(name="sample")
def audit_sample(
    *,
    pictures: int = 120,
    seed: int = 0,
    truth: Path | None = None,
    workspace: Where = _HERE,
    settings: Settings = (),
    json: AsJson = False,
) -> None:
    """Draw pictures to be labelled, by stratum, and write a sheet to label them on: gold/sheet.html.

    Parameters
    ----------
    pictures
        How many; a person labels a hundred in half an hour.
    seed
        Another seed draws other pictures.
    truth
        A table of true people that fills the answers in.
    """
    from fullcast.audit import draw_sample

    _print(draw_sample(_journey(workspace, settings, json), pictures, seed, truth), json)


@audits.command(name="gold")
def audit_gold(*, workspace: Where = _HERE, settings: Settings = (), json: AsJson = False) -> None:
    """Say how right the labels of the whole show are, from the sample that was labelled, with intervals."""
    from fullcast.audit import audit_gold as run

    _print(run(_journey(workspace, settings, json)), json)


@app.command(sort_key=3)
def plan(
    *,
    diff: tuple[Path, Path] | None = None,
    workspace: Where = _HERE,
    settings: Settings = (),
    json: AsJson = False,
) -> None:
    """Say before the training what will be seen how often, what never, how long it takes and what it costs.

    Parameters
    ----------
    diff
        Two plans, each a plan.json or a workspace: say what the second changes, and plan nothing.
    """
    if diff is not None:
        from fullcast.journey.planning import compare_plans

        _print(compare_plans(*diff), json)
        return
    _print(_journey(workspace, settings, json).plan(), json)


@app.command(sort_key=4)
def train(
    *, minutes: float | None = None, workspace: Where = _HERE, settings: Settings = (), json: AsJson = False
) -> None:
    """Fine-tune the base model on the plan; stop it at any time and run it again, it goes on where it was.

    Parameters
    ----------
    minutes
        Stop after about this many minutes, with a checkpoint; run again to go on.
    """
    _print(_journey(workspace, settings, json).train(minutes=minutes), json)


@app.command(sort_key=5)
def generate(
    prompt: str = "",
    /,
    *,
    cast: str = "",
    scenes: Path | None = None,
    count: int = 1,
    seed: int = 0,
    checkpoint: str = "",
    out: Path | None = None,
    workspace: Where = _HERE,
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
        A TOML file of [[scene]] tables, or a JSONL file, instead of a prompt.
    count
        Pictures per scene.
    seed
        Of the first picture; the same seed gives the same picture.
    checkpoint
        Folder of a checkpoint; the latest of the workspace by default, "base" for the model before training.
    out
        Where the pictures go; a folder of the workspace by default.
    """
    answer = _journey(workspace, settings, json).generate(
        prompt, cast=cast, scenes=scenes, count=count, seed=seed, checkpoint=checkpoint, out=out
    )
    _print(answer, json)


@app.command(sort_key=6)
def inpaint(
    picture: Path,
    /,
    *,
    box: str = "",
    mask: Path | None = None,
    prompt: str = "",
    cast: str = "",
    strength: float = 0.75,
    seed: int = 0,
    checkpoint: str = "",
    out: Path | None = None,
    workspace: Where = _HERE,
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
        Or a picture of the same size that is white there.
    prompt
        Words for the part; with --cast the names come first.
    cast
        Who should be there, as in generate.
    strength
        0 leaves the part as it is, 1 forgets it.
    seed
        Another seed draws another answer.
    checkpoint
        As in generate.
    out
        File to write; beside the picture by default.
    """
    answer = _journey(workspace, settings, json).inpaint(
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
    _print(answer, json)


@app.command(sort_key=7)
def grid(
    x: str,
    y: str,
    /,
    *,
    prompt: str = "park",
    cast: str = "",
    seed: int = 0,
    checkpoint: str = "",
    out: Path | None = None,
    workspace: Where = _HERE,
    settings: Settings = (),
    json: AsJson = False,
) -> None:
    """Draw a labelled grid: fullcast grid character=aoi,hinata,mio seed=1,2,3

    Parameters
    ----------
    x
        Columns: an axis and its values, one of character, seed, checkpoint, prompt (parted by |), cfg, steps.
    y
        Rows, in the same way. "character=all" takes everybody.
    prompt
        For the whole picture, where no axis says it.
    cast
        Who is in the pictures, where no axis says it.
    seed
        The seed, where no axis says it.
    checkpoint
        As in generate.
    out
        File to write; in the workspace by default.
    """
    answer = _journey(workspace, settings, json).grid(
        x, y, prompt=prompt, cast=cast, seed=seed, checkpoint=checkpoint, out=out
    )
    _print(answer, json)


@app.command(sort_key=10)
def export(
    what: str,
    out: Path,
    /,
    *,
    checkpoint: str = "",
    stage: str = "",
    max_repeats: float | None = None,
    half: bool = False,
    training_metadata: bool = False,
    workspace: Where = _HERE,
    settings: Settings = (),
    json: AsJson = False,
) -> None:
    """Write what was made for other tools, and say what they will make of the weights: fullcast export dataset FOLDER

    Parameters
    ----------
    what
        dataset (Hugging Face imagefolder), webdataset (tar archives), everydream1 or everydream2 (folders with
        multiply.txt), kohya (folders with repeats, and a dataset TOML), seed (the seed pipeline's hierarchy),
        checkpoint (a diffusers folder), safetensors (the whole model in one file), lora or lora-peft (a LoRA alone, in
        kohya's layout or in PEFT's).
    out
        A folder that does not exist yet; for safetensors and LoRA a file that ends in .safetensors.
    checkpoint
        As in generate.
    stage
        Of the plan, whose mixture and captions are written; the first by default.
    max_repeats
        For kohya and everydream1, whose repeats are whole numbers: the mean of them may grow to this (20 by default).
        More comes nearer to the weights and makes a longer epoch.
    half
        Weights in float16.
    training_metadata
        Also write the ss_* keys into the file, which say how it was trained: settings, no paths and no captions.
    """
    answer = _journey(workspace, settings, json).export(
        what,
        out,
        checkpoint=checkpoint,
        max_repeats=max_repeats,
        stage=stage,
        half=half,
        training_metadata=training_metadata,
    )
    _print(answer, json)


@app.command(sort_key=10)
def pack(
    out: Path,
    /,
    *,
    results: bool = False,
    with_base: bool = False,
    workspace: Where = _HERE,
    settings: Settings = (),
    json: AsJson = False,
) -> None:
    """Put the planned training into one file for a rented machine: latents, words and plan, no video and no picture.

    Parameters
    ----------
    out
        A file that ends in .tar.
    results
        Instead what the training has made: checkpoints, ledger, metrics, to be brought home.
    with_base
        Put the base model in too; else it goes by its hash.
    """
    _print(_journey(workspace, settings, json).pack(out, results=results, with_base=with_base), json)


@app.command(sort_key=10)
def unpack(archive: Path, /, *, base: Path | None = None, workspace: Where = _HERE, json: AsJson = False) -> None:
    """Open what pack wrote: a training into a new workspace, or its results into the workspace at home.

    Parameters
    ----------
    archive
        The file that pack wrote.
    base
        The base model, where it is not in the archive; it must have the hash that the plan was packed with.
    """
    from fullcast.journey.packing import unpack as run

    _print(run(archive, workspace, base), json)


@app.command(name="import", sort_key=10)
def import_(
    what: str,
    folder: Path,
    /,
    *,
    name: str = "",
    source: str = "fanart",
    skip_pickles: bool = False,
    workspace: Where = _HERE,
    settings: Settings = (),
    json: AsJson = False,
) -> None:
    """Take in a dataset of another tool with its names, captions and tags: fullcast import seed FOLDER

    `prepare` then uses its pictures beside the others, and gives its people the names that the dataset gives them.
    Nothing in the dataset is run: a metadata file with a pickle in it is refused.

    Parameters
    ----------
    what
        seed (either version of the seed pipeline), kohya (its folders, TOML or metadata JSON), everydream1 or
        everydream2, dataset (Hugging Face imagefolder), webdataset.
    folder
        The dataset; for kohya also the path of its TOML.
    name
        Of the import; the folder's own by default. An import of the same name is replaced.
    source
        What its pictures are where the dataset does not say: screenshots, fanart or regularization.
    skip_pickles
        Leave out, and count, the pictures whose metadata holds a pickle, instead of refusing the dataset.
    """
    answer = _journey(workspace, settings, json).import_dataset(
        what, folder, name=name, source=source, skip_pickles=skip_pickles
    )
    _print(answer, json)


@app.command(sort_key=11)
def demo(folder: Path = Path("demo"), /, *, seed: int = 1, settings: Settings = (), json: AsJson = False) -> None:
    """Walk the whole journey on a pocket show; ends with the path of report.html. Run again, it resumes.

    Parameters
    ----------
    folder
        The workspace of the demo.
    seed
        Another seed draws another show with another cast.
    """
    from fullcast.journey.demo import demo as run

    preset = "smallest" if os.environ.get("FULLCAST_DEMO") == "smallest" else "demo"
    _print(run(folder, seed, preset, overrides=pairs(settings), progress=Bars(), say=_say(json)), json)


@pocket.command(name="show")
def pocket_show(*, out: Path, seed: int = 1, smallest: bool = False, json: AsJson = False) -> None:
    """Draw a pocket show: episodes, fan art, regularization and reference pictures, and truth.parquet beside them.

    Parameters
    ----------
    out
        Folder to write to.
    seed
        The same seed gives the same bytes, another seed another cast.
    smallest
        One episode of 24 seconds, for a quick look.
    """
    from fullcast.journey.demo import make_pocket_show

    _print(make_pocket_show(out, seed, smallest=smallest, progress=Bars()), json)


@app.command(name="settings", sort_key=13)
def list_settings(section: str = "", /, *, json: AsJson = False) -> None:
    """List the settings of fullcast.toml with their defaults and what they mean.

    Parameters
    ----------
    section
        Only those whose name begins with this: training, mixture.crops ...
    """
    from fullcast.journey import list_settings as run

    _print(run(section), json)


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: parses, runs a verb, turns every wrong input into one sentence and exit code 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # its advice about torchvision is no use to anybody here
    try:
        app(spell_settings(words), exit_on_error=False, print_error=False, result_action="return_value")
    except (FullcastError, CycloptsError) as error:
        sys.exit(_complain(error))
    except ModuleNotFoundError as error:
        sys.exit(_complain(missing_extra(error)))
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        sys.exit(130)


def _journey(workspace: Path, settings: Sequence[str], json: bool) -> Journey:
    from fullcast.journey import Journey

    return Journey.open(workspace, pairs(settings), progress=Bars(), say=_say(json))


def _print(answer: Answer, json: bool) -> None:
    if json:
        print(json_format.dumps(answer.data, indent=2, ensure_ascii=False, default=str))
    elif answer.text:
        print(answer.text)


def _say(json: bool) -> Any:
    """Lines on the way; with --json stdout belongs to the result alone."""
    return lambda line: print(line, file=sys.stderr if json else sys.stdout, flush=True)


def _complain(error: Exception) -> int:
    text = " ".join(str(error).split())
    print(f"fullcast: {text}", file=sys.stderr)
    return BAD_INPUT
