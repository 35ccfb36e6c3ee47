"""`fullcast cast`: a cast where nobody has drawn out references yet."""

from __future__ import annotations

from cyclopts import App

from fullcast.cli.verb import HERE, AsJson, Where, open_journey, tell
from fullcast.store.errors import FullcastError

cast = App(
    name="cast",
    sort_key=2,
    help="Make a cast from the show itself: gather the people without a name into clusters, then name whole clusters.",
)


@cast.command(name="cluster")
def cluster(*, workspace: Where = HERE, json: AsJson = False) -> None:
    """Gather everybody without a name into clusters, and write a picture of each to data/show/clusters.

    Needs no references. Where there are some, only those whom they do not name are gathered.
    """
    from fullcast.journey import casting

    tell(casting.propose(open_journey(workspace)), json)


@cast.command(name="name")
def name(*names: str, workspace: Where = HERE, json: AsJson = False) -> None:
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
    tell(casting.name(open_journey(workspace), given), json)
