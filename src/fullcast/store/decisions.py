"""What people decided: an append-only log that outlives every re-run, and how its entries find their figures again.

An entry names a picture by its hash (and by video and time, should the same frame be stored anew) and a figure by its
box and the detector that drew it, never by a row of a table. After a new detector it is attached again by IoU; what
finds no home is listed. Nothing is ever changed in the log: an entry is taken back by another that undoes it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from fullcast.records import Box, Image, Person, iou
from fullcast.store.errors import FullcastError
from fullcast.store.locks import locked

SAME_FIGURE = 0.5
"""IoU from which a box of another detector is the same figure."""

REDRAWN = 0.8
"""IoU from which two boxes of one detector are one figure, drawn a little elsewhere by another run: of one run, the
weaker of two such boxes would have been suppressed."""

PEOPLE = "people"
"""What `keep` answers of a picture that is in use: are these its people, so many, and whoever is there twice?"""

HAND = "hand"
"""The detector of people whom nobody but a person saw."""

LOCK_TIMEOUT_S = 20.0
"""Somebody else writes a line in milliseconds; who waits longer waits for a process that hangs."""

Action = Literal["relabel", "keep", "drop", "edit", "add", "undo"]
Scope = Literal["person", "track", "cluster", "picture"]


@dataclass(frozen=True, slots=True)
class Target:
    """One figure, or one whole picture, as it was when somebody looked at it."""

    image_id: str
    xyxy: Box | None = None
    """Pixels of the picture; None: the picture itself."""
    detector: str = ""
    """Who drew the box: boxes of one detector are different figures unless they nearly agree, those of two may be the
    same."""
    video_id: str = ""
    pts: int = -1
    width: int = 0
    """Of the picture, so that a frame that is stored anew is known by video, time and size."""
    height: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of the log."""

    action: Action
    """relabel: is ``character``/``form``. keep: is right as it was, under the name it had then. drop: is not to be
    used. edit: other words. add: somebody whom no detector saw. undo: takes the entry ``undoes`` back."""
    targets: tuple[Target, ...] = ()
    scope: Scope = "person"
    """What was pointed at; a track's name goes to all of the track, also to what of it is found later."""
    character: str = ""
    form: str = ""
    head_xyxy: Box | None = None
    """Of somebody who is added."""
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    caption: str = ""
    """The whole caption of a whole picture, in a person's own words."""
    answers: str = ""
    """Of a ``keep`` of a picture: the one question that it settles, `PEOPLE` or the reason for which the picture was
    dropped then. Empty, in entries of before there was such a word: all of them."""
    beside: tuple[Box, ...] = ()
    """Of an ``add``: the figures that were there already, and are not meant."""
    undoes: str = ""
    note: str = ""
    by: str = ""
    time: str = ""
    """UTC, ISO 8601 with microseconds; set when it is written."""
    id: str = ""
    """10 hex digits over all of the above; set when it is written."""


@dataclass(frozen=True, slots=True)
class Log:
    """What stands in a log."""

    decisions: tuple[Decision, ...] = ()
    """Oldest first; entries that were undone and those that undo are among them."""
    damaged: tuple[str, ...] = ()
    """Lines that cannot be read, each said with its number and why."""

    @property
    def active(self) -> tuple[Decision, ...]:
        """Those that count: nobody undid them, or whoever did was undone."""
        gone = undone_ids(self.decisions)
        return tuple(d for d in self.decisions if d.action != "undo" and d.id not in gone)

    def find(self, prefix: str) -> Decision:
        """The entry whose id begins so. Raises FullcastError when none or several do."""
        found = [d for d in self.decisions if prefix and d.id.startswith(prefix)]
        if len(found) != 1:
            which = "no decision" if not found else f"{len(found)} decisions"
            raise FullcastError(f"{which} in the log have an id that begins with {prefix!r}; see: fullcast review log")
        return found[0]


def undone_ids(decisions: Iterable[Decision]) -> set[str]:
    """Ids that are taken back. An undo may be undone itself; ids are hashes, so the chains have an end."""
    undoers: dict[str, list[str]] = defaultdict(list)
    for decision in decisions:
        if decision.action == "undo":
            undoers[decision.undoes].append(decision.id)

    @cache
    def undone(decision_id: str) -> bool:
        return any(not undone(undoer) for undoer in undoers[decision_id])

    return {decision_id for decision_id in list(undoers) if undone(decision_id)}


