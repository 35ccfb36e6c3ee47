"""Line 5: on pocket frames with truth, crops and buckets keep boxes, cells and left-right order true, and heads whole.

The people that are cut are the true ones, so that what is measured is the geometry and not the detector. What a crop
must say is then worked out a second time, from truth alone, by a function that is written apart from the product's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from checks.framework import Context, Figure, Goal, passed
from checks.mixture import CHECK
from checks.mixture.shown import Shown, read_shown
from fullcast.audit.truth import TruePerson, in_image
from fullcast.mixture.buckets import make_buckets, match
from fullcast.mixture.config import CropConfig, MixtureConfig
from fullcast.mixture.samples import Cut, bucket_indices, cut_samples
from fullcast.records import Box, Image, Person, Sample, cell_of, person_id

AREAS = ((9216, 16), (512**2, 64), (640**2, 64), (704**2, 64), (768**2, 64))
"""(area_px, bucket_step_px): the pocket model's, and the seed's resolutions."""


@CHECK.line(5, "crops and buckets: boxes, cells and left-right order against truth; what 16:9 loses; heads cut off")
def geometry(context: Context) -> Iterator[Figure]:
    (seed,) = context.seeds("mixture-5", 1)
    show = read_shown(context, seed)
    images, people = true_people(show)
    yield Figure("frames with truth", len(images), Goal(">=", 50), note=f"{len(people)} people")
    for area_px, step_px in AREAS:
        side = round(area_px**0.5)
        yield sixteen_to_nine(area_px, step_px)
        for kinds, crops in (("full pictures", CropConfig(sources=())), ("all samples", CropConfig())):
            config = MixtureConfig(area_px=area_px, bucket_step_px=step_px, crops=crops)
            cut = cut_samples(images, people, config)
            yield from judge(show, cut, config, f"{side}, {kinds}")
            if kinds == "full pictures":
                yield heads_gone(show, cut, side)
            else:
                yield from head_sizes(cut, side)
        found = cut_samples(images, show.people, MixtureConfig(area_px=area_px, bucket_step_px=step_px))
        yield cut_by_mistake(show, found, side)


def heads_gone(show: Shown, cut: Cut, side: int) -> Figure:
    """Heads that a full picture's bucket leaves out altogether: not cut through, but not there either."""
    heads = gone = 0
    for sample in cut.samples:
        image = show.by_id[sample.image_id]
        for true in show.truth[sample.image_id].people:
            if _shown(true, image):
                heads += 1
                gone += head_pixels(in_image(true.head_xyxy, image), sample) is None
    return Figure(
        f"{side}, full pictures: people whose head is left out", gone / max(1, heads), Goal("<=", 0.005), heads
    )


def head_sizes(cut: Cut, side: int) -> Iterator[Figure]:
    """Median height of the heads in training pictures, in pixels, by number of people: full pictures and crops."""
    heights: dict[tuple[int, bool], list[float]] = defaultdict(list)
    for sample, fit in zip(cut.samples, cut.fits, strict=True):
        for person in sample.people:
            if person.head_xyxy is not None:
                high = (person.head_xyxy[3] - person.head_xyxy[1]) * fit.enlargement
                heights[sample.num_people, sample.kind == "full"].append(high)
    for count in sorted({count for count, _ in heights}):
        full, crops = heights.get((count, True), []), heights.get((count, False), [])
        note = (
            f"in full pictures: {np.median(full):.0f} px (n = {len(full)})" if full else "no full picture shows so many"
        )
        if crops:
            title = f"{side}: median head in crops of {count} people, px"
            yield Figure(title, float(np.median(crops)), None, len(crops), note=note)


def cut_by_mistake(show: Shown, cut: Cut, side: int) -> Figure:
    """The same count for the crops that `prepare`'s own people lead to: heads that were missed can be cut."""
    hurt = shown = 0
    for sample in cut.samples:
        image, frame = show.by_id[sample.image_id], show.truth[sample.image_id]
        masks = [head_pixels(in_image(t.head_xyxy, image), sample) for t in frame.people if _shown(t, image)]
        shown += sum(mask is not None for mask in masks)
        hurt += sum(mask is not None and 0.5 <= mask[2] < 0.9 for mask in masks)
    note = "boxes as predicted: a tenth of the head or more is gone"
    return Figure(f"{side}, people as found: true heads cut off", hurt / max(1, shown), None, shown, note=note)


def sixteen_to_nine(area_px: int, step_px: int) -> Figure:
    """Share of a 16:9 frame that its bucket cuts off."""
    buckets = make_buckets(area_px, step_px, MixtureConfig().max_aspect)
    bucket = buckets[int(match([16 / 9], buckets)[0])]
    lost = 1 - min(bucket.aspect / (16 / 9), (16 / 9) / bucket.aspect)
    return Figure(f"{round(area_px**0.5)}: share of 16:9 cut off", lost, None, note=f"in {bucket}")


