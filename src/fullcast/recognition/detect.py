"""Pictures -> people: a detector's boxes joined into figures, head and body on one record.

Whoever keeps what comes of it has a VERSION to raise when the joining changes: `people.detect`, `journey.portraits`,
`judging.cache`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from fullcast.models.base import Detection, PersonDetector
from fullcast.records import Box, Person, person_id

PERSON, HEAD, HALF_BODY, FACE = "person", "head", "halfbody", "face"
"""Labels of the detectors' own metadata; other things that they see (hands) are nobody."""

SAME = 0.7
"""Share of a half body in a body, or of a face in a head, from which both are one figure's."""

MIN_CONTAINED = 0.5
"""Share of a head's area that must lie in the body's box: boxes jitter, and hair sticks out, by well under half."""

LONE_CONFIDENCE = 0.5
"""A head without a body, or a body without a head, is believed from here on: the half that is missing is no witness."""

COVERED_BODY, COVERED_HEAD, LESS_SURE = 0.85, 0.5, 0.15
"""A figure is a double when surer ones, by at least LESS_SURE, cover so much of its body and of its head: the detector
saw one figure twice, or the space between two as a third. On a pocket show (seed 42) doubles began at 0.89 and 0.55,
and of 399 true figures, some close together, those with half of the head covered had at most 0.70 of the body."""

LONE_HEAD = "#head"
"""Ends `Person.detector` of a figure that is known by its head alone; its box is the head's."""


@dataclass(frozen=True, slots=True)
class Unbelieved:
    """What was seen in a picture and is nobody."""

    xyxy: Box
    reason: str
    """`unconfirmed`: half a figure, too faint; `double`: a figure seen a second time."""
    detail: str


class JointDetector:
    """Several detectors as one: a person detector and a head detector that come as two files."""

    def __init__(self, detectors: Sequence[PersonDetector]) -> None:
        self.detectors = tuple(detectors)
        self.name = "+".join(detector.name for detector in self.detectors)

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Detection]]:
        """The boxes of all, picture by picture; of what several saw, the surest box."""
        answers = [detector.detect(images) for detector in self.detectors]
        return [_surest(found) for found in zip(*answers, strict=True)]


def _surest(found: Sequence[Sequence[Detection]]) -> list[Detection]:
    """What each detector saw, less what another saw more surely: equal labels, and the one box mostly in the other.

    A detector's own boxes are left as it gave them: it has suppressed among them already.
    """
    ordered = sorted(((box, k) for k, boxes in enumerate(found) for box in boxes), key=lambda pair: -pair[0].confidence)
    kept: list[tuple[Detection, int]] = []
    for box, k in ordered:
        rivals = (other for other, l in kept if l != k and other.label == box.label)
        if not any(_inside(box.xyxy, o.xyxy) >= SAME or _inside(o.xyxy, box.xyxy) >= SAME for o in rivals):
            kept.append((box, k))
    return [box for box, _ in kept]


def detect_people(
    images: Sequence[np.ndarray], image_ids: Sequence[str], detector: PersonDetector, *, lone: float = LONE_CONFIDENCE
) -> list[list[Person]]:
    """The people of each (H, W, 3) uint8 RGB picture, left to right."""
    return [people for people, _ in look_for_people(images, image_ids, detector, lone=lone)]


def look_for_people(
    images: Sequence[np.ndarray], image_ids: Sequence[str], detector: PersonDetector, *, lone: float = LONE_CONFIDENCE
) -> list[tuple[list[Person], list[Unbelieved]]]:
    """The same, with what was seen in each picture and not believed."""
    return [
        join_heads(found, image_id, detector.name, lone=lone, size=(image.shape[1], image.shape[0]))
        for found, image_id, image in zip(detector.detect(images), image_ids, images, strict=True)
    ]


def join_heads(
    detections: Sequence[Detection],
    image_id: str,
    detector: str,
    *,
    lone: float = LONE_CONFIDENCE,
    size: tuple[float, float] = (math.inf, math.inf),
) -> tuple[list[Person], list[Unbelieved]]:
    """One Person per figure, left to right, and what was not believed: each head goes to one body, the best pairs over
    the whole picture.

    What finds no partner is kept if its confidence is at least `lone`: a body alone (seen from behind, head out of the
    picture) has no head box, a head alone (the rest hidden) stands with the head's box and is marked by LONE_HEAD.
    Half bodies stand for bodies, and faces for heads, where no detector saw more of the figure; the head that follows
    from a face ends where the picture does (`size`: its width and height). Figures that others
    cover are doubles (`COVERED_BODY`).
    """
    bodies = _with_halves(detections)
    heads = _with_faces(detections, size)
    pairs = match_heads([b.xyxy for b in bodies], [h.xyxy for h in heads])
    people, lost = [], []
    for i, body in enumerate(bodies):
        head = heads[pairs[i]] if i in pairs else None
        if head is not None or body.confidence >= lone:
            people.append(_person(image_id, detector, body, head))
        else:
            lost.append(_unconfirmed(body))
    taken = set(pairs.values())
    for j, head in enumerate(heads):
        if j in taken:
            continue
        if head.confidence >= lone:
            people.append(_person(image_id, detector + LONE_HEAD, head, head))
        else:
            lost.append(_unconfirmed(head))
    unique = list({person.id: person for person in people}.values())
    doubles = {person.id: person for person in unique if _is_double(person, unique)}
    lost += [Unbelieved(p.xyxy, "double", f"{p.confidence:.2f}, covered by surer ones") for p in doubles.values()]
    return sorted((p for p in unique if p.id not in doubles), key=lambda person: person.place_xy), lost


