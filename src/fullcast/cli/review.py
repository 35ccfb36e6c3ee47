"""`fullcast review`: look at what is doubtful, and say what is right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from fullcast.cli.verb import HERE, AsJson, Where, open_journey, tell
from fullcast.store.errors import FullcastError

if TYPE_CHECKING:
    from fullcast.records import Box

review = App(
    name="review",
    sort_key=2,
    help="List what is most doubtful and write review.html, a contact sheet; then say what is right. Decisions go into "
    "review.jsonl, which is only ever added to, survive every re-run, and take effect with the next prepare.",
)

Items = Annotated[
    str,
    Parameter(
        help="Numbers of the last list, ids of figures or their beginnings, track:ID, cluster:NAME or picture:ID."
    ),
]
By = Annotated[str, Parameter(help="Who says so; written into the log.")]
Reach = Annotated[
    Literal["person", "track", "cluster"] | None,
    Parameter(help="person: only the one figure; track: all of its track; cluster: all that are given, as one."),
]


@review.default
def look(*, limit: int = 60, page: Path | None = None, workspace: Where = HERE, json: AsJson = False) -> None:
    """List what is most doubtful, and write a contact sheet of it.

    Parameters
    ----------
    limit
        Items on the sheet.
    page
        Where the sheet goes; review.html in the workspace by default.
    """
    from fullcast.journey import reviewing

    tell(reviewing.look(open_journey(workspace), limit, page), json)


@review.command
def relabel(
    *items: Items, name: str, scope: Reach = None, note: str = "", by: By = "", workspace: Where = HERE,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Say who it is: fullcast review relabel 3 --name aoi/hairdown

    Parameters
    ----------
    name
        A character, with a form after a slash; or unknown.
    note
        Why, for the log.
    """
    from fullcast.journey import reviewing

    tell(reviewing.decide(open_journey(workspace), "relabel", items, name=name, scope=scope, note=note, by=by), json)


@review.command
def keep(
    *items: Items, scope: Reach = None, note: str = "", by: By = "", workspace: Where = HERE, json: AsJson = False
) -> None:
    """Say that it is right as it is; a picture that is not used, say as a duplicate, is used against that reason."""
    from fullcast.journey import reviewing

    tell(reviewing.decide(open_journey(workspace), "keep", items, scope=scope, note=note, by=by), json)


@review.command
def drop(
    *items: Items, scope: Reach = None, note: str = "", by: By = "", workspace: Where = HERE, json: AsJson = False
) -> None:
    """Say that it is nobody, or that a picture is not to be used."""
    from fullcast.journey import reviewing

    tell(reviewing.decide(open_journey(workspace), "drop", items, scope=scope, note=note, by=by), json)


@review.command
def edit(
    *items: Items, add: str = "", remove: str = "", caption: str = "", scope: Reach = None, by: By = "",
    workspace: Where = HERE, json: AsJson = False,
) -> None:  # fmt: skip
    """Change words: fullcast review edit 3 --remove smile --add "red scarf"

    Parameters
    ----------
    add
        Tags with commas; of a figure, or of a whole picture.
    remove
        Tags that are wrong.
    caption
        The whole caption of a picture, in your own words.
    """
    from fullcast.journey import reviewing

    if not (add or remove or caption):
        raise FullcastError("nothing was said; give --add, --remove or --caption")
    answer = reviewing.decide(
        open_journey(workspace), "edit", items, scope=scope, add_tags=add.split(","), remove_tags=remove.split(","),
        caption=caption, by=by,
    )  # fmt: skip
    tell(answer, json)


@review.command
def add(
    picture: str, /, *, box: str, name: str = "unknown", head: str = "", by: By = "", workspace: Where = HERE,
    json: AsJson = False,
) -> None:  # fmt: skip
    """Add somebody whom no detector saw: fullcast review add 3fa9c1 --box 100,40,260,700 --name mio

    Parameters
    ----------
    picture
        The id of the picture, or its beginning.
    box
        The figure: x0,y0,x1,y1 in pixels.
    name
        Who it is.
    head
        The head, in the same way; places in captions go by it.
    """
    from fullcast.journey import reviewing

    where = _box(head) if head else None
    tell(reviewing.add(open_journey(workspace), picture, _box(box), name, where, by=by), json)


@review.command
def undo(decision: str = "", /, *, by: By = "", workspace: Where = HERE, json: AsJson = False) -> None:
    """Take a decision back, by default the last one; an undo can be undone by its own id.

    Parameters
    ----------
    decision
        Its id, or the beginning of it; see: fullcast review log.
    """
    from fullcast.journey import reviewing

    tell(reviewing.undo(open_journey(workspace), decision, by), json)


@review.command
def apply(file: Path, /, *, by: By = "", workspace: Where = HERE, json: AsJson = False) -> None:
    """Take what was decided on a contact sheet.

    Parameters
    ----------
    file
        The decisions.json that the sheet's button saved.
    """
    from fullcast.journey import reviewing

    tell(reviewing.apply_file(open_journey(workspace), file, by), json)


@review.command
def log(*, workspace: Where = HERE, json: AsJson = False) -> None:
    """Print every decision, oldest first; those that were taken back begin with a dash."""
    from fullcast.journey import reviewing

    tell(reviewing.show_log(open_journey(workspace)), json)


@review.command
def homeless(*, workspace: Where = HERE, json: AsJson = False) -> None:
    """List decisions whose figure the last prepare did not find."""
    from fullcast.journey import reviewing

    tell(reviewing.show_homeless(open_journey(workspace)), json)


def _box(text: str) -> Box:
    try:
        x0, y0, x1, y1 = (float(value) for value in text.split(","))
    except ValueError:
        raise FullcastError(f"{text!r} is no box; give x0,y0,x1,y1 in pixels, as in 100,40,260,700") from None
    return x0, y0, x1, y1
