"""The command line: one short function per verb. Only this module prints and exits.

Any setting of fullcast.toml can be given with a verb, as ``--training.learning-rate 1e-5``; ``fullcast settings``
lists them all. A wrong input is answered by one sentence on stderr and exit code 2.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, CycloptsError, UnknownOptionError

from fullcast import __version__
from fullcast.cli.auditing import audits
from fullcast.cli.bars import Bars
from fullcast.cli.bench import bench
from fullcast.cli.blind import blind
from fullcast.cli.carrying import export, import_, pack, unpack
from fullcast.cli.cast import cast as cast_app
from fullcast.cli.drawing import generate, grid, inpaint
from fullcast.cli.judge import card, judge
from fullcast.cli.regularize import regularize
from fullcast.cli.review import review
from fullcast.cli.verb import HERE, AsJson, Settings, Where, bear_any_name, open_journey, say, tell
from fullcast.cli.words import cannot_be_opened, misplaced_setting, missing_extra, pairs, spell_settings, takes_settings
from fullcast.store.errors import FullcastError

BAD_INPUT = 2
"""Exit code for what the user gave and can change; a fault of Fullcast's own shows a traceback and exits with 1."""

app = App(
    name="fullcast",
    version=__version__,
    help="Turns a show into an image model that knows its whole cast, and proves it with numbers.\n\n"
    "The way: new -> (put files in) -> prepare -> plan -> train -> generate -> judge -> card. "
    "`fullcast demo` walks it on a small drawn show.",
    help_epilogue="Any setting of fullcast.toml can be given with a verb that takes --set: "
    "--training.learning-rate 1e-5. `fullcast settings` lists them.",
)
pocket = App(
    name="pocket", sort_key=12, help="The pocket show: an animated show with known truth, drawn on this machine."
)
app.command(audits)
app.command(generate, sort_key=5)
app.command(inpaint, sort_key=6)
app.command(grid, sort_key=7)
for carried in (export, pack, unpack):
    app.command(carried, sort_key=10)
app.command(import_, name="import", sort_key=10)
app.command(pocket)
app.command(review)
app.command(cast_app)
app.command(regularize, sort_key=2)
app.command(bench)
app.command(judge, sort_key=8)
app.command(blind)
app.command(card, sort_key=9)


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
        A recipe that comes with Fullcast, to begin with: demo, smallest, two-hours, sd15, sdxl-lora,
        yama-no-susume.
    """
    from fullcast.journey import new_workspace

    tell(new_workspace(folder, show, recipe), json)


@app.command(sort_key=1)
def prepare(*, workspace: Where = HERE, settings: Settings = (), json: AsJson = False) -> None:
    """Turn episodes, fan art and reference pictures into people with names, tags and captions.

    Run it again after adding files: only what is new is computed. What is dropped is counted with its reason.
    """
    tell(open_journey(workspace, settings, json).prepare(), json)


@app.command(sort_key=3)
def plan(
    *,
    diff: tuple[Path, Path] | None = None,
    workspace: Where = HERE,
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

        tell(compare_plans(*diff), json)
        return
    tell(open_journey(workspace, settings, json).plan(), json)


@app.command(sort_key=4)
def train(
    *, minutes: float | None = None, workspace: Where = HERE, settings: Settings = (), json: AsJson = False
) -> None:
    """Fine-tune the base model on the plan; stop it at any time and run it again, it goes on where it was.

    Parameters
    ----------
    minutes
        Stop after about this many minutes, with a checkpoint; run again to go on.
    """
    tell(open_journey(workspace, settings, json).train(minutes=minutes), json)


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

    preset = os.environ.get("FULLCAST_DEMO") or "demo"
    if preset not in ("demo", "smallest"):
        raise FullcastError(f"FULLCAST_DEMO is {preset!r}; set it to smallest, or leave it unset for the whole demo")
    tell(run(folder, seed, preset, overrides=pairs(settings), progress=Bars(), say=say(json)), json)


@pocket.command(name="show")
def pocket_show(*, out: Path, seed: int = 1, style: str = "", smallest: bool = False, json: AsJson = False) -> None:
    """Draw a pocket show: episodes, fan art, regularization and reference pictures, and truth.parquet beside them.

    Parameters
    ----------
    out
        Folder to write to.
    seed
        The same seed gives the same bytes, another seed another cast.
    style
        How heads are drawn: toon-head (the default), adventurer, big-smile, personas or micah.
    smallest
        One episode of 24 seconds, for a quick look.
    """
    from fullcast.journey.demo import make_pocket_show

    tell(make_pocket_show(out, seed, style=style, smallest=smallest, progress=Bars()), json)


@app.command(name="settings", sort_key=13)
def list_settings(section: str = "", /, *, json: AsJson = False) -> None:
    """List the settings of fullcast.toml with their defaults and what they mean.

    Parameters
    ----------
    section
        Only those whose name begins with this: training, mixture.crops ...
    """
    from fullcast.journey import list_settings as run

    tell(run(section), json)


for command in (each for name in app for each in (app[name], *(app[name][inner] for inner in app[name]))):
    if not takes_settings(command):
        command.help_epilogue = ""  # None would be the one above


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point: parses, runs a verb, turns every wrong input into one sentence and exit code 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    bear_any_name()
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # its advice about torchvision is no use to anybody here
    try:
        app(spell_settings(words), exit_on_error=False, print_error=False, result_action="return_value")
    except UnknownOptionError as error:
        sys.exit(_complain(misplaced_setting(error, words) or error))
    except (FullcastError, CycloptsError) as error:
        sys.exit(_complain(error))
    except ModuleNotFoundError as error:
        sys.exit(_complain(missing_extra(error)))
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # whoever reads has enough, as in `fullcast settings | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it closes it
        sys.exit(1)
    except OSError as error:
        if error.filename is None:  # no place that somebody gave
            raise
        sys.exit(_complain(cannot_be_opened(error)))


def _complain(error: Exception) -> int:
    text = " ".join(str(error).split())
    print(f"fullcast: {text}", file=sys.stderr)
    return BAD_INPUT