def append(path: Path, decisions: Sequence[Decision]) -> tuple[Decision, ...]:
    """Write entries at the log's end, under a lock and onto the disk before it returns; gives them with id and time.

    A line that a kill cut off is left as it is, and a new one is begun. Raises FullcastError when another process
    holds the log for `LOCK_TIMEOUT_S`.
    """
    busy = f"{path} has been locked by another process for {LOCK_TIMEOUT_S:.0f} s; end that one and try again"
    with locked(path.with_name(f".{path.name}.lock"), busy, LOCK_TIMEOUT_S):
        written = [_stamped(decision) for decision in decisions]
        lines = b"".join(_adapter().dump_json(d, exclude_defaults=True) + b"\n" for d in written)
        with path.open("ab") as file:
            file.write((b"\n" if _is_torn(path) else b"") + lines)
            file.flush()
            os.fsync(file.fileno())
    return tuple(written)


def read_log(path: Path) -> Log:
    """Everything in the log, by time; no log is an empty one. The same entry twice (logs put together) counts once."""
    if not path.exists():
        return Log()
    found: dict[str, Decision] = {}
    damaged = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            decision = _adapter().validate_json(line)
        except ValidationError as error:
            damaged.append(f"line {number}: {error.errors()[0]['msg']}")
            continue
        found.setdefault(decision.id, decision)
    return Log(tuple(sorted(found.values(), key=lambda d: d.time)), tuple(damaged))


def target_of(image: Image, person: Person | None = None) -> Target:
    """How a figure, or a whole picture, is named in the log."""
    place = (image.video_id, image.pts, image.width, image.height)
    if person is None:
        return Target(image.id, None, "", *place)
    return Target(image.id, person.xyxy, detector_of(person), *place)


def detector_of(person: Person) -> str:
    """The detector's name without marks such as ``#head`` and ``#confidence=0.3``: several are joined by a +."""
    return re.sub(r"#[^+]*", "", person.detector)


# ------------------------------------------------------------------------------------------- finding figures again


@dataclass(frozen=True, slots=True)
class Homeless:
    """A decision about somebody who is not found any more."""

    decision: Decision
    target: Target
    reason: str


@dataclass(frozen=True, slots=True)
class Attached:
    """Decisions with the present records that they are about; each list oldest first."""

    of_person: Mapping[str, tuple[Decision, ...]]
    of_image: Mapping[str, tuple[Decision, ...]]
    added: tuple[tuple[Decision, Target], ...] = ()
    """People to be added, in pictures that are there (target.image_id is the present one's)."""
    homeless: tuple[Homeless, ...] = ()

    def last(self, person_id: str, *actions: Action) -> Decision | None:
        """The latest decision of these kinds about a person."""
        return next((d for d in reversed(self.of_person.get(person_id, ())) if d.action in actions), None)

    def last_of_image(self, image_id: str, *actions: Action) -> Decision | None:
        return next((d for d in reversed(self.of_image.get(image_id, ())) if d.action in actions), None)


def attach(decisions: Iterable[Decision], images: Iterable[Image], people: Iterable[Person]) -> Attached:
    """Active decisions to present pictures and people.

    In a picture, the boxes that one detector drew are different figures: each goes to one person of IoU >= 0.5, the
    nearest pairs first. Boxes of IoU >= 0.8 are one figure that two runs drew. Boxes of several detectors may meet at
    one person, and the latest decision counts. Somebody added is no figure that whoever added them saw already.
    """
    present = {image.id: image for image in images}
    at_time = {(i.video_id, i.pts, i.width, i.height): i.id for i in present.values() if i.video_id and not i.parent}
    by_image: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        by_image[person.image_id].append(person)
    placed: list[tuple[Decision, Target]] = []
    homeless: list[Homeless] = []
    for decision in decisions:
        for target in decision.targets:
            image_id = _image_of(target, present, at_time)
            if image_id:
                placed.append((decision, replace(target, image_id=image_id)))
            else:
                homeless.append(Homeless(decision, target, "the picture is not there"))
    person_of = _match_boxes(placed, by_image)
    of_person: dict[str, list[Decision]] = defaultdict(list)
    of_image: dict[str, list[Decision]] = defaultdict(list)
    added: dict[tuple[str, Box | None], tuple[Decision, Target]] = {}
    for decision, target in placed:
        key = (target.image_id, target.detector, target.xyxy)
        if target.xyxy is None:
            of_image[target.image_id].append(decision)
        elif key in person_of:
            of_person[person_of[key]].append(decision)
        elif decision.action == "add":
            added[target.image_id, target.xyxy] = decision, target
        elif target.detector == HAND and (target.image_id, target.xyxy) in added:
            of_person[hand_id(target)].append(decision)
        else:
            homeless.append(Homeless(decision, target, f"nobody is there at IoU {SAME_FIGURE}"))
    return Attached(
        {who: tuple(found) for who, found in of_person.items()},
        {image_id: tuple(found) for image_id, found in of_image.items()},
        tuple(added.values()),
        tuple(homeless),
    )


