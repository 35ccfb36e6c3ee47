"""Prepare: episodes, fan art and references to a show that is ready to be planned; and that show read again.

Map stages work on partitions and keep them; whole-show stages are computed anew and write ``data/show``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fullcast.journey.answers import Answer, drop_lines, timed
from fullcast.journey.cropping import crop_all, read_crops
from fullcast.journey.deciding import BY_HAND, Decided, decide_images, own_captions, write_homeless
from fullcast.journey.deciding import STAGE as REVIEW
from fullcast.journey.doors import Doors
from fullcast.journey.masking import mask_all
from fullcast.journey.naming import judge_cast_path, name_all, read_references
from fullcast.journey.portraits import find_portraits
from fullcast.journey.sifting import filter_drops, sift_after_names
from fullcast.journey.taking_in import TakenIn, after_late_drops, take_in
from fullcast.journey.wording import Worded, common_settings, tag_all, word_all, write_about_captions
from fullcast.recognition.words import SUBTITLED
from fullcast.records import UNKNOWN, Cast, Drop, Image, Person, Shot, Video
from fullcast.store.atomic import write_json
from fullcast.store.decisions import read_log
from fullcast.store.errors import FullcastError
from fullcast.store.tables import read_records, to_plain, write_records
from fullcast.store.workspace import Workspace

if TYPE_CHECKING:
    from fullcast.journey import Journey


@dataclass(frozen=True)
class Prepared:
    """What `prepare` wrote to data/show."""

    images: tuple[Image, ...]
    people: tuple[Person, ...]
    cast: Cast
    scene_tags: Mapping[str, tuple[str, ...]]
    settings: tuple[str, ...]
    """The show's places in words, commonest first."""
    drops: tuple[Drop, ...]
    ratings: Mapping[str, str] = field(default_factory=dict)
    """By image id, of those that the file or the tagger rates."""
    crops: tuple[Image, ...] = ()
    """Pictures cut from the others, where the recipe asks for some; no originals."""
    crop_people: tuple[Person, ...] = ()
    composites: tuple[Image, ...] = ()
    """Scenes of cut-out figures, where the recipe asks for some."""
    composite_people: tuple[Person, ...] = ()

    @property
    def pictures(self) -> tuple[Image, ...]:
        """Images, crops of those that are there, and composites: what samples are made of."""
        there = {image.id for image in self.images}
        return (*self.images, *(crop for crop in self.crops if crop.parent in there), *self.composites)

    @property
    def everybody(self) -> tuple[Person, ...]:
        """The people of all of them."""
        return (*self.people, *self.crop_people, *self.composite_people)


def prepare(journey: Journey) -> Answer:
    """All stages; each takes what is ready as it is."""
    workspace, doors = journey.workspace, Doors(journey.workspace, journey.recipe)
    device = doors.find_looking()  # before hours of decoding
    with timed(workspace, "prepare"):
        with _stage(journey, "frames"):
            taken = take_in(journey)
        if not taken.images:
            raise FullcastError(
                f"{workspace.root} has no picture that can be used; put videos into episodes/ or pictures into fanart/"
                + (": " + "; ".join(line.strip() for line in drop_lines(taken.drops)) if taken.drops else "")
            )
        log = read_log(workspace.review_log)
        with _stage(journey, "people"):
            named = name_all(journey, doors, taken)
        with _stage(journey, "words"):
            words, unread = tag_all(journey, doors, taken, named)
            images, details = sift_after_names(journey, taken.images, named, words)
            taken = replace(taken, details={**taken.details, **details})
            taken = after_late_drops(journey, taken, decide_images(images, log))
            worded = word_all(journey, taken, named, words, unread)
        with _stage(journey, "crops"):
            small = crop_all(journey, taken, worded.people, worded.scene_tags)
        with _stage(journey, "masks"):
            unmasked = mask_all(journey, doors, taken, worded.people)
        with _stage(journey, "judge's cast"):
            judge_cast, _ = read_references(journey, "judge", doors.judge_detector, doors.judge_embedder)
        with _stage(journey, "portraits"):
            find_portraits(journey, doors)
        drops = _all_drops(taken, (*named.drops, *worded.drops, *small, *unmasked))
        _write(workspace, taken, worded, judge_cast, drops, doors)
        write_about_captions(workspace, worded, own_captions(named.decided))
        write_homeless(workspace, named.decided.homeless, log.damaged)
    return _answer(taken, worded, drops, named.decided, len(log.active), device)


@contextmanager
def _stage(journey: Journey, name: str) -> Iterator[None]:
    with timed(journey.workspace, f"prepare: {name}"):
        yield


def _all_drops(taken: TakenIn, others: tuple[Drop, ...]) -> list[Drop]:
    """Every reason, near-duplicates included."""
    filtered = filter_drops(taken.images, taken.details)
    already = {drop.item for drop in filtered}
    repeated = [
        Drop(image.id, REVIEW if image.dropped == BY_HAND else "duplicates", image.dropped)
        for image in taken.images
        if image.dropped and image.id not in already
    ]
    return [*taken.drops, *filtered, *repeated, *others]