def true_people(show: Shown) -> tuple[list[Image], list[Person]]:
    """The frames that the truth knows, with their true people as if somebody had found them all."""
    images, people = [], []
    for image in show.images:
        frame = show.truth.get(image.id)
        if frame is None or image.dropped or image.source != "screenshots":
            continue
        images.append(image)
        people += [as_person(true, image, k) for k, true in enumerate(frame.people) if _shown(true, image)]
    return images, people


def as_person(true: TruePerson, image: Image, k: int) -> Person:
    """Its id says which of the frame's people it is."""
    body, head = in_image(true.xyxy, image), in_image(true.head_xyxy, image)
    name = f"{person_id(image.id, body)}#{k}"
    return Person(name, image.id, body, 1.0, head, 1.0, character=true.character, form=true.form)


def _shown(true: TruePerson, image: Image) -> bool:
    """Heads of which the frame itself shows nothing cannot be lost by a crop."""
    x0, y0, x1, y1 = in_image(true.head_xyxy, image)
    return x1 - x0 >= 1 and y1 - y0 >= 1


def judge(show: Shown, cut: Cut, config: MixtureConfig, title: str) -> Iterator[Figure]:
    """Boxes, cells and order of every sample against truth; heads cut; shapes; nothing enlarged in silence."""
    buckets, index = bucket_indices(cut.samples, config)
    of_image: dict[str, list[tuple[int, Box]]] = defaultdict(list)
    for image_id, frame in show.truth.items():
        image = show.by_id[image_id]
        of_image[image_id] = [(k, in_image(t.head_xyxy, image)) for k, t in enumerate(frame.people) if _shown(t, image)]
    listed = boxes = cells = orders = cut_heads = shown = 0
    for sample in cut.samples:
        truth = dict(of_image[sample.image_id])
        masks = {k: head_pixels(head, sample) for k, head in truth.items()}
        visible = {k for k, mask in masks.items() if mask is not None and mask[2] >= 0.5}
        told = [int(p.id.rsplit("#", 1)[1]) for p in sample.people]
        listed += set(told) != visible
        orders += told != sorted(told, key=lambda k: masks[k][0] if masks[k] else (0, 0))  # type: ignore[index]
        for k, person in zip(told, sample.people, strict=True):
            mask = masks[k]
            if mask is None or person.head_xyxy is None:
                boxes += 1
                continue
            (x, y), box, _ = mask
            boxes += max(abs(a - b) for a, b in zip(box, person.head_xyxy, strict=True)) > 1e-6
            cells += cell_of(x / sample.width, y / sample.height) != person.cell(sample.width, sample.height)
        shown += sum(mask is not None for mask in masks.values())
        cut_heads += sum(mask is not None and 0.02 < mask[2] < 0.98 for mask in masks.values())
    n, people = len(cut.samples), sum(len(s.people) for s in cut.samples)
    yield Figure(f"{title}: samples that list others than they show", listed, Goal("=", 0), n)
    yield Figure(f"{title}: head boxes not as in truth", boxes, Goal("=", 0), people)
    yield Figure(f"{title}: cells not as in truth", cells, Goal("=", 0), people)
    yield Figure(f"{title}: samples whose left-right order is not as in truth", orders, Goal("=", 0), n)
    goal = Goal("<=", 0.005)
    yield Figure(f"{title}: people whose head is cut off", cut_heads / max(1, shown), goal, shown)
    wrong = sum(abs(np.log(s.width / s.height / buckets[i].aspect)) > 1e-9 for s, i in zip(cut.samples, index))
    grown = sum(fit.enlargement > config.max_enlargement + 1e-9 for fit in cut.fits)
    holds = wrong == grown == 0
    note = f"{sum(d.reason == 'undersized' for d in cut.drops)} dropped as undersized"
    yield passed(f"{title}: every crop has its bucket's shape, none is enlarged beyond the limit", holds, note)


def head_pixels(head: Box, sample: Sample) -> tuple[tuple[float, float], Box, float] | None:
    """((x, y) centre, box, share shown) of a true head in a sample, from the corners cut one by one; None: not in it.

    Written apart from `fullcast.mixture.crops`, with which it is compared.
    """
    x = np.clip([head[0], head[2]], sample.crop[0], sample.crop[2]) - sample.crop[0]
    y = np.clip([head[1], head[3]], sample.crop[1], sample.crop[3]) - sample.crop[1]
    share = float(np.ptp(x) * np.ptp(y) / ((head[2] - head[0]) * (head[3] - head[1])))
    if share <= 0:
        return None
    return (float(x.mean()), float(y.mean())), (float(x[0]), float(y[0]), float(x[1]), float(y[1])), share
