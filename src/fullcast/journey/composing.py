"""Composites as a source of their own: made once for one recipe from the show's frames, before samples are cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fullcast.journey.mapping import make_all
from fullcast.journey.portraits import read_portraits
from fullcast.ports import Progress, silent
from fullcast.recognition.words import words_of_part
from fullcast.records import Cast, Drop, Image, Person
from fullcast.store.executors import Task
from fullcast.store.partitions import partition_key
from fullcast.store.tables import read_records, write_records

if TYPE_CHECKING:
    from fullcast.journey import Journey
    from fullcast.journey.preparing import Prepared
    from fullcast.mixture.config import MixtureConfig

SOURCE = "screenshots"
"""What composites stand before, and unless the recipe says otherwise all that they are cut from."""
PICTURES, IMAGES, PEOPLE, DROPS = "pictures", "images.parquet", "people.parquet", "drops.parquet"


@dataclass(frozen=True)
class Material:
    """What composites are made of; picklable."""

    images: tuple[Image, ...]
    people: tuple[Person, ...]
    cast: Cast
    config: MixtureConfig
    seed: int
    scene_tags: Mapping[str, tuple[str, ...]]


def with_composites(journey: Journey, prepared: Prepared) -> Prepared:
    """The prepared show and `mixture.composites.count` composites of its frames; as it is where none are asked for.

    Made anew only when frames, portraits, people, their words, cast or settings are others than before. Frames that
    are not in `prepared` (shots held out) lend neither figure nor background.
    """
    recipe = journey.recipe
    if not recipe.mixture.composites.count:
        return prepared
    frames = tuple(i for i in prepared.images if i.source == SOURCE and not i.dropped)
    ids = {image.id for image in frames}
    people = tuple(person for person in prepared.people if person.image_id in ids)
    floor = recipe.mixture.composites.floor
    tags = {image: words_of_part(words, floor) for image, words in prepared.scene_tags.items() if image in ids}
    if "reference" in recipe.mixture.composites.cut_from:
        portraits, sitters = read_portraits(journey.workspace)
        frames, people = (*frames, *portraits), (*people, *sitters)
    material = Material(frames, people, prepared.cast, recipe.mixture, recipe.seed, tags)
    workspace = journey.workspace
    folder = workspace.composites_dir
    task = Task(folder, _key(material), _make, (material, workspace.root, workspace.relative(folder)))
    make_all(journey, [task], "composites", device=True)
    images, shown = read_records(folder / IMAGES, Image), read_records(folder / PEOPLE, Person)
    return replace(
        prepared,
        composites=tuple(images),
        composite_people=tuple(shown),
        scene_tags={**prepared.scene_tags, **_scene_tags(images, tags)},
        ratings={**prepared.ratings, **_ratings(images, shown, prepared.ratings)},
        drops=(*prepared.drops, *read_records(folder / DROPS, Drop)),
    )


def _scene_tags(images: Sequence[Image], of_frames: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """A composite has its background's words."""
    return {image.id: of_frames.get(image.parent, image.tags) for image in images}


def _ratings(images: Sequence[Image], people: Sequence[Person], of_frames: Mapping[str, str]) -> dict[str, str]:
    """A composite is as bold as the boldest of the pictures that it is made of."""
    from fullcast.ingest.filters import boldest
    from fullcast.mixture.composites.making import CUT_OUT

    parts = {image.id: [of_frames.get(image.parent, "")] for image in images}
    for person in people:
        cut_from, _, _ = person.detector.removeprefix(CUT_OUT).partition("/")  # a person's id begins with its image's
        parts[person.image_id].append(of_frames.get(cut_from, ""))
    return {image_id: rating for image_id, found in parts.items() if (rating := boldest(found))}


def _key(material: Material) -> str:
    from fullcast.mixture.composites.making import VERSION

    mixture = material.config
    about = {
        "composites": mixture.composites.model_dump(mode="json"),
        "buckets": [mixture.area_px, mixture.bucket_step_px, mixture.max_aspect],
        "seed": material.seed,
        "cast": [f"{c.name} {f.name}" for c in material.cast.characters for f in c.forms],
    }
    frames = [f"{image.id} {image.shot_id}" for image in material.images]
    if mixture.composites.backdrops_per_scene:
        about["scenes"] = {image: list(words) for image, words in material.scene_tags.items()}
    people = [f"{p.id} {p.name} {p.identity_margin:.5f} {p.xyxy} {p.head_xyxy} {p.tags}" for p in material.people]
    return partition_key([*frames, *people], about, version=VERSION)


def _make(out: Path, material: Material, root: Path, final: str, progress: Progress = silent) -> None:
    from fullcast.mixture.composites.making import make_composites
    from fullcast.store.pictures import read_picture

    made = make_composites(
        material.images,
        material.people,
        lambda image: read_picture(root / image.path),
        material.config,
        material.seed,
        out,
        PICTURES,
        material.scene_tags,
        progress=progress,
        cast=material.cast,
    )
    images = [replace(image, path=f"{final}/{image.path}") for image in made.images]
    write_records(out / IMAGES, images, Image)
    write_records(out / PEOPLE, made.people, Person)
    write_records(out / DROPS, made.drops, Drop)
