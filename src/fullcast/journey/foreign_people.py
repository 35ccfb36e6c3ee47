"""The people of a dataset as records: fractions to pixels, boxes that cannot be told from those that can."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from fullcast.formats.foreign import STAGE, ForeignPerson
from fullcast.records import UNKNOWN, Box, Drop, Image, Person, person_id
from fullcast.store.given import composed


def as_records(people: Sequence[ForeignPerson], name: str, image: Image) -> tuple[list[Person], list[Drop]]:
    """Boxes in pixels. Whom the dataset places nowhere has the whole picture for a box and confidence 0: that is how
    such a person is told from one who was seen.

    A box of which nothing is in the picture is a drop, and stands for no box; with it goes a figure that has neither
    another place nor a name. name: of the picture.
    """
    made: list[Person] = []
    drops: list[Drop] = []
    ids: Counter[str] = Counter()
    for person in people:
        head, body = (_in_pixels(box, image) for box in (person.head, person.box))
        damaged = [given for given, box in ((person.head, head), (person.box, body)) if given and not box]
        drops += [Drop(name, STAGE, "damaged-metadata", _nowhere(person, given)) for given in damaged]
        placed = body or head
        if damaged and not placed and person.character in ("", UNKNOWN):
            continue
        box = placed or (0.0, 0.0, float(image.width), float(image.height))
        base = person_id(image.id, box)
        ids[base] += 1
        made.append(
            Person(
                base if ids[base] == 1 else f"{base}+{ids[base]}",
                image.id,
                box,
                confidence=1.0 if placed else 0.0,
                head_xyxy=head,
                head_confidence=1.0 if head else 0.0,
                detector=STAGE,
                character=composed(person.character),
                form=composed(person.form),
                tags=person.tags,
                embedding=person.embedding,
            )
        )
    return made, drops


def _in_pixels(box: Box | None, image: Image) -> Box | None:
    """Of fractions: what of it is in the picture; None where nothing is."""
    if box is None or not all(map(math.isfinite, box)):
        return None
    x0, x1 = (min(max(x, 0.0), 1.0) * image.width for x in (box[0], box[2]))
    y0, y1 = (min(max(y, 0.0), 1.0) * image.height for y in (box[1], box[3]))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _nowhere(person: ForeignPerson, box: Box) -> str:
    numbers = ", ".join(f"{value:g}" for value in box)
    return (
        f"the box [{numbers}] of {person.character or 'a face'} holds nothing of the picture (fractions of its sides)"
    )
