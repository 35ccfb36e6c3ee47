"""Crops of pictures as pictures of their own: head, half body, person and the square about a face.

The mixture cuts crops too, to the shapes of its buckets and without writing a file. These are for datasets that other
trainers read, and for those who want the seed pipeline's own crops (data-preparation.md 1.1, 3b). Each keeps its parent
and lists everybody whose head it shows; it is no second original.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fullcast.people.config import PeopleConfig
from fullcast.records import Box, Drop, Image, Person, person_id
from fullcast.store.errors import UnreadableFile
from fullcast.store.pictures import file_id, read_picture, write_png

VERSION = 2
"""Raised when the same people would give other crops."""

STAGE = "crops"

HEAD_SCALE = 1.5
"""Side of the head crop over the head's longer side, as waifuc's three stages cut it."""
HALF_HEADS = 3.2
"""Height of a half body in heads, hair included: to the waist."""
SIDE = 0.04
"""Of a figure's width and height, left around it."""
WHOLE = 0.9
"""Share of the picture above which a crop shows nothing that the picture does not."""
LISTED = 0.5
"""Share of a head that a crop must show for its person to be listed."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where one crop lies in its picture."""

    image_id: str
    kind: str
    xyxy: Box
    """Whole pixels, inside the picture."""


def plan_cuts(images: Iterable[Image], people: Iterable[Person], config: PeopleConfig) -> tuple[list[Cut], list[Drop]]:
    """The crops of every used picture with at least `crop_from_people` people; those too small are drops."""
    of_image: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        of_image[person.image_id].append(person)
    cuts: dict[tuple[str, str, Box], Cut] = {}
    drops = []
    for image in images:
        here = of_image[image.id]
        if image.dropped or image.parent or image.crop or len(here) < config.crop_from_people:
            continue
        for person in here:
            for kind in config.crops:
                box = _clipped(_box(person, kind, image), image)
                if box is None or _area(box) > WHOLE * image.width * image.height:
                    continue
                side = min(box[2] - box[0], box[3] - box[1])
                if side < config.crop_min_px:
                    drops.append(Drop(person.id, STAGE, "crop-too-small", f"{kind}: {side:.0f} px"))
                else:
                    cuts.setdefault((image.id, kind, box), Cut(image.id, kind, box))
    return list(cuts.values()), drops


def _box(person: Person, kind: str, image: Image) -> Box | None:
    """None: it takes a head, and none was found; or a face so large that no square holds it."""
    x0, y0, x1, y1 = person.xyxy
    if kind == "person":
        dx, dy = SIDE * (x1 - x0), SIDE * (y1 - y0)
        return x0 - dx, y0 - dy, x1 + dx, y1 + dy
    if person.head_xyxy is None:
        return None
    left, top, right, bottom = person.head_xyxy
    high, middle = bottom - top, (left + right) / 2
    if kind == "head":
        half = HEAD_SCALE * max(right - left, high) / 2
        y = (top + bottom) / 2
        return middle - half, y - half, middle + half, y + half
    if kind == "halfbody":
        half = max(x1 - x0, 2 * (right - left)) / 2 * (1 + SIDE)
        centre = (min(x0, left) + max(x1, right)) / 2
        return centre - half, top - high / 4, centre + half, min(y1 + SIDE * high, top + HALF_HEADS * high)
    # The seed's: the largest square of the picture, the face in its middle and half a face below its upper edge.
    side = min(image.width, image.height)
    if max(right - left, high) >= side:
        return None
    x = min(max(0.0, middle - side / 2), image.width - side)
    y = min(max(0.0, top - high / 2), image.height - side)
    return x, y, x + side, y + side


def _clipped(box: Box | None, image: Image) -> Box | None:
    if box is None:
        return None
    x0, y0 = max(0, round(box[0])), max(0, round(box[1]))
    x1, y1 = min(image.width, round(box[2])), min(image.height, round(box[3]))
    return (float(x0), float(y0), float(x1), float(y1)) if x1 > x0 and y1 > y0 else None


def write_crops(
    cuts: Sequence[Cut],
    images: Mapping[str, Image],
    root: Path,
    out: Path,
    final: str,
    ready: Mapping[Cut, Path] | None = None,
) -> tuple[list[Image], list[Cut], list[Drop]]:
    """Writes each crop as a PNG into `out`: its record, with a path below `final`; its place; what could not be read.

    Pictures are read once each, and not at all where all their crops are `ready`: files that an earlier run has cut. Of
    crops with equal bytes the first is used, the others are drops. Who drew the picture
    and under which licence says its own record (`cropping` copies it at every run).
    """
    of_image: dict[str, list[Cut]] = defaultdict(list)
    for cut in cuts:
        of_image[cut.image_id].append(cut)
    ready = ready or {}
    made: dict[str, tuple[Image, Cut]] = {}
    drops = []
    for image_id, here in of_image.items():
        if any(cut not in ready for cut in here):
            try:
                picture = read_picture(root / images[image_id].path)
            except UnreadableFile as error:
                drops.append(Drop(image_id, STAGE, error.reason, error.detail))
                continue
        for cut in here:
            x0, y0, x1, y1 = (int(v) for v in cut.xyxy)
            path = out / f"{image_id}-{cut.kind}-{x0}-{y0}-{x1}-{y1}.png"
            if cut in ready:
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ready[cut], path)
            else:
                write_png(path, picture[y0:y1, x0:x1])
            crop_id = file_id(path)
            if crop_id in made:
                path.unlink()
                drops.append(same_crop(path.name, made[crop_id][0]))
                continue
            crop = Image(
                *(crop_id, f"{final}/{path.name}", x1 - x0, y1 - y0, "crop", image_id),
                crop=cut.kind,
            )
            made[crop_id] = crop, cut
    return [image for image, _ in made.values()], [cut for _, cut in made.values()], drops


def same_crop(name: str, first: Image) -> Drop:
    """Of a crop, by its file's name, whose pixels an earlier one has."""
    return Drop(name, STAGE, "same-file", f"the same pixels as {Path(first.path).name}")


def people_of(crop: Image, box: Box, people: Iterable[Person]) -> list[Person]:
    """Everybody of the parent whose head the crop shows, with boxes in its pixels and an id of their own."""
    answer = []
    for person in people:
        head = person.head_xyxy or person.xyxy
        if _area(_common(head, box)) < LISTED * _area(head):
            continue
        xyxy = _moved(person.xyxy, box)
        head_box = _moved(person.head_xyxy, box) if person.head_xyxy is not None else None
        own_id = person_id(crop.id, xyxy)
        answer.append(replace(person, id=own_id, image_id=crop.id, xyxy=xyxy, head_xyxy=head_box, track_id=""))
    return sorted(answer, key=lambda p: (p.place_xy, p.id))


def _moved(box: Box, crop: Box) -> Box:
    x0, y0, x1, y1 = _common(box, crop)
    return x0 - crop[0], y0 - crop[1], x1 - crop[0], y1 - crop[1]


def _common(a: Box, b: Box) -> Box:
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