def _unconfirmed(one: Detection) -> Unbelieved:
    return Unbelieved(one.xyxy, "unconfirmed", f"{one.label} {one.confidence:.2f}, alone")


def _is_double(person: Person, people: Sequence[Person]) -> bool:
    """Whether surer figures cover it: their shares are added, since it often lies between two."""
    if person.head_xyxy is None:
        return False
    surer = [p for p in people if p.confidence >= person.confidence + LESS_SURE]
    body = sum(_inside(person.xyxy, other.xyxy) for other in surer if other.head_xyxy is not None)
    head = sum(_inside(person.head_xyxy, other.head_xyxy) for other in surer if other.head_xyxy is not None)
    return body >= COVERED_BODY and head >= COVERED_HEAD


def _with_halves(detections: Sequence[Detection]) -> list[Detection]:
    """Bodies, and half bodies that lie in none of them."""
    bodies = [d for d in detections if d.label == PERSON]
    halves = [d for d in detections if d.label == HALF_BODY]
    return bodies + [half for half in halves if not any(_inside(half.xyxy, b.xyxy) >= SAME for b in bodies)]


def _with_faces(detections: Sequence[Detection], size: tuple[float, float]) -> list[Detection]:
    """Heads, and the heads that follow from faces that lie in none of them."""
    heads = [d for d in detections if d.label == HEAD]
    faces = [d for d in detections if d.label == FACE]
    alone = [face for face in faces if not any(_inside(face.xyxy, head.xyxy) >= SAME for head in heads)]
    return heads + [Detection(_clipped(head_of_face(face.xyxy), size), face.confidence, HEAD) for face in alone]


def _clipped(box: Box, size: tuple[float, float]) -> Box:
    return max(0.0, box[0]), max(0.0, box[1]), min(size[0], box[2]), min(size[1], box[3])


def head_of_face(face: Box) -> Box:
    """Half as large again about its middle, and a sixth of it higher: hair is above; the seed's crop was 1.5 faces."""
    x0, y0, x1, y1 = face
    dx, dy = (x1 - x0) / 4, (y1 - y0) / 4
    up = (y1 - y0) / 6
    return x0 - dx, y0 - dy - up, x1 + dx, y1 + dy - up


def _inside(box: Box, other: Box) -> float:
    """Share of the box that lies in the other."""
    width = max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
    height = max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
    return width * height / max(1e-6, (box[2] - box[0]) * (box[3] - box[1]))


def _person(image_id: str, detector: str, body: Detection, head: Detection | None) -> Person:
    return Person(
        id=person_id(image_id, body.xyxy),
        image_id=image_id,
        xyxy=body.xyxy,
        confidence=body.confidence,
        head_xyxy=head.xyxy if head else None,
        head_confidence=head.confidence if head else 0.0,
        detector=detector,
    )


def match_heads(bodies: Sequence[Box], heads: Sequence[Box]) -> dict[int, int]:
    """Index of the head of each body that has one: the assignment of the highest total `head_fit`."""
    if not bodies or not heads:
        return {}
    fit = np.array([[head_fit(body, head) for head in heads] for body in bodies])
    rows, columns = linear_sum_assignment(fit, maximize=True)
    return {int(i): int(j) for i, j in zip(rows, columns, strict=True) if fit[i, j] > 0}


def head_fit(body: Box, head: Box) -> float:
    """How well a head sits on a body, in [0, 1]; 0: not its head.

    The share of the head inside the body, less how far the head's top is from the body's top (in head heights) and
    its centre from the body's middle (in body widths): the head of somebody behind lies inside the box as well, but
    neither at its top nor in its middle.
    """
    x0, y0, x1, y1 = head
    w = max(0.0, min(x1, body[2]) - max(x0, body[0]))
    h = max(0.0, min(y1, body[3]) - max(y0, body[1]))
    contained = w * h / max(1e-6, (x1 - x0) * (y1 - y0))
    if contained < MIN_CONTAINED:
        return 0.0
    top = min(1.0, abs(y0 - body[1]) / max(1e-6, y1 - y0))
    aside = min(1.0, abs(x0 + x1 - body[0] - body[2]) / 2 / max(1e-6, body[2] - body[0]))
    return max(1e-3, contained - 0.4 * top - 0.4 * aside)
