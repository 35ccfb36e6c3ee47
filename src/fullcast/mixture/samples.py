"""From pictures and people to samples: full pictures, and crops in which the people are large enough to be told apart.

A frame of 1280x720 becomes 160x96 in the pocket model's area: a head of 60 px is then 8 px high and could be anybody's.
So beside the full picture there are crops around one person and around neighbours, as small as margins and enlargement
allow. Every crop has exactly the shape of its bucket, cuts through nobody's head, lists everybody whose head it shows,
and shows little of anybody else. A crop carries the id of its picture: it is no second original, and
`uniform_over = "originals"` counts it so.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fullcast.mixture.buckets import Bucket, assign_buckets, make_buckets, match
from fullcast.mixture.config import CropConfig, MixtureConfig
from fullcast.mixture.crops import LISTED, Fit, area, fit_aspect, head_of, intersection, is_cut, people_in, share_inside
from fullcast.recognition.words import words_of_part
from fullcast.records import Box, Drop, Image, Person, Sample

STAGE = "mixture"

QUALITIES = ("masterpiece", "best quality", "good quality", "normal quality", "low quality", "worst quality")
"""Words of the usual taggers and boards for how good a picture is."""


@dataclass(frozen=True)
class Cut:
    """Samples, and what the cutting did."""

    samples: tuple[Sample, ...]
    fits: tuple[Fit, ...]
    """One for each sample."""
    drops: tuple[Drop, ...]
    buckets: tuple[Bucket, ...]
    """Those that are used."""


def make_samples(
    images: Iterable[Image],
    people: Iterable[Person],
    config: MixtureConfig,
    scene_tags: Mapping[str, Sequence[str]] | None = None,
    ratings: Mapping[str, str] | None = None,
) -> list[Sample]:
    """Samples of all pictures that were not dropped; see `cut_samples` for what was lost on the way."""
    return list(cut_samples(images, people, config, scene_tags, ratings).samples)


def cut_samples(
    images: Iterable[Image],
    people: Iterable[Person],
    config: MixtureConfig,
    scene_tags: Mapping[str, Sequence[str]] | None = None,
    ratings: Mapping[str, str] | None = None,
) -> Cut:
    """Samples with their losses and drops.

    scene_tags: words about the whole picture by image id (setting, light), where somebody found some; else the words
    that came with the file. ratings: by image id, of those that somebody rated.
    """
    images = [image for image in images if not image.dropped]
    originals = {image.id: image for image in images if image.source != "crop"}
    of_image: dict[str, list[Person]] = defaultdict(list)
    for person in people:
        of_image[person.image_id].append(person)
    buckets = make_buckets(config.area_px, config.bucket_step_px, config.max_aspect)
    while True:
        cutter = _Cutter(config, buckets, scene_tags or {}, ratings or {})
        for image in originals.values():
            cutter.add(image, of_image[image.id])
        for image in images:
            if image.source == "crop" and image.parent in originals:
                cutter.add_crop(image, originals[image.parent], of_image[image.id])
        aspects = [sample.width / sample.height for sample in cutter.samples]
        used = assign_buckets(aspects, buckets, config.min_bucket_samples) if aspects else ()
        if len(used) == len(set(match(aspects, buckets).tolist()) if aspects else ()):
            return Cut(tuple(cutter.samples), tuple(cutter.fits), tuple(cutter.drops), used)
        buckets = used


def bucket_indices(samples: Sequence[Sample], config: MixtureConfig) -> tuple[tuple[Bucket, ...], np.ndarray]:
    """The buckets of the config and, (n,) int64, in which of them each sample is: its crop has that shape."""
    buckets = make_buckets(config.area_px, config.bucket_step_px, config.max_aspect)
    return buckets, match([sample.width / sample.height for sample in samples], buckets)


class _Cutter:
    def __init__(
        self,
        config: MixtureConfig,
        buckets: Sequence[Bucket],
        scene_tags: Mapping[str, Sequence[str]],
        ratings: Mapping[str, str],
    ) -> None:
        self.config = config
        self.buckets = buckets
        self.scene_tags = scene_tags
        self.ratings = ratings
        self.samples: list[Sample] = []
        self.fits: list[Fit] = []
        self.drops: list[Drop] = []

    def add(self, image: Image, people: Sequence[Person]) -> None:
        """The full picture and its crops; a picture that is too small is a drop, and so are its crops."""
        bucket = self.buckets[match([image.width / image.height], self.buckets)[0]]
        full = fit_aspect((0.0, 0.0, image.width, image.height), bucket.aspect, [head_of(p) for p in people])
        enlargement = bucket.height / (full[3] - full[1])
        if enlargement > self.config.max_enlargement:
            detail = f"{image.width}x{image.height} would be enlarged {enlargement:.2f} times to {bucket}"
            self.drops.append(Drop(image.id, STAGE, "undersized", detail))
            return
        config = self.config.crops
        crops = []
        if image.source in config.sources and people:
            crops = group_crops(image, people, self.buckets, enlargement, config, self.config.max_enlargement)
        head_px = _smallest_head(people) * enlargement if people else math.inf
        if crops and head_px < config.min_full_head_px:
            detail = f"its smallest head is {head_px:.1f} px high in {bucket}; {len(crops)} crops stand for it"
            self.drops.append(Drop(f"{image.id}_full", STAGE, "heads-too-small", detail))
        else:
            self._keep(image, people, full, _kind_of_picture(image), bucket)
        for crop, kind, chosen in crops:
            self._keep(image, people, crop, kind, chosen)

    def add_crop(self, image: Image, parent: Image, people: Sequence[Person]) -> None:
        """A picture that was cut from another: of its source and shot, and no second original."""
        bucket = self.buckets[match([image.width / image.height], self.buckets)[0]]
        crop = fit_aspect((0.0, 0.0, image.width, image.height), bucket.aspect, [head_of(p) for p in people])
        if bucket.height / (crop[3] - crop[1]) > self.config.max_enlargement:
            self.drops.append(Drop(image.id, STAGE, "undersized", f"{image.width}x{image.height}, a crop"))
            return
        kind = _kind_of_picture(image)
        self._keep(image, people, crop, "person" if kind == "full" else kind, bucket)
        sample = self.samples[-1]
        self.samples[-1] = replace(
            sample,
            image_id=parent.id,
            source=parent.source,
            shot_id=parent.shot_id,
            rating=sample.rating or self.ratings.get(parent.id, ""),
            quality=sample.quality or quality_of(parent.tags),
        )

    def _keep(self, image: Image, people: Sequence[Person], crop: Box, kind: str, bucket: Bucket) -> None:
        crop = intersection(crop, (0.0, 0.0, image.width, image.height))  # rounding may reach over the edge
        inside = people_in(people, crop)
        cut_off = kind != "full" or crop != (0.0, 0.0, image.width, image.height)
        # Latents are kept by this name: it says what of the picture they show, which goes by where heads are.
        name = kind + ("_" + "-".join(f"{v:.0f}" for v in crop) if cut_off else "")
        self.samples.append(
            Sample(
                *(f"{image.id}_{name}", image.id, image.path, crop, image.source, inside, kind),
                tags=words_of_part(self.scene_tags.get(image.id, image.tags), crop[3] / image.height),
                shot_id=image.shot_id,
                rating=self.ratings.get(image.id, ""),
                quality=quality_of(image.tags),
            )
        )
        cut = sum(is_cut(head_of(p), crop) for p in people)
        kept = area(crop) / (image.width * image.height)
        self.fits.append(Fit(kept, cut, len(people) - len(inside), bucket.height / (crop[3] - crop[1])))


def quality_of(tags: Iterable[str]) -> str:
    """The first of QUALITIES among words that came with a file, however boards spell it; '' where there is none."""
    spelt = (tag.replace("_", " ").strip().lower() for tag in tags)
    return next((tag for tag in spelt if tag in QUALITIES), "")


def _kind_of_picture(image: Image) -> str:
    """full, or for a picture that shows a part of another one: head or person."""
    if not image.crop:
        return "full"
    return "head" if image.crop in ("head", "face") else "person"


def group_crops(
    image: Image,
    people: Sequence[Person],
    buckets: Sequence[Bucket],
    full_scale: float,
    config: CropConfig,
    max_enlargement: float,
) -> list[tuple[Box, str, Bucket]]:
    """Crops of one picture around 1 to ``max_people`` neighbours: (crop, kind, its bucket), the best few of each count.

    kind is ``head`` (one person, less than half of the figure), ``person`` (one, more of it) or ``group``. full_scale:
    by how much the full picture is resized; a crop must show its smallest head ``min_gain`` times larger than that.
    """
    found: dict[tuple[str, ...], tuple[float, Box, str, Bucket]] = {}
    for target in _targets(sorted(people, key=lambda p: p.place_xy), config):
        best = _best_crop(image, people, target, buckets, max_enlargement, config)
        if best is None:
            continue
        crop, bucket, members = best
        head_px = _smallest_head(members) * bucket.height / (crop[3] - crop[1])
        if head_px < config.min_head_px or head_px < config.min_gain * full_scale * _smallest_head(members):
            continue
        kind = _kind(members, people, crop)
        key = (kind, *sorted(p.id for p in members))
        if key not in found or head_px > found[key][0]:
            found[key] = head_px, crop, kind, bucket
    chosen = []
    of_count: dict[tuple[str, int], int] = defaultdict(int)
    for (kind, *ids), (_, crop, _, bucket) in sorted(found.items(), key=lambda f: (-f[1][0], f[0])):
        of_count[kind, len(ids)] += 1
        if of_count[kind, len(ids)] <= config.crops_per_count:
            chosen.append((crop, kind, bucket))
    return chosen


def _targets(ordered: Sequence[Person], config: CropConfig) -> Iterable[Box]:
    """What a crop must hold: heads of neighbours with their margins, and whole figures."""
    for count in range(1, min(config.max_people, len(ordered)) + 1):
        for start in range(len(ordered) - count + 1):
            yield _union([_with_margin(head_of(p), config) for p in ordered[start : start + count]])
    for person in ordered:
        yield _union([person.xyxy, _with_margin(head_of(person), config)])


def _with_margin(head: Box, config: CropConfig) -> Box:
    high = head[3] - head[1]
    side = config.margin_side * high
    return head[0] - side, head[1] - config.margin_above * high, head[2] + side, head[3] + config.margin_below * high


def _union(boxes: Sequence[Box]) -> Box:
    return (
        *(min(b[0] for b in boxes), min(b[1] for b in boxes)),
        *(max(b[2] for b in boxes), max(b[3] for b in boxes)),
    )


def _best_crop(
    image: Image,
    people: Sequence[Person],
    target: Box,
    buckets: Sequence[Bucket],
    max_enlargement: float,
    config: CropConfig,
) -> tuple[Box, Bucket, tuple[Person, ...]] | None:
    """The crop of any bucket's shape that shows the target largest and cuts no head; None if there is none."""
    best = None
    for bucket in buckets:
        crop = _grown(image, people, target, bucket, max_enlargement, config)
        if crop is None:
            continue
        members = tuple(p for p in people if share_inside(head_of(p), crop) >= LISTED)
        strangers = [p for p in people if p not in members]
        if any(area(intersection(p.xyxy, crop)) > config.max_headless * area(crop) for p in strangers):
            continue
        scale = bucket.height / (crop[3] - crop[1])
        if members and (best is None or scale > best[0]):
            best = scale, crop, bucket, members
    return None if best is None else best[1:]


