"""A prepared pocket show with the truth about its frames, for lines 5 and 6."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from checks.framework import Context
from checks.shows import prepared
from fullcast.audit.truth import TrueFrame, Truth, match_images
from fullcast.recognition.castfile import read_cast
from fullcast.records import Cast, Image, Person, Video
from fullcast.store.tables import read_records
from fullcast.store.workspace import Workspace


@dataclass(frozen=True)
class Shown:
    root: Path
    images: tuple[Image, ...]
    people: tuple[Person, ...]
    scene_tags: Mapping[str, tuple[str, ...]]
    cast: Cast
    truth: Mapping[str, TrueFrame]
    """Image id -> what is true of it; frames of episodes only."""

    @cached_property
    def by_id(self) -> dict[str, Image]:
        return {image.id: image for image in self.images}


def read_shown(context: Context, seed: int) -> Shown:
    """The show of a seed, drawn and prepared if it is not there yet."""
    files = prepared(context, seed)
    return shown_from(files.workspace, files.truth)


def shown_from(workspace: Path, truth: Path) -> Shown:
    folder = Workspace.open(workspace).show_dir
    images = tuple(read_records(folder / "images.parquet", Image))
    videos = {v.id: Path(v.path).name for v in read_records(folder / "videos.parquet", Video)}
    tags = json.loads((folder / "scenes.json").read_text(encoding="utf-8"))["tags"]
    return Shown(
        workspace,
        images,
        tuple(read_records(folder / "people.parquet", Person)),
        {image_id: tuple(words) for image_id, words in tags.items()},
        read_cast(folder / "cast.json"),
        match_images(images, Truth.read(truth), videos),
    )