def hand_id(target: Target) -> str:
    """Id of the Person that an added target becomes: as `records.person_id`, of its box."""
    from fullcast.records import person_id

    return person_id(target.image_id, target.xyxy or (0, 0, 0, 0))


def _image_of(target: Target, images: Mapping[str, Image], at_time: Mapping[tuple[str, int, int, int], str]) -> str:
    if target.image_id in images:
        return target.image_id
    return at_time.get((target.video_id, target.pts, target.width, target.height), "") if target.video_id else ""


_Key = tuple[str, str, Box | None]


def _match_boxes(
    placed: Sequence[tuple[Decision, Target]], by_image: Mapping[str, Sequence[Person]]
) -> dict[_Key, str]:
    """(image, detector, box) -> id of the person there; one to one inside each image and detector."""
    groups: dict[tuple[str, str], dict[Box, set[str]]] = defaultdict(dict)
    """Each box with the ids of people who are not meant by it."""
    for decision, target in placed:
        if target.xyxy is not None:
            barred = groups[target.image_id, target.detector].setdefault(target.xyxy, set())
            barred |= _bystanders(decision, target.xyxy, by_image.get(target.image_id, ()))
    found: dict[_Key, str] = {}
    for (image_id, detector), barred_of in groups.items():
        figures = _figures(barred_of)
        not_meant = [barred_of[boxes[0]] for boxes in figures]
        for number, who in _nearest(figures, by_image.get(image_id, ()), not_meant).items():
            found |= {(image_id, detector, box): who for box in figures[number]}
    return found


def _bystanders(decision: Decision, box: Box, people: Sequence[Person]) -> set[str]:
    """Ids of the people who stood beside somebody when they were added."""
    if decision.action != "add" or not decision.beside:
        return set()
    figures = [*([other] for other in decision.beside), [box]]
    found = _nearest(figures, people, [()] * len(figures))
    return {who for number, who in found.items() if number < len(decision.beside)}


def _figures(barred_of: Mapping[Box, set[str]]) -> list[list[Box]]:
    """Boxes of one detector, those of one figure together; those that mean different people stay apart."""
    figures: list[list[Box]] = []
    for box, barred in barred_of.items():
        for boxes in figures:
            if barred_of[boxes[0]] == barred and max(iou(box, other) for other in boxes) >= REDRAWN:
                boxes.append(box)
                break
        else:
            figures.append([box])
    return figures


def _nearest(
    figures: Sequence[Sequence[Box]], people: Sequence[Person], not_meant: Sequence[Collection[str]]
) -> dict[int, str]:
    """Number of a figure -> id of its person: pairs of IoU >= 0.5, the nearest first, one to one; each figure has its
    own people who are not meant."""
    pairs = [
        (max(iou(box, person.xyxy) for box in boxes), number, person.id)
        for number, boxes in enumerate(figures)
        for person in people
        if person.id not in not_meant[number]
    ]
    found: dict[int, str] = {}
    taken: set[str] = set()
    for overlap, number, person_id in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if overlap >= SAME_FIGURE and number not in found and person_id not in taken:
            found[number] = person_id
            taken.add(person_id)
    return found


def _stamped(decision: Decision) -> Decision:
    timed = replace(decision, time=datetime.now(UTC).isoformat(timespec="microseconds"), id="")
    digest = hashlib.sha256(_adapter().dump_json(timed)).hexdigest()
    return replace(timed, id=digest[:10])


def _is_torn(path: Path) -> bool:
    """Whether the last line has no end."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


@cache
def _adapter() -> TypeAdapter[Decision]:
    return TypeAdapter(Decision)