def _grown(
    image: Image, people: Sequence[Person], target: Box, bucket: Bucket, max_enlargement: float, config: CropConfig
) -> Box | None:
    """The smallest crop of the bucket's shape around the target; a head that its edge would cut is taken in, too."""
    for _ in range(len(people) + 1):
        crop = _around(image, target, bucket, max_enlargement)
        if crop is None:
            return None
        cut = [p for p in people if is_cut(head_of(p), crop)]
        if not cut:
            return crop
        target = _union([target, *(_with_margin(head_of(p), config) for p in cut)])
    return None


def _around(image: Image, target: Box, bucket: Bucket, max_enlargement: float) -> Box | None:
    x0, y0, x1, y1 = max(0.0, target[0]), max(0.0, target[1]), min(image.width, target[2]), min(image.height, target[3])
    width = max(x1 - x0, (y1 - y0) * bucket.aspect, bucket.width / max_enlargement)
    height = width / bucket.aspect
    if width > image.width or height > image.height:
        return None
    left = min(max(0.0, (x0 + x1 - width) / 2), image.width - width)
    top = min(max(0.0, (y0 + y1 - height) / 2), image.height - height)
    return left, top, left + width, top + height


def _smallest_head(people: Sequence[Person]) -> float:
    return min(head_of(p)[3] - head_of(p)[1] for p in people)


def _kind(members: Sequence[Person], people: Sequence[Person], crop: Box) -> str:
    if len(members) > 1:
        return "group"
    top, bottom = members[0].xyxy[1], members[0].xyxy[3]
    shown = min(bottom, crop[3]) - max(top, crop[1])
    return "person" if shown >= (bottom - top) / 2 else "head"
