"""Tracks: the appearances of one figure over the kept frames of a shot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from fullcast.people.config import PeopleConfig
from fullcast.records import Box, Image, Person

HALF = 0.5
"""IoU from which two heads are in the same place."""


def track_people(people: Iterable[Person], images: Iterable[Image], config: PeopleConfig) -> list[Person]:
    """The same people, in the same order, each with its `track_id`; '' in pictures that belong to no shot.

    Within a shot, frame after frame in time: each figure goes to at most one track and each track gets at most one,
    the assignment of the highest total likeness. A track's id is its shot's with a running number.
    """
    people = list(people)
    by_image: dict[str, list[int]] = defaultdict(list)
    for index, person in enumerate(people):
        by_image[person.image_id].append(index)
    shots: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        if image.shot_id and image.id in by_image:
            shots[image.shot_id].append(image)
    answer = [replace(person, track_id="") for person in people]
    for shot_id, frames in shots.items():
        frames.sort(key=lambda image: (image.time_s, image.id))
        for number, members in enumerate(_tracks(frames, by_image, people, config)):
            for index in members:
                answer[index] = replace(people[index], track_id=f"{shot_id}/{number:02d}")
    return answer


@dataclass(slots=True)
class _Track:
    members: list[int]
    time_s: float
    head: Box
    """Of its last appearance."""
    total: np.ndarray | None
    """Sum of its embeddings; None until one is known."""


def _tracks(
    frames: Sequence[Image], by_image: dict[str, list[int]], people: Sequence[Person], config: PeopleConfig
) -> list[list[int]]:
    """Indices of the members of each track of one shot."""
    tracks: list[_Track] = []
    for frame in frames:
        waiting = [track for track in tracks if frame.time_s - track.time_s <= config.track_gap_s]
        new = by_image[frame.id]
        likeness = np.array([[_likeness(track, people[i], config) for i in new] for track in waiting])
        pairs: dict[int, _Track] = {}
        if likeness.size:
            rows, columns = linear_sum_assignment(likeness, maximize=True)
            pairs = {new[c]: waiting[r] for r, c in zip(rows, columns, strict=True) if likeness[r, c] > 0}
        for i in new:
            if i in pairs:
                _extend(pairs[i], i, people[i], frame.time_s)
            else:
                tracks.append(_Track([i], frame.time_s, _head(people[i]), people[i].embedding))
    return [track.members for track in tracks]


def _extend(track: _Track, index: int, person: Person, time_s: float) -> None:
    track.members.append(index)
    track.time_s, track.head = time_s, _head(person)
    if person.embedding is not None:
        track.total = person.embedding if track.total is None else track.total + person.embedding


def _likeness(track: _Track, person: Person, config: PeopleConfig) -> float:
    """Above 0: may be the same figure, the more the likelier; 0: is not."""
    overlap = iou(track.head, _head(person))
    if track.total is None or person.embedding is None:
        return overlap if overlap >= HALF else 0.0
    cosine = float(track.total @ person.embedding / max(1e-9, float(np.linalg.norm(track.total))))
    needed = config.track_similarity - (config.track_slack if overlap >= HALF else 0.0)
    if cosine < needed or _moved(track.head, _head(person)) > config.track_reach:
        return 0.0
    return 1 + cosine + overlap


def _moved(a: Box, b: Box) -> float:
    """Distance of two boxes' centres in widths of the larger one."""
    aside = ((a[0] + a[2]) - (b[0] + b[2])) / 2
    down = ((a[1] + a[3]) - (b[1] + b[3])) / 2
    return float(np.hypot(aside, down) / max(1e-6, a[2] - a[0], b[2] - b[0]))


def _head(person: Person) -> Box:
    return person.head_xyxy or person.xyxy


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, in [0, 1]."""
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    inside = w * h
    return inside / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside)
