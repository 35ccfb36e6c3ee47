"""`fullcast cast`: a cast where nobody has drawn out references yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from fullcast.store.errors import FullcastError

if TYPE_CHECKING:
    from fullcast.journey import Answer, Journey

cast = App(
    name="cast",
    sort_key=2,
    help="Make a cast from the show itself: gather the people without a name into clusters, then name whole clusters.",
)

Where = Annotated[Path, Parameter(name=["--workspace", "-w"], help="The workspace; the present folder by default.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as JSON, for machines.")]
_HERE = Path()


@cast.command(name="cluster")
def cluster(*, workspace: Where = _HERE, json: AsJson = False) -> None:
    """Gather everybody without a name into clusters, and write a picture of each to data/show/clusters.

    Needs no references. Where there are some, only those whom they do not name are gathered.
    """
    from fullcast.journey import casting

    _print(casting.propose(_journey(workspace)), json)


@cast.command(name="name")
def name(*names: str, workspace: Where = _HERE, json: AsJson = False) -> None:
    """Name whole clusters: fullcast cast name c001=aoi c004=aoi/hairdown c005=aoi

    Parameters
    ----------
    names
        CLUSTER=NAME or CLUSTER=NAME/FORM. Their best pictures become references; then run prepare.
    """
    from fullcast.journey import casting

    given = {}
    for text in names:
        cluster_id, sign, look = text.partition("=")
        if not sign:
            raise FullcastError(f"{text!r} names nothing; wanted is CLUSTER=NAME, such as c001=aoi")
        given[cluster_id.strip()] = look.strip()
    _print(casting.name(_journey(workspace), given), json)


def _journey(workspace: Path) -> Journey:
    from fullcast.cli.bars import Bars
    from fullcast.journey import Journey

    return Journey.open(workspace, progress=Bars())


def _print(answer: Answer, json: bool) -> None:
    from fullcast.cli import _print as show

    show(answer, json)
