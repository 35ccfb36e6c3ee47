"""A cast where there is none yet: people are gathered into clusters, a person names whole clusters, and goes on.

`cluster` proposes, with a picture of each cluster to look at. `name` makes of a named cluster what every cast is made
of, reference pictures in ``references/NAME/``, so that everything after it is the same as if somebody had drawn them
out by hand: the next `prepare` builds the cast from them, and names this show's people and the next episode's alike.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

from fullcast.journey.answers import Answer
from fullcast.journey.doors import Doors
from fullcast.journey.naming import find_all, read_references, who_is_who
from fullcast.journey.taking_in import take_in
from fullcast.people.clusters import ClusterRow, Clusters, cluster_people
from fullcast.recognition.embed import head_crop
from fullcast.recognition.references import has_references
from fullcast.records import UNKNOWN, Cast, Image, Person
from fullcast.store.atomic import replacing, replacing_dir
from fullcast.store.errors import FullcastError
from fullcast.store.given import composed
from fullcast.store.pictures import read_picture
from fullcast.store.tables import read_records, write_records
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.journey import Journey

TABLE, PEOPLE = "clusters.parquet", "clustered-people.parquet"
SHEETS = "clusters"
"""Folder in data/show: one picture per cluster."""

ON_A_SHEET = 24
HEAD_PX = 96
REFERENCES = 10
"""Pictures that a named cluster leaves behind: three to ten of each look are what a cast asks for."""

ROOM = 2.0
"""A reference shows this many head sides: head and shoulders, as a person would cut it."""

MIN_TYPICAL = 0.5
"""Cosine to the cluster's centre below which a figure is no reference: it may be somebody else."""


def propose(journey: Journey) -> Answer:
    """Clusters of everybody who has no name yet, from nobody: the references, a dataset, a person's decision; writes
    data/show/clusters.parquet and a picture of each cluster. Whom somebody dropped is in none."""
    workspace, doors = journey.workspace, Doors(journey.workspace, journey.recipe)
    taken = take_in(journey)
    found, _, _ = find_all(journey, doors, taken)
    cast = Cast(journey.recipe.show, ())
    if has_references(workspace.references_dir):
        cast, _ = read_references(journey, "label", doors.detector, doors.embedder)
    used = {image.id for image in taken.images if not image.dropped}
    if not used:
        raise FullcastError(
            f"{workspace.root} has no pictures to gather people from: put files into episodes/ and run "
            "fullcast prepare first"
        )
    decided, _ = who_is_who(journey, found, taken.images, cast)
    nameless = [p for p in decided.people if p.image_id in used and p.character == UNKNOWN]
    clusters = cluster_people(nameless, journey.recipe.people, doors.embedder.threshold)
    by_id = {person.id: person for person in nameless}
    write_records(workspace.show_dir / TABLE, clusters.rows, ClusterRow)
    write_records(workspace.show_dir / PEOPLE, [by_id[row.person_id] for row in clusters.rows], Person)
    images = {image.id: image for image in taken.images}
    _write_sheets(workspace, clusters, by_id, images)
    return _proposed(workspace, clusters, by_id, cast)


def name(journey: Journey, given: Mapping[str, str]) -> Answer:
    """`given`: cluster -> "aoi" or "aoi/hairdown"; several clusters may be one person. Writes their references."""
    workspace = journey.workspace
    groups, people, images = _read(journey)
    _refuse(given, groups)
    by_look: dict[str, list[ClusterRow]] = defaultdict(list)
    for cluster, look in given.items():
        by_look[composed(look)] += groups[cluster]
    _refuse_outdated([row for rows in by_look.values() for row in rows], people, images)
    written: Counter[str] = Counter()
    for look, rows in by_look.items():
        folder = workspace.references_dir.joinpath(*look.split("/"))
        for row in pick_references(rows, people, REFERENCES):
            person = people[row.person_id]
            _write_reference(folder / _file_of(person), workspace, images[person.image_id], person)
            written[look] += 1
    lines = [f"{look}: {count} reference pictures in references/{look}" for look, count in written.items()]
    lines.append("Look through them, delete those that are somebody else, then: fullcast prepare")
    return Answer("\n".join(lines), {"references": dict(written)})


