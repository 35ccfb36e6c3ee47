"""How the show itself places its people: what a planner of scenes draws on when nobody said where to stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from fullcast.records import Cast, Image, Person

MAX_PEOPLE = 6
"""Larger groups are too rare to have statistics of their own."""


def with_layout(cast: Cast, people: Iterable[Person], images: Iterable[Image]) -> Cast:
    """The cast with the show's layout statistics. Keys, N being the number of people in a picture, 0 to 6:

    ``share/N`` of pictures with N people; ``head_height/N`` median head height over picture height; ``head_y/N``
    median height of head centres, 0 top to 1 bottom; ``x/N/k`` median x of the k-th head from the left, 0 to 1.
    """
    sizes = {image.id: (image.width, image.height) for image in images if not image.dropped}
    by_image: dict[str, list[Person]] = {image_id: [] for image_id in sizes}
    for person in people:
        if person.image_id in by_image:
            by_image[person.image_id].append(person)
    values: dict[str, list[float]] = defaultdict(list)
    for image_id, group in by_image.items():
        width, height = sizes[image_id]
        count = len(group)
        if count > MAX_PEOPLE:
            continue
        for k, person in enumerate(sorted(group, key=lambda p: p.place_xy[0])):
            x, y = person.place_xy
            values[f"x/{count}/{k}"].append(x / width)
            values[f"head_y/{count}"].append(y / height)
            if person.head_xyxy is not None:
                values[f"head_height/{count}"].append((person.head_xyxy[3] - person.head_xyxy[1]) / height)
    layout = {key: round(float(np.median(v)), 4) for key, v in values.items()}
    counts = [len(group) for group in by_image.values()]
    for count in range(MAX_PEOPLE + 1):
        if counts:
            layout[f"share/{count}"] = round(counts.count(count) / len(counts), 4)
    return replace(cast, layout=dict(sorted(layout.items())))