def _write(
    workspace: Workspace, taken: TakenIn, worded: Worded, judge_cast: Cast, drops: list[Drop], doors: Doors
) -> None:
    from fullcast.recognition.castfile import write_cast

    show = workspace.show_dir
    write_records(show / "images.parquet", taken.images, Image)
    write_records(show / "shots.parquet", taken.shots, Shot)
    write_records(show / "videos.parquet", taken.videos, Video)
    write_records(show / "people.parquet", worded.people, Person, {"embedder": doors.embedder.name})
    write_records(show / "drops.parquet", drops, Drop)
    write_cast(show / "cast.json", worded.cast)
    write_cast(judge_cast_path(workspace), judge_cast)
    settings = common_settings(worded.scene_tags, taken.images)
    write_json(show / "scenes.json", {"tags": worded.scene_tags, "settings": settings, "ratings": worded.ratings})


def read_prepared(journey: Journey) -> Prepared:
    """What the last `prepare` wrote. Raises FullcastError when there was none."""
    from fullcast.recognition.castfile import read_cast

    workspace = journey.workspace
    show = workspace.show_dir
    if not (show / "scenes.json").exists():
        raise FullcastError(f"{workspace.root} is not prepared yet; run: fullcast prepare -w {workspace.root}")
    crops, inside = read_crops(journey)
    scenes: dict[str, Any] = json.loads((show / "scenes.json").read_text(encoding="utf-8"))
    return Prepared(
        tuple(read_records(show / "images.parquet", Image)),
        tuple(read_records(show / "people.parquet", Person)),
        read_cast(show / "cast.json"),
        {image_id: tuple(tags) for image_id, tags in scenes["tags"].items()},
        tuple(scenes["settings"]),
        tuple(read_records(show / "drops.parquet", Drop)),
        scenes.get("ratings", {}),
        tuple(crops),
        tuple(inside),
    )


def _answer(
    taken: TakenIn, worded: Worded, drops: list[Drop], decided: Decided, num_decisions: int, device: str
) -> Answer:
    from fullcast.recognition.methods import method_words

    kept = {image.id for image in taken.images if not image.dropped}
    people = [person for person in worded.people if person.image_id in kept]
    names = Counter(person.name for person in people if person.character != UNKNOWN)
    unknown = sum(person.character == UNKNOWN for person in people)
    sources = Counter(image.source for image in taken.images if not image.dropped)
    fresh = sum(partition.fresh for partition in taken.partitions)
    lines = [
        f"{len(taken.videos)} videos, {len(taken.shots)} shots; "
        f"pictures: {', '.join(f'{count} {source}' for source, count in sources.items())}"
        f" ({fresh} of {len(taken.partitions)} parts were new)",
        f"{len(people)} people, {unknown} of them unknown; {method_words(worded.cast.naming)}",
        *(f"  {name}: {count}" for name, count in names.most_common()),
        *_decided_lines(decided, num_decisions, sum(not check.agrees for check in worded.counts)),
        *subtitle_lines(taken, worded),
        *drop_lines(drops),
        f"networks looked on the {'CPU' if device == 'cpu' else 'GPU'}",
    ]
    data = {
        "videos": len(taken.videos),
        "shots": len(taken.shots),
        "pictures": dict(sources),
        "people": dict(names) | {UNKNOWN: unknown},
        "naming": to_plain(worded.cast.naming),
        "subtitled": len(_subtitled(taken)),
        "device": device,
        "decisions": {"active": num_decisions, "homeless": len(decided.homeless)},
        "drops": [{"item": d.item, "stage": d.stage, "reason": d.reason, "detail": d.detail} for d in drops],
    }
    return Answer("\n".join(lines), data)


def _subtitled(taken: TakenIn) -> list[str]:
    """Ids of the used pictures that have burned-in subtitles."""
    return [image.id for image in taken.images if not image.dropped and SUBTITLED in image.tags]


def subtitle_lines(taken: TakenIn, worded: Worded) -> list[str]:
    """How many pictures have burned-in subtitles, and whether it is said of them."""
    ids = _subtitled(taken)
    said = sum(SUBTITLED in worded.scene_tags.get(image_id, ()) for image_id in ids)
    return [f"  {len(ids)} pictures have burned-in subtitles; captions say so of {said}"] if ids else []


def _decided_lines(decided: Decided, num_decisions: int, doubtful_counts: int) -> list[str]:
    """What people decided, and what they might look at."""
    lines = []
    if num_decisions:
        lost = f", {len(decided.homeless)} targets of them find no home: fullcast review homeless"
        lines.append(f"  {num_decisions} decisions of people taken up{lost if decided.homeless else ''}")
    if doubtful_counts:
        lines.append(f"  {doubtful_counts} pictures whose people and tags disagree about their number: fullcast review")
    return lines