def pick_references(rows: Sequence[ClusterRow], people: Mapping[str, Person], count: int) -> list[ClusterRow]:
    """At most `count` rows, each of another track as long as there are tracks: trusted, typical, and unlike each other.

    Farthest-first over the best figures of the better half of the tracks, from the most typical on: ten frames of one
    shot are one reference.
    """
    sure = [row for row in rows if row.trust > 0 and row.typical >= MIN_TYPICAL] or [r for r in rows if r.trust > 0]
    sure.sort(key=lambda row: (-row.trust * row.typical, row.person_id))
    best: dict[str, ClusterRow] = {}
    for row in sure:
        best.setdefault(people[row.person_id].track_id or row.person_id, row)
    firsts = list(best.values())
    rest = [row for row in sure if row not in firsts]
    pool = (firsts + rest)[: max(count, len(firsts) // 2)]
    if not pool:
        return []
    vectors = np.stack([v for row in pool if (v := people[row.person_id].embedding) is not None])
    tracks = [people[row.person_id].track_id or row.person_id for row in pool]
    chosen = [0]
    nearest = vectors @ vectors[0]
    while len(chosen) < min(count, len(pool)):
        taken = {tracks[i] for i in chosen}
        cost = nearest + np.array([2.0 * (track in taken) for track in tracks])
        cost[chosen] = np.inf
        chosen.append(int(cost.argmin()))
        nearest = np.maximum(nearest, vectors @ vectors[chosen[-1]])
    return [pool[i] for i in chosen]


# ------------------------------------------------------------------------------------------------ reading, refusing


def _read(journey: Journey) -> tuple[dict[str, list[ClusterRow]], dict[str, Person], dict[str, Image]]:
    show = journey.workspace.show_dir
    if not (show / TABLE).exists():
        raise FullcastError(f"{journey.workspace.root} has no clusters yet; run: fullcast cast cluster")
    groups: dict[str, list[ClusterRow]] = defaultdict(list)
    for row in read_records(show / TABLE, ClusterRow):
        groups[row.cluster].append(row)
    people = {person.id: person for person in read_records(show / PEOPLE, Person)}
    return groups, people, {image.id: image for image in take_in(journey).images}


def _refuse(given: Mapping[str, str], groups: Mapping[str, Sequence[ClusterRow]]) -> None:
    if not given:
        raise FullcastError("no cluster was named; wanted is fullcast cast name c001=aoi c004=aoi/hairdown")
    for cluster, look in given.items():
        if cluster not in groups:
            raise FullcastError(f"there is no cluster {cluster!r}; there are {', '.join(sorted(groups)) or 'none'}")
        pieces = look.split("/")
        if len(pieces) > 2 or any(not p.strip() or p.startswith((".", "_")) or "\\" in p for p in pieces):
            raise FullcastError(f"{look!r} cannot be a name; wanted is NAME or NAME/FORM, such as aoi or aoi/hairdown")
        if any(sign in look for sign in ",@"):
            raise FullcastError(f"{look!r} has a comma or an @ in it, which are signs in --cast; give a name without")


def _refuse_outdated(rows: Sequence[ClusterRow], people: Mapping[str, Person], images: Mapping[str, Image]) -> None:
    """Episodes may have come and gone since the clusters were made; nothing is written from half of them."""
    lost = sum(row.person_id not in people or people[row.person_id].image_id not in images for row in rows)
    if lost:
        raise FullcastError(
            f"the clusters are of another state of the show: the pictures of {lost} of their {len(rows)} people are no "
            "more there; run `fullcast cast cluster` again"
        )


# ----------------------------------------------------------------------------------------------------- for the eye


def _write_sheets(
    workspace: Workspace, clusters: Clusters, people: Mapping[str, Person], images: Mapping[str, Image]
) -> None:
    """data/show/clusters/c001.png: the heads of each cluster, those that would be its references first."""
    groups: dict[str, list[ClusterRow]] = defaultdict(list)
    for row in clusters.rows:
        groups[row.cluster].append(row)
    with replacing_dir(workspace.show_dir / SHEETS) as folder:
        for cluster, rows in groups.items():
            heads = []
            for row in pick_references(rows, people, ON_A_SHEET):
                person = people[row.person_id]
                crop = _crop(workspace, images[person.image_id], person, ROOM)
                heads.append(np.asarray(Pillow.fromarray(crop).resize((HEAD_PX, HEAD_PX))))
            _sheet(heads).save(folder / f"{cluster}.png")


def _sheet(heads: Sequence[np.ndarray], columns: int = 8) -> Pillow.Image:
    rows = -(-len(heads) // columns)
    sheet = np.full((rows * HEAD_PX, columns * HEAD_PX, 3), 255, dtype=np.uint8)
    for index, head in enumerate(heads):
        y, x = index // columns * HEAD_PX, index % columns * HEAD_PX
        sheet[y : y + HEAD_PX, x : x + HEAD_PX] = head
    return Pillow.fromarray(sheet)


def _file_of(person: Person) -> str:
    """By who it is, not by the cluster: every round counts its clusters from c001."""
    return re.sub(r"[^0-9A-Za-z]+", "-", person.id) + ".png"


def _write_reference(path: Path, workspace: Workspace, image: Image, person: Person) -> None:
    """What is there under that name stays: it is the same figure, or somebody's own."""
    if path.exists():
        return
    with replacing(path) as temporary:
        Pillow.fromarray(_crop(workspace, image, person, ROOM)).save(temporary, format="PNG")


def _crop(workspace: Workspace, image: Image, person: Person, room: float) -> np.ndarray:
    picture = read_picture(workspace.absolute(image.path))
    return head_crop(picture, person.head_xyxy or person.xyxy, room)


def _proposed(workspace: Workspace, clusters: Clusters, people: Mapping[str, Person], cast: Cast) -> Answer:
    sizes = Counter(row.cluster for row in clusters.rows)
    tracks = {
        c: len({people[r.person_id].track_id or r.person_id for r in clusters.rows if r.cluster == c}) for c in sizes
    }
    without = f" who are nobody of the {len(cast.characters)} characters known" if cast.characters else ""
    joined = "" if clusters.cut != clusters.cut else f" (joined at a mean cosine of {clusters.cut:.2f})"
    lines = [
        f"{clusters.num_asked} people{without}: {len(sizes)} clusters hold {sum(sizes.values())} of them{joined}",
        *(f"  {cluster}: {size} people in {tracks[cluster]} tracks" for cluster, size in sorted(sizes.items())),
        f"Look at {Path('data/show') / SHEETS}, then: fullcast cast name c001=NAME c002=NAME/FORM ...",
    ]
    data: dict[str, Any] = {
        "clusters": [{"cluster": c, "people": n, "tracks": tracks[c]} for c, n in sorted(sizes.items())],
        "people": clusters.num_asked,
        "cut": clusters.cut,
        "sheets": workspace.relative(workspace.show_dir / SHEETS),
    }
    return Answer("\n".join(lines), data)
